"""The timeline figure: a lane a kind, bars for spans, and nothing hostile in its words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from flowbench import plot
from flowbench.investigate.timeline import TABLE
from flowbench.plot import theme

AT = pd.Timestamp("2026-09-01 00:00Z")


def events(*rows: dict[str, Any]) -> pd.DataFrame:
    return TABLE.frame(rows)


def row(minutes: int, kind: str, what: str, until: int | None = None, **more: Any) -> Any:
    end = None if until is None else AT + pd.Timedelta(minutes=until)
    return {
        "time": AT + pd.Timedelta(minutes=minutes),
        "until": end,
        "kind": kind,
        "what": what,
    }, more


def frame(*rows: Any) -> pd.DataFrame:
    return events(*(fields | more for fields, more in rows))


STORY = frame(
    row(0, "api", "eve called RunInstances from 192.0.2.1."),
    row(1, "api", "eve called RunInstances from 192.0.2.1: refused, AccessDenied."),
    row(5, "finding", "Regular calls: 10.0.0.5 opened 72", until=300, severity="high"),
    row(7, "alert", "GuardDuty: CryptoCurrency:EC2/BitcoinTool.B with 192.0.2.1, 4 times.",
        until=90, severity="critical"),
    row(9, "dns", "10.0.0.5 looked up <script>alert(1)</script>"),
    row(10, "note", "a note"),
)  # fmt: skip


def test_lanes_in_order_with_spans_on_rows_of_their_own() -> None:
    figure = plot.timeline(STORY)
    assert list(figure.layout.yaxis.ticktext) == [
        "Regular calls", "EC2/BitcoinTool.B", "API calls", "DNS", "notes",
    ]  # fmt: skip
    title = figure.layout.title.text
    assert "2026-09-01 00:00 to 2026-09-01 05:00 UTC; 6 events" in title
    bar = figure.data[0]
    assert (bar.mode, bar.line.color) == ("lines+markers", theme.SEVERITY["high"])
    assert [pd.Timestamp(x) for x in bar.x] == [AT + pd.Timedelta(minutes=m) for m in (5, 300)]
    assert figure.data[1].line.color == theme.SEVERITY["critical"]


def test_a_refused_call_is_marked() -> None:
    calls = plot.timeline(STORY).data[2]
    assert list(calls.marker.symbol) == ["circle", "x"]


def test_severity_colours_mean_nothing_else() -> None:
    others = {theme.BLUE, theme.SKY, theme.GREEN, theme.ORANGE, theme.RED, theme.PURPLE}
    assert others.isdisjoint(theme.SEVERITY.values())
    assert set(theme.VERDICT.values()) <= others


def test_words_from_evidence_are_never_markup() -> None:
    figure = plot.timeline(STORY)
    assert "<script" not in figure.to_json()
    assert "&lt;script&gt;" in figure.data[3].text[0]


def test_thousands_of_rows_are_cut_and_counted() -> None:
    many = frame(*(row(n, "api", f"call {n}") for n in range(2_500)))
    figure = plot.timeline(many)
    assert "2,500 events; 500 marks not drawn" in figure.layout.title.text
    assert sum(len(trace.x) for trace in figure.data) == 2_000


def test_many_findings_do_not_make_a_tower() -> None:
    many = frame(*(row(n, "finding", f"kind {n}: why", until=n + 60, severity="low")
                   for n in range(300)))  # fmt: skip
    figure = plot.timeline(many)
    assert len(figure.layout.yaxis.ticktext) == 21
    assert figure.layout.yaxis.ticktext[-1] == "280 more findings"
    assert figure.layout.height < 1_000


def test_the_gravest_findings_keep_a_row_of_their_own() -> None:
    many = frame(*(row(n, "finding", f"kind {n}: why", until=n + 60,
                       severity="high" if n > 290 else "low") for n in range(300)))  # fmt: skip
    labels = plot.timeline(many).layout.yaxis.ticktext
    assert [label for label in labels if label.startswith("kind 29")] == [
        f"kind {n}" for n in range(291, 300)
    ]


def test_nothing_to_draw_is_said() -> None:
    figure = plot.timeline(events())
    assert figure.layout.annotations[0].text == "There are no events to draw."


def test_one_event() -> None:
    assert len(plot.timeline(frame(row(0, "note", "x"))).data) == 1
