"""Key brokers and communities of a communication graph."""

from __future__ import annotations

import networkx as nx
import pandas as pd

from flowbench.schema import Table

BROKERS = Table.of(
    "brokers",
    ("node", "string", "a node of the graph"),
    ("label", "string", "its name, or the node; names are text from evidence"),
    ("betweenness", "float64", "share of the shortest paths between others that pass through it"),
    ("initiators", "int64", "number of nodes with answered connections to it"),
    ("responders", "int64", "number of nodes that it has answered connections to"),
    ("connections", "int64", "number of connections that it opened or was opened to"),
)
COMMUNITIES = Table.of(
    "communities",
    ("community", "int64", "number of the community, the largest first"),
    ("node", "string", "a node of it"),
    ("label", "string", "its name, or the node; names are text from evidence"),
    ("size", "int64", "number of nodes of the community"),
    ("within", "float64", "share of the node's connections that stay in the community"),
)
_EXACT = 1_000  # nodes; above, shortest paths are counted from as many of them


def brokers(graph: nx.DiGraph, most: int = 20) -> pd.DataFrame:
    """Return the nodes that most shortest paths pass through: where segmentation would cut.

    Method: betweenness centrality (Freeman 1977; Brandes 2001) over answered connections. In a
    graph of more than 1,000 nodes it is estimated from 1,000 sources, chosen alike each time
    (Brandes and Pich 2007).

    Args:
        graph: As ``communication`` returns it.
        most: The number of nodes.

    Returns:
        Rows of BROKERS, the highest betweenness first; nodes that no path passes through are left
        out.
    """
    answered = _select_answered(graph)
    sources = _EXACT if len(answered) > _EXACT else None
    between = nx.betweenness_centrality(answered, k=sources, seed=0)
    ranked = sorted((node for node in between if between[node]), key=lambda n: (-between[n], n))
    return BROKERS.frame(
        {
            "node": node,
            "label": graph.nodes[node]["label"],
            "betweenness": between[node],
            "initiators": answered.in_degree(node),
            "responders": answered.out_degree(node),
            "connections": graph.nodes[node]["connections"],
        }
        for node in ranked[:most]
    )


def communities(graph: nx.DiGraph, *, resolution: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Divide a graph into groups of nodes with most of their connections among themselves.

    Method: Louvain (Blondel et al. 2008) over answered connections in either direction. Weights are
    1 plus the binary logarithm of the number of connections, so that a busy service does not draw
    all of its clients together. The same graph and seed give the same groups.

    Args:
        graph: As ``communication`` returns it.
        resolution: Above 1 for smaller groups, below 1 for larger ones.
        seed: Of the order in which nodes are visited.

    Returns:
        Rows of COMMUNITIES, ordered by community and node; nodes without an answered connection are
        left out.
    """
    answered = _select_answered(graph)
    nodes = sorted(answered)
    number = {node: n for n, node in enumerate(nodes)}  # sets of numbers have a fixed order
    weighted = nx.Graph()
    weighted.add_nodes_from(range(len(nodes)))
    for source, target, edge in sorted(answered.edges(data=True), key=lambda e: e[:2]):
        ends = number[source], number[target]
        known = weighted.get_edge_data(*ends, {"weight": 0})["weight"]
        weighted.add_edge(*ends, weight=known + edge["connections"].bit_length())
    groups = nx.community.louvain_communities(weighted, resolution=resolution, seed=seed)
    ranked = sorted((sorted(group) for group in groups), key=lambda group: (-len(group), group))
    return COMMUNITIES.frame(
        {
            "community": rank,
            "node": nodes[member],
            "label": graph.nodes[nodes[member]]["label"],
            "size": len(group),
            "within": _share_within(answered, nodes[member], {nodes[n] for n in group}),
        }
        for rank, group in enumerate(ranked, 1)
        for member in group
    )


def _select_answered(graph: nx.DiGraph) -> nx.DiGraph:
    """The answered connections between different nodes, in order."""
    selected = nx.DiGraph()
    edges = [e for e in graph.edges(data=True) if e[2]["answered"] and e[0] != e[1]]
    selected.add_nodes_from(sorted({node for edge in edges for node in edge[:2]}))
    selected.add_edges_from(sorted(edges, key=lambda edge: edge[:2]))
    return selected


def _share_within(graph: nx.DiGraph, node: str, group: set[str]) -> float:
    edges = [*graph.in_edges(node, data=True), *graph.out_edges(node, data=True)]
    total = sum(edge["connections"] for *_, edge in edges)
    return sum(e["connections"] for a, b, e in edges if a in group and b in group) / total
