"""What the timeline's front end draws: lanes, bars, marks; hostile text as text."""

from __future__ import annotations

import json

import pandas as pd

from flowbench.investigate.timeline import TABLE
from flowbench.panel.timeline_elements import to_elements
from flowbench.panel.timeline_state import event_keys
from flowbench.plot import theme

DAY = pd.Timestamp("2026-09-02", tz="UTC")
HOUR = 3_600_000  # ms


def at(hours: float) -> pd.Timestamp:
    return DAY + pd.Timedelta(hours=hours)


def elements(*rows: dict) -> dict:
    events = TABLE.frame(rows)
    return json.loads(json.dumps(to_elements(events, event_keys(events))))


FINDING = {
    "time": at(0), "end": at(10), "data_source": "flowbench", "activity": "Crypto-mining traffic",
    "severity": "high", "detail": "10.0.0.5 kept 3 connections open.", "evidence": "mining-1",
}  # fmt: skip
CALL = {
    "time": at(5), "data_source": "CloudTrail", "activity": "RunInstances\u202e", "evidence": "e1",
    "detail": "<script>alert(1)</script> called RunInstances: failed (AccessDenied).",
}  # fmt: skip


def test_a_period_is_a_bar_and_a_moment_a_mark() -> None:
    drawn = elements(FINDING, CALL)
    bar, mark = drawn["marks"]
    start = int(DAY.timestamp() * 1000)
    assert (bar["id"], bar["start"], bar["end"]) == ("mining-1", start, start + 10 * HOUR)
    assert (mark["id"], mark["start"], mark["end"]) == ("e1", start + 5 * HOUR, None)
    assert drawn["lanes"] == ["Crypto-mining traffic", "API: RunInstances\\u202e"]
    assert [bar["lane"], mark["lane"]] == [0, 1]
    assert drawn["title"] == "Timeline, 2026-09-02 00:00 to 2026-09-02 10:00 UTC"
    assert (drawn["first"], drawn["last"]) == (start - 0.2 * HOUR, start + 10.2 * HOUR)


def test_severity_has_its_colours_and_failure_a_cross() -> None:
    bar, mark = elements(FINDING, CALL)["marks"]
    assert bar["color"] == theme.SEVERITY["high"]
    assert mark["color"] not in theme.SEVERITY.values()
    assert (bar["cross"], mark["cross"]) == (False, True)


def test_every_mark_names_time_severity_and_sentence() -> None:
    bar, mark = elements(FINDING, CALL)["marks"]
    assert bar["facts"] == [
        "2026-09-02 00:00:00 to 2026-09-02 10:00:00 UTC",
        "Crypto-mining traffic",
        "severity: high",
        "10.0.0.5 kept 3 connections open.",
    ]
    assert mark["facts"] == [
        "2026-09-02 05:00:00 UTC",
        "RunInstances\\u202e",
        "<script>alert(1)</script> called RunInstances: failed (AccessDenied).",
    ]


def test_long_sentences_are_lines() -> None:
    long = FINDING | {"detail": "word " * 60 + "x" * 200}
    assert max(len(line) for line in elements(long)["marks"][0]["facts"]) <= 90


def test_crowded_lanes_say_what_they_leave_out() -> None:
    events = TABLE.frame([CALL | {"evidence": f"e{n}"} for n in range(2_003)])
    drawn = to_elements(events, event_keys(events))
    assert len(drawn["marks"]) == 2_000
    assert drawn["hint"].endswith("3 events of crowded lanes are not drawn.")


def test_nothing_to_draw_is_said() -> None:
    drawn = elements()
    assert drawn["hint"] == "There are no events in this period and of these sources."
    assert drawn["marks"] == drawn["lanes"] == []
