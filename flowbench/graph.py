"""Who spoke with whom, as networkx graphs: the whole case, one host's surroundings, its reach.

Nodes are addresses or what they belong to; an edge goes from initiator to responder and sums the
connections between them. Sums are made in the engine; only nodes and edges come to Python.

Edge attributes: connections, refused, answered, bytes_out, bytes_in (from the edge's source to its
target and back), ports (text), first_seen, last_seen (UTC), listed (an indicator covers one end),
verdict ('refused' when nothing was answered, else 'listed' or 'accepted'). Node attributes: label, inside, service, name, vpc, kinds (text).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import networkx as nx
import pandas as pd

from flowbench.errors import InputError
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

LEVELS = {"address": "address", "instance": "instance_id", "subnet": "subnet_id", "vpc": "vpc_id"}
_SUMS = ("connections", "refused", "answered", "bytes_out", "bytes_in")
_PORTS_SHOWN = 6


def communication(case: Case, level: str = "address") -> nx.DiGraph:
    """The case's communication graph, its nodes at one of LEVELS.

    At a level other than address, an address that belongs to nothing of that level stays itself.
    NAT gateways' own connections are left out where their clients' are logged. Raises InputError
    for an unknown level.
    """
    if level not in LEVELS:
        raise InputError(f"no level is called {level!r}; there are: {', '.join(LEVELS)}")
    book = to_frame(case.addresses.to_pyarrow()).set_index("address")
    group = book[LEVELS[level]] if level != "address" else pd.Series(book.index, book.index)
    place = group.where(group.notna(), pd.Series(book.index, book.index)).to_dict()
    pairs = case.pairs
    seen = pairs.filter(~pairs.relay).group_by("initiator", "responder", "service_port")
    rows = to_frame(
        seen.aggregate(
            first_seen=pairs.first_seen.min(),
            last_seen=pairs.last_seen.max(),
            **{name: pairs[name].sum() for name in _SUMS},
        )
        .order_by("initiator", "responder", "service_port")
        .to_pyarrow()
    )
    listed = set(book.index[book["indicators"] > 0])
    graph = nx.DiGraph()
    addresses = sorted(set(rows["initiator"]) | set(rows["responder"]))
    for known in book.loc[addresses].reset_index().to_dict("records"):
        _add_node(graph, place[known["address"]], known, level)
    ports: dict[tuple[str, str], set[int]] = {}
    for row in rows.to_dict("records"):
        ends = place[row["initiator"]], place[row["responder"]]
        ports.setdefault(ends, set()).add(row["service_port"])
        _add_edge(graph, *ends, row, listed=row["initiator"] in listed or row["responder"] in listed)
    for *ends, edge in graph.edges(data=True):
        edge["ports"] = _ports(ports[ends[0], ends[1]])
        edge["verdict"] = _verdict(edge)
    return graph


def around(graph: nx.DiGraph, node: str, hops: int = 1) -> nx.DiGraph:
    """The part of a graph within some hops of a node, whichever way the connections went.

    Raises InputError when the node is not there.
    """
    if node not in graph:
        raise InputError(f"{node} takes part in no connection of this case")
    near = nx.single_source_shortest_path_length(graph.to_undirected(as_view=True), node, cutoff=hops)
    return nx.DiGraph(graph.subgraph(sorted(near)), about=node)


def reachable(case: Case, address: str, after: pd.Timestamp | None = None) -> nx.DiGraph:
    """Where something that sat at ``address`` could have got to by connections that were answered.

    Only paths that respect time: each step begins when the one before has arrived. Node attribute
    ``arrival`` is the earliest possible moment. ``after`` is when it began (the first record
    otherwise). Known limit: a connection shows that a way was open, not that it was taken; one that
    began before the arrival and was still open is not followed.
    """
    c = case.connections
    start = after if after is not None else case.span[0]
    steps = c.filter(c.answered, ~c.relay)
    if start is not None:
        steps = steps.filter(c.first_seen >= start)
    rows = to_frame(
        steps.select("initiator", "responder", "first_seen")
        .order_by("first_seen", "initiator", "responder")
        .to_pyarrow()
    )
    # Dijkstra over time: the earliest arrival is settled first, and from there on each neighbour is
    # reached by the first connection that begins no earlier.
    steps_of = rows.groupby("initiator").indices
    arrival: dict[str, pd.Timestamp] = {}
    used: list[tuple[str, str]] = []
    waiting = [(start, address)] if start is not None else []
    while waiting:
        moment, node = heapq.heappop(waiting)
        if node in arrival:
            continue
        arrival[node] = moment
        mine = rows.iloc[steps_of.get(node, [])]
        onward = mine[mine["first_seen"] >= moment].drop_duplicates("responder")
        for target, at in onward[["responder", "first_seen"]].itertuples(index=False):
            used.append((node, target))
            heapq.heappush(waiting, (at, target))
    whole = communication(case)
    reach = nx.DiGraph(whole.edge_subgraph(used), about=address)
    if address in whole:
        reach.add_node(address, **whole.nodes[address])
    for node in reach:
        reach.nodes[node]["arrival"] = arrival.get(node)
    return reach


def _add_node(graph: nx.DiGraph, node: str, known: dict[str, Any], level: str) -> None:
    def text(name: str) -> str:
        return "" if pd.isna(known[name]) else str(known[name])

    if node in graph:
        return
    single = level in ("address", "instance")
    name = text("name") if single else ""
    graph.add_node(
        node,
        label=name or node,
        name=name,
        address=known["address"] if single else "",
        inside=bool(known["inside"]),
        service=text("service") if single else level,
        vpc=text("vpc_id"),
        kinds=", ".join(known["kinds"]),
    )


def _add_edge(
    graph: nx.DiGraph, source: str, target: str, row: dict[str, Any], *, listed: bool
) -> None:
    if not graph.has_edge(source, target):
        times = {name: row[name] for name in ("first_seen", "last_seen")}
        graph.add_edge(source, target, **dict.fromkeys(_SUMS, 0), **times, listed=False)
    edge = graph.edges[source, target]
    for name in _SUMS:
        edge[name] += int(row[name])
    edge["first_seen"] = min(edge["first_seen"], row["first_seen"])
    edge["last_seen"] = max(edge["last_seen"], row["last_seen"])
    edge["listed"] |= listed


def _verdict(edge: dict[str, Any]) -> str:
    if edge["refused"] and not edge["answered"]:
        return "refused"  # listed or not: what was turned away is noise, or at most a try
    return "listed" if edge["listed"] else "accepted"


def _ports(ports: set[int]) -> str:
    shown = ", ".join(str(port) for port in sorted(ports)[:_PORTS_SHOWN])
    return shown + (f" and {len(ports) - _PORTS_SHOWN} more" if len(ports) > _PORTS_SHOWN else "")
