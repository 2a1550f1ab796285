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


def test_rows_may_be_interfaces_groups_or_hours(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    interface = {"NetworkInterfaceId": "eni-9", "SubnetId": "subnet-9", "VpcId": "vpc-9"}
    (tmp_path / "b.json").write_text(json.dumps({"NetworkInterfaces": [interface]}))
    run("ingest", case, tmp_path / "a.log", tmp_path / "b.json")
    result = run("coverage", case, "--by", "interface", "--format", "json")
    rows = json.loads(result.stdout)
    assert [(row["interface_id"], row["records"]) for row in rows] == [
        ("eni-0a", 1),
        ("eni-1", 1),
        ("eni-9", 0),
    ]
    assert result.stderr == "1 interface of the inventory without a record\n"
    (first, unknown) = json.loads(run("coverage", case, "--by", "vpc", "--format", "json").stdout)
    assert (first["vpc_id"], first["without_records"], unknown["records"]) == ("vpc-9", 1, 2)
    (hour,) = json.loads(run("coverage", case, "--by", "hour", "--format", "json").stdout)
    assert (hour["interfaces"], hour["records"], hour["nodata"]) == (2, 2, 1)
    later = run("coverage", case, "--by", "hour", "--from", "2027-01-01", "--format", "json")
    assert json.loads(later.stdout) == []
    assert run("coverage", case, "--by", "subnet").exit_code == 0
