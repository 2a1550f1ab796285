"""Changes between two graphs: new, gone and kept, with the sums before."""

from __future__ import annotations

import networkx as nx

from flowbench.investigate.graph import changes


def build(**edges: int) -> nx.DiGraph:
    graph = nx.DiGraph()
    for ends, count in edges.items():
        source, target = ends
        graph.add_edge(
            source, target, connections=count, rejected=0, bytes_out=10 * count, bytes_in=0
        )
        graph.nodes[source]["label"] = f"{source}{count}"
    return graph


def test_changes() -> None:
    both = changes(build(ab=1, ac=2), build(ab=5, db=3))
    assert dict(both.nodes(data="change")) == {"a": "kept", "b": "kept", "c": "gone", "d": "new"}
    assert {(a, b): (e["change"], e["connections_before"], e["connections"], e["bytes_out_before"])
            for a, b, e in both.edges(data=True)} == {
        ("a", "b"): ("kept", 1, 5, 10),
        ("a", "c"): ("gone", 2, 2, 20),
        ("d", "b"): ("new", 0, 3, 0),
    }  # fmt: skip
    assert both.nodes["a"]["label"] == "a5"
    assert len(changes(nx.DiGraph(), nx.DiGraph())) == 0
