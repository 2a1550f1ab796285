"""API events in the timeline: which belong to it, and which share a row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.detect import Findings
from flowbench.investigate import timeline
from tests.incident_case import CALLER, OFFICE, api_event
from tests.traffic import T0, connect, make_case

HOUR = 3600


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory):
    """Eve reads every five minutes for two hours, pauses, reads thrice, and deletes six times."""
    reading = [
        api_event(
            f"a{n:02}", "DescribeInstances" if n % 3 else "ListBuckets", T0 + 300 * n, read=True
        )
        for n in range(24)
    ]
    reading[5]["errorCode"] = "AccessDenied"
    later = [api_event(f"b{n}", "ListUsers", T0 + 6 * HOUR + n, read=True) for n in range(3)]
    deleting = [
        api_event(
            f"c{n}",
            "DeleteObject",
            T0 + 8 * HOUR + 7 * n * n,
            error="AccessDenied" if n == 5 else None,
        )
        for n in range(6)
    ]
    elsewhere = [api_event("d0", "ListBuckets", T0 + 60, read=True, ip=OFFICE)]
    records = connect("10.0.0.5", "203.0.113.50", 443, T0)
    folder = tmp_path_factory.mktemp("api")
    return make_case(folder, records, json_lines=[*reading, *later, *deleting, *elsewhere])


def test_runs_of_calls_share_a_row(case) -> None:
    rows = timeline.build(case, "eve", Findings())
    reads, other, *rest = rows.to_dict("records")
    assert (reads["activity"], reads["count"]) == ("Read-only API calls", 24)
    assert (reads["time"], reads["end"]) == (at(0), at(23 * 300))
    assert reads["detail"] == (
        f"eve made 24 read-only API calls from {CALLER}, every 5.0 min: DescribeInstances 16x,"
        " ListBuckets 8x. 1 of them failed."
    )
    assert (reads["evidence"], reads["line"]) == ("a00", 1)
    assert (other["evidence"], other["activity"]) == ("d0", "ListBuckets")
    assert [row["evidence"] for row in rest[:3]] == ["b0", "b1", "b2"]
    deleted, failed = rest[3:]
    assert (deleted["activity"], deleted["count"]) == ("DeleteObject", 5)
    assert deleted["detail"] == f"eve made 5 API calls from {CALLER}: DeleteObject 5x."
    assert (failed["evidence"], failed["activity"]) == ("c5", "DeleteObject")


def test_unfolded_each_call_has_a_row(case) -> None:
    rows = timeline.build(case, "eve", Findings(), unfold=True)
    assert len(rows) == 24 + 1 + 3 + 6
    assert rows["evidence"].is_unique


def test_the_same_rows_twice(case) -> None:
    one, two = (timeline.build(case, "eve", Findings()).to_csv() for _ in range(2))
    assert one == two


def test_calls_without_a_name_or_an_address(tmp_path: Path) -> None:
    """Events of an AWS service lack a principal and an address."""
    events = [api_event(f"e{n}", "DescribeInstances", T0 + n, read=True) for n in range(5)]
    for event in events:
        event["userIdentity"] = {"type": "AWSAccount", "accountId": "111122223333"}
        event["requestParameters"] = {"userName": "eve"}
        event["readOnly"] = False
        del event["sourceIPAddress"]
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.50", 443, T0), json_lines=events)
    (row,) = timeline.build(case, "eve", Findings()).to_dict("records")
    assert (row["actor"], row["count"]) == ("111122223333", 5)
    assert row["detail"] == "111122223333 made 5 API calls, every 1 s: DescribeInstances 5x on eve."


def test_secrets_that_were_read_are_named(tmp_path: Path) -> None:
    """Reading is not folded where what is read is what an intruder wants."""
    events = [
        api_event(f"s{n}", "GetSecretValue", T0 + n, read=True, request={"secretId": f"db-{n}"})
        for n in range(5)
    ]
    events += [api_event(f"r{n}", "ListBuckets", T0 + n, read=True) for n in range(5)]
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.50", 443, T0), json_lines=events)
    rows = timeline.build(case, "eve", Findings()).set_index("activity")
    assert rows.loc["GetSecretValue", "object"] == "db-0, db-1, db-2 and 2 more"
    assert rows.loc["GetSecretValue", "count"] == 5
    assert rows.loc["Read-only API calls", "detail"].endswith(": ListBuckets 5x.")
