"""Positions of nodes: distinct, the same each time, and external nodes near their neighbours."""

from __future__ import annotations

import math

import networkx as nx

from flowbench.plot import layout


def three_vpcs() -> nx.DiGraph:
    graph = nx.DiGraph()
    for vpc in ("a", "b", "c"):
        for n in range(12):
            graph.add_node(f"10.0.{vpc}.{n}", internal=True, vpc=vpc)
            graph.add_node(f"external-{vpc}-{n}", internal=False, vpc="")
            graph.add_edge(f"10.0.{vpc}.{n}", f"external-{vpc}-{n}")
    return graph


def test_positions_are_distinct_and_every_vpc_has_a_label() -> None:
    graph = three_vpcs()
    position, direction = layout.positions(graph, None)
    assert set(position) == set(direction) == set(graph)
    assert len(set(position.values())) == len(graph)
    labels = layout.vpc_labels(graph, position)
    assert set(labels) == {"a", "b", "c"}
    for vpc, (_, y) in labels.items():
        assert y > max(position[f"10.0.{vpc}.{n}"][1] for n in range(12))


def test_the_order_of_insertion_does_not_matter() -> None:
    graph = three_vpcs()
    mirrored = nx.DiGraph()
    mirrored.add_nodes_from(reversed(list(graph.nodes(data=True))))
    mirrored.add_edges_from(reversed(list(graph.edges())))
    assert layout.positions(graph, None) == layout.positions(mirrored, None)


def test_external_nodes_are_on_the_side_of_their_neighbours() -> None:
    graph = three_vpcs()
    position, _ = layout.positions(graph, None)
    for vpc in ("a", "b", "c"):
        internal, external = (
            [position[f"{prefix}{n}"] for n in range(12)]
            for prefix in (f"10.0.{vpc}.", f"external-{vpc}-")
        )
        mean = [
            [sum(axis) / 12 for axis in zip(*ring, strict=True)] for ring in (internal, external)
        ]
        assert mean[0][0] * mean[1][0] + mean[0][1] * mean[1][1] > 0


def test_a_center_that_all_others_communicate_with_is_in_the_middle() -> None:
    graph = nx.star_graph(["c", "x", "y", "z"]).to_directed()
    nx.set_node_attributes(graph, values=False, name="internal")
    position, _ = layout.positions(graph, "c")
    assert position["c"] == (0.0, 0.0)
    assert all(math.isclose(math.hypot(*position[node]), 1, abs_tol=1e-5) for node in "xyz")


def test_a_single_node_and_no_node() -> None:
    graph = nx.DiGraph()
    assert layout.positions(graph, None) == ({}, {})
    graph.add_node("10.0.0.1", internal=True, vpc="v")
    assert layout.positions(graph, None)[0] == {"10.0.0.1": (0.0, 0.0)}
    assert layout.vpc_labels(graph, {"10.0.0.1": (0.0, 0.0)}) == {}
