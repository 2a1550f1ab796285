"""Thousands of calls are a few rows, by tactic, and none is left out."""

from __future__ import annotations

import re

import pytest

from flowbench.case import Case
from flowbench.investigate.activity import MOST_ROWS, describe_activity, describe_calls
from tests.incident_case import api_event
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    events = [
        api_event("k1", "CreateAccessKey", T0 + 50, request={"userName": "eve"}),
        api_event("a1", "AttachUserPolicy", T0 + 40, request={"userName": "eve"}),
        api_event("s1", "StopLogging", T0 + 30, request={"name": "trail"}),
        api_event("d1", "ListBuckets", T0, read=True),
        api_event("d2", "ListUsers", T0 + 1, read=True, error="AccessDenied"),
        *(api_event(f"p{n}", "PutObject", T0 + n, request={"bucketName": "b"}) for n in range(5)),
        *(api_event(f"q{n}", f"PutThing{n:02}", T0 + 60 + n) for n in range(40)),
        api_event("z1", "RunInstances", T0 + 90, error="Client.VcpuLimitExceeded"),
    ]
    folder = tmp_path_factory.mktemp("activity")
    return make_case(folder, connect("10.0.0.5", "192.0.2.1", 443, T0), json_lines=events)


def test_the_order_of_tactics_and_one_row_of_reads(case: Case) -> None:
    rows = list(describe_activity(case.api_events, "`the command`"))
    labels = [row.description.partition(":")[0] for row in rows]
    assert labels[:5] == [
        "Persistence (T1098.001)",
        "Privilege escalation (T1098.003)",
        "Discovery",
        "Defense evasion (T1562.008)",
        "Impact (T1496.001)",
    ]
    assert rows[2].description == (
        "Discovery: 2 read-only calls by eve at 2026-09-01 00:00 UTC: ListBuckets 1x, ListUsers 1x;"
        " 1 failed (ListUsers: AccessDenied)."
    )
    assert rows[2].origin["event_id"] == "d1"
    assert rows[5].description.startswith("Other: eve called PutObject 5x at 2026-09-01 00:00 UTC")


def test_what_is_beyond_the_limit_is_counted(case: Case) -> None:
    rows = list(describe_activity(case.api_events, "`the command`"))
    assert len(rows) == MOST_ROWS + 1
    rest = rows[-1].description
    assert rest.startswith("Other: 22 more calls by eve at 2026-09-01 00:01 UTC: PutThing18 1x")
    assert rest.endswith("and 17 more; `the command` lists all.")
    counts = [
        re.search(r": (\d+) (?:more|read-only)|called \w+ (\d+)x", r.description) for r in rows
    ]
    total = sum(1 if found is None else int(found[1] or found[2]) for found in counts)
    assert total == case.api_events.count().to_pyarrow().as_py()


def test_calls_in_order_of_time(case: Case) -> None:
    some = case.api_events.filter(case.api_events.event_name.isin(["PutObject", "StopLogging"]))
    rows = list(describe_calls(some, 3))
    assert [(row.origin["event_id"], row.is_single) for row in rows] == [
        ("p0", False), ("s1", True),
    ]  # fmt: skip
    (rest,) = describe_calls(some, 0)
    assert rest.description.startswith("6 more calls by eve")
    assert list(describe_calls(some.limit(0), 3)) == []
