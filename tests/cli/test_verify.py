"""Tests of flowbench verify."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import RECORD, run


def test_an_intact_case_is_exit_code_0(loaded: Path) -> None:
    result = run("verify", loaded)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("checked ")
    assert result.stderr.endswith(": all match\n")


def test_changed_evidence_is_exit_code_1(loaded: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(RECORD.replace("3120", "3121"))
    wrong = run("verify", loaded)
    assert wrong.exit_code == 1
    assert "a.log" in wrong.stdout
    assert "changed since it was loaded" in wrong.stdout
    assert wrong.stderr.endswith(": 1 failed\n")


def test_json_lists_every_check(loaded: Path) -> None:
    rows = json.loads(run("verify", loaded, "--format", "json").stdout)
    assert len(rows) > 1
    assert all(row["ok"] for row in rows)
