"""Groups of external addresses: their members, their sums, and what stays apart."""

from __future__ import annotations

import networkx as nx

from flowbench.plot.reduction import reduce_graph
from tests.plot.test_network import edge, many_peers, node


def test_groups_name_their_members() -> None:
    reduced, grouped, omitted = reduce_graph(many_peers(), 60)
    assert (grouped, omitted) == (400, 0)
    groups = {known["label"]: known for _, known in reduced.nodes(data=True)}
    group = groups["200 external, rejected"]
    assert group["members"] == 200
    assert group["member_names"].startswith("198.51.100.0, 198.51.100.1, 198.51.100.2")
    assert group["member_names"].endswith("and 192 more")
    (edge,) = [e for a, b, e in reduced.edges(data=True) if a.startswith("200 external, rejected")]
    assert (edge["connections"], edge["rejected"]) == (600, 600)
    assert "192.0.2.1" in reduced  # an indicator match


def test_small_graphs_stay() -> None:
    graph = many_peers()
    assert reduce_graph(graph, len(graph)) == (graph, 0, 0)


def test_too_many_that_matter_are_groups_of_their_own() -> None:
    graph = nx.DiGraph()
    node(graph, "10.0.0.1")
    for n in range(100):
        edge(graph, node(graph, f"192.0.2.{n}", sessions=2), "10.0.0.1", connections=n + 1)
        edge(graph, "10.0.0.1", node(graph, f"198.51.100.{n}"))
    reduced, grouped, omitted = reduce_graph(graph, 20)
    assert (len(reduced), grouped, omitted) == (13, 190, 0)
    assert {"10.0.0.1", "192.0.2.99", "192.0.2.90"} < set(reduced)
    labels = {known["label"]: known for _, known in reduced.nodes(data=True)}
    group = labels["90 external, with sessions, API calls or indicator matches"]
    assert (group["sessions"], group["members"], group["indicator_kinds"]) == (180, 90, "")
    assert labels["100 external"]["sessions"] == 0
