"""Communication graphs (networkx): of the whole case, around one host, and reachable from it.

Nodes are addresses, or the instances, subnets or VPCs that they belong to. An edge goes from
initiator to responder and sums the connections between them. Sums are computed in the engine; only
nodes and edges come to Python.

Edge attributes:
    connections, rejected, answered: Numbers of connections.
    bytes_out, bytes_in: Bytes from the edge's source to its target, and back.
    ports: Service ports, as text.
    first_seen, last_seen: UTC.
    indicator_match: Whether an indicator covered one end at a time between these.
    verdict: 'rejected' if some connections were rejected and none was answered, otherwise
        'indicator match' or 'accepted'.

Node attributes:
    label, name, address, service, vpc: Text, empty if unknown.
    internal: Whether the node belongs to the monitored network.
    indicator_kinds: Kinds of the indicators that were valid when the node communicated, as text.
    expired_kinds: Kinds of those that were valid only before or after.
    sessions: Number of administrative sessions that an external address held.
    principals: Who called the AWS API from the address, as text.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import networkx as nx
import pandas as pd
from ibis import _

from flowbench.connections import summarize_connections
from flowbench.errors import InputError
from flowbench.investigate.api_events import read_callers
from flowbench.investigate.graph_nodes import (
    address_of,
    count_sessions,
    merge_assignments,
    number_ends,
    read_inventory,
)
from flowbench.schema import Table, to_frame
from flowbench.text import list_some

if TYPE_CHECKING:
    from flowbench.case import Case

LEVELS = {"address": "address", "instance": "instance_id", "subnet": "subnet_id", "vpc": "vpc_id"}
_SUMS = ("connections", "rejected", "answered", "bytes_out", "bytes_in")
_MOST_PORTS = 6  # named on an edge
_ARRIVAL = Table.of(
    "arrival",
    ("node", "string", "an address that was reached"),
    ("arrival", "time", "the earliest time at which it can have been reached"),
)
_NO_ATTRIBUTES = {
    "name": "",
    "internal": True,
    "service": "",
    "vpc": "",
    "indicator_kinds": "",
    "expired_kinds": "",
    "sessions": 0,
    "principals": "",
}


class IndicatorPeriod(NamedTuple):
    """The kind of an indicator, and the period in which it is valid; None for an open end."""

    kind: str
    valid_from: datetime | None
    valid_until: datetime | None


def communication(case: Case, level: str = "address") -> nx.DiGraph:
    """Build the communication graph of a case.

    Connections of a NAT gateway itself are left out if those of its clients are logged.

    Args:
        case: The case.
        level: What nodes are: one of LEVELS. An address without instance, subnet or VPC is a node
            of its own.

    Raises:
        InputError: ``level`` is none of these.
    """
    if level not in LEVELS:
        raise InputError(f"unknown level {level!r}: choose one of {', '.join(LEVELS)}")
    return build_graph(case, case.connection_summaries, level)


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


def reachable(case: Case, address: str, after: pd.Timestamp | None = None) -> nx.DiGraph:
    """Build the graph of what could be reached from an address by answered connections.

    Only paths in order of time count: each step begins no earlier than the one before. The node
    attribute ``arrival`` is the earliest possible time; edges sum the connections after it.

    Limitations: a connection shows that a path was open, not that it was used; one that began
    before the arrival and was still open is not followed; aggregation intervals blur the order of
    connections by their length.

    Args:
        case: The case.
        address: Where paths begin.
        after: When they begin; by default with the case's first record.

    Returns:
        The graph; of the address alone if it initiated no connection since.

    Raises:
        InputError: Several hosts have the address.
    """
    address, c = case.check_host(address), case.connections
    steps = c.filter(c.answered, ~c.intermediate)
    start = after if after is not None else case.span[0]
    arrival: dict[str, pd.Timestamp] = {} if start is None else {address: start}
    updated = dict(arrival)
    while updated:  # at most as often as the longest path has steps: arrivals only become earlier
        onward = _connections_after(steps, updated).group_by("responder")
        updated = {}
        for row in onward.aggregate(at=_.first_seen.min()).to_pyarrow().to_pylist():
            node, time = row["responder"], pd.Timestamp(row["at"])
            if node not in arrival or time < arrival[node]:
                arrival[node] = updated[node] = time
    summaries = summarize_connections(_connections_after(steps, arrival))
    graph = build_graph(case, summaries, "address")
    if address not in graph:
        graph.add_node(address, **_NO_ATTRIBUTES | {"label": address, "address": address})
        arrival.setdefault(address, pd.NaT)  # a case without records has no start
    for node in graph:
        graph.nodes[node]["arrival"] = arrival[node]
    graph.graph["center"] = address
    return graph


def _connections_after(steps: ibis.Table, arrival: Mapping[str, pd.Timestamp]) -> ibis.Table:
    """The connections that each of these addresses initiated since its arrival."""
    rows = ({"node": node, "arrival": time} for node, time in arrival.items())
    arrivals = ibis.memtable(_ARRIVAL.rows(rows))
    joined = steps.inner_join(arrivals, steps.initiator == arrivals.node)
    return joined.filter(joined.first_seen >= joined.arrival)


def build_graph(
    case: Case,
    summaries: ibis.Table,
    level: str = "address",
    connections: ibis.Table | None = None,
) -> nx.DiGraph:
    """Build the graph of connection summaries, its nodes described by the address inventory.

    Args:
        case: The case.
        summaries: Rows of its connection summaries, or ``summarize_connections`` of some of its
            connections.
        level: One of LEVELS.
        connections: The connections that were summed; by default all. Above addresses they are
            needed for addresses that were reassigned.
    """
    inventory = read_inventory(case)
    reassigned = inventory[inventory.index.duplicated(keep=False)]
    if level == "address":
        inventory = merge_assignments(inventory, reassigned)
    elif len(reassigned):  # an address counts for what it was assigned to at the time
        rows_of = case.connections if connections is None else connections
        summaries = summarize_connections(number_ends(rows_of, reassigned))
        inventory = inventory.set_index(inventory.index + inventory["number"])
    node_of: dict[Hashable, str] = inventory["address"].to_dict()
    if level != "address":
        node_of |= inventory[LEVELS[level]].dropna().to_dict()
    rows = _sum_edges(summaries)
    periods = _indicator_periods(case)
    graph = nx.DiGraph()
    ends = sorted(set(rows["initiator"]) | set(rows["responder"]))
    for end, attributes in zip(ends, inventory.loc[ends].to_dict("records"), strict=True):
        _add_node(graph, node_of[end], attributes, level)
    ports: dict[tuple[str, str], set[int]] = {}
    for row in rows.to_dict("records"):
        source, target = node_of[row["initiator"]], node_of[row["responder"]]
        ports.setdefault((source, target), set()).add(row["service_port"])
        matches = [
            _add_indicators(graph.nodes[node_of[end]], periods.get(address_of(end), []), row)
            for end in (row["initiator"], row["responder"])
        ]
        _add_edge(graph, source, target, row, indicator_match=any(matches))
    for source, target, edge in graph.edges(data=True):
        edge["ports"] = list_some(sorted(ports[source, target]), _MOST_PORTS)
        edge["verdict"] = _verdict(edge)
    sessions, callers = count_sessions(case), read_callers(case)
    for _node, attributes in graph.nodes(data=True):
        attributes["sessions"] = sessions.get(attributes["address"], 0)
        attributes["principals"] = callers.get(attributes["address"], "")
        valid, expired = attributes["indicator_kinds"], attributes["expired_kinds"]
        attributes["expired_kinds"] = ", ".join(sorted(expired - valid))
        attributes["indicator_kinds"] = ", ".join(sorted(valid))
    return graph


def _sum_edges(summaries: ibis.Table) -> pd.DataFrame:
    """Sum connection summaries by ends and service port, without intermediate devices."""
    kept = summaries.filter(~summaries.intermediate)
    rows = kept.group_by("initiator", "responder", "service_port").aggregate(
        first_seen=summaries.first_seen.min(),
        last_seen=summaries.last_seen.max(),
        **{name: summaries[name].sum() for name in _SUMS},
    )
    return to_frame(rows.order_by("initiator", "responder", "service_port").to_pyarrow())


def _indicator_periods(case: Case) -> dict[str, list[IndicatorPeriod]]:
    """The indicators that cover each address."""
    periods: dict[str, list[IndicatorPeriod]] = {}
    columns = case.indicator_matches.select("address", *IndicatorPeriod._fields)
    for row in columns.to_pyarrow().to_pylist():
        periods.setdefault(row.pop("address"), []).append(IndicatorPeriod(**row))
    return periods


def _add_indicators(
    attributes: dict[str, Any], periods: Iterable[IndicatorPeriod], row: Mapping[str, Any]
) -> bool:
    """Add the kinds of a node's indicators; return whether one was valid at the time."""
    matched = False
    for kind, valid_from, valid_until in periods:
        begun = valid_from is None or valid_from <= row["last_seen"]
        valid = begun and (valid_until is None or valid_until >= row["first_seen"])
        attributes["indicator_kinds" if valid else "expired_kinds"].add(kind)
        matched |= valid
    return matched


def _add_node(graph: nx.DiGraph, node: str, row: Mapping[str, Any], level: str) -> None:
    def text(name: str) -> str:
        return "" if pd.isna(row[name]) else str(row[name])

    if node in graph:
        return
    is_host = level in ("address", "instance")
    name = text("name") if is_host else ""
    graph.add_node(
        node,
        label=name or node,
        name=name,
        address=row["address"] if is_host else "",
        internal=bool(row["internal"]),
        service=text("service") if is_host else level,
        vpc=text("vpc_id"),
        indicator_kinds=set(),
        expired_kinds=set(),
    )


def _add_edge(
    graph: nx.DiGraph, source: str, target: str, row: Mapping[str, Any], *, indicator_match: bool
) -> None:
    if not graph.has_edge(source, target):
        times = {name: row[name] for name in ("first_seen", "last_seen")}
        graph.add_edge(source, target, **dict.fromkeys(_SUMS, 0), **times, indicator_match=False)
    edge = graph.edges[source, target]
    for name in _SUMS:
        edge[name] += int(row[name])
    edge["first_seen"] = min(edge["first_seen"], row["first_seen"])
    edge["last_seen"] = max(edge["last_seen"], row["last_seen"])
    edge["indicator_match"] |= indicator_match


def _verdict(edge: Mapping[str, Any]) -> str:
    if edge["rejected"] and not edge["answered"]:
        return "rejected"  # with or without indicator: at most an attempt, mostly noise
    return "indicator match" if edge["indicator_match"] else "accepted"
