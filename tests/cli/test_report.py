"""Tests of flowbench report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import run

pytestmark = pytest.mark.usefixtures("few_detectors")


def test_the_report_is_in_the_case_by_default(loaded: Path) -> None:
    result = run("report", loaded)
    assert (result.exit_code, Path(result.stdout.strip())) == (0, loaded / "report.html")
    assert (
        (loaded / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    )


def test_another_file(loaded: Path, tmp_path: Path) -> None:
    result = run("report", loaded, "-o", tmp_path / "r.html")
    assert result.exit_code == 0
    assert (tmp_path / "r.html").is_file()
    assert not (loaded / "report.html").exists()


def test_a_report_that_is_not_logged_has_a_note(loaded: Path, tmp_path: Path) -> None:
    (loaded / "custody.head").write_text("9 x\n")
    result = run("report", loaded, "-o", tmp_path / "r.html")
    assert (result.exit_code, "r.html.sha256 only" in result.stderr) == (0, True)
    assert (tmp_path / "r.html.sha256").is_file()


def test_a_folder_that_does_not_exist(loaded: Path, tmp_path: Path) -> None:
    result = run("report", loaded, "-o", tmp_path / "no" / "r.html")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
