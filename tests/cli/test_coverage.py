"""Tests of flowbench coverage."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import NODATA, RECORD, run


def test_files_with_their_records_and_nodata(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    run("ingest", case, tmp_path / "a.log")
    result = run("coverage", case, "--format", "json")
    (row,) = json.loads(result.stdout)
    assert (row["file"], row["records"], result.stderr) == ("a.log", 2, "")
    header = run("coverage", case).stdout.splitlines()[0].split()
    assert "evidence_id" not in header


def test_duplicates_are_counted(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(RECORD)
    (tmp_path / "b.log").write_text(f"{RECORD}\n{NODATA}\n")
    run("ingest", case, tmp_path / "a.log", tmp_path / "b.log")
    note = "1 of 3 records are duplicates; connections count them once\n"
    assert run("coverage", case).stderr == note
