"""The network diagram: what is drawn, what is grouped, and how the rest is counted."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pandas as pd
import pytest

from flowbench import plot
from flowbench.errors import InputError
from flowbench.investigate.graph import changes
from flowbench.plot import theme

AT = pd.Timestamp("2026-09-01 00:00Z")
LATER = pd.Timestamp("2026-09-01 06:30Z")
HOSTILE = "<script>alert(1)</script>\n<b>%{x}</b>"


def node(graph: nx.DiGraph, address: str, **attributes: Any) -> str:
    internal = address.startswith("10.")
    usual = {
        "label": address,
        "name": "",
        "address": address,
        "internal": internal,
        "service": "",
        "vpc": "vpc-1" if internal else "",
        "indicator_kinds": "",
        "expired_kinds": "",
    }
    graph.add_node(address, **usual | attributes)
    return address


def edge(graph: nx.DiGraph, source: str, target: str, **attributes: Any) -> None:
    usual = {
        "connections": 3,
        "rejected": 0,
        "answered": 3,
        "bytes_out": 1_500,
        "bytes_in": 20,
        "first_seen": AT,
        "last_seen": LATER,
        "indicator_match": False,
        "ports": "443",
        "verdict": "accepted",
    }
    graph.add_edge(source, target, **usual | attributes)


def small() -> nx.DiGraph:
    graph = nx.DiGraph(center="10.0.0.5")
    node(graph, "10.0.0.5", label=HOSTILE, name=HOSTILE)
    node(graph, "203.0.113.5", indicator_kinds="tor")
    node(graph, "10.0.0.9", service="rds", arrival=AT)
    edge(graph, "10.0.0.5", "203.0.113.5", verdict="indicator match")
    edge(graph, "10.0.0.5", "10.0.0.9", verdict="rejected", rejected=3, answered=0)
    return graph


def many_peers() -> nx.DiGraph:
    """Two hosts with many peers each, one indicator match, and one peer of both hosts."""
    graph = nx.DiGraph()
    for host in ("10.0.0.1", "10.0.0.2"):
        node(graph, host)
    for n in range(200):
        edge(graph, node(graph, f"198.51.100.{n}"), "10.0.0.1", verdict="rejected", rejected=3)
        edge(graph, "10.0.0.2", node(graph, f"203.0.113.{n}"), bytes_out=50_000)
    edge(
        graph,
        "10.0.0.2",
        node(graph, "192.0.2.1", indicator_kinds="mining"),
        verdict="indicator match",
    )
    node(graph, "192.0.2.2")
    for host in ("10.0.0.1", "10.0.0.2"):
        edge(graph, host, "192.0.2.2")
    return graph


def labels(figure: Any) -> list[str]:
    """The labels of the nodes, the last trace."""
    return list(figure.data[-1].text)


def hovers(figure: Any) -> list[str]:
    """The hover labels of the edges."""
    marks = (trace for trace in figure.data if trace.mode == "markers" and trace.text)
    return [text for trace in marks for text in trace.text]


def test_labels_and_hover_texts() -> None:
    figure = plot.network(small())
    assert figure.layout.title.text.startswith("<b>Communication of 10.0.0.5</b>")
    assert "2026-09-01 00:00 to 2026-09-01 06:30 UTC" in figure.layout.title.text
    assert labels(figure) == [
        "10.0.0.5 (&lt;script&gt;alert(1)&lt;/script&gt;…)",
        "10.0.0.9",
        "203.0.113.5 (tor)",
    ]
    lines = {trace.name: trace for trace in figure.data if trace.mode == "lines+markers"}
    assert {name: trace.line.dash for name, trace in lines.items()} == {
        "indicator match": "solid",
        "rejected": "dot",
    }
    hover = hovers(figure)
    assert sum("3 connections, 3 rejected" in text for text in hover) == 1
    assert all("1,500 bytes out, 20 in" in text for text in hover)
    assert "reachable from 2026-09-01 00:00 UTC on" in figure.data[-1].customdata[1]
    assert "indicator: tor" in figure.data[-1].customdata[2]


def test_names_from_evidence_are_escaped() -> None:
    figure = plot.network(small())
    shown = figure.to_json()
    assert "<script" not in shown
    assert "<b>%{x}" not in shown
    assert all("%{x}" not in (trace.hovertemplate or "") for trace in figure.data)


def test_peers_of_one_host_are_drawn_as_a_group() -> None:
    figure = plot.network(many_peers())
    assert "400 external addresses drawn as groups" in figure.layout.title.text
    assert "not drawn" not in figure.layout.title.text
    assert sorted(labels(figure)) == [
        "10.0.0.1",
        "10.0.0.2",
        "192.0.2.1<br>(mining)",
        "192.0.2.2",
        "200 external",
        "200 external,<br>rejected",
    ]
    hover = hovers(figure)
    assert any("600 connections" in text for text in hover)


def test_nodes_with_fewest_connections_are_left_out_and_counted() -> None:
    graph = nx.DiGraph(center="10.0.0.1")
    node(graph, "10.0.0.1")
    for n in range(2, 60):
        edge(graph, "10.0.0.1", node(graph, f"10.0.0.{n}"), connections=n)
    figure = plot.network(graph, most=10)
    assert "49 nodes not drawn" in figure.layout.title.text
    assert set(labels(figure)) == {"10.0.0.1", *(f"10.0.0.{n}" for n in range(51, 60))}


def test_the_same_graph_gives_the_same_figure() -> None:
    one, two = plot.network(many_peers()).to_json(), plot.network(many_peers()).to_json()
    assert one == two


def test_edges_coloured_by_bytes() -> None:
    names = {trace.name for trace in plot.network(many_peers(), color="bytes").data if trace.name}
    kinds = {"internal", "external", "on an indicator list"}  # of nodes
    assert names == {"kilobytes", "megabytes"} | kinds


def test_an_arrow_on_each_line_points_from_the_initiator() -> None:
    (line,) = (trace for trace in plot.network(small()).data if trace.name == "rejected")
    nodes = plot.network(small()).data[-1]
    ends = dict(zip(sorted(small()), zip(nodes.x, nodes.y, strict=True), strict=True))
    assert ((line.x[0], line.y[0]), (line.x[2], line.y[2])) == (ends["10.0.0.5"], ends["10.0.0.9"])
    assert (line.marker.symbol, line.marker.angleref) == ("arrow", "previous")
    assert list(line.marker.size) == [0, 10, 0, 0]


def test_an_unknown_colour_key_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="'taste': choose one of verdict, bytes"):
        plot.network(small(), color="taste")


def test_an_empty_graph_states_the_reason() -> None:
    figure = plot.network(nx.DiGraph())
    assert figure.layout.annotations[0].text == "There are no connections to draw."


def test_a_single_node() -> None:
    graph = nx.DiGraph(center="10.0.0.1")
    node(graph, "10.0.0.1")
    assert labels(plot.network(graph)) == ["10.0.0.1"]


@pytest.mark.parametrize("fact", [{"sessions": 1}, {"principals": "eve"}])
def test_who_held_a_session_or_called_the_api_is_never_grouped(fact: dict[str, Any]) -> None:
    graph = nx.DiGraph(center="10.0.0.5")
    node(graph, "10.0.0.5")
    node(graph, "192.0.2.66", **fact)
    edge(graph, "192.0.2.66", "10.0.0.5", connections=1)
    for n in range(200):  # customers, busier than that
        edge(graph, node(graph, f"198.18.{n}.9", sessions=0), "10.0.0.5", connections=50)
    assert sorted(labels(plot.network(graph, most=20))) == [
        "10.0.0.5",
        "192.0.2.66",
        "200 external",
    ]


def changed() -> nx.DiGraph:
    """A host whose address has a name, and of 100 peers half are new; one is gone."""
    before, after = nx.DiGraph(center="10.0.0.1"), nx.DiGraph(center="10.0.0.1")
    for graph, peers in ((before, range(50, 101)), (after, range(100))):
        node(graph, "10.0.0.1", label="web")
        for n in peers:
            edge(graph, "10.0.0.1", node(graph, f"203.0.113.{n}"), connections=n)
    return changes(before, after)


def test_changes_have_lines_of_their_own() -> None:
    figure = plot.network(changed(), "change")
    assert figure.layout.title.text.startswith("<b>What changed: communication of 10.0.0.1</b>")
    lines = {trace.name: trace.line for trace in figure.data if trace.mode == "lines+markers"}
    assert {name: (line.dash, line.width) for name, line in lines.items()} == {
        "gone": ("dot", 1.4),
        "kept": ("solid", 1.4),
        "new": ("solid", 2.5),
    }
    assert labels(figure) == ["10.0.0.1 (web)", "203.0.113.100", "50 external, new", "50 external"]
    hover = hovers(figure)
    assert [text.rpartition("<br>")[2] for text in hover] == [
        "gone: none afterwards",
        f"kept: {sum(range(50, 100)):,} connections before",
        "new",
    ]
    with pytest.raises(InputError, match=r"give what fb\.graph\.changes returns"):
        plot.network(many_peers(), "change")


def test_groups_colour_the_nodes() -> None:
    graph = nx.DiGraph()
    for n in range(8):
        edge(graph, node(graph, f"10.0.0.{n}"), node(graph, "10.0.0.9"))
    groups: dict[str, Any] = {f"10.0.0.{n}": f"team {max(n, 1)}" for n in range(8)}
    groups["10.0.0.9"] = None
    figure = plot.network(graph, groups=groups)
    legend = {trace.name: trace.marker.color for trace in figure.data if trace.x == (None,)}
    # The largest first, then in order of the name; the seventh and the node without a group differ.
    assert list(legend) == [*(f"team {n}" for n in range(1, 7)), "others"]
    colours = dict(zip(sorted(graph), figure.data[-1].marker.color, strict=True))
    assert colours["10.0.0.0"] == colours["10.0.0.1"] == legend["team 1"] == theme.SKY
    assert colours["10.0.0.6"] == legend["team 6"] == theme.BLUE
    assert colours["10.0.0.7"] == colours["10.0.0.9"] == legend["others"] == theme.GREY
