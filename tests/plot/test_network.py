"""The network figure: everything that matters is drawn, and what is not is counted."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pandas as pd
import pytest

from flowbench import plot
from flowbench.errors import InputError
from flowbench.plot import layout

AT = pd.Timestamp("2026-09-01 00:00Z")
LATER = pd.Timestamp("2026-09-01 06:30Z")
HOSTILE = "<script>alert(1)</script>\n<b>%{x}</b>"


def node(graph: nx.DiGraph, address: str, **known: Any) -> str:
    inside = address.startswith("10.")
    graph.add_node(
        address,
        **{
            "label": address, "name": "", "address": address, "internal": inside, "service": "",
            "vpc": "vpc-1" if inside else "", "kinds": "", "lapsed": "",
        } | known,
    )  # fmt: skip
    return address


def edge(graph: nx.DiGraph, source: str, target: str, **known: Any) -> None:
    graph.add_edge(
        source,
        target,
        **{
            "connections": 3, "rejected": 0, "answered": 3, "bytes_out": 1_500, "bytes_in": 20,
            "first_seen": AT, "last_seen": LATER, "listed": False, "ports": "443",
            "verdict": "accepted",
        } | known,
    )  # fmt: skip


def small() -> nx.DiGraph:
    graph = nx.DiGraph(about="10.0.0.5")
    node(graph, "10.0.0.5", label=HOSTILE, name=HOSTILE)
    node(graph, "203.0.113.5", kinds="tor")
    node(graph, "10.0.0.9", service="rds", arrival=AT)
    edge(graph, "10.0.0.5", "203.0.113.5", verdict="listed")
    edge(graph, "10.0.0.5", "10.0.0.9", verdict="rejected", rejected=3, answered=0)
    return graph


def crowd() -> nx.DiGraph:
    """Two hosts, each with a crowd of its own, one listed address, one that spoke with both."""
    graph = nx.DiGraph()
    for host in ("10.0.0.1", "10.0.0.2"):
        node(graph, host)
    for n in range(200):
        edge(graph, node(graph, f"198.51.100.{n}"), "10.0.0.1", verdict="rejected", rejected=3)
        edge(graph, "10.0.0.2", node(graph, f"203.0.113.{n}"), bytes_out=50_000)
    edge(graph, "10.0.0.2", node(graph, "192.0.2.1", kinds="mining"), verdict="listed")
    node(graph, "192.0.2.2")
    for host in ("10.0.0.1", "10.0.0.2"):
        edge(graph, host, "192.0.2.2")
    return graph


def words(figure: Any) -> list[str]:
    """Every text of the nodes, the last trace."""
    return list(figure.data[-1].text)


def test_a_node_and_its_edges_say_their_facts() -> None:
    figure = plot.network(small())
    assert figure.layout.title.text.startswith("<b>Who spoke with 10.0.0.5</b>")
    assert "2026-09-01 00:00 to 2026-09-01 06:30 UTC" in figure.layout.title.text
    assert words(figure) == [
        "&lt;script&gt;alert(1)&lt;/script&gt;…",
        "10.0.0.9",
        "203.0.113.5 (tor)",
    ]
    lines = {trace.name: trace for trace in figure.data if trace.mode == "lines"}
    assert {name: trace.line.dash for name, trace in lines.items()} == {
        "listed": "solid", "rejected": "dot",
    }  # fmt: skip
    hover = [text for trace in figure.data if trace.mode == "markers" for text in trace.text]
    assert sum("3 connections, 3 refused" in text for text in hover) == 1
    assert all("1,500 bytes out, 20 in" in text for text in hover)
    assert "reachable from 2026-09-01 00:00 UTC" in figure.data[-1].customdata[1]
    assert "kinds: tor" in figure.data[-1].customdata[2]


def test_names_from_evidence_are_never_markup() -> None:
    figure = plot.network(small())
    shown = figure.to_json()
    assert "<script" not in shown
    assert "<b>%{x}" not in shown
    assert all("%{x}" not in (trace.hovertemplate or "") for trace in figure.data)


def test_a_crowd_is_drawn_as_groups_and_counted() -> None:
    figure = plot.network(crowd())
    assert "400 outside addresses drawn as groups" in figure.layout.title.text
    assert "not drawn" not in figure.layout.title.text
    assert sorted(words(figure)) == [
        "10.0.0.1", "10.0.0.2", "192.0.2.1 (mining)", "192.0.2.2", "200 outside",
        "200 outside, refused",
    ]  # fmt: skip
    hover = [text for trace in figure.data if trace.mode == "markers" for text in trace.text]
    assert any("600 connections" in text for text in hover)


def test_what_does_not_fit_is_left_out_least_busy_first_and_counted() -> None:
    graph = nx.DiGraph(about="10.0.0.1")
    node(graph, "10.0.0.1")
    for n in range(2, 60):
        edge(graph, "10.0.0.1", node(graph, f"10.0.0.{n}"), connections=n)
    figure = plot.network(graph, most=10)
    assert "49 nodes not drawn" in figure.layout.title.text
    assert set(words(figure)) == {"10.0.0.1", *(f"10.0.0.{n}" for n in range(51, 60))}


def test_the_same_graph_stands_the_same_way() -> None:
    one, two = plot.network(crowd()).to_json(), plot.network(crowd()).to_json()
    assert one == two


def test_no_two_nodes_stand_on_each_other() -> None:
    graph = nx.DiGraph()
    for vpc in ("a", "b", "c"):
        for n in range(12):
            node(graph, f"10.0.{vpc}.{n}", vpc=vpc)
            edge(graph, f"10.0.{vpc}.{n}", node(graph, f"out-{vpc}-{n}"))
    at, towards = layout.places(graph, None)
    assert set(at) == set(towards) == set(graph)
    assert len(set(at.values())) == len(graph)
    assert set(layout.captions(graph, at)) == {"a", "b", "c"}


def test_by_bytes() -> None:
    names = {trace.name for trace in plot.network(crowd(), color="bytes").data if trace.name}
    assert names == {"kilobytes", "megabytes"}


def test_another_colour_names_the_choice() -> None:
    with pytest.raises(InputError, match="'taste': choose one of verdict, bytes"):
        plot.network(small(), color="taste")


def test_nothing_to_draw_is_said() -> None:
    figure = plot.network(nx.DiGraph())
    assert figure.layout.annotations[0].text == "There are no connections to draw."


def test_a_node_alone() -> None:
    graph = nx.DiGraph(about="10.0.0.1")
    node(graph, "10.0.0.1")
    assert words(plot.network(graph)) == ["10.0.0.1"]
