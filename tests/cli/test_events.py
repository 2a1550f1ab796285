"""Tests of flowbench events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.incident_case import CALLER, CREATOR_KEY, ROGUE


def events(case: Path, *options: object) -> list[dict[str, object]]:
    result = run("events", case, *options, "--format", "json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_events_are_listed_by_time(incident_case: Path) -> None:
    rows = events(incident_case)
    assert [row["event_time"] for row in rows] == sorted(row["event_time"] for row in rows)
    assert all(row["evidence_id"] and row["line"] for row in rows)
    header = run("events", incident_case).stdout.splitlines()[0].split()
    assert header[:5] == ["event_time", "event_name", "principal_name", "error_code", "source_ip"]


@pytest.mark.parametrize(
    ("options", "column", "value"),
    [
        (("--principal", "eve"), "principal_arn", ROGUE),
        (("--principal", ROGUE), "principal_name", "eve"),
        (("--key", CREATOR_KEY), "access_key_id", CREATOR_KEY),
        (("--event", "run*"), "event_name", "RunInstances"),
        (("--peer", CALLER, "--principal", "eve"), "source_ip", CALLER),
    ],
)
def test_filters(incident_case: Path, options, column: str, value: str) -> None:
    some = events(incident_case, *options)
    assert {row[column] for row in some} == {value}
    assert len(some) < len(events(incident_case))


def test_calls_that_failed(incident_case: Path) -> None:
    failed = events(incident_case, "--rejected")
    assert failed
    assert all(row["error_code"] for row in failed)
    assert events(incident_case, "--error", "*") == failed
    assert events(incident_case, "--error", "NoSuchError") == []


def test_nothing_to_list_is_said(incident_case: Path, loaded: Path) -> None:
    none = run("events", incident_case, "--principal", "nobody")
    assert (none.exit_code, none.stderr) == (0, "no rows\n")
    empty = run("events", loaded)
    assert empty.exit_code == 0
    assert empty.stderr.startswith("the case has no API events: load CloudTrail logs\n")
