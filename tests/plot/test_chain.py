"""The chain of an attribution as a figure."""

from __future__ import annotations

import pandas as pd

from flowbench import plot
from flowbench.plot.chain import Link

AT = pd.Timestamp("2026-09-01 02:05Z")
CHAIN = [
    Link("principal", "ada"),
    Link("API call", "RunInstances", AT),
    Link("instance", "i-0aaaa1111", AT),
    Link("peer", "203.0.113.50", AT + pd.Timedelta(hours=1)),
    Link("peer", "<script>alert(1)</script>$x$"),
]


def test_links_from_left_to_right_and_peers_below_each_other() -> None:
    figure = plot.chain(CHAIN)
    (marks,) = figure.data
    assert list(marks.x) == [0, 1, 2, 3, 3]
    assert marks.y[3] > marks.y[4]
    assert len(figure.layout.annotations) == 4  # two links, two peers
    assert "2026-09-01 02:05 to 2026-09-01 03:05 UTC" in figure.layout.title.text
    assert "2026-09-01 02:05:00 UTC" in marks.hovertext[1]


def test_hostile_labels_are_text() -> None:
    text = plot.chain(CHAIN).to_json()
    assert "<script" not in text
    assert "$x$" not in text


def test_nothing_to_draw() -> None:
    assert plot.chain([]).layout.annotations[0].text == "The evidence shows no chain."


def test_peers_alone() -> None:
    assert len(plot.chain([Link("peer", "203.0.113.50")]).data[0].x) == 1
