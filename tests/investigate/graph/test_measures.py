"""Brokers and communities of small graphs with a known answer."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest

from flowbench.investigate.graph import brokers, communities, measures


def build(*edges: tuple[str, str], answered: int = 1) -> nx.DiGraph:
    graph = nx.DiGraph()
    for source, target in edges:
        for node in (source, target):
            graph.add_node(node, label=f"<{node}>", connections=4)
        graph.add_edge(source, target, connections=4, answered=answered)
    return graph


@pytest.fixture
def barbell() -> nx.DiGraph:
    """Two groups in which all talk to all, joined by one connection from a3 to b1."""
    groups = [[f"{name}{n}" for n in (1, 2, 3)] for name in "ab"]
    return build(*(e for group in groups for e in itertools.permutations(group, 2)), ("a3", "b1"))


def test_the_bridge_has_the_highest_betweenness(barbell: nx.DiGraph) -> None:
    rows = brokers(barbell)
    assert rows["node"].tolist() == ["a3", "b1"]
    assert rows["betweenness"].tolist() == pytest.approx(
        [0.3, 0.3]
    )  # 6 of the 20 ordered pairs of others
    assert rows.loc[0, ["initiators", "responders"]].tolist() == [2, 3]
    assert rows.loc[0, "label"] == "<a3>"
    assert len(brokers(barbell, most=1)) == 1


def test_rejected_connections_are_no_paths() -> None:
    assert brokers(build(("a", "b"), ("b", "c"), answered=0)).empty
    assert communities(build(("a", "b"), answered=0)).empty


def test_large_graphs_are_sampled_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "_EXACT", 60)
    edges = [(f"h{n}", "gateway") for n in range(40)] + [("gateway", f"s{n}") for n in range(40)]
    large = build(*edges)
    assert brokers(large)["node"].tolist() == ["gateway"]
    assert brokers(large).equals(brokers(build(*reversed(edges))))


def test_communities_are_the_two_groups(barbell: nx.DiGraph) -> None:
    rows = communities(barbell)
    groups = rows.groupby("community")["node"].agg(list).tolist()
    assert groups == [["a1", "a2", "a3"], ["b1", "b2", "b3"]]
    assert rows["size"].tolist() == [3] * 6
    assert rows.set_index("node")["within"]["a1"] == 1.0
    assert rows.set_index("node")["within"]["a3"] == pytest.approx(4 / 5)
    shuffled = build(*reversed(list(barbell.edges)))
    assert communities(shuffled).equals(rows)
