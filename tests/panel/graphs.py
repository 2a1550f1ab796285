"""A small graph as neighbours.build_neighbourhood returns it, with hostile names."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pandas as pd

HOST, POOL, GROUP = "10.0.0.5", "203.0.113.50", "group:country CN"
HOSTILE = "<b>build</b>\u202e"


def node(**known: Any) -> dict[str, Any]:
    """The attributes of a node."""
    nothing = dict.fromkeys(("name", "service", "vpc", "indicator_kinds", "expired_kinds"), "")
    return nothing | {"internal": False, "sessions": 0, "principals": "", "members": 1} | known


def edge(first: int, last: int, verdict: str, **sums: Any) -> dict[str, Any]:
    """The attributes of an edge, between two hours of a day."""
    day = pd.Timestamp("2026-09-02", tz="UTC")
    times = {
        "first_seen": day + pd.Timedelta(hours=first),
        "last_seen": day + pd.Timedelta(hours=last),
    }
    zeros = {"connections": 1, "rejected": 0, "answered": 1, "bytes_out": 0, "bytes_in": 0}
    return zeros | {"ports": "22", "verdict": verdict} | times | sums


def make_graph() -> nx.DiGraph:
    """A host, a mining pool, a group of scanners, and a host without connections."""
    graph = nx.DiGraph(grouped=1234)
    graph.add_node(HOST, **node(name=HOSTILE, service="ec2", vpc="vpc-1", internal=True))
    graph.add_node(POOL, **node(indicator_kinds="mining"))
    graph.add_node(GROUP, **node(service="group", label="country CN", members=1234))
    graph.add_node("10.0.0.9", **node(service="rds", internal=True))
    match = edge(3, 5, "indicator match", connections=6, bytes_out=1_500, bytes_in=2_000_000)
    graph.add_edge(HOST, POOL, **match | {"ports": "3333"})
    graph.add_edge(GROUP, HOST, **edge(2, 4, "rejected", connections=10, rejected=10))
    return graph
