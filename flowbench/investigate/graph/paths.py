"""Paths in order of time: what an address can have reached, and what can have reached it.

Only answered connections count, and only in order: each step begins no earlier than the one before.
The method is that of time-respecting paths in temporal networks (Kempe, Kleinberg and Kumar, 2002;
Holme and Saramäki, 2012), computed step by step in the engine.

Limitations: a connection shows that a path was open, not that it was used; one that began before
the arrival and was still open is not followed; aggregation intervals blur the order of connections
by their length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ibis
import networkx as nx
import pandas as pd
from ibis import _

from flowbench.connections import summarize_connections
from flowbench.errors import InputError
from flowbench.investigate.graph.build import build_graph
from flowbench.schema import Table

if TYPE_CHECKING:
    from flowbench.case import Case

_MOMENT = Table.of(
    "moment",
    ("node", "string", "an address on a path"),
    ("moment", "time", "the earliest arrival at it, or the latest departure from it"),
)
BLAST_RADIUS = Table.of(
    "blast_radius",
    ("hop", "int64", "the least number of connections to the nodes"),
    ("hour", "time", "the hour of the earliest possible arrival at them (UTC)"),
    ("nodes", "int64", "number of nodes"),
    ("internal", "int64", "how many of them are internal"),
    ("reached_so_far", "int64", "number of nodes with an arrival in this hour or earlier"),
    ("names", "strings", "the nodes, in order"),
)
# Of the address itself, if it has no connection.
_NO_ATTRIBUTES = {
    "name": "",
    "internal": True,
    "service": "",
    "vpc": "",
    "country": "",
    "members": 1,
    "member_names": "",
    "indicator_kinds": "",
    "expired_kinds": "",
    "sessions": 0,
    "principals": "",
    "connections": 0,
    "rejected": 0,
    "bytes_sent": 0,
    "bytes_received": 0,
}


def reachable(case: Case, address: str, after: pd.Timestamp | None = None) -> nx.DiGraph:
    """Build the graph of what could be reached from an address by answered connections.

    The node attribute ``arrival`` is the earliest possible time, ``hops`` the least number of
    connections; edges sum the connections after the arrival.

    Args:
        case: The case.
        address: Where paths begin.
        after: When they begin; by default with the case's first record.

    Returns:
        The graph; of the address alone if it initiated no connection since.

    Raises:
        InputError: Several hosts have the address.
    """
    return _follow(case, address, after if after is not None else case.span[0], forward=True)


def reaching(case: Case, address: str, before: pd.Timestamp | None = None) -> nx.DiGraph:
    """Build the graph of what could have reached an address by answered connections.

    The node attribute ``departure`` is the latest time at which a path can have left a node,
    ``hops`` the least number of connections; edges sum the connections until the departure.

    Args:
        case: The case.
        address: Where paths end.
        before: When they end; by default with the case's last record.

    Returns:
        The graph; of the address alone if no connection to it was answered before.

    Raises:
        InputError: Several hosts have the address.
    """
    return _follow(case, address, before if before is not None else case.span[1], forward=False)


def blast_radius(reach: nx.DiGraph) -> pd.DataFrame:
    """Count the nodes that could be reached, by hop and by hour of arrival.

    Args:
        reach: As ``reachable`` returns it; the address itself does not count.

    Returns:
        Rows of BLAST_RADIUS, ordered by hour and hop.

    Raises:
        InputError: The graph is another one.
    """
    if any("arrival" not in attributes for attributes in reach.nodes.values()):
        raise InputError("this graph has no arrivals: give what fb.graph.reachable returns")
    groups: dict[tuple[pd.Timestamp, int], list[str]] = {}
    for node, attributes in sorted(reach.nodes(data=True)):
        if node != reach.graph["center"]:
            key = (attributes["arrival"].floor("h"), attributes["hops"])
            groups.setdefault(key, []).append(node)
    until = pd.Series({hour: 0 for hour, _hop in sorted(groups)}, dtype="int64")
    for (hour, _hop), nodes in groups.items():
        until[hour] += len(nodes)
    until = until.cumsum()
    rows = (
        {
            "hop": hop,
            "hour": hour,
            "nodes": len(nodes),
            "internal": sum(reach.nodes[node]["internal"] for node in nodes),
            "reached_so_far": int(until[hour]),
            "names": nodes,
        }
        for (hour, hop), nodes in sorted(groups.items())
    )
    return BLAST_RADIUS.frame(rows)


def _follow(case: Case, address: str, start: pd.Timestamp | None, *, forward: bool) -> nx.DiGraph:
    """Follow connections from an address, or back from it, and build their graph."""
    address, c = case.check_host(address), case.connections
    steps = c.filter(c.answered, ~c.intermediate)
    moments: dict[str, pd.Timestamp] = {} if start is None else {address: start}
    hops, updated, hop = {address: 0}, dict(moments), 0
    end = "responder" if forward else "initiator"
    best = _.first_seen.min() if forward else _.first_seen.max()
    while updated:  # at most as often as the longest path has steps: moments change one way only
        hop += 1
        onward = _in_order(steps, updated, forward=forward).group_by(end).aggregate(at=best)
        updated = {}
        for row in onward.to_pyarrow().to_pylist():
            node, time = row[end], pd.Timestamp(row["at"])
            hops.setdefault(node, hop)
            known = moments.get(node)
            if known is None or (time < known if forward else time > known):
                moments[node] = updated[node] = time
    graph = build_graph(case, summarize_connections(_in_order(steps, moments, forward=forward)))
    if address not in graph:
        graph.add_node(address, label=address, address=address, **_NO_ATTRIBUTES)
        moments.setdefault(address, pd.NaT)  # a case without records has no start
    for node, attributes in graph.nodes(data=True):
        attributes["arrival" if forward else "departure"] = moments[node]
        attributes["hops"] = hops[node]
    graph.graph["center"] = address
    return graph


def _in_order(
    steps: ibis.Table, moments: Mapping[str, pd.Timestamp], *, forward: bool
) -> ibis.Table:
    """The connections from each node since its arrival, or to each node until its departure."""
    rows = ({"node": node, "moment": time} for node, time in moments.items())
    table = ibis.memtable(_MOMENT.rows(rows))
    joined = steps.inner_join(table, steps["initiator" if forward else "responder"] == table.node)
    begun = joined.first_seen
    return joined.filter(begun >= joined.moment if forward else begun <= joined.moment)
