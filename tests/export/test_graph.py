"""The graph as GraphML and GEXF, read back by networkx."""

from __future__ import annotations

import io
from pathlib import Path

import networkx as nx

from flowbench.detect import Findings
from flowbench.export import graph
from flowbench.investigate import graph as build
from tests.incident_case import HOST, POOL, make_incident_case
from tests.traffic import T0, connect, interface, make_case


def test_graphml_is_read_back(case) -> None:
    read = nx.read_graphml(io.BytesIO(graph.to_graphml(case, Findings())))
    assert read.is_directed()
    edge = read.edges[HOST, POOL]
    assert edge["connections"] == 3
    assert isinstance(edge["bytes_out"], int)
    assert read.nodes[POOL]["internal"] is False


def test_gexf_is_read_back(case) -> None:
    read = nx.read_gexf(io.BytesIO(graph.to_gexf(case, Findings())))
    assert read.edges[HOST, POOL]["connections"] == 3


def test_hostile_names_are_text(tmp_path: Path) -> None:
    name = '<script>alert("1")</script>\x1b\x00&\u202e'
    listed = [interface(HOST, "a", TagSet=[{"Key": "Name", "Value": name}])]
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0), interfaces=listed)
    for make, read in ((graph.to_graphml, nx.read_graphml), (graph.to_gexf, nx.read_gexf)):
        data = make(case, Findings())
        assert b"<script>" not in data
        assert "\\x1b" in read(io.BytesIO(data)).nodes[HOST]["name"]


def test_the_same_bytes_twice(case, tmp_path: Path) -> None:
    again = make_incident_case(tmp_path / "again")
    assert graph.to_graphml(case, Findings()) == graph.to_graphml(again, Findings())
    assert graph.to_gexf(case, Findings()) == graph.to_gexf(case, Findings())


def test_any_graph_can_be_exported(case) -> None:
    """Times in order, hops and the centre of a reachability graph are kept as text and numbers."""
    reach = build.reachable(case, HOST)
    read = nx.read_graphml(io.BytesIO(graph.graphml(reach)))
    assert read.nodes[POOL]["hops"] == 1
    assert read.nodes[POOL]["arrival"].startswith("2026-09-01T00:00:00")
    assert read.graph["center"] == HOST
    assert nx.read_gexf(io.BytesIO(graph.gexf(reach))).nodes[POOL]["hops"] == 1
    by_country = build.communication(case, "country")
    assert "internal" in nx.read_graphml(io.BytesIO(graph.graphml(by_country)))
