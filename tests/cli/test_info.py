"""Tests of flowbench info."""

from __future__ import annotations

import json
from pathlib import Path

from flowbench.case import Case
from tests.cli.running import run


def test_a_terminal_gets_the_period_and_the_head_of_the_custody_log(loaded: Path) -> None:
    shown = run("info", loaded).stdout
    assert "flow-logs" in shown
    log = Case.open(loaded).log
    assert shown.splitlines()[-3:] == [
        "flow records from 2026-09-01 03:10:00 to 2026-09-01 03:10:59 UTC",
        f"custody log: {len(log.entries)} entries",
        f"head {log.head}",
    ]


def test_json_has_only_the_table(loaded: Path) -> None:
    (row,) = json.loads(run("info", loaded, "--format", "json").stdout)
    assert (row["kind"], row["files"], row["records"]) == ("flow-logs", 1, 1)


def test_a_folder_without_a_case(tmp_path: Path) -> None:
    result = run("info", tmp_path / "nowhere")
    assert (result.exit_code, "is not a case" in result.stderr) == (2, True)


def test_a_missing_custody_log_is_stated(case: Path) -> None:
    (case / "custody.jsonl").unlink()
    result = run("info", case)
    assert "custody log: it is missing" in result.stderr
    assert "`flowbench verify " in result.stderr
