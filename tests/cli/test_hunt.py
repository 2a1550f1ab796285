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
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {(row["indicator"], row["host"]) for row in rows} == {(EXIT, HOST)}
    lines = result.stderr.splitlines()
    assert lines[0].startswith("contact with 1 of 11 indicators; searched:")
    assert "1 line of the lists cannot be read and are skipped" in lines
    assert any("2026-09-01" in line and "UTC" in line for line in lines)


def test_no_contact(incident_case: Path, tmp_path: Path) -> None:
    (tmp_path / "iocs.txt").write_text("203.0.113.200\n")
    result = run("hunt", incident_case, tmp_path / "iocs.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("no contact with any of 1 indicator; searched:")


def test_the_query_as_sql(incident_case: Path, indicators: Path) -> None:
    result = run("hunt", incident_case, indicators, "--sql", "athena", "--table", "logs")
    assert EXIT in result.stdout
    assert "logs" in result.stdout
    assert "1 line of the lists" in result.stderr
    wrong = run("hunt", incident_case, indicators, "--sql", "athena", "--table", "logs; DROP")
    assert wrong.exit_code == 2
