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
import pyarrow as pa
from ibis import _

from flowbench import connections
from flowbench.errors import InputError
from flowbench.schema import TYPES, Table, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

LEVELS = {"address": "address", "instance": "instance_id", "subnet": "subnet_id", "vpc": "vpc_id"}
_SUMS = ("connections", "rejected", "answered", "bytes_out", "bytes_in")
_PORTS_SHOWN = 6
_TURN = "\t"  # between an address and the number of its holder; no address has one
_ARRIVAL = Table.of(
    "arrival",
    ("node", "string", "an address that was reached"),
    ("arrival", "time", "the earliest moment it can have been"),
)
_EMPTY = {"name": "", "internal": True, "service": "", "vpc": "", "kinds": "", "lapsed": ""}


def communication(case: Case, level: str = "address") -> nx.DiGraph:
    """The case's communication graph, its nodes at one of LEVELS.

    At a level other than address, an address that belongs to nothing of that level stays itself.
    NAT gateways' own connections are left out where their clients' are logged. Raises InputError
    for an unknown level.
    """
    if level not in LEVELS:
        raise InputError(f"no level is called {level!r}; there are: {', '.join(LEVELS)}")
    return _drawn_up(case, case.connection_summaries, level)


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
    steps = c.filter(c.answered, ~c.intermediate)
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
    book = _book(case)
    moved = book[book.index.duplicated(keep=False)]
    if level == "address":
        book = _together(book, moved)
    elif len(moved):  # an address counts for whoever held it at the time
        pairs = connections.pairs(_held(case.connections, moved))
        book = book.set_index(book.index + book["turn"])
    place = book["address"].to_dict()
    if level != "address":
        place |= book[LEVELS[level]].dropna().to_dict()
    seen = pairs.filter(~pairs.intermediate).group_by("initiator", "responder", "service_port")
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
    for key, known in zip(addresses, book.loc[addresses].to_dict("records"), strict=True):
        _add_node(graph, place[key], known, level)
    ports: dict[tuple[str, str], set[int]] = {}
    for row in rows.to_dict("records"):
        ends = place[row["initiator"]], place[row["responder"]]
        ports.setdefault(ends, set()).add(row["service_port"])
        held = [
            _note_kinds(graph.nodes[place[end]], periods.get(end.partition(_TURN)[0], []), row)
            for end in (row["initiator"], row["responder"])
        ]
        _add_edge(graph, *ends, row, listed=any(held))
    for *ends, edge in graph.edges(data=True):
        edge["ports"] = _ports(ports[ends[0], ends[1]])
        edge["verdict"] = _verdict(edge)
    for _node, known in graph.nodes(data=True):
        known["lapsed"] = ", ".join(sorted(known["lapsed"] - known["kinds"]))
        known["kinds"] = ", ".join(sorted(known["kinds"]))
    return graph


def _book(case: Case) -> pd.DataFrame:
    """The address book by address; ``turn`` tells the holders of one address apart.

    The holders of an address follow each other without gap or overlap from ``since`` on: between
    the end of one and the start of the next it is the nearer one's.
    """
    book = to_frame(case.addresses.to_pyarrow()).set_index("address", drop=False)
    several = book.index.duplicated(keep=False)
    again = book.groupby(level=0).cumcount()
    book["turn"] = ""
    book.loc[several, "turn"] = _TURN + again[several].astype(str)
    before = book["valid_until"].shift().where(again > 0)
    gap = (book["valid_from"] - before).clip(lower=pd.Timedelta(0)) / 2
    book["since"] = (book["valid_from"] - gap.fillna(pd.Timedelta(0))).where(again > 0)
    return book


def _together(book: pd.DataFrame, moved: pd.DataFrame) -> pd.DataFrame:
    """One row an address, with the names and services of all its holders."""
    whole = book[~book.index.duplicated(keep="last")].copy()
    for column in ("name", "service"):
        for address, found in moved[column].dropna().groupby(level=0):
            whole.loc[address, column] = " / ".join(dict.fromkeys(found))
    return whole


def _held(c: ibis.Table, moved: pd.DataFrame) -> ibis.Table:
    """Connections whose ends carry the turn of the holder that an address had at the time."""
    turns = ibis.memtable(
        pa.table(
            {
                "held": pa.array(moved["address"], pa.string()),
                "turn": pa.array(moved["turn"], pa.string()),
                "since": pa.array(moved["since"], TYPES["time"]),
                "until": pa.array(moved.groupby(level=0)["since"].shift(-1), TYPES["time"]),
            }
        )
    )
    for end in ("initiator", "responder"):
        t = turns.view()
        begun = t.since.isnull() | (c.first_seen >= t.since)
        joined = c.left_join(
            t, [c[end] == t.held, begun, t.until.isnull() | (c.first_seen < t.until)]
        )
        c = joined.mutate(**{end: joined[end] + joined.turn.fill_null("")}).drop(
            "held", "turn", "since", "until"
        )
    return c


def _periods(case: Case) -> dict[str, list[dict[str, Any]]]:
    """The indicators of each address: kind, valid_from, valid_until."""
    found: dict[str, list[dict[str, Any]]] = {}
    columns = case.indicator_matches.select("address", "kind", "valid_from", "valid_until")
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
        internal=bool(known["internal"]),
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
    if edge["rejected"] and not edge["answered"]:
        return "rejected"  # listed or not: what was turned away is noise, or at most a try
    return "listed" if edge["listed"] else "accepted"


def _ports(ports: set[int]) -> str:
    shown = ", ".join(str(port) for port in sorted(ports)[:_PORTS_SHOWN])
    return shown + (f" and {len(ports) - _PORTS_SHOWN} more" if len(ports) > _PORTS_SHOWN else "")
