"""Tests of flowbench hunt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.incident_case import EXIT, HOST


@pytest.fixture
def indicators(tmp_path: Path) -> Path:
    others = "".join(f"203.0.113.{number}\n" for number in range(200, 210))
    (tmp_path / "iocs.txt").write_text(f"{EXIT}\n{others}not an indicator at all\n")
    return tmp_path / "iocs.txt"


def test_contacts_and_what_was_searched(incident_case: Path, indicators: Path) -> None:
    result = run("hunt", incident_case, indicators, "--format", "jsonl")
    assert result.exit_code == 1  # contact
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {(row["indicator"], row["host"]) for row in rows} == {(EXIT, HOST)}
    lines = result.stderr.splitlines()
    assert lines[0].startswith("contact with 1 of 11 indicators; searched:")
    assert "skipped: iocs.txt, line 12: not an address, network, range or domain" in lines
    assert any("2026-09-01" in line and "UTC" in line for line in lines)


def test_no_contact(incident_case: Path, tmp_path: Path) -> None:
    (tmp_path / "iocs.txt").write_text("203.0.113.200\n")
    result = run("hunt", incident_case, tmp_path / "iocs.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("no contact with any of 1 indicator; searched:")


def test_a_period_without_contact(incident_case: Path, indicators: Path) -> None:
    late = run("hunt", incident_case, indicators, "--from", "2027-01-01")
    assert (late.exit_code, late.stdout) == (0, "")
    port = run("hunt", incident_case, indicators, "--port", 1, "--rejected", "--peer", HOST)
    assert port.exit_code == 0


def test_many_bad_lines_are_counted(incident_case: Path, tmp_path: Path) -> None:
    (tmp_path / "iocs.txt").write_text("no address here\n" * 1_500 + "203.0.113.200\n")
    result = run("hunt", incident_case, tmp_path / "iocs.txt")
    assert result.exit_code == 0
    assert result.stderr.count("skipped: ") == 20
    assert "and 1,480 more of 1,500 lines that cannot be read" in result.stderr


def test_the_query_as_sql(incident_case: Path, indicators: Path) -> None:
    result = run("hunt", incident_case, indicators, "--sql", "athena", "--table", "logs")
    assert EXIT in result.stdout
    assert "logs" in result.stdout
    assert result.exit_code == 0
    assert "skipped: iocs.txt, line 12" in result.stderr
    wrong = run("hunt", incident_case, indicators, "--sql", "athena", "--table", "logs; DROP")
    assert wrong.exit_code == 2
