"""API events that end logging, with what the flow logs show afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.detect.logging_changes import LoggingChange, find_logging_changes
from flowbench.detect.logging_coverage import read_coverage
from tests.detect.detectors.test_blind_spot import HOUR, ONE, TWO, deleted, event, logged
from tests.traffic import make_case


def changes(case: Case) -> list[LoggingChange]:
    if (covered := read_coverage(case)) is None:
        return list(find_logging_changes(case, None, None))
    return list(find_logging_changes(case, covered.interfaces, covered.end))


def test_deleted_flow_logs_and_the_interfaces_that_stop(tmp_path: Path) -> None:
    records = [*logged(ONE, "eni-a", 24), *logged(TWO, "eni-b", 9)]
    calls = [deleted(9 * HOUR), deleted(9.1 * HOUR, 1)]
    (change,) = changes(make_case(tmp_path, records, json_lines=calls))
    assert (change.kind.name, change.is_unknown) == ("flow logs", False)
    assert change.flow_log_ids == ["fl-00", "fl-01"]
    assert change.silent == ("eni-b",)
    assert (change.resumed, change.is_change) == (None, False)
    assert change.events["file"].tolist() == ["other.jsonl"] * 2


@pytest.mark.parametrize(
    ("created", "is_resumed", "is_change"),
    [(7.9, False, False), (8.1, True, True), (9.9, True, True), (10.1, True, False)],
)
def test_a_flow_log_that_is_created_explains_a_change(
    tmp_path: Path, created: float, *, is_resumed: bool, is_change: bool
) -> None:
    calls = [event("CreateFlowLogs", created * HOUR), deleted(9 * HOUR)]
    (change,) = changes(make_case(tmp_path, logged(ONE, "eni-a"), json_lines=calls))
    assert (change.resumed is not None, change.is_change) == (is_resumed, is_change)


def test_kinds_of_logs_are_separate_and_failed_calls_end_nothing(tmp_path: Path) -> None:
    calls = [
        deleted(9 * HOUR),
        deleted(10 * HOUR, 1, errorCode="Client.UnauthorizedOperation"),
        event("CreateFlowLogs", 9 * HOUR),
        event("StopLogging", 9 * HOUR),
        event("DeleteResolverQueryLogConfig", 9 * HOUR, errorCode="AccessDenied"),
    ]
    flows, trail = changes(make_case(tmp_path, [], json_lines=calls))
    assert (flows.kind.name, len(flows.events), flows.is_unknown) == ("flow logs", 1, True)
    assert (trail.kind.name, trail.resumed) == ("CloudTrail", None)


def test_other_events_change_nothing(tmp_path: Path) -> None:
    calls = [event("CreateFlowLogs", HOUR), event("DescribeFlowLogs", HOUR)]
    assert changes(make_case(tmp_path, logged(ONE, "eni-a"), json_lines=calls)) == []
