"""The neighbours of some hosts in a period, as a graph that can be drawn: too many are grouped.

Who communicated with whom is asked of the engine for the hosts that are expanded; only the nodes
that are drawn, and a row for each group, come to Python.

A group has the addresses of one cloud service, network owner, country, subnet or network. External
addresses without an answered connection are grouped first, then those with the fewest connections;
but never an address that held an administrative session, called the AWS API, or is an indicator
match by an answered connection.

Node attributes are those of ``graph`` that tell what a node is; the id of a group begins with
``group:``, and its ``service`` is 'group'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import networkx as nx
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.investigate.api_events import read_callers
from flowbench.investigate.graph import build_graph
from flowbench.investigate.neighbour_scope import Scope, summaries_in
from flowbench.schema import Table, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_EDGES = 3_000
MOST_GROUPS = 40
GROUP = "group:"  # begins the id of a group; no address begins with it
OTHERS = "other networks"

MEMBERS = Table.of(
    "members",
    ("address", "string", "an address of the group"),
    ("connections", "int64", "its connections with the hosts that are expanded"),
    ("rejected", "int64", "those that were rejected"),
    ("bytes", "int64", "bytes in both directions"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last connection"),
)
_SUMS = ("connections", "rejected", "answered", "bytes_out", "bytes_in")


@dataclass(frozen=True)
class Protected:
    """Addresses that are not grouped: ``always``, or ``matched`` if they were answered."""

    always: frozenset[str]
    matched: frozenset[str]


def find_protected(case: Case) -> Protected:
    """Find the addresses that held a session or called the API, and the indicator matches."""
    matches = case.indicator_matches.select("address").distinct()
    always = {*case.session_counts, *read_callers(case)}
    return Protected(frozenset(always), frozenset(matches.to_pyarrow()["address"].to_pylist()))


def build_neighbourhood(case: Case, scope: Scope, protected: Protected) -> nx.DiGraph:
    """Build the graph of some hosts, their neighbours, and the connections between all of these.

    Args:
        case: The case.
        scope: What is shown.
        protected: What ``find_protected`` returns.

    Returns:
        A graph like that of ``graph.communication``. The graph has ``grouped``, the number of
        addresses in its groups, ``edges_left_out``: of more than MOST_EDGES, those between
        neighbours with the fewest connections are left out, and ``intermediate``: how many
        connections the expanded hosts have as or with intermediate devices, which are not drawn.
    """
    with summaries_in(case, scope) as summaries:
        graph = _build(case, scope, protected, summaries.filter(~_.intermediate))
        is_end = _.initiator.isin(scope.expanded) | _.responder.isin(scope.expanded)
        left_out = summaries.filter(_.intermediate, is_end) if scope.expanded else None
        count = 0 if left_out is None else left_out.connections.sum().execute()
        graph.graph["intermediate"] = 0 if pd.isna(count) else int(count)
        return graph


def _build(case: Case, scope: Scope, protected: Protected, summaries: ibis.Table) -> nx.DiGraph:
    named = {*scope.hosts, *scope.expanded}
    kept, is_complete = _choose_peers(summaries, scope, protected)
    shown = sorted(named | kept)
    inner = summaries.filter(_.initiator.isin(shown), _.responder.isin(shown))
    inner, left_out = _choose_edges(inner, sorted(named))
    graph = build_graph(case, inner)
    for address in sorted(named - set(graph)):
        graph.add_node(address, **_describe_silent(case, address))
    graph.graph |= {"grouped": 0, "edges_left_out": left_out}
    if not is_complete:
        _add_groups(graph, _grouped_edges(case, summaries, scope, shown))
    return graph


def list_members(
    case: Case, scope: Scope, protected: Protected, group: str, most: int = 500
) -> pd.DataFrame:
    """List the addresses of a group (MEMBERS), most connections first.

    Args:
        case: The case.
        scope: What is shown.
        protected: What ``find_protected`` returns.
        group: The id of a group in the graph of this scope.
        most: The number of addresses to list; the node's ``members`` has the number of all.
    """
    with summaries_in(case, scope) as found:
        summaries = found.filter(~_.intermediate)
        kept, _is_complete = _choose_peers(summaries, scope, protected)
        edges = _grouped_edges(
            case, summaries, scope, sorted({*scope.hosts, *scope.expanded, *kept})
        )
        members = edges.filter(edges.group == group.removeprefix(GROUP))
        rows = members.group_by(address=members.peer).aggregate(
            connections=members.connections.sum(),
            rejected=members.rejected.sum(),
            bytes=(members.bytes_out + members.bytes_in).sum(),
            first_seen=members.first_seen.min(),
            last_seen=members.last_seen.max(),
        )
        rows = rows.order_by(rows.connections.desc(), rows.address).limit(most)
        return to_frame(rows.select(*MEMBERS.columns).to_pyarrow())


def _peer_edges(summaries: ibis.Table, expanded: Iterable[str]) -> ibis.Table:
    """The summaries of expanded hosts: host, peer, who opened, whether the peer is internal."""
    columns = ("service_port", "first_seen", "last_seen", *_SUMS)
    hosts = sorted(expanded)
    s = summaries
    opened, accepted = (
        s.filter(s[host].isin(hosts)).select(
            *columns,
            host=host,
            peer=peer,
            opened=ibis.literal(host == "initiator"),
            internal=s.direction.isin(["internal", direction]),
        )
        for host, peer, direction in (
            ("initiator", "responder", "inbound"),
            ("responder", "initiator", "outbound"),
        )
    )
    return opened.union(accepted)


def _choose_peers(
    summaries: ibis.Table, scope: Scope, protected: Protected
) -> tuple[set[str], bool]:
    """Choose the neighbours that are nodes of their own; return whether these are all."""
    if not scope.expanded:
        return set(), True
    named = {*scope.hosts, *scope.expanded}
    edges = _peer_edges(summaries, scope.expanded)
    peers = edges.filter(~edges.peer.isin(sorted(named))).group_by("peer")
    peers = peers.aggregate(
        n=_.connections.sum(), answered=_.answered.sum(), internal=_.internal.any()
    )
    peers = peers.mutate(prominent=peers.internal | (peers.answered > 0))
    room = max(scope.most - len(named), 0)
    first = peers.order_by(peers.prominent.desc(), peers.n.desc(), peers.peer).limit(room + 1)
    kept = first.to_pyarrow().to_pylist()
    if len(kept) <= room:
        return {row["peer"] for row in kept}, True
    listed = ibis.memtable(
        {"listed": pa.array(sorted(protected.always | protected.matched), pa.string())}
    )
    rows = peers.semi_join(listed, peers.peer == listed.listed).order_by("peer").to_pyarrow()
    alone = {
        row["peer"]
        for row in rows.to_pylist()
        if row["peer"] in protected.always or row["answered"]
    }
    others = [row["peer"] for row in kept if row["prominent"] and row["peer"] not in alone]
    return alone | set(others[: max(room - MOST_GROUPS - len(alone), 0)]), False


def _choose_edges(inner: ibis.Table, named: list[str]) -> tuple[ibis.Table, int]:
    """Choose the summaries of the edges that are drawn; return how many edges are not."""
    pairs = inner.group_by("initiator", "responder").aggregate(n=_.connections.sum())
    count = int(pairs.count().execute())
    if count <= MOST_EDGES:
        return inner, 0
    is_named = pairs.initiator.isin(named) | pairs.responder.isin(named)
    order = [is_named.desc(), pairs.n.desc(), pairs.initiator, pairs.responder]
    drawn = pairs.order_by(order).limit(MOST_EDGES)
    ends = [inner[name] == drawn[name] for name in ("initiator", "responder")]
    return inner.semi_join(drawn, ends), count - MOST_EDGES


def _grouped_edges(case: Case, summaries: ibis.Table, scope: Scope, shown: list[str]) -> ibis.Table:
    """The edges to neighbours that are in groups, with the column ``group``."""
    alone = ibis.memtable({"alone": pa.array(shown, pa.string())})
    edges = _peer_edges(summaries, scope.expanded)
    edges = edges.anti_join(alone, edges.peer == alone.alone)
    a = case.addresses
    service = ibis.coalesce(a.cloud_service, a.network_owner, "country " + a.country)
    known = a.internal.ifelse(ibis.coalesce("subnet " + a.subnet_id, "VPC " + a.vpc_id), service)
    names = a.group_by(known_address=a.address).aggregate(known=known.min())
    joined = edges.left_join(names, edges.peer == names.known_address).drop("known_address")
    joined = joined.mutate(group=ibis.coalesce(joined.known, _network(joined.peer))).drop("known")
    sizes = joined.group_by("group").aggregate(n=_.peer.nunique())
    most = sizes.order_by(sizes.n.desc(), sizes.group).limit(MOST_GROUPS - 1)
    names = most.to_pyarrow()["group"].to_pylist()
    return joined.mutate(group=joined.group.isin(names).ifelse(joined.group, OTHERS))


def _network(address: ibis.Value) -> ibis.Value:
    """The network of an address as text: /16 for IPv4; the first 32 bits of IPv6."""
    parts, hextets = address.split("."), address.split(":")
    ipv4 = parts[0] + "." + parts[1] + ".0.0/16"
    return address.contains(":").ifelse(hextets[0] + ":" + hextets[1] + "::/32", ipv4)


def _add_groups(graph: nx.DiGraph, edges: ibis.Table) -> None:
    """Add a node for each group, and its edges to the hosts that are expanded."""
    sizes = edges.group_by("group").aggregate(n=_.peer.nunique())
    for row in sizes.order_by("group").to_pyarrow().to_pylist():
        known = {"label": row["group"], "service": "group", "members": row["n"]}
        graph.add_node(GROUP + row["group"], **_NOTHING_KNOWN | known)
        graph.graph["grouped"] += row["n"]
    sums = {name: edges[name].sum() for name in _SUMS}
    rows = edges.group_by("group", "host", "opened").aggregate(
        first_seen=edges.first_seen.min(),
        last_seen=edges.last_seen.max(),
        ports=edges.service_port.nunique(),
        **sums,
    )
    ordered = to_frame(rows.order_by("group", "host", "opened").to_pyarrow())
    for row in ordered.to_dict("records"):
        ends = row["host"], GROUP + row["group"]
        graph.add_edge(*(ends if row["opened"] else reversed(ends)), **_edge(row))


def _edge(row: dict[str, Any]) -> dict[str, Any]:
    count = row["ports"]
    rejected = row["rejected"] and not row["answered"]
    return {
        **{name: int(row[name]) for name in _SUMS},
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "ports": f"{count:,} different" if count != 1 else "1",
        "indicator_match": False,
        "verdict": "rejected" if rejected else "accepted",
    }


_NOTHING_KNOWN = {
    "name": "",
    "address": "",
    "internal": False,
    "service": "",
    "vpc": "",
    "indicator_kinds": "",
    "expired_kinds": "",
    "sessions": 0,
    "principals": "",
    "members": 1,
}


def _describe_silent(case: Case, address: str) -> dict[str, Any]:
    """What is known of a host that has no connection with the others."""
    rows = case.addresses.filter(_.address == address).order_by("valid_from", "interface_id")
    known = {"label": address, "address": address}
    for row in rows.to_pyarrow().to_pylist():
        texts = {"name": row["name"], "service": row["service"], "vpc": row["vpc_id"]}
        known |= {name: text or "" for name, text in texts.items()}
        known["internal"] = row["internal"]
    return _NOTHING_KNOWN | known
