"""Graphs of a case's connections: nodes from the address inventory, edges from the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ibis
import networkx as nx
import pandas as pd

from flowbench.connections import summarize_connections
from flowbench.errors import InputError
from flowbench.investigate.api_events import read_callers
from flowbench.investigate.graph import levels
from flowbench.investigate.graph.edges import (
    SUMS,
    judge,
    match_indicators,
    sum_edges,
    sum_services,
)
from flowbench.investigate.graph.nodes import (
    merge_assignments,
    number_ends,
    read_inventory,
)
from flowbench.investigate.where import filter_connections
from flowbench.text import list_some

if TYPE_CHECKING:
    from pandas.core.groupby import SeriesGroupBy

    from flowbench.case import Case

_HOSTS = ("address", "interface", "instance")  # levels at which a node has one name and service
_MOST_MEMBERS = 10  # named on a node
_MOST_SEVERE_FIRST = ("indicator match", "accepted", "rejected")


def communication(
    case: Case,
    level: str = "address",
    *,
    outsiders: str = "address",
    where: str = "",
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
) -> nx.DiGraph:
    """Build the communication graph of a case, of a period of it, or of what a filter selects.

    Connections of a NAT gateway itself are left out if those of its clients are logged.

    Args:
        case: The case.
        level: What nodes are: one of LEVELS, or ``tag:KEY`` for the values of a tag. An internal
            address without instance, subnet, … is a node of its own. At the levels 'country' and
            'network owner' the internal addresses are one node.
        outsiders: How external addresses are grouped: 'address' (not at all), 'country', 'network
            owner' or 'together'. Those with an indicator match that was not rejected, an
            administrative session or a call of the AWS API stay nodes of their own.
        where: Only connections that match this filter expression (docs/filters.md).
        since: Only connections that began then or later (UTC).
        until: Only connections that began before (UTC).

    Raises:
        InputError: ``level`` or ``outsiders`` is none of these.
        FilterError: ``where`` cannot be read.
    """
    if since is None and until is None and not where.strip():
        return build_graph(case, case.connection_summaries, level, outsiders)
    c = filter_connections(case, where)
    begun = [] if since is None else [c.first_seen >= since]
    begun += [] if until is None else [c.first_seen < until]
    c = c.filter(ibis.literal(True), *begun)
    return build_graph(case, summarize_connections(c), level, outsiders, connections=c)


def around(graph: nx.DiGraph, node: str, hops: int = 1) -> nx.DiGraph:
    """Return the part of a graph within some hops of a node, in either direction.

    Raises:
        InputError: The node is not in the graph.
    """
    if node not in graph:
        raise InputError(f"{node} has no connection in this case")
    near = nx.single_source_shortest_path_length(
        graph.to_undirected(as_view=True), node, cutoff=hops
    )
    return nx.DiGraph(graph.subgraph(sorted(near)), center=node)


def build_graph(
    case: Case,
    summaries: ibis.Table,
    level: str = "address",
    outsiders: str = "address",
    *,
    connections: ibis.Table | None = None,
) -> nx.DiGraph:
    """Build the graph of connection summaries, its nodes described by the address inventory.

    Args:
        case: The case.
        summaries: Rows of its connection summaries, or ``summarize_connections`` of some of its
            connections.
        level: See ``communication``.
        outsiders: See ``communication``.
        connections: What ``summaries`` sum; by default all connections of the case. Needed at
            levels above the address, where addresses may have changed hands.

    Raises:
        InputError: ``level`` or ``outsiders`` is none of those.
    """
    levels.check_level(level, outsiders)
    inventory = read_inventory(case, summaries, levels.tag_of(level))
    reassigned = inventory[inventory.index.duplicated(keep=False)]
    if level == "address":
        inventory = merge_assignments(inventory, reassigned)
    elif len(reassigned):  # an address counts for what it was assigned to at the time
        rows = case.connections if connections is None else connections
        summaries = summarize_connections(number_ends(rows, reassigned))
        inventory = inventory.set_index(inventory.index + inventory["number"])
    with case.materialized(sum_services(summaries)) as services:
        ends = _select_ends(services, inventory)
        matches = match_indicators(case, services, ends)
        sessions, callers = case.session_counts, read_callers(case)
        ends["sessions"] = [sessions.get(address, 0) for address in ends["address"]]
        ends["principals"] = [callers.get(address, "") for address in ends["address"]]
        ends["node"] = levels.name_nodes(ends, level, outsiders, _keep_apart(ends, matches))
        edges = sum_edges(services, ends["node"])
    graph = nx.DiGraph()
    graph.add_nodes_from(_describe_nodes(ends, level))
    _add_edges(graph, edges, ends["node"], matches)
    _add_kinds(graph, ends["node"], matches)
    _add_sums(graph)
    return graph


def _select_ends(services: ibis.Table, inventory: pd.DataFrame) -> pd.DataFrame:
    """The inventory's rows of the ends of connections, in order."""
    ends = services.select(end="initiator").union(services.select(end="responder"), distinct=True)
    return inventory.loc[ends.order_by("end").to_pyarrow()["end"].to_pylist()].copy()


def _keep_apart(ends: pd.DataFrame, matches: pd.DataFrame) -> set[str]:
    """The addresses that no group may hide."""
    reached = matches.loc[matches["reached"].astype(bool), "end"]
    is_administrative = (ends["sessions"] > 0) | (ends["principals"] != "")
    return {*ends.loc[is_administrative, "address"], *ends.loc[reached, "address"]}


def _describe_nodes(ends: pd.DataFrame, level: str) -> list[tuple[str, dict[str, Any]]]:
    """The nodes in order, with the attributes that come from the inventory."""
    by_node = ends.groupby("node", sort=True)
    sums = pd.DataFrame(
        {
            "members": by_node["address"].nunique(),
            "sessions": by_node["sessions"].sum(),
            "vpc": _common(by_node["vpc_id"]),
            "country": _common(by_node["country"]),
        }
    )
    named: dict[str, list[dict[str, Any]]] = {}
    shown = ends.drop_duplicates(["node", "address"]).groupby("node").head(_MOST_MEMBERS)
    for row in shown.to_dict("records"):
        named.setdefault(row["node"], []).append(row)
    nodes = zip(sums.index, sums.to_dict("records"), strict=True)
    return [(node, _describe_node(node, named[node], row, level)) for node, row in nodes]


def _common(values: SeriesGroupBy) -> pd.Series:
    """The value that all members of each group have; empty if they differ."""
    return values.first().where(values.nunique() == 1).fillna("")


def _describe_node(
    node: str, members: Sequence[Mapping[str, Any]], sums: Mapping[str, Any], level: str
) -> dict[str, Any]:
    first, count = members[0], sums["members"]
    is_host = node == first["address"] or (first["internal"] and level in _HOSTS)
    name = _text(first["name"]) if is_host else ""
    kind = level if first["internal"] else "group"
    more = [""] * (count - len(members))  # counted, not named
    addresses = [*(row["address"] for row in members), *more]
    return {
        "label": name or node,
        "name": name,
        "address": first["address"] if is_host else "",
        "internal": bool(first["internal"]),
        "service": _text(first["service"]) if is_host else kind,
        "vpc": sums["vpc"],
        "country": sums["country"],
        "members": count,
        "member_names": list_some(addresses, _MOST_MEMBERS) if count > 1 else "",
        "sessions": sums["sessions"] if is_host else 0,
        "principals": first["principals"] if is_host else "",
    }


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _add_edges(
    graph: nx.DiGraph, edges: pd.DataFrame, nodes: pd.Series, matches: pd.DataFrame
) -> None:
    valid = matches[matches["valid"].astype(bool)]
    matched = set(zip(valid["initiator"].map(nodes), valid["responder"].map(nodes), strict=True))
    for edge in edges.to_dict("records"):
        source, target = edge.pop("source"), edge.pop("target")
        edge |= {name: int(edge[name]) for name in SUMS}
        edge["indicator_match"] = (source, target) in matched
        graph.add_edge(source, target, **edge, verdict=judge(edge))


def _add_kinds(graph: nx.DiGraph, nodes: pd.Series, matches: pd.DataFrame) -> None:
    """Name the kinds of the indicators that a node matched in force, and of expired ones."""
    kinds: dict[str, tuple[set[str], set[str]]] = {node: (set(), set()) for node in graph}
    for match in matches.itertuples():
        kinds[nodes[match.end]][0 if match.valid else 1].add(match.kind)
    for node, (valid, expired) in kinds.items():
        graph.nodes[node]["indicator_kinds"] = ", ".join(sorted(valid))
        graph.nodes[node]["expired_kinds"] = ", ".join(sorted(expired - valid))


def _add_sums(graph: nx.DiGraph) -> None:
    """Sum the traffic of each node's edges; an edge from a node to itself counts once."""
    for node, attributes in graph.nodes(data=True):
        sent = [edge for *_, edge in graph.out_edges(node, data=True)]
        received = [edge for other, _, edge in graph.in_edges(node, data=True) if other != node]
        attributes.update(_sum_node(sent, received))
        if graph.has_edge(node, node):
            attributes["bytes_received"] += graph.edges[node, node]["bytes_out"]
            attributes["bytes_sent"] += graph.edges[node, node]["bytes_in"]


def _sum_node(sent: list[Mapping[str, Any]], received: list[Mapping[str, Any]]) -> dict[str, Any]:
    both = [*sent, *received]
    return {
        **{name: sum(edge[name] for edge in both) for name in ("connections", "rejected")},
        "bytes_sent": sum(e["bytes_out"] for e in sent) + sum(e["bytes_in"] for e in received),
        "bytes_received": sum(e["bytes_in"] for e in sent) + sum(e["bytes_out"] for e in received),
        "first_seen": min(edge["first_seen"] for edge in both),
        "last_seen": max(edge["last_seen"] for edge in both),
        "verdict": min((edge["verdict"] for edge in both), key=_MOST_SEVERE_FIRST.index),
    }
