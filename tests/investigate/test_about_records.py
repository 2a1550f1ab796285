"""The records that name something, by kind of evidence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.investigate import about
from flowbench.investigate.filters import Filters
from tests.incident_case import (
    CALLER,
    CREATOR,
    CREATOR_KEY,
    DATABASE,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    KEY,
    POOL,
    ROGUE,
    guardduty_finding,
    make_incident_case,
)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("records") / "incident")


def counts(case: Case, what: str, filters: Filters | None = None) -> tuple[int, ...]:
    found = about.evidence(case, what, filters or Filters())
    assert list(found) == ["flow-logs", "cloudtrail", "dns", "guardduty"]
    return tuple(rows.count().to_pyarrow().as_py() for rows in found.values())


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (HOST, (848, 1, 3, 1)),
        (POOL, (696, 0, 3, 1)),
        (INTERFACE, (848, 3, 3, 1)),
        (INSTANCE, (848, 3, 3, 1)),
        ("198.51.100.0/24", (144, 0, 0, 0)),
        ("eu.pool.example", (696, 0, 3, 1)),
        ("eve", (0, 6, 0, 0)),
        (ROGUE, (0, 6, 0, 0)),
        (KEY, (0, 5, 0, 0)),
        (CREATOR_KEY, (0, 3, 0, 0)),
        (CREATOR, (0, 3, 0, 0)),
        (CALLER, (0, 6, 0, 0)),
    ],
)
def test_counts(case: Case, what: str, expected: tuple[int, ...]) -> None:
    assert counts(case, what) == expected


def test_filters(case: Case) -> None:
    assert counts(case, HOST, Filters(peer=DATABASE)) == (8, 0, 0, 0)
    assert counts(case, HOST, Filters(ports=(443,))) == (144, 0, 0, 0)
    assert counts(case, "eve", Filters(rejected=True)) == (0, 2, 0, 0)
    assert counts(case, HOST, Filters(peer=POOL)) == (696, 0, 3, 1)
    assert counts(case, EXIT, Filters(rejected=True)) == (0, 0, 0, 0)


def test_each_record_has_its_file_and_order(case: Case) -> None:
    found = about.evidence(case, INSTANCE)
    rows = found["cloudtrail"].to_pyarrow().to_pylist()
    assert [row["event_id"] for row in rows] == ["e5", "e7", "e8"]
    assert {row["file"] for row in rows} == {"other.jsonl"}


def test_all_kinds_in_one_table(case: Case, tmp_path: Path) -> None:
    found = about.evidence(case, INSTANCE)
    every = about.combine(found)
    rows = every.to_pyarrow().to_pylist()
    assert len(rows) == sum(counts(case, INSTANCE))
    kinds = [row["kind"] for row in rows]
    assert list(dict.fromkeys(kinds)) == ["cloudtrail", "dns", "flow-logs", "guardduty"]
    assert {"srcaddr", "event_name", "query_time", "file", "line"} <= set(every.columns)


def test_alerts_about_a_principal_a_key_and_a_period(tmp_path: Path) -> None:
    details = {"userName": "eve", "accessKeyId": KEY, "principalId": "AIDA", "userType": "IAMUser"}
    alert = guardduty_finding() | {
        "id": "a2",
        "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": details},
    }
    (tmp_path / "guardduty.json").write_text(json.dumps({"Findings": [alert]}))
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "guardduty.json")
    assert counts(case, "eve") == counts(case, KEY) == (0, 0, 0, 1)
    since = Filters(since=datetime(2026, 9, 1, 6, 30, tzinfo=UTC))
    assert counts(case, "eve", since) == (0, 0, 0, 0)
    assert counts(case, "eve", Filters(ports=(3334,))) == (0, 0, 0, 0)
