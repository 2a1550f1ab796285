"""The state of the timeline panel: which events it shows, their keys, and its code."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.investigate.timeline import TABLE
from flowbench.panel.timeline_state import TimelineState, event_keys


def utc(hour: int) -> pd.Timestamp:
    return pd.Timestamp(2026, 9, 2, hour, tz="UTC")


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    record = {"evidence_id": "ab12", "line": 7}
    return TABLE.frame(
        [
            {"time": utc(1), "end": utc(4), "data_source": "flowbench", "severity": "high",
             "evidence": "mining-1"},
            {"time": utc(2), "data_source": "CloudTrail", "evidence": "e1", **record, "item": 2},
            {"time": utc(3), "data_source": "DNS", **record, "item": 3},
            {"time": utc(3), "data_source": "DNS", **record, "item": 3},
            {"time": utc(5), "data_source": "flow logs", **record},
            {"time": utc(6), "data_source": "GuardDuty", "severity": "low", "evidence": "g1"},
            {"time": utc(7), "data_source": "notes"},
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "rows"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"since": utc(3)}, [0, 2, 3, 4, 5, 6]),
        ({"until": utc(3)}, [0, 1]),
        ({"since": utc(3), "until": utc(6)}, [0, 2, 3, 4]),
        ({"sources": ("DNS", "notes")}, [2, 3, 6]),
        ({"severity": "medium"}, [0, 1, 2, 3, 4, 6]),
        ({"severity": "critical", "sources": ("flowbench", "GuardDuty")}, []),
    ],
)
def test_events_are_chosen_by_period_source_and_severity(events, choice, rows) -> None:
    assert TimelineState(**choice).select(events).index.tolist() == rows


def test_every_event_has_a_key_of_its_own(events) -> None:
    assert event_keys(events).tolist() == [
        "mining-1", "e1", "ab12:7:3", "ab12:7:3#2", "ab12:7", "g1",
        "note:2026-09-02T07:00:00+00:00",
    ]  # fmt: skip


def test_no_events_have_no_keys() -> None:
    assert event_keys(TABLE.frame([])).empty


def test_code_names_what_is_not_the_default() -> None:
    assert TimelineState().to_code() == "fb.panel.timeline(case)"
    state = TimelineState("10.0.0.5", utc(2), None, ("DNS",), "high", "e'1")
    assert state.to_code() == (
        "fb.panel.timeline(case, about='10.0.0.5', since='2026-09-02T02:00:00+00:00',"
        " sources=('DNS',), severity='high', event=\"e'1\")"
    )
