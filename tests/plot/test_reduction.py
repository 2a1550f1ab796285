"""Groups of external addresses: their members, their sums, and what stays apart."""

from __future__ import annotations

from flowbench.plot.reduction import reduce_graph
from tests.plot.test_network import many_peers


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
