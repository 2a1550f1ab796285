"""Tests of flowbench quarantine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.running import RECORD, load, run, run_on_terminal


def test_a_line_that_cannot_be_read(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{RECORD.replace('10.0.1.10', '10.0.1.999')}\n")
    load(case, tmp_path / "a.log")
    (row,) = json.loads(run("quarantine", case, "--format", "json").stdout)
    assert (row["file"], row["line"]) == ("a.log", 2)
    assert "10.0.1.999" in row["raw"]
    assert row["reason"]
    header = run("quarantine", case).stdout.splitlines()[0]
    assert header.split() == ["file", "line", "reason", "raw", "item"]


def test_nothing_in_quarantine(loaded: Path) -> None:
    assert json.loads(run("quarantine", loaded, "--format", "json").stdout) == []
    shown = run("quarantine", loaded)
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr == "nothing is in quarantine: all records of 1 file were read\n"


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are POSIX")
def test_a_pipe_gets_every_line_and_a_terminal_the_first(case: Path, tmp_path: Path) -> None:
    bad = RECORD.replace("10.0.1.10", "10.0.1.999")
    (tmp_path / "a.log").write_text("\n".join([RECORD, *[bad] * 250]))
    load(case, tmp_path / "a.log")
    assert len(run("quarantine", case).stdout.splitlines()) == 251
    assert len(run("quarantine", case, "--limit", 3).stdout.splitlines()) == 4
    assert "200 of 250 rows; --limit or --format for more" in run_on_terminal(
        120, "quarantine", case
    )
