"""The timeline figure: lanes by data source, bars for periods, and escaped text."""

from __future__ import annotations

from typing import Any

import pandas as pd

from flowbench import plot
from flowbench.investigate.timeline import TABLE
from flowbench.plot import theme

AT = pd.Timestamp("2026-09-01 00:00Z")


def event(
    minutes: int,
    data_source: str,
    detail: str,
    end: int | None = None,
    severity: str | None = None,
    activity: str = "activity",
) -> dict[str, Any]:
    return {
        "time": AT + pd.Timedelta(minutes=minutes),
        "end": None if end is None else AT + pd.Timedelta(minutes=end),
        "data_source": data_source,
        "activity": activity,
        "detail": detail,
        "severity": severity,
    }


EVENTS = TABLE.frame(
    [
        event(0, "CloudTrail", "eve called RunInstances.", activity="RunInstances"),
        event(
            1,
            "CloudTrail",
            "eve called RunInstances: failed (AccessDenied).",
            activity="RunInstances",
        ),
        event(5, "flowbench", "10.0.0.5 opened 72", 300, "high", "Beaconing"),
        event(
            7,
            "GuardDuty",
            "GuardDuty reported CryptoCurrency:EC2/BitcoinTool.B (192.0.2.1), count 4.",
            end=90,
            severity="critical",
            activity="CryptoCurrency:EC2/BitcoinTool.B",
        ),
        event(9, "DNS", "10.0.0.5 queried <script>alert(1)</script>", activity="DNS query"),
        event(10, "notes", "a note", activity="note"),
    ]
)


def test_lanes_in_order_and_periods_in_rows_of_their_own() -> None:
    figure = plot.timeline(EVENTS)
    assert list(figure.layout.yaxis.ticktext) == [
        "Beaconing",
        "EC2/BitcoinTool.B",
        "API: RunInstances",
        "DNS query",
        "note",
    ]
    title = figure.layout.title.text
    assert "2026-09-01 00:00 to 2026-09-01 05:00 UTC; 6 events" in title
    bar = figure.data[0]
    assert (bar.mode, bar.line.color) == ("lines+markers", theme.SEVERITY["high"])
    assert [pd.Timestamp(x) for x in bar.x] == [AT + pd.Timedelta(minutes=m) for m in (5, 300)]
    assert figure.data[1].line.color == theme.SEVERITY["critical"]


def test_a_failed_call_is_marked() -> None:
    calls = plot.timeline(EVENTS).data[2]
    assert list(calls.marker.symbol) == ["circle", "x"]


def test_the_legend_explains_colours_and_marks() -> None:
    entries = {x.name: x.marker.color for x in plot.timeline(EVENTS).data if x.showlegend is None}
    severe = {name: theme.SEVERITY[name] for name in ("critical", "high")}
    assert entries == severe | {"failed call": theme.GREEN}
    assert list(entries) == ["critical", "high", "failed call"]


def test_severity_colours_are_used_for_severity_only() -> None:
    others = {theme.BLUE, theme.SKY, theme.GREEN, theme.ORANGE, theme.RED, theme.PURPLE}
    assert others.isdisjoint(theme.SEVERITY.values())
    assert set(theme.VERDICT.values()) <= others


def test_text_from_evidence_is_escaped() -> None:
    figure = plot.timeline(EVENTS)
    assert "<script" not in figure.to_json()
    assert "&lt;script&gt;" in figure.data[3].text[0]


def test_events_beyond_the_limit_are_counted() -> None:
    many = TABLE.frame([event(n, "CloudTrail", f"call {n}") for n in range(2_500)])
    figure = plot.timeline(many)
    assert "2,500 events; 500 not drawn" in figure.layout.title.text
    assert sum(len(trace.x) for trace in figure.data) == 2_000


def test_many_findings_share_a_row() -> None:
    many = TABLE.frame(
        [event(n, "flowbench", "summary", n + 60, "low", f"kind {n}") for n in range(300)]
    )
    figure = plot.timeline(many)
    assert len(figure.layout.yaxis.ticktext) == 21
    assert figure.layout.yaxis.ticktext[-1] == "280 more findings"
    assert figure.layout.height < 1_000


def test_the_most_severe_findings_have_a_row_each() -> None:
    many = TABLE.frame(
        [
            event(n, "flowbench", "x", n + 60, "high" if n > 290 else "low", f"kind {n}")
            for n in range(300)
        ]
    )
    labels = plot.timeline(many).layout.yaxis.ticktext
    assert [label for label in labels if label.startswith("kind 29")] == [
        f"kind {n}" for n in range(291, 300)
    ]


def test_an_empty_timeline_states_the_reason() -> None:
    figure = plot.timeline(TABLE.frame([]))
    assert figure.layout.annotations[0].text == "There are no events to draw."


def test_a_single_event() -> None:
    assert len(plot.timeline(TABLE.frame([event(0, "notes", "x")])).data) == 1


def test_every_mark_is_named_by_its_row() -> None:
    """Sessions and first connections are events of the same source, and not of the same name."""
    rows = [
        event(0, "flow logs", "a session", 12, activity="Administrative session"),
        event(0, "flow logs", "it began", activity="First accepted connection"),
        event(9, "flow logs", "it ended", activity="Last connection"),
        *(event(n, "CloudTrail", f"call {n}", activity=f"Call{n:02d}") for n in range(20, 40)),
    ]
    labels = list(plot.timeline(TABLE.frame(rows)).layout.yaxis.ticktext)
    assert labels[:4] == [
        "Administrative session",
        "First accepted connection",
        "Last connection",
        "API: Call20",
    ]
    assert labels[-2:] == ["API: Call30", "9 more API events"]
