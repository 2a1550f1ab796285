"""The matrix: each two groups a mark, whose colour and shape say the worst that happened."""

from __future__ import annotations

import pandas as pd

from flowbench import plot
from flowbench.segmentation.evaluation import CELLS

AT = pd.Timestamp("2026-09-01 00:00Z")


def cells(*rows: tuple[str, str, str, int, int, int]) -> pd.DataFrame:
    """Rows of source, target, verdict, connections, violations, attempts."""
    return CELLS.frame(
        {"source": source, "target": target, "verdict": verdict, "connections": count,
         "violations": bad, "attempts": tried, "rejected": 0, "bytes_out": 1_000, "bytes_in": 20,
         "ports": "22/tcp (ssh)", "first_seen": AT, "last_seen": AT + pd.Timedelta(hours=1)}
        for source, target, verdict, count, bad, tried in rows
    )  # fmt: skip


def test_where_marks_stand_and_what_they_say() -> None:
    figure = plot.matrix(
        cells(
            ("web", "db", "violated", 12_000, 2, 1),
            ("outside", "web", "attempted", 3, 0, 3),
            ("web", "web", "allowed", 1, 0, 0),
        )
    )
    assert figure.layout.xaxis.ticktext == ("db", "web", "outside,<br>in no group")
    marks = {trace.name: trace for trace in figure.data}
    bad = marks["forbidden, and not refused"]
    assert (list(bad.x), list(bad.y), list(bad.text)) == ([0], [1], ["12k"])
    tried = marks["forbidden, and refused"]
    assert (list(tried.x), list(tried.y), list(tried.text)) == ([1], [2], ["3"])
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len({colour for colour, _ in looks}) == len({symbol for _, symbol in looks}) == 3
    assert bad.customdata[0].startswith("<b>web → db</b><br>12,000 connections: 2 forbidden")
    title = figure.layout.title.text
    assert "2026-09-01 00:00 to 2026-09-01 01:00 UTC; 2 violations, 4 refused attempts" in title


def test_hostile_names_are_text() -> None:
    name = "<img src=x onerror=alert(1)>" + "x" * 200
    figure = plot.matrix(cells((name, "1", "allowed", 1, 0, 0)))
    shown = str(figure.layout.xaxis.ticktext) + figure.data[0].customdata[0]
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert max(map(len, figure.layout.xaxis.ticktext)) < 60
    assert list(figure.data[0].x) == [0]  # no number is taken for a place


def test_too_many_groups_are_cut_and_counted() -> None:
    rows = [(f"g{n:02}", "db", "allowed", n + 1, 0, 0) for n in range(60)]
    rows += [("few", "db", "violated", 1, 1, 0)]
    figure = plot.matrix(cells(*rows))
    assert len(figure.layout.xaxis.ticktext) == 40
    assert {"few", "db", "g59"} <= set(figure.layout.xaxis.ticktext)
    assert "22 groups with fewer connections are not shown" in figure.layout.title.text


def test_nothing_to_draw_is_said() -> None:
    figure = plot.matrix(cells())
    assert "No connection" in figure.layout.annotations[0].text
