"""Tests of flowbench new."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import run


def test_a_case_is_created_and_the_next_command_is_named(tmp_path: Path) -> None:
    result = run("new", tmp_path / "a case", "--name", "Theft")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith(f"Next: flowbench ingest '{tmp_path / 'a case'}' LOGS…\n")
    assert json.loads((tmp_path / "a case" / "case.json").read_text())["name"] == "Theft"


def test_an_existing_case_is_not_overwritten(case: Path) -> None:
    before = (case / "case.json").read_bytes()
    result = run("new", case, "--name", "Another")
    assert (result.exit_code, "is a case already" in result.stderr) == (2, True)
    assert (case / "case.json").read_bytes() == before
