"""Who communicated with whom: cells, groups with their members, logarithmic scale."""

from __future__ import annotations

import networkx as nx
import pytest

from flowbench import plot
from flowbench.errors import InputError
from tests.plot.test_network import edge, node


def build(count: int) -> nx.DiGraph:
    graph = nx.DiGraph()
    node(graph, "10.0.0.1", label="web")
    for n in range(count):
        edge(graph, "10.0.0.1", node(graph, f"203.0.113.{n}"), bytes_out=10 ** (n + 1), bytes_in=0)
    return graph


def test_cells() -> None:
    graph = build(2)
    edge(graph, "203.0.113.0", "10.0.0.1", bytes_out=100, bytes_in=900, rejected=1)
    figure = plot.traffic_matrix(graph)
    (cells,) = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["203.0.113.0", "web"]
    assert list(figure.layout.xaxis.ticktext) == ["web", "203.0.113.1", "203.0.113.0"]
    assert [list(line) for line in cells.z] == [[3.0, None, None], [None, 2.0, 1.0]]
    assert "203.0.113.0 → 10.0.0.1 (web)" in cells.text[0][0]
    assert "3 connections, 1 rejected<br>100 bytes out, 900 in" in cells.text[0][0]
    assert cells.text[0][1] == "no connection"
    assert "2 initiators, 3 responders" in figure.layout.title.text


def test_what_is_too_much_is_a_group_that_names_its_members() -> None:
    figure = plot.traffic_matrix(build(8), most=4)
    (cells,) = figure.data
    assert list(figure.layout.xaxis.ticktext)[-1] == "5 others"
    assert 10 ** cells.z[0][3] == pytest.approx(10 + 100 + 1_000 + 10_000 + 100_000)
    assert "5 others: 203.0.113.4, 203.0.113.3" in cells.text[0][3]
    assert "15 connections" in cells.text[0][3]


def test_values() -> None:
    rejected = plot.traffic_matrix(build(1), "rejected").data[0]
    assert rejected.z[0][0] is None
    assert plot.traffic_matrix(build(1), "connections").data[0].z[0][0] == pytest.approx(
        0.477, 0.01
    )
    with pytest.raises(InputError, match="cannot draw 'taste': choose one of bytes"):
        plot.traffic_matrix(build(1), "taste")


def test_no_connections() -> None:
    figure = plot.traffic_matrix(nx.DiGraph())
    assert figure.layout.annotations[0].text == "There are no connections to draw."
