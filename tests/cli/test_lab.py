"""Tests of flowbench lab, without a browser."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from jupyterlab_server.settings_utils import SchemaHandler  # noqa: F401  # JupyterLab is there

from flowbench.cli import lab as _command  # noqa: F401
from flowbench.cli.lab import _SETTINGS, copy_notebooks, find_notebooks
from tests.cli.running import run


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict]]:
    """Replace JupyterLab by a list of how it was started; Winterday's evidence is there."""
    calls: list[tuple[list[str], dict]] = []

    def call(words: list[str], env: dict) -> int:
        calls.append((words, env))
        return 0

    monkeypatch.setattr(subprocess, "call", call)
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
    shipped = (_SETTINGS / "labconfig" / "default_setting_overrides.json").read_text()
    assert json.loads(shipped) == settings


def test_a_folder_that_cannot_be_written(started, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("lab", "file")
    assert (result.exit_code, "cannot write" in result.stderr) == (2, True)
    assert started == []
