"""Graphs of a size that can be drawn: external addresses grouped, the rest ranked and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from flowbench.text import list_some

_SUMS = ("connections", "rejected", "answered", "bytes_out", "bytes_in")
_SUMS_BEFORE = ("connections_before", "rejected_before", "bytes_out_before", "bytes_in_before")
_CHANGES = ("new", "gone", "kept")  # the most telling first
_MOST_SEVERE_FIRST = ("indicator match", "accepted", "rejected")
_NOTABLE = "with sessions, API calls or indicator matches"
_MOST_MEMBERS = 8  # of a group that its hover label names


def reduce_graph(graph: nx.DiGraph, most: int) -> tuple[nx.DiGraph, int, int]:
    """Reduce a graph to a size that can be drawn.

    Args:
        graph: A communication graph.
        most: The number of nodes; a graph that has no more is returned as it is.

    Returns:
        The graph to draw, the number of addresses in groups, and the number of nodes left out.
    """
    if len(graph) <= most:
        return graph, 0, 0
    reduced, groups = nx.DiGraph(**graph.graph), dict[tuple[str, tuple[str, ...]], list[str]]()
    center = graph.graph.get("center")
    notable = _find_notable(graph)
    alone, together = set(notable[: most // 2]), set(notable[most // 2 :])
    for node, attributes in graph.nodes(data=True):
        neighbours = tuple(sorted(set(nx.all_neighbors(graph, node))))
        rejected = all(
            graph.edges[edge]["verdict"] == "rejected"
            for edge in [*graph.in_edges(node), *graph.out_edges(node)]
        )
        if attributes["internal"] or node in alone or node == center:
            reduced.add_node(node, **attributes)
        else:
            kind = _NOTABLE if node in together else "rejected" if rejected else ""
            if (change := attributes.get("change", "kept")) != "kept":
                kind = f"{kind}, {change}".strip(", ")
            groups.setdefault((kind, neighbours), []).append(node)
    drawn_as = {node: node for node in reduced}
    grouped = 0
    for (kind, neighbours), nodes in sorted(groups.items(), key=lambda group: min(group[1])):
        first = min(nodes)
        if len(nodes) == 1:
            reduced.add_node(first, **graph.nodes[first])
            drawn_as[first] = first
            continue
        label = f"{len(nodes):,} external" + (f", {kind}" if kind else "")
        key = f"{label}, with {', '.join(neighbours)}"
        reduced.add_node(key, **graph.nodes[first] | _describe_group(graph, nodes, label))
        drawn_as |= dict.fromkeys(nodes, key)
        grouped += reduced.nodes[key]["members"]
    for source, target, edge in graph.edges(data=True):
        _merge_edge(reduced, drawn_as[source], drawn_as[target], edge)
    connections = dict(reduced.degree(weight="connections"))

    def rank(node: str) -> tuple[bool, bool, bool, int, str]:
        is_common = reduced.nodes[node]["service"] == "group" and _NOTABLE not in node
        return node != center, node not in alone, is_common, -connections[node], node

    kept = sorted(reduced, key=rank)[:most]
    return nx.DiGraph(reduced.subgraph(sorted(kept))), grouped, len(reduced) - len(kept)


def _describe_group(graph: nx.DiGraph, nodes: Sequence[str], label: str) -> dict[str, Any]:
    """The attributes of a group that are not those of any member."""
    members = [graph.nodes[node] for node in nodes]
    names = [known.get("member_names") or node for node, known in zip(nodes, members, strict=True)]
    return {
        "label": label,
        "service": "group",
        "indicator_kinds": "",
        "name": "",
        "members": sum(known.get("members", 1) for known in members),
        "member_names": list_some(names, _MOST_MEMBERS),
        "sessions": sum(known.get("sessions", 0) for known in members),
        "principals": "",
    }


def _find_notable(graph: nx.DiGraph) -> list[str]:
    """External addresses with sessions, API calls or indicator matches, the busiest first."""
    notable = []
    for node, attributes in graph.nodes(data=True):
        edges = [*graph.in_edges(node, data=True), *graph.out_edges(node, data=True)]
        rejected = all(edge["verdict"] == "rejected" for *_, edge in edges)
        has_indicator = attributes["indicator_kinds"] or attributes["expired_kinds"]
        if (has_indicator and not rejected) or _is_administrative(attributes):
            notable.append((-sum(edge["connections"] for *_, edge in edges), node))
    return [node for _, node in sorted(notable)]


def _is_administrative(attributes: Mapping[str, Any]) -> bool:
    """Whether an external address held an administrative session or called the AWS API."""
    return not attributes["internal"] and bool(
        attributes.get("sessions") or attributes.get("principals")
    )


def _merge_edge(graph: nx.DiGraph, source: str, target: str, edge: Mapping[str, Any]) -> None:
    if not graph.has_edge(source, target):
        graph.add_edge(source, target, **edge)
        return
    merged = graph.edges[source, target]
    for name in _SUMS + (_SUMS_BEFORE if "change" in edge else ()):
        merged[name] += edge[name]
    if "change" in edge:
        merged["change"] = min(merged["change"], edge["change"], key=_CHANGES.index)
    merged["first_seen"] = min(merged["first_seen"], edge["first_seen"])
    merged["last_seen"] = max(merged["last_seen"], edge["last_seen"])
    if merged["ports"] != edge["ports"]:
        merged["ports"] = "several"
    merged["verdict"] = min(merged["verdict"], edge["verdict"], key=_MOST_SEVERE_FIRST.index)
