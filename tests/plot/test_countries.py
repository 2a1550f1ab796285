"""The map: sums by country, small countries, unknown ones, no fetch of a map."""

from __future__ import annotations

import json
from importlib import resources

import networkx as nx
import pytest

from flowbench import plot
from flowbench.errors import InputError
from flowbench.plot.countries import read_outlines
from tests.plot.test_network import edge, node


@pytest.fixture
def graph() -> nx.DiGraph:
    graph = nx.DiGraph()
    node(graph, "10.0.0.1", country="")
    for name, country in (("1.1.1.1", "AU"), ("1.1.1.2", "AU"), ("2.2.2.2", "SG"), ("x", "")):
        edge(graph, "10.0.0.1", node(graph, name, country=country, internal=False))
    edge(graph, "1.1.1.1", "10.0.0.1", bytes_out=7, bytes_in=9, rejected=1)
    return graph


def test_traffic_by_country(graph: nx.DiGraph) -> None:
    figure = plot.countries(graph)
    named = {trace.name: trace for trace in figure.data if trace.name}
    assert set(named) == {"Australia", "Singapore"}
    assert named["Australia"].text == (
        "<b>Australia (AU)</b><br>9 connections, 1 rejected<br>3,009 bytes sent there, 47 received"
        "<br>2026-09-01 00:00 to 2026-09-01 06:30 UTC<br>with 10.0.0.1"
    )
    assert named["Australia"].fill == "toself"
    assert len(named["Australia"].x) > 50
    assert list(named["Singapore"].x) == [103.8]  # too small for an outline
    assert "2 countries; 3 connections without a known country" in figure.layout.title.text


def test_more_traffic_is_darker(graph: nx.DiGraph) -> None:
    graph.edges["10.0.0.1", "2.2.2.2"]["bytes_out"] = 10**9
    named = {trace.name: trace for trace in plot.countries(graph).data if trace.name}
    assert named["Singapore"].marker.color == "rgba(0,114,178,1.0)"
    share = float(named["Australia"].fillcolor.split(",")[-1].rstrip(")"))
    assert 0.3 < share < 0.7


def test_no_map_is_fetched(graph: nx.DiGraph) -> None:
    shown = plot.countries(graph).to_dict()
    assert "geo" not in shown["layout"]
    assert {trace["type"] for trace in shown["data"]} == {"scatter"}


def test_codes_that_the_map_lacks_are_named(graph: nx.DiGraph) -> None:
    graph.nodes["2.2.2.2"]["country"] = "<b>"
    figure = plot.countries(graph)
    assert figure.layout.annotations[0].text == "Not on the map: &lt;b&gt;"


def test_the_licence_is_in_the_file() -> None:
    path = resources.files("flowbench.plot").joinpath("countries.json")
    licence = json.loads(path.read_text(encoding="utf-8"))["licence"]
    assert "Michael Bostock" in licence
    assert "permission notice appear in all copies" in licence


def test_the_outlines() -> None:
    outlines = read_outlines()
    codes = [country.code for country in outlines if country.code]
    assert len(codes) == len(set(codes)) > 230
    assert {"US", "CN", "RU", "DE", "HK", "MT", "XK"} <= set(codes)
    for country in outlines:
        for ring in country.rings:
            assert len(ring) % 2 == 0
            assert all(-190 <= x <= 200 for x in ring[::2])
            steps = zip(ring[::2], ring[2::2], strict=False)
            assert all(abs(a - b) < 90 for a, b in steps)  # no line across the map
            assert all(-90 <= y <= 90 for y in ring[1::2])


def test_unknown_values_and_empty_graphs(graph: nx.DiGraph) -> None:
    with pytest.raises(InputError, match="cannot draw 'taste': choose one of bytes"):
        plot.countries(graph, "taste")
    empty = plot.countries(nx.DiGraph())
    assert empty.layout.annotations[0].text == "No external address has a known country."
