"""Tests of flowbench lab."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from flowbench.cli import lab as _command  # noqa: F401
from flowbench.cli.lab import _SETTINGS, copy_notebooks
from flowbench.playbooks.library import find_notebooks
from tests.cli.running import run
from tests.panel.jupyterlab import CHROMIUM, free_port


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict]]:
    """Replace JupyterLab by a list of how it was started; Winterday's evidence is there."""
    calls: list[tuple[list[str], dict]] = []

    def call(words: list[str], env: dict) -> int:
        calls.append((words, env))
        return 0

    monkeypatch.setattr(sys.modules["flowbench.cli.lab"], "run_server", call)
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "work"):
        (folder / "data" / "winterday" / "evidence").mkdir(parents=True)
    return calls


def test_the_root_is_the_folder_that_was_named(started, tmp_path: Path) -> None:
    assert run("lab", "work", "--no-browser").exit_code == 0
    ((words, env),) = started
    assert words[1:4] == ["-m", "jupyterlab", f"--ServerApp.root_dir={tmp_path / 'work'}"]
    assert words[-1] == "--no-browser"
    assert env["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0] == str(_SETTINGS)
    assert list((tmp_path / "work" / "notebooks").rglob("*.ipynb"))


def test_the_current_folder_by_default(started, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    assert run("lab", "--port", "9999").exit_code == 0
    ((words, env),) = started
    assert words[3] == f"--ServerApp.root_dir={tmp_path}"
    assert words[-2:] == ["--port", "9999"]
    assert env["JUPYTER_CONFIG_PATH"] == os.pathsep.join([str(_SETTINGS), "mine"])


def test_files_that_exist_are_kept(tmp_path: Path) -> None:
    copied = copy_notebooks(tmp_path)
    assert copied
    copied[0].write_text("edited")
    assert copied[0] not in copy_notebooks(tmp_path)
    assert copied[0].read_text() == "edited"
    copied[0].unlink()
    assert copy_notebooks(tmp_path) == [copied[0]]


def test_notebooks_are_copied_byte_by_byte(tmp_path: Path) -> None:
    for path in copy_notebooks(tmp_path):
        assert path.read_bytes() == (find_notebooks() / path.relative_to(tmp_path)).read_bytes()


def test_jupyterlab_reads_the_settings_without_news(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_server.services.config import ConfigManager

    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(_SETTINGS))
    settings = ConfigManager(config_dir_name="labconfig").get("default_setting_overrides")
    notification = settings["@jupyterlab/apputils-extension:notification"]
    assert notification == {"fetchNews": "false", "checkForUpdates": False}
    # Else JupyterLab takes panels that are scrolled away out of the page.
    assert settings["@jupyterlab/notebook-extension:tracker"] == {"windowingMode": "defer"}
    shipped = (_SETTINGS / "labconfig" / "default_setting_overrides.json").read_text()
    assert json.loads(shipped) == settings


def test_a_folder_that_cannot_be_written(started, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("lab", "file")
    assert (result.exit_code, "cannot write" in result.stderr) == (2, True)
    assert started == []


def test_ctrl_c_is_left_to_the_server() -> None:
    """It may take longer than the quarter of a second that Python waits before it kills."""
    server = "import signal, sys, time; signal.signal(2, lambda *_: (time.sleep(0.6), sys.exit(5)))"
    server += "; print('up', flush=True); time.sleep(60)"
    code = "import os, sys; from flowbench.cli.lab import run_server"
    code += f"; sys.exit(run_server([sys.executable, '-c', {server!r}], dict(os.environ)))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)  # the command waits for the server now
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 5


@pytest.mark.browser
def test_jupyterlab_shows_the_folder_and_no_news(tmp_path: Path) -> None:
    if CHROMIUM is None and not os.environ.get("FLOWBENCH_REQUIRE_BROWSER"):
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    (tmp_path / "work" / "data" / "winterday" / "evidence").mkdir(parents=True)
    port = free_port()
    words = [sys.executable, "-m", "flowbench", "lab", "work", "--no-browser", "--allow-root"]
    words += [f"--ServerApp.port={port}", "--IdentityProvider.token=t"]
    environment = os.environ | {"HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "c")}
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}/lab?token=t"
            wait_for(url)
            with sync_playwright() as player:
                browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                page = browser.new_page()
                asked: list[str] = []
                page.on("request", lambda request: asked.append(request.url))
                page.goto(url)
                page.wait_for_selector(".jp-DirListing-item", timeout=120_000)
                page.wait_for_timeout(3_000)  # a notification comes after the first screen
                names = page.locator(".jp-DirListing-itemText").all_inner_texts()
                toasts = page.locator(".Toastify__toast").all_inner_texts()
                browser.close()
        finally:
            os.killpg(server.pid, signal.SIGTERM)
    assert {"data", "notebooks"} <= set(names)
    assert toasts == []
    own = (f"http://127.0.0.1:{port}/", f"ws://127.0.0.1:{port}/", "data:", "blob:")
    assert [address for address in asked if not address.startswith(own)] == []
    assert not [address for address in asked if "/api/news" in address or "/api/update" in address]


def wait_for(url: str, seconds: float = 60) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)
        else:
            return
