"""Blind spots: one finding for each kind, and the principal that disabled logging."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case, coverage
from flowbench.detect.detectors.blind_spot import NEVER_LOGGED
from flowbench.investigate import attribution, timeline
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case

HOUR = 3_600
ONE, TWO = "10.0.0.5", "10.0.0.6"
WHO = {"type": "IAMUser", "userName": "mallory", "arn": "arn:aws:iam::111122223333:user/mallory"}


class Line(Record):
    """A record without traffic."""

    def text(self, fields: Iterable[str]) -> str:
        kept = ("interface_id", "start", "end", "log_status", "account_id", "version")
        return " ".join(str(getattr(self, n)) if n in kept else "-" for n in fields)


def logged(
    address: str,
    name: str,
    hours: float = 12,
    *,
    skip: Iterable[tuple[float, float]] = (),
    lost: Iterable[int] = (),
    window: int = 60,
) -> list[Record]:
    """An interface that is logged: a connection each half hour, NODATA in between."""
    found: list[Record] = []
    for n in range(int(hours * HOUR / window)):
        start = n * window
        if any(a * HOUR <= start < b * HOUR for a, b in skip):
            continue
        at = T0 + start
        if n in lost or start % 1_800:
            status = "SKIPDATA" if n in lost else "NODATA"
            found.append(
                Line("", "", 0, 0, at, at + window - 1, log_status=status, interface_id=name)
            )
        else:
            found += connect(
                address,
                "203.0.113.9",
                443,
                at,
                interface_id=name,
                window=window,
                source_port=40_000 + n % 9_000,
            )
    return found


def event(name: str, at: float, number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.08",
        "eventID": f"e-{name}-{number}",
        "eventName": name,
        "eventTime": pd.Timestamp(T0 + at, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "ec2.amazonaws.com",
        "awsRegion": "us-east-1",
        "userIdentity": WHO,
        "sourceIPAddress": "198.51.100.77",
    } | more


def run(case: Case) -> dict[str, dict[str, Any]]:
    """The findings by title."""
    found = detect.run(case, only=["blind-spot"]).to_pandas()
    assert found["title"].is_unique
    return {row["title"]: row for row in found.to_dict("records")}


def test_complete_logs_have_no_blind_spot(tmp_path: Path) -> None:
    case = make_case(tmp_path, logged(ONE, "eni-a"), interfaces=[interface(ONE, "a")])
    assert run(case) == {}


def test_skipped_records_are_one_finding_with_its_records(tmp_path: Path) -> None:
    records = [*logged(ONE, "eni-a", lost=[61, 62, 200]), *logged(TWO, "eni-b", lost=[9])]
    case = make_case(tmp_path, [*records, *logged("10.0.0.7", "eni-c")])
    (row,) = run(case).values()
    assert (row["title"], row["severity"]) == ("Logging gap (SKIPDATA)", "low")
    assert sorted(row["peers"]) == [ONE, TWO]
    assert (
        "in 4 capture windows of 2 interfaces, 3.9 min in total: eni-a (10.0.0.5) 3.0 min"
        in row["summary"]
    )
    assert NEVER_LOGGED in row["caveats"]
    lines = case.evidence_for(row)
    assert lines["log_status"].tolist() == ["SKIPDATA"] * 4
    assert lines["interface_id"].tolist() == ["eni-b", "eni-a", "eni-a", "eni-a"]


@pytest.mark.parametrize("window", [60, 600])
def test_gaps_of_all_interfaces_and_of_one(tmp_path: Path, window: int) -> None:
    records = [
        *logged(ONE, "eni-a", 24, skip=[(3, 5)], window=window),
        *logged(TWO, "eni-b", 24, skip=[(3, 5), (10, 11)], window=window),
    ]
    found = run(make_case(tmp_path, records))
    why = found["Logging gap"]["summary"]
    assert (
        "2 gaps without NODATA records: all interfaces from 2026-09-01 02:59 to 2026-09-01 05:00"
        in why
    )
    assert "eni-b (10.0.0.6) from 2026-09-01 09:50 to 2026-09-01 11:00" in why
    assert found["Logging gap"]["severity"] == "low"


def test_a_short_pause_and_logs_without_nodata_are_no_gaps(tmp_path: Path) -> None:
    assert run(make_case(tmp_path / "short", logged(ONE, "eni-a", skip=[(3, 3.4)]))) == {}
    fits = [
        r for hour in range(0, 40, 2) for r in connect(ONE, "203.0.113.9", 443, T0 + hour * HOUR)
    ]
    assert run(make_case(tmp_path / "fits", fits)) == {}
    busy = [r for r in logged(ONE, "eni-a", 48) if r.log_status == "OK"]
    assert run(make_case(tmp_path / "busy", busy)) == {}


def test_interfaces_without_records(tmp_path: Path) -> None:
    listed = [
        interface(ONE, "a", VpcId="vpc-1"), interface("10.0.3.3", "x", VpcId="vpc-1"),
        interface("10.9.0.1", "y", VpcId="vpc-9"), interface("10.9.0.2", "z", VpcId="vpc-9"),
        interface("10.0.3.4", "idle", VpcId="vpc-1", Status="available"),
    ]  # fmt: skip
    case = make_case(tmp_path, logged(ONE, "eni-a"), interfaces=listed)
    (row,) = run(case).values()
    assert (row["title"], row["severity"]) == ("Interface not logged", "low")
    assert sorted(row["peers"]) == ["10.0.3.3", "10.9.0.1", "10.9.0.2"]
    assert "1 in vpc-1: eni-x (10.0.3.3)" in row["summary"]
    assert "2 in vpc-9, where no interface is logged: eni-y (10.9.0.1), eni-z" in row["summary"]


def ran(instance: str, name: str, address: str, at: float) -> dict[str, Any]:
    inside = {"networkInterfaceId": name, "privateIpAddress": address, "vpcId": "vpc-1"}
    one = {"instanceId": instance, "networkInterfaceSet": {"items": [inside]}}
    return event("RunInstances", at, responseElements={"instancesSet": {"items": [one]}})


def test_an_interface_created_in_the_period_is_medium(tmp_path: Path) -> None:
    started = ran("i-0abcdef01", "eni-0abcdef01", "10.0.8.8", 4 * HOUR)
    (row,) = run(make_case(tmp_path, logged(ONE, "eni-a"), json_lines=[started])).values()
    assert (row["severity"], row["peer"]) == ("medium", "10.0.8.8")
    assert "Created in this period: eni-0abcdef01." in row["summary"]


def test_an_active_instance_without_records(tmp_path: Path) -> None:
    role = {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/app/i-0abcdef01"}
    mine = interface(TWO, "b", Attachment={"InstanceId": "i-0abcdef01"})
    records = [*logged(ONE, "eni-a", 24), *logged(TWO, "eni-b", 9)]
    for hour, silent in ((8.9, True), (15, False)):
        call = event("GetObject", hour * HOUR, userIdentity=role)
        case = make_case(tmp_path / str(hour), records, interfaces=[mine], json_lines=[call])
        found = run(case)
        assert (found == {}) == silent
    row = found["Interface no longer logged"]
    assert (row["severity"], row["peer"]) == ("medium", TWO)
    assert (
        "after 2026-09-01 08:59, although i-0abcdef01 called AWS at 2026-09-01 15:00"
        in row["summary"]
    )


def test_missing_fields(tmp_path: Path) -> None:
    (row,) = run(make_case(tmp_path, logged(ONE, "eni-a"), fields=DEFAULT_FORMAT)).values()
    assert row["severity"] == "low"
    assert "no tcp-flags, which tells who opened a TCP connection" in row["summary"]
    assert "no pkt-srcaddr" in row["summary"]
    assert "no action" not in row["summary"]


def test_a_field_missing_in_some_files() -> None:
    full = set(FIELDS)
    assert coverage.describe_missing_fields([full, full]) == []
    assert coverage.describe_missing_fields([full, full - {"tcp_flags"}]) == [
        "no tcp-flags in 1 of 2 files, which tells who opened a TCP connection, and which attempts"
        " failed"
    ]


def test_long_windows_and_settings(tmp_path: Path) -> None:
    settings = {
        "FlowLogs": [
            {"FlowLogId": "fl-1", "ResourceId": "vpc-1", "TrafficType": "REJECT",
             "LogFormat": "${version}", "DeliverLogsStatus": "SUCCESS"},
            {"FlowLogId": "fl-2", "ResourceId": "vpc-2", "TrafficType": "ALL",
             "LogFormat": "${version}", "DeliverLogsStatus": "FAILED",
             "DeliverLogsErrorMessage": "Access error"},
        ]
    }  # fmt: skip
    case = make_case(tmp_path, logged(ONE, "eni-a", window=600), json_lines=[settings])
    (row,) = run(case).values()
    assert (
        "fl-1 of vpc-1 records REJECT only; fl-2 of vpc-2 fails to deliver (Access"
        in row["summary"]
    )
    assert "capture windows of up to ten minutes" in row["summary"]


def test_only_one_side_of_the_traffic(tmp_path: Path) -> None:
    case = make_case(tmp_path, logged(ONE, "eni-a"))
    assert coverage.describe_one_sided(case.flows, min_records=1_000) == []  # too few
    count = case.flows.filter(case.flows.action == "ACCEPT").count().execute()
    assert coverage.describe_one_sided(case.flows, min_records=count) == [
        f"no REJECT among {count:,} records: perhaps only ACCEPT was recorded"
    ]


# ---- logging disabled ---------------------------------------------------------------------------


def deleted(at: float, number: int = 0, **more: Any) -> dict[str, Any]:
    asked = {"DeleteFlowLogsRequest": {"FlowLogId": {"content": f"fl-0{number}", "tag": 1}}}
    return event("DeleteFlowLogs", at, number, requestParameters=asked, **more)


def test_deleted_flow_logs_and_the_interface_without_records(tmp_path: Path) -> None:
    records = [*logged(ONE, "eni-a", 24), *logged(TWO, "eni-b", 9)]
    case = make_case(tmp_path, records, json_lines=[deleted(9 * HOUR), deleted(9.1 * HOUR, 1)])
    row = run(case)["Flow logging disabled"]
    assert (row["severity"], row["technique"]) == ("medium", "T1562.008")
    assert (row["subject"], row["peer"]) == ("flow logs", "198.51.100.77")
    assert row["summary"].startswith(
        "DeleteFlowLogs 2x of fl-00, fl-01 by mallory at 2026-09-01 09:00, 2026-09-01 09:06 UTC"
    )
    assert "1 interface left no record afterwards: eni-b." in row["summary"]
    assert "event e-DeleteFlowLogs-0 in other.jsonl" in row["summary"]
    assert case.evidence_for(row)["event_id"].tolist() == [
        "e-DeleteFlowLogs-0",
        "e-DeleteFlowLogs-1",
    ]
    found = detect.run(case, only=["blind-spot"])
    assert attribution.trace_subjects(case, found) == []  # a kind of log is no host
    assert row["finding_id"] in set(timeline.build(case, findings=found)["evidence"])


def test_a_change_of_format_and_logs_that_go_on_are_low(tmp_path: Path) -> None:
    calls = [event("CreateFlowLogs", 8.9 * HOUR), deleted(9 * HOUR)]
    case = make_case(tmp_path / "near", logged(ONE, "eni-a"), json_lines=calls)
    row = run(case)["Flow logging changed"]
    assert row["severity"] == "low"
    assert "It began again at 2026-09-01 08:54 UTC." in row["summary"]
    calls = [deleted(9 * HOUR), event("CreateFlowLogs", 4 * HOUR, 2)]
    case = make_case(tmp_path / "far", logged(ONE, "eni-a"), json_lines=calls)
    assert run(case)["Flow logging disabled"]["severity"] == "low"


@pytest.mark.parametrize(
    ("names", "title", "subject"),
    [
        (["DeleteFlowLogs"], "Flow logging disabled", "flow logs"),
        (["StopLogging"], "CloudTrail logging disabled", "CloudTrail"),
        (["StopLogging", "StartLogging"], "CloudTrail logging disabled", "CloudTrail"),
        (["DeleteTrail", "DescribeTrails"], "CloudTrail logging disabled", "CloudTrail"),
        (["DeleteResolverQueryLogConfig"], "DNS query logging disabled", "DNS query logs"),
    ],
)
def test_cloudtrail_alone_shows_which_logging_ended(
    tmp_path: Path, names: list[str], title: str, subject: str
) -> None:
    calls = [event(name, n * HOUR / 4, n) for n, name in enumerate(names)]
    case = make_case(tmp_path, [], json_lines=calls)
    (row,) = run(case).values()
    assert (row["title"], row["subject"], row["severity"]) == (title, subject, "medium")
    assert case.evidence_for(row)["event_name"].tolist() == names[:1]
    assert ("It began again at 2026-09-01 00:15 UTC." in row["summary"]) == (
        "StartLogging" in names
    )


@pytest.mark.parametrize("with_flows", [True, False])
def test_calls_that_failed_end_nothing(tmp_path: Path, *, with_flows: bool) -> None:
    calls = [deleted(HOUR, errorCode="Client.UnauthorizedOperation"), event("StartLogging", HOUR)]
    case = make_case(tmp_path, logged(ONE, "eni-a") if with_flows else [], json_lines=calls)
    assert not {"disabled", "changed"} & {title.rpartition(" ")[2] for title in run(case)}


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    name = "<b>x'; DROP TABLE flows --\x1b[31m"
    who = {"type": "IAMUser", "userName": name}
    call = deleted(HOUR, userIdentity=who, sourceIPAddress="=cmd|' /C calc'!A0")
    call["requestParameters"]["DeleteFlowLogsRequest"]["FlowLogId"] = [
        1,
        None,
        {"content": "../fl-zz"},
    ]
    row = run(make_case(tmp_path, logged(ONE, "eni-a"), json_lines=[call]))["Flow logging disabled"]
    assert (row["subject"], row["peers"].tolist()) == ("flow logs", [])
    assert f"of fl-zz by {name} at" in row["summary"]


def test_an_empty_case_and_one_without_flows(tmp_path: Path) -> None:
    assert not detect.run(Case.create(tmp_path / "c"), only=["blind-spot"])
