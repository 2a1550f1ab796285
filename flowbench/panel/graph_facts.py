"""What the graph explorer tells of a node and of an edge: facts for hover, cells for the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pandas as pd

from flowbench.text import escape_controls, format_bytes, format_count, format_period, format_time

NODE_COLUMNS = (
    "Address",
    "Name",
    "Kind",
    "Indicators",
    "Connections",
    "Rejected",
    "Sent",
    "Received",
    "First seen (UTC)",
    "Last seen (UTC)",
)
EDGE_COLUMNS = (
    "Initiator and responder",
    "Verdict",
    "Ports",
    "Connections",
    "Rejected",
    "Bytes out",
    "Bytes in",
    "First seen (UTC)",
    "Last seen (UTC)",
)
_KNOWN = {
    "service": "service",
    "vpc": "VPC",
    "indicator_kinds": "indicator",
    "expired_kinds": "indicator, outside its period",
    "sessions": "administrative sessions",
    "principals": "called the AWS API",
}


@dataclass(frozen=True)
class _Traffic:
    """The sums of a node's edges in the graph."""

    peers: int
    connections: int
    rejected: int
    sent: int
    received: int
    first_seen: pd.Timestamp | None
    last_seen: pd.Timestamp | None


def is_group(attributes: Mapping[str, Any]) -> bool:
    """Whether a node stands for several addresses."""
    return attributes["service"] == "group"


def node_facts(graph: nx.DiGraph, node: str, tag: str | None) -> list[str]:
    """Return what is known of a node, its tag, and its traffic in the graph: a line each."""
    attributes, traffic = graph.nodes[node], _sum_traffic(graph, node)
    name = f" ({attributes['name']})" if attributes["name"] else ""
    facts = [f"{_title(node, attributes)}{name}"]
    if not is_group(attributes):
        known = ((label, attributes[key]) for key, label in _KNOWN.items())
        facts += [f"{label}: {value}" for label, value in known if value]
    if tag is not None:
        facts.append(f"tag: {tag}")
    if traffic.first_seen is None or traffic.last_seen is None:
        return _clean([*facts, "no connection with the nodes shown"])
    return _clean(
        [
            *facts,
            f"{format_count(traffic.connections, 'connection')} with"
            f" {format_count(traffic.peers, 'node')} shown, {traffic.rejected:,} rejected",
            f"{format_bytes(traffic.sent)} sent, {format_bytes(traffic.received)} received",
            format_period(traffic.first_seen, traffic.last_seen),
        ]
    )


def node_cells(graph: nx.DiGraph, node: str, kind: str) -> list[str]:
    """Return a node's row: a cell for each of NODE_COLUMNS."""
    attributes, traffic = graph.nodes[node], _sum_traffic(graph, node)
    return _clean(
        [
            _title(node, attributes),
            attributes["name"],
            kind,
            attributes["indicator_kinds"],
            f"{traffic.connections:,}",
            f"{traffic.rejected:,}",
            format_bytes(traffic.sent),
            format_bytes(traffic.received),
            _time(traffic.first_seen),
            _time(traffic.last_seen),
        ]
    )


def edge_facts(graph: nx.DiGraph, source: str, target: str) -> list[str]:
    """Return what connections from a node to another had: a line each."""
    edge = graph.edges[source, target]
    return _clean(
        [
            _ends(graph, source, target),
            f"{edge['verdict']}; port {edge['ports']}",
            f"{format_count(edge['connections'], 'connection')}, {edge['rejected']:,} rejected",
            f"{format_bytes(edge['bytes_out'])} out, {format_bytes(edge['bytes_in'])} in",
            format_period(edge["first_seen"], edge["last_seen"]),
        ]
    )


def edge_cells(graph: nx.DiGraph, source: str, target: str) -> list[str]:
    """Return an edge's row: a cell for each of EDGE_COLUMNS."""
    edge = graph.edges[source, target]
    return _clean(
        [
            _ends(graph, source, target),
            edge["verdict"],
            edge["ports"],
            f"{edge['connections']:,}",
            f"{edge['rejected']:,}",
            format_bytes(edge["bytes_out"]),
            format_bytes(edge["bytes_in"]),
            _time(edge["first_seen"]),
            _time(edge["last_seen"]),
        ]
    )


def _title(node: str, attributes: Mapping[str, Any]) -> str:
    """The address of a node, or how many a group has and of what."""
    if not is_group(attributes):
        return node
    return f"{format_count(attributes['members'], 'address', 'addresses')}: {attributes['label']}"


def _ends(graph: nx.DiGraph, *ends: str) -> str:
    return " → ".join(_title(node, graph.nodes[node]) for node in ends)


def _sum_traffic(graph: nx.DiGraph, node: str) -> _Traffic:
    outgoing = [edge for *_, edge in graph.out_edges(node, data=True)]
    incoming = [edge for *_, edge in graph.in_edges(node, data=True)]
    edges = outgoing + incoming
    return _Traffic(
        peers=len(set(nx.all_neighbors(graph, node))),
        connections=sum(edge["connections"] for edge in edges),
        rejected=sum(edge["rejected"] for edge in edges),
        sent=sum(e["bytes_out"] for e in outgoing) + sum(e["bytes_in"] for e in incoming),
        received=sum(e["bytes_in"] for e in outgoing) + sum(e["bytes_out"] for e in incoming),
        first_seen=min((edge["first_seen"] for edge in edges), default=None),
        last_seen=max((edge["last_seen"] for edge in edges), default=None),
    )


def _time(time: pd.Timestamp | None) -> str:
    return "" if time is None else format_time(time, seconds=True)


def _clean(texts: Iterable[str]) -> list[str]:
    """The texts with characters that hide or reorder text as codes."""
    return [escape_controls(text) for text in texts]
