"""Tests of flowbench bench: the page in a browser, its token, and how it ends."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.cli.bench import _serve, _stop, write_settings
from flowbench.errors import InputError
from tests.cli.running import run
from tests.conftest import ROOT
from tests.incident_case import make_incident_case
from tests.panel.jupyterlab import CHROMIUM, FLAGS, free_port


def test_without_voila_the_remedy_is_named(tmp_path: Path, monkeypatch) -> None:
    Case.create(tmp_path / "case")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    result = run("bench", tmp_path / "case")
    assert (result.exit_code, result.stderr) == (
        2,
        "flowbench: the page needs Voilà: pip install 'flowbench[voila]'\n",
    )


def test_what_is_no_case_is_not_served(tmp_path: Path) -> None:
    result = run("bench", tmp_path)
    assert (result.exit_code, "case" in result.stderr) == (2, True)


def test_settings_keep_the_token_out_of_the_command(tmp_path: Path) -> None:
    case = tmp_path / 'it\'s "a" case\\'
    words = write_settings(tmp_path, case, 8123, "secret", "dark")
    assert "secret" not in " ".join(words)
    settings = json.loads((tmp_path / "voila.json").read_text(encoding="utf-8"))
    voila = settings["Voila"]
    assert (voila["ip"], voila["port"], voila["port_retries"]) == ("127.0.0.1", 8123, 0)
    assert voila["token"] == "secret"
    policy = voila["tornado_settings"]["headers"]["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "connect-src 'self' ws://127.0.0.1:8123 " in policy
    assert settings["VoilaConfiguration"]["theme"] == "dark"
    (cell,) = json.loads(Path(words[3]).read_text(encoding="utf-8"))["cells"]
    opened = cell["source"].splitlines()[1].removeprefix("case = fb.Case.open")
    assert eval(opened) == str(case)


def test_a_server_that_ends_by_itself_is_an_error() -> None:
    words = [sys.executable, "-c", "raise SystemExit(3)"]
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(InputError, match="Voilà exited with code 3"):
            _serve(words, dict(os.environ), free_port(), "url")
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_server_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["flowbench.cli.bench"], "_STOP", 0.2)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    words = [sys.executable, "-c", f"{code}; time.sleep(60)"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        _stop(server)
        assert server.returncode == -signal.SIGKILL


@pytest.mark.browser
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    if CHROMIUM is None and not os.environ.get("FLOWBENCH_REQUIRE_BROWSER"):
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    case = make_incident_case(tmp_path)
    words = [sys.executable, "-m", "flowbench", "bench", str(case.path), "--theme", "dark"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    requests: list[str] = []
    errors: list[str] = []
    with subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            with sync_playwright() as player:
                browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                stranger = browser.new_context().new_page()
                stranger.goto(url.partition("?")[0])
                assert "/login" in stranger.url
                page = browser.new_page()
                page.set_default_timeout(60_000)
                page.on("request", lambda request: requests.append(request.url))
                page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
                page.on("pageerror", lambda error: errors.append(str(error)))
                page.goto(url)
                page.get_by_text("84 connections, 8 rejected").wait_for()
                page.get_by_role("tab", name="Findings").click()
                page.get_by_text("The case keeps no findings").wait_for()
                page.get_by_role("tab", name="Graph").click()
                page.get_by_text("run fb.detect.run(case) first").wait_for()
                page.get_by_role("tab", name="Timeline").click()
                page.locator(".flowbench-timeline").wait_for()
                assert page.locator("body").get_attribute("data-jp-theme-light") == "false"
                browser.close()
        finally:
            os.killpg(server.pid, signal.SIGINT)  # as a terminal does
            code = server.wait(60)
    assert code == 130
    assert errors == []
    own = url.partition("?")[0]
    assert [r for r in requests if not r.startswith((own, "data:", "blob:"))] == []
    left = subprocess.run(["ps", "-eo", "pgid="], capture_output=True, text=True, check=True)
    assert str(server.pid) not in left.stdout.split()
