"""Who spoke with whom, as networkx graphs: the whole case, one host's surroundings, its reach.

Nodes are addresses or what they belong to; an edge goes from initiator to responder and sums the
connections between them. Sums are made in the engine; only nodes and edges come to Python.

Edge attributes: connections, refused, answered, bytes_out, bytes_in (from the edge's source to its
target and back), ports (text), first_seen, last_seen (UTC), listed (an indicator covered one end
at some time between these), verdict ('refused' when nothing was answered, else 'listed' or
'accepted'). Node attributes: label, inside, service, name, vpc, kinds (text: what indicators that
held at the time call it), lapsed (those that held before or after only).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import networkx as nx
import pandas as pd
from ibis import _

from flowbench import connections
from flowbench.errors import InputError
from flowbench.schema import Table, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

LEVELS = {"address": "address", "instance": "instance_id", "subnet": "subnet_id", "vpc": "vpc_id"}
_SUMS = ("connections", "refused", "answered", "bytes_out", "bytes_in")
_PORTS_SHOWN = 6
_ARRIVAL = Table.of(
    "arrival",
    ("node", "string", "an address that was reached"),
    ("arrival", "time", "the earliest moment it can have been"),
)
_EMPTY = {"name": "", "inside": True, "service": "", "vpc": "", "kinds": "", "lapsed": ""}


def communication(case: Case, level: str = "address") -> nx.DiGraph:
    """The case's communication graph, its nodes at one of LEVELS.

    At a level other than address, an address that belongs to nothing of that level stays itself.
    NAT gateways' own connections are left out where their clients' are logged. Raises InputError
    for an unknown level.
    """
    if level not in LEVELS:
        raise InputError(f"no level is called {level!r}; there are: {', '.join(LEVELS)}")
    return _drawn_up(case, case.pairs, level)


def around(graph: nx.DiGraph, node: str, hops: int = 1) -> nx.DiGraph:
    """The part of a graph within some hops of a node, whichever way the connections went.

    Raises InputError when the node is not there.
    """
    if node not in graph:
        raise InputError(f"{node} takes part in no connection of this case")
    near = nx.single_source_shortest_path_length(
        graph.to_undirected(as_view=True), node, cutoff=hops
    )
    return nx.DiGraph(graph.subgraph(sorted(near)), about=node)


def reachable(case: Case, address: str, after: pd.Timestamp | None = None) -> nx.DiGraph:
    """Where something that sat at ``address`` could have got to by connections that were answered.

    Only paths that respect time: each step begins no earlier than the one before. Node attribute
    ``arrival`` is the earliest possible moment; edges sum what came after the arrival and nothing
    else. ``after`` is when it began (the first record otherwise). An address that opened nothing
    since gives a graph of itself alone.

    Known limit: a connection shows that a way was open, not that it was taken; one that began
    before the arrival and was still open is not followed; windows blur the order by up to a minute.
    """
    c = case.connections
    steps = c.filter(c.answered, ~c.relay)
    start = after if after is not None else case.span[0]
    arrival: dict[str, pd.Timestamp] = {} if start is None else {address: start}
    fresh = dict(arrival)
    while fresh:  # as often as the longest path has steps: an arrival only ever gets earlier
        onward = _onward(steps, fresh).group_by("responder")
        fresh = {}
        for row in onward.aggregate(at=_.first_seen.min()).to_pyarrow().to_pylist():
            node, at = row["responder"], pd.Timestamp(row["at"])
            if node not in arrival or at < arrival[node]:
                arrival[node] = fresh[node] = at
    reach = _drawn_up(case, connections.pairs(_onward(steps, arrival)), "address")
    if address not in reach:
        reach.add_node(address, **_EMPTY | {"label": address, "address": address})
        arrival.setdefault(address, pd.NaT)  # a case without records knows no moment
    for node in reach:
        reach.nodes[node]["arrival"] = arrival[node]
    reach.graph["about"] = address
    return reach


def _onward(steps: ibis.Table, arrival: dict[str, pd.Timestamp]) -> ibis.Table:
    """The connections that each of these addresses opened once it had been reached."""
    reached = ({"node": node, "arrival": at} for node, at in arrival.items())
    known = ibis.memtable(_ARRIVAL.rows(reached))
    onward = steps.inner_join(known, steps.initiator == known.node)
    return onward.filter(onward.first_seen >= onward.arrival)


def _drawn_up(case: Case, pairs: ibis.Table, level: str) -> nx.DiGraph:
    """The graph of these pairs, its nodes as the address book knows them."""
    book = to_frame(case.addresses.to_pyarrow()).set_index("address")
    group = book[LEVELS[level]] if level != "address" else pd.Series(book.index, book.index)
    place = group.where(group.notna(), pd.Series(book.index, book.index)).to_dict()
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
    periods = _periods(case)
    graph = nx.DiGraph()
    addresses = sorted(set(rows["initiator"]) | set(rows["responder"]))
    for known in book.loc[addresses].reset_index().to_dict("records"):
        _add_node(graph, place[known["address"]], known, level)
    ports: dict[tuple[str, str], set[int]] = {}
    for row in rows.to_dict("records"):
        ends = place[row["initiator"]], place[row["responder"]]
        ports.setdefault(ends, set()).add(row["service_port"])
        held = [_note_kinds(graph.nodes[place[a]], periods.get(a, []), row) for a in
                (row["initiator"], row["responder"])]  # fmt: skip
        _add_edge(graph, *ends, row, listed=any(held))
    for *ends, edge in graph.edges(data=True):
        edge["ports"] = _ports(ports[ends[0], ends[1]])
        edge["verdict"] = _verdict(edge)
    for _node, known in graph.nodes(data=True):
        known["lapsed"] = ", ".join(sorted(known["lapsed"] - known["kinds"]))
        known["kinds"] = ", ".join(sorted(known["kinds"]))
    return graph


def _periods(case: Case) -> dict[str, list[dict[str, Any]]]:
    """The indicators of each address: kind, valid_from, valid_until."""
    found: dict[str, list[dict[str, Any]]] = {}
    columns = case.matches.select("address", "kind", "valid_from", "valid_until")
    for row in columns.to_pyarrow().to_pylist():
        found.setdefault(row["address"], []).append(row)
    return found


def _note_kinds(
    known: dict[str, Any], indicators: list[dict[str, Any]], row: dict[str, Any]
) -> bool:
    """Add to a node what its indicators call it; whether one held when it spoke."""
    held = False
    for one in indicators:
        begun = one["valid_from"] is None or one["valid_from"] <= row["last_seen"]
        in_force = begun and (one["valid_until"] is None or one["valid_until"] >= row["first_seen"])
        known["kinds" if in_force else "lapsed"].add(one["kind"])
        held |= in_force
    return held


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
        kinds=set(),
        lapsed=set(),
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
