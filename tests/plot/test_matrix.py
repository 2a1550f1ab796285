"""The matrix: one mark per pair of groups, whose colour and shape show the worst outcome."""

from __future__ import annotations

import pandas as pd

from flowbench import plot
from flowbench.segmentation.results import CELLS

AT = pd.Timestamp("2026-09-01 00:00Z")


def cells(*rows: tuple[str, str, str, int, int, int]) -> pd.DataFrame:
    """Rows of initiator and responder group, verdict, connections, violations, attempts."""
    return CELLS.frame(
        {
            "initiator_group": initiator,
            "responder_group": responder,
            "verdict": verdict,
            "connections": count,
            "violations": violations,
            "attempts": attempts,
            "rejected": 0,
            "bytes_out": 1_000,
            "bytes_in": 20,
            "ports": "22/tcp (ssh)",
            "first_seen": AT,
            "last_seen": AT + pd.Timedelta(hours=1),
        }
        for initiator, responder, verdict, count, violations, attempts in rows
    )


def test_positions_and_texts_of_marks() -> None:
    figure = plot.matrix(
        cells(
            ("web", "db", "violated", 12_000, 2, 1),
            ("external", "web", "attempted", 3, 0, 3),
            ("web", "web", "allowed", 1, 0, 0),
        )
    )
    assert figure.layout.xaxis.ticktext == ("db", "web", "external,<br>in no group")
    marks = {trace.name: trace for trace in figure.data}
    violated = marks["denied, and not rejected"]
    assert (list(violated.x), list(violated.y), list(violated.text)) == ([0], [1], ["12k"])
    attempted = marks["denied, and rejected"]
    assert (list(attempted.x), list(attempted.y), list(attempted.text)) == ([1], [2], ["3"])
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len({colour for colour, _ in looks}) == len({symbol for _, symbol in looks}) == 3
    assert violated.customdata[0].startswith("<b>web → db</b><br>12,000 connections: 2 denied")
    title = figure.layout.title.text
    assert "2026-09-01 00:00 to 2026-09-01 01:00 UTC; 2 violations, 4 rejected attempts" in title


def test_hostile_names_are_text() -> None:
    name = "<img src=x onerror=alert(1)>" + "x" * 200
    figure = plot.matrix(cells((name, "1", "allowed", 1, 0, 0)))
    shown = str(figure.layout.xaxis.ticktext) + figure.data[0].customdata[0]
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert max(map(len, figure.layout.xaxis.ticktext)) < 60
    assert list(figure.data[0].x) == [0]  # a name that is a number is no position


def test_groups_beyond_the_limit_are_counted() -> None:
    rows = [(f"g{n:02}", "db", "allowed", n + 1, 0, 0) for n in range(60)]
    rows += [("few", "db", "violated", 1, 1, 0)]
    figure = plot.matrix(cells(*rows))
    assert len(figure.layout.xaxis.ticktext) == 40
    assert {"few", "db", "g59"} <= set(figure.layout.xaxis.ticktext)
    assert "22 groups with fewer connections not drawn" in figure.layout.title.text


def test_an_empty_table_states_the_reason() -> None:
    figure = plot.matrix(cells())
    assert "No connection" in figure.layout.annotations[0].text
