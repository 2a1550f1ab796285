"""API events that disable logging, with what the flow logs show afterwards."""

from __future__ import annotations

from pathlib import Path

from flowbench.case import Case
from flowbench.detect.logging_changes import DISABLING_EVENTS, LoggingChange, find_logging_changes
from flowbench.detect.logging_coverage import read_coverage
from tests.detect.detectors.test_blind_spot import HOUR, ONE, TWO, deleted, event, logged
from tests.traffic import make_case


def changes(case: Case) -> list[LoggingChange]:
    covered = read_coverage(case)
    assert covered is not None
    return list(find_logging_changes(case, covered.interfaces, covered.end))


def test_deleted_flow_logs_and_the_interfaces_that_stop(tmp_path: Path) -> None:
    records = [*logged(ONE, "eni-a", 24), *logged(TWO, "eni-b", 9)]
    calls = [deleted(9 * HOUR), deleted(9.1 * HOUR, 1)]
    (change,) = changes(make_case(tmp_path, records, json_lines=calls))
    assert (change.principal, change.event_name, change.failed) == (
        "mallory",
        "DeleteFlowLogs",
        False,
    )
    assert change.flow_log_ids == ["fl-00", "fl-01"]
    assert change.silent == ("eni-b",)
    assert change.created is None
    assert change.events["file"].tolist() == ["other.jsonl"] * 2


def test_failed_calls_are_separate_and_creations_explain_a_change(tmp_path: Path) -> None:
    calls = [
        event("CreateFlowLogs", 8.9 * HOUR),
        deleted(9 * HOUR),
        deleted(10 * HOUR, 1, errorCode="Client.UnauthorizedOperation"),
        event("StopLogging", 9 * HOUR),
    ]
    found = changes(make_case(tmp_path, logged(ONE, "eni-a"), json_lines=calls))
    assert [(change.event_name, change.failed) for change in found] == [
        ("DeleteFlowLogs", False),
        ("DeleteFlowLogs", True),
        ("StopLogging", False),
    ]
    assert found[0].created is not None
    assert found[2].created is None  # a flow log does not replace CloudTrail


def test_other_events_change_nothing(tmp_path: Path) -> None:
    calls = [event("CreateFlowLogs", HOUR), event("DescribeFlowLogs", HOUR)]
    assert changes(make_case(tmp_path, logged(ONE, "eni-a"), json_lines=calls)) == []
    assert "DescribeFlowLogs" not in DISABLING_EVENTS
