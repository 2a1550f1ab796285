"""What a case has about anything an analyst names: addresses, records, connections, a graph.

Each function takes what ``pivot.resolve`` takes: an address, a network, an interface, an instance,
the value of a Name tag, a domain, a principal or an access key.

Known limits: of a principal or key, the addresses are those that its calls came from; others may
have used them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import ibis
import networkx as nx
import pandas as pd

from flowbench.connections import summarize_connections
from flowbench.errors import InputError
from flowbench.investigate import graph as graphs
from flowbench.investigate.about_records import (
    addresses_of,
    combine,
    evidence,
    overlaps,
    periods,
)
from flowbench.investigate.filters import Filters, filter_connections
from flowbench.investigate.pivot import Pivot, resolve
from flowbench.schema import Table
from flowbench.text import escape_controls

if TYPE_CHECKING:
    from flowbench.case import Case

EDGES = Table.of(
    "edges",
    ("source", "string", "who initiated the connections: an address, instance, subnet or VPC"),
    ("target", "string", "who they went to"),
    ("ports", "string", "service ports"),
    ("connections", "int64", "number of connections"),
    ("rejected", "int64", "number of them that were rejected"),
    ("answered", "int64", "number of them that were answered"),
    ("bytes_out", "int64", "bytes from source to target"),
    ("bytes_in", "int64", "bytes from target to source"),
    ("first_seen", "time", "start of the first"),
    ("last_seen", "time", "end of the last"),
    ("verdict", "string", "accepted, rejected or indicator match"),
)

__all__ = [
    "EDGES",
    "addresses",
    "addresses_of",
    "combine",
    "connections",
    "edges",
    "evidence",
    "graph",
]

_EVERYTHING = Filters()
_LEVELS = ("address", "instance")  # of a graph about something


def addresses(case: Case, *pivots: str | Pivot) -> ibis.Table:
    """Return the rows of the address inventory that belong to any of these.

    Args:
        case: The case.
        *pivots: What ``pivot.resolve`` takes, or its result.

    Returns:
        Rows of ``case.addresses``, without an order; of an interface, instance or Name tag the
        assignments to it only.

    Raises:
        InputError: One is nothing in this case.
    """
    inventory = case.addresses
    conditions = []
    for found in _resolve_all(case, pivots):
        is_one = inventory.address.isin(addresses_of(case, found))
        if found.interface_ids:
            own = inventory.interface_id
            is_one &= own.isnull() | own.isin(found.interface_ids)
        conditions.append(is_one)
    return inventory.filter(ibis.or_(ibis.literal(False), *conditions))


def connections(case: Case, what: str | Pivot, filters: Filters = _EVERYTHING) -> ibis.Table:
    """Return the connections of something, while it had its addresses, in a total order.

    Args:
        case: The case.
        what: What ``pivot.resolve`` takes, or its result.
        filters: Which connections are wanted.

    Returns:
        Rows of ``case.connections`` by first_seen, ends and ports.
    """
    (found,) = _resolve_all(case, [what])
    table = filter_connections(case, filters)
    conditions = []
    for wanted, first, last in periods(case, found):
        is_end = table.initiator.isin(wanted) | table.responder.isin(wanted)
        conditions.append(is_end & overlaps(table.first_seen, table.last_seen, first, last))
    ends = ["initiator", "initiator_port", "responder", "service_port", "protocol"]
    rows = table.filter(ibis.or_(ibis.literal(False), *conditions))
    return rows.order_by("first_seen", *ends)


def graph(
    case: Case,
    what: str | Pivot | None = None,
    *,
    level: str = "address",
    outsiders: str = "address",
    hops: int = 1,
    filters: Filters = _EVERYTHING,
) -> nx.DiGraph:
    """Build the communication graph of a case, or the part of it near something.

    Args:
        case: The case.
        what: What ``pivot.resolve`` takes, or its result; without it the whole graph.
        level: What nodes are: one of graph.LEVELS; with ``what``, an address or an instance.
        outsiders: How external addresses are grouped; one of graph.OUTSIDERS.
        hops: How many connections away from it, in either direction.
        filters: Which connections count.

    Returns:
        The graph, as ``graph.communication`` describes it.

    Raises:
        InputError: It is nothing in this case, or has no connection.
    """
    if what is not None and level not in _LEVELS:
        raise InputError(f"a graph of one subject has nodes by {' or '.join(_LEVELS)}: choose one")
    if filters == _EVERYTHING:
        whole = graphs.communication(case, level, outsiders=outsiders)
    else:
        chosen = filter_connections(case, filters)
        summaries = summarize_connections(chosen)
        whole = graphs.build_graph(case, summaries, level, outsiders, connections=chosen)
    if what is None:
        return whole
    (found,) = _resolve_all(case, [what])
    named = {*addresses_of(case, found), *found.instance_ids}
    own = sorted(node for node in whole if node in named or whole.nodes[node]["address"] in named)
    if not own:
        shown = escape_controls(found.text)
        raise InputError(f"{shown} ({found.kind}) has no connection in this case and period")
    if len(own) == 1:
        return graphs.around(whole, own[0], hops)
    near = {name for node in own for name in graphs.around(whole, node, hops)}
    return nx.DiGraph(whole.subgraph(sorted(near)), center=found.text)


def edges(drawn: nx.DiGraph) -> pd.DataFrame:
    """Return the edges of a communication graph as a table (EDGES): what matters most first."""
    frame = EDGES.frame(
        attributes | {"source": source, "target": target}
        for source, target, attributes in drawn.edges(data=True)
    )
    volume = frame["bytes_out"] + frame["bytes_in"]
    frame = frame.assign(match=frame["verdict"] == "indicator match", volume=volume)
    order = {"match": False, "volume": False, "source": True, "target": True}
    frame = frame.sort_values(list(order), ascending=list(order.values()), ignore_index=True)
    return frame[EDGES.columns]


def _resolve_all(case: Case, pivots: Iterable[str | Pivot]) -> list[Pivot]:
    return [resolve(case, each) if isinstance(each, str) else each for each in pivots]
