"""Hostile names in every figure: text for HTML, for TeX and for plotly's templates."""

from __future__ import annotations

import html
from collections.abc import Callable

import networkx as nx
import pandas as pd
import pytest

from flowbench import plot
from flowbench.case import coverage_by
from flowbench.detect import FINDING_GROUPS, LINKS
from flowbench.investigate.graph.paths import BLAST_RADIUS
from flowbench.investigate.timeline import TABLE as TIMELINE
from flowbench.plot.chain import Link
from flowbench.plot.figure import Figure
from flowbench.segmentation.results import CELLS
from tests.plot.test_network import edge, node
from tests.plot.traffic_rows import AT, frame, row

HOSTILE = "<img src=x onerror=alert(1)>$x$ %{y}\x1b[31m\u202e" + "A" * 200


def rows() -> pd.DataFrame:
    return frame(row(initiator=HOSTILE), row(7, responder=HOSTILE))


def graph() -> nx.DiGraph:
    built = nx.DiGraph(center=HOSTILE)
    node(built, HOSTILE, name=HOSTILE, label=HOSTILE, service=HOSTILE, vpc=HOSTILE, country="")
    node(built, "203.0.113.1", country="AU", principals=HOSTILE, member_names=HOSTILE)
    node(built, "203.0.113.2", country=HOSTILE, indicator_kinds=HOSTILE)
    edge(built, HOSTILE, "203.0.113.1", ports=HOSTILE)
    edge(built, "203.0.113.2", HOSTILE)
    return built


def timeline() -> pd.DataFrame:
    times = {"time": AT, "end": AT, "activity": HOSTILE, "detail": HOSTILE}
    sources = ("flowbench", "CloudTrail", "notes")
    return TIMELINE.frame(times | {"data_source": source} for source in sources)


def coverage() -> Figure:
    names = {"interface_id": HOSTILE, "subnet_id": HOSTILE}
    cell = names | {"hour": AT, "records": 1, "nodata": 0, "skipdata": 0}
    return plot.coverage(coverage_by.CELLS.frame([cell]), coverage_by.INTERFACES.frame([cell]))


def radius() -> pd.DataFrame:
    counts = {"hop": 1, "nodes": 1, "internal": 1, "reached_so_far": 1}
    return BLAST_RADIUS.frame([counts | {"hour": AT, "names": [HOSTILE]}])


def matrix() -> Figure:
    cell = {
        "initiator_group": HOSTILE, "responder_group": HOSTILE, "verdict": "allowed",
        "connections": 1, "violations": 0, "attempts": 0, "rejected": 0, "ports": HOSTILE,
        "bytes_out": 0, "bytes_in": 0, "first_seen": AT, "last_seen": AT,
    }  # fmt: skip
    return plot.matrix(CELLS.frame([cell]))


def paths() -> Figure:
    link = {
        "from_group": HOSTILE, "to_group": "b", "relation": "same creator", "via": HOSTILE,
        "service_port": 22, "connections": 1, "first_seen": AT, "last_seen": AT,
    }  # fmt: skip
    group = {"subject": HOSTILE, "severity": "high", "findings": 1}
    groups = FINDING_GROUPS.frame([group | {"first_seen": AT, "last_seen": AT}])
    return plot.paths(LINKS.frame([link]), groups)


FIGURES: dict[str, Callable[[], Figure]] = {
    "activity": lambda: plot.activity(rows()),
    "beacon": lambda: plot.beacon(rows()),
    "blast_radius": lambda: plot.blast_radius(radius()),
    "chain": lambda: plot.chain([Link("principal", HOSTILE, AT), Link("peer", HOSTILE)], HOSTILE),
    "countries": lambda: plot.countries(graph()),
    "coverage": coverage,
    "heatmap": lambda: plot.heatmap(rows()),
    "lanes": lambda: plot.lanes(rows()),
    "matrix": matrix,
    "network": lambda: plot.network(graph(), groups={HOSTILE: HOSTILE}),
    "paths": paths,
    "sankey": lambda: plot.sankey(rows()),
    "scan": lambda: plot.scan(rows()),
    "timeline": lambda: plot.timeline(timeline()),
    "traffic_matrix": lambda: plot.traffic_matrix(graph()),
    "volume": lambda: plot.volume(rows()),
}


def test_every_figure_is_tested() -> None:
    assert sorted(FIGURES) == sorted(plot.__all__)


@pytest.mark.parametrize("name", FIGURES)
def test_hostile_names_are_text(name: str) -> None:
    figure = FIGURES[name]()
    shown = figure.to_json().replace("\\u003c", "<").replace("\\u0024", "$")
    assert "<img" not in shown
    assert "$" not in shown
    assert "\\u001b" not in shown
    assert "\u202e" not in shown
    for trace in figure.data:
        assert "onerror" not in str(trace.to_plotly_json().get("hovertemplate"))
    titles = [figure.layout.title.text, *(note.text for note in figure.layout.annotations)]
    assert "<img" not in "".join(titles)
    assert "UTC" in titles[0] or name == "chain"


@pytest.mark.parametrize("name", FIGURES)
def test_figures_look_alike(name: str) -> None:
    """All are transparent, follow the page's colour, and offer no upload."""
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert '"showSendToCloud": false' in figure.to_html(include_plotlyjs=False)


def test_labels_of_any_length_are_cut() -> None:
    """What plotly would cut at the border, or give the place of the marks to."""
    scan, atlas, diagram = (FIGURES[name]() for name in ("scan", "countries", "network"))
    assert max(len(html.unescape(text)) for text in scan.layout.yaxis.ticktext) < 50  # as escaped
    below = next(note.text for note in atlas.layout.annotations if "Not on the map" in note.text)
    assert len(html.unescape(below)) < 105
    assert max(text.count("<br>") for text in diagram.data[-1].text) < 8
    assert FIGURES["timeline"]().layout.yaxis.automargin
