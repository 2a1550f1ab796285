"""Tests of flowbench coverage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import NODATA, RECORD, load, run


def test_files_with_their_records_and_nodata(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    load(case, tmp_path / "a.log")
    result = run("coverage", case, "--format", "json")
    (row,) = json.loads(result.stdout)
    assert (row["file"], row["records"], result.stderr) == ("a.log", 2, "")
    header = run("coverage", case).stdout.splitlines()[0].split()
    assert "evidence_id" not in header


def test_duplicates_are_counted(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(RECORD)
    (tmp_path / "b.log").write_text(f"{RECORD}\n{NODATA}\n")
    load(case, tmp_path / "a.log", tmp_path / "b.log")
    note = "1 of 3 records are duplicates; connections count them once\n"
    assert run("coverage", case).stderr == note


def test_rows_may_be_interfaces_groups_or_hours(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    interface = {"NetworkInterfaceId": "eni-9", "SubnetId": "subnet-9", "VpcId": "vpc-9"}
    (tmp_path / "b.json").write_text(json.dumps({"NetworkInterfaces": [interface]}))
    load(case, tmp_path / "a.log", tmp_path / "b.json")
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


def test_cost_shows_volumes_and_where_money_comes_from(loaded: Path) -> None:
    result = run("coverage", loaded, "--cost", "--format", "json")
    (row,) = json.loads(result.stdout)
    assert (row["flow_log"], row["records"], row["bytes"]) == ("files *.log", 1, len(RECORD) + 1)
    assert result.stderr == (
        "files *.log: 97 bytes a record; 30 days at the rate of 10.0 min: 4,320 records, 419.0 kB\n"
        "no prices: give a table with --prices FILE, or accept flowbench's with --accept-prices\n"
    )
    fields = json.loads(
        run("coverage", loaded, "--cost", "--by", "field", "--format", "json").stdout
    )
    assert sum(field["bytes"] for field in fields) == row["bytes"]
    later = run("coverage", loaded, "--cost", "--from", "2027-01-01", "--format", "json")
    assert json.loads(later.stdout) == []


def test_money_needs_a_price_table(loaded: Path, tmp_path: Path) -> None:
    accepted = run("coverage", loaded, "--cost", "--accept-prices", "--format", "json")
    first = json.loads(accepted.stdout)[0]
    assert (first["charge"], first["confidence"]) == ("delivery", "two sources")
    assert first["amount"] == pytest.approx(97 * 4_320 / 1e9 * 0.5)
    assert (
        "prices of us-east-1, 2026-11-27, in USD: 24 of 28 unverified: compare them"
        in accepted.stderr
    )
    table = tmp_path / "prices.csv"
    table.write_text(
        "item,from_gb,price,confidence,source,region,date,currency\n"
        "s3-delivery,0,1,one source,x,\x1b[31meu,2026-10-01,USD\n"
    )
    given = run("coverage", loaded, "--cost", "--prices", table, "--by", "saving")
    assert "prices of \\x1b[31meu, 2026-10-01, in USD: 0 of 1 unverified" in given.stderr
    savings = run("coverage", loaded, "--cost", "--by", "saving", "--format", "json")
    assert {row["amount"] for row in json.loads(savings.stdout)} == {None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--accept-prices"], "--prices and --accept-prices are for --cost: add it"),
        (["--by", "saving"], "--by saving is for --cost: add it"),
        (["--cost", "--by", "vpc"], "--cost has no rows by vpc"),
        (["--cost", "--prices", "x", "--accept-prices"], "are two price tables: give one"),
        (["--cost", "--prices", "no-such-file"], "cannot read no-such-file"),
        (["--figure", "no-such-folder/x.html"], "cannot write no-such-folder"),
    ],
)
def test_options_that_cannot_be_used(loaded: Path, options, message) -> None:
    result = run("coverage", loaded, *options)
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_the_figure_is_a_page(loaded: Path, tmp_path: Path) -> None:
    page = tmp_path / "coverage.html"
    assert run("coverage", loaded, "--figure", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert '<div id="coverage"' in text
    assert "eni-0a" in text
