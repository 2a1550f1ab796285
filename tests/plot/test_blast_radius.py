"""The blast radius: bars by hop and hour, and the number of nodes so far."""

from __future__ import annotations

import pandas as pd

from flowbench import plot
from flowbench.investigate.graph.paths import BLAST_RADIUS

AT = pd.Timestamp("2026-09-01 04:00Z")


def row(hop: int, hours: int, nodes: list[str], so_far: int, internal: int = 0) -> dict:
    return {
        "hop": hop, "hour": AT + pd.Timedelta(hours=hours), "nodes": len(nodes),
        "internal": internal, "reached_so_far": so_far, "names": nodes,
    }  # fmt: skip


def test_bars_by_hop_and_nodes_so_far() -> None:
    rows = [
        row(1, 0, ["10.0.0.1", "10.0.0.2"], 4, internal=2),
        row(2, 0, ["203.0.113.1", "203.0.113.2"], 4),
        row(4, 3, ["10.0.0.8"], 7, internal=1),
        row(6, 3, ["10.0.0.9", "<b>"], 7, internal=2),
    ]
    figure = plot.blast_radius(BLAST_RADIUS.frame(rows))
    *bars, so_far = figure.data
    assert [(bar.name, list(bar.y)) for bar in bars] == [
        ("hop 1", [2]),
        ("hop 2", [2]),
        ("hop 4 or further", [3]),
    ]
    assert list(so_far.y) == [4, 7, 7]
    assert so_far.x[-1] == AT + pd.Timedelta("4h")
    assert bars[0].customdata[0] == "2 nodes at hop 1, 2 internal<br>10.0.0.1, 10.0.0.2"
    assert "10.0.0.8, 10.0.0.9, &lt;b&gt;" in bars[2].customdata[0]
    title = figure.layout.title.text
    assert "2026-09-01 04:00 to 2026-09-01 08:00 UTC; 7 nodes, 5 internal" in title
    assert figure.layout.yaxis.dtick == 1


def test_nothing_reached() -> None:
    figure = plot.blast_radius(BLAST_RADIUS.frame([]))
    assert figure.layout.annotations[0].text == "No node could be reached."
