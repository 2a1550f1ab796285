"""Equal API calls are counted in the engine, and described by their first events."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.investigate.call_groups import (
    describe_group,
    describe_period,
    group_calls,
    read_calls,
)
from tests.incident_case import CALLER, api_event
from tests.investigate.credentials import session_event
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    events = [
        api_event(f"p{n:02}", "PutObject", T0 + n, request={"bucketName": f"b{n}"},
                  ip=f"192.0.2.{n % 2}")
        for n in range(30)
    ] + [
        session_event(f"s{n}", "ListBuckets", T0 + n, f"ops/s{n}", f"ASIA{n}", read=True)
        for n in range(4)
    ]  # fmt: skip
    events += [
        api_event("f1", "PutObject", T0, error="AccessDenied"),
        api_event("f2", "PutObject", T0 + 120, error="NoSuchBucket"),
    ]
    nobody = api_event("n1", "GetObject", T0) | {"userIdentity": {}}
    del nobody["sourceIPAddress"]
    records = connect("10.0.0.5", "192.0.2.1", 443, T0)
    folder: Path = tmp_path_factory.mktemp("groups")
    return make_case(folder, records, json_lines=[*events, nobody])


def test_groups_count_calls_sessions_addresses_and_errors(case: Case) -> None:
    groups = {group.key: group for group in group_calls(case.api_events)}
    assert {key: group.calls for key, group in groups.items()} == {
        ("eve", "PutObject", False): 30,
        ("eve", "PutObject", True): 2,
        ("ops", "ListBuckets", False): 4,
        ("unknown", "GetObject", False): 1,
    }
    put = groups["eve", "PutObject", False]
    assert (put.event_id, put.addresses, put.name) == ("p00", 2, "eve")
    assert groups["ops", "ListBuckets", False].name == "4 sessions of ops"
    assert groups["unknown", "GetObject", False].name == "unknown"


def test_the_sentence_of_a_group(case: Case) -> None:
    groups = group_calls(case.api_events)
    events = read_calls(case.api_events, groups, most=20)
    sentences = {g.key: describe_group(g, events[g.key]) for g in groups}
    assert sentences["eve", "PutObject", False] == (
        "eve called PutObject 30x at 2026-09-01 00:00 UTC on b0, b1, b2, … from 192.0.2.0 and"
        " 1 other address."
    )
    assert sentences["eve", "PutObject", True] == (
        f"eve called PutObject 2x from 2026-09-01 00:00 to 2026-09-01 00:02 UTC from {CALLER}:"
        " all failed (AccessDenied and 1 other error)."
    )
    assert sentences["ops", "ListBuckets", False].startswith(
        "4 sessions of ops called ListBuckets 4x at 2026-09-01 00:00 UTC"
    )
    assert sentences["unknown", "GetObject", False] == (
        "unknown called GetObject 1x at 2026-09-01 00:00 UTC."
    )


def test_the_first_events_of_some_groups_are_read(case: Case) -> None:
    put = next(g for g in group_calls(case.api_events) if g.calls == 30)
    events = read_calls(case.api_events, [put], most=2)
    assert {key: [e.event_id for e in found] for key, found in events.items()} == {
        put.key: ["p00", "p01"]
    }
    assert read_calls(case.api_events, []) == {}


def test_periods() -> None:
    start = pd.Timestamp("2026-09-01 00:00:10Z")
    assert describe_period(start, start + pd.Timedelta(seconds=9)) == "at 2026-09-01 00:00 UTC"
    assert describe_period(start, start + pd.Timedelta(minutes=2)) == (
        "from 2026-09-01 00:00 to 2026-09-01 00:02 UTC"
    )
