"""Service ports by constancy: one host's port stays the same while the other host's changes.

A client takes a new port for each connection; a service keeps its own. In one connection without
TCP flags between two high ports the service port cannot be determined; several connections between
the same two hosts show it.

The distinct ephemeral ports of the other host are counted. A TCP record of a single packet does not
count: it is a probe or its reset, and a scanner may keep its source port too.

Limitations: fewer than MIN_CLIENT_PORTS connections between two hosts, or a client that keeps its
port, give no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.initiator import EPHEMERAL, FIRST_UNRESERVED, is_service_port

MIN_CLIENT_PORTS = 4
_PAIR = ["low", "high", "protocol"]
_TCP, _UDP = 6, 17


def find_constant_ports(connection: Backend, parts: Sequence[Path]) -> ibis.Table:
    """Count the client ports of each constant port, by pair of hosts.

    Args:
        connection: Where the result is kept.
        parts: The parts of Staged, at least one.

    Returns:
        low, high (ids of hosts), protocol, end ("low" or "high": whose port it is), port,
        client_ports (at least MIN_CLIENT_PORTS).
    """
    counts = [
        engine.materialize(connection, _port_pairs(engine.read_parquet(connection, part)))
        for part in parts
    ]
    pairs = ibis.union(*counts, distinct=True) if len(counts) > 1 else counts[0].distinct()
    ends = [
        pairs.filter(pairs[f"{other}_port"] >= EPHEMERAL)
        .group_by([*_PAIR, f"{end}_port"])
        .aggregate(client_ports=_.count())
        .filter(_.client_ports >= MIN_CLIENT_PORTS)
        .select(*_PAIR, "client_ports", end=ibis.literal(end), port=f"{end}_port")
        for end, other in (("low", "high"), ("high", "low"))
    ]
    found = engine.materialize(connection, ends[0].union(ends[1]))
    engine.drop(connection, *counts)
    return found


def with_client_ports(c: ibis.Table, constant: ibis.Table) -> ibis.Table:
    """Add ``low_clients`` and ``high_clients``: how many ports used the port of that end, or 0."""
    for end in ("low", "high"):
        known = constant.filter(constant.end == end).select(
            *_PAIR, **{f"{end}_port": _.port, "clients": _.client_ports}
        )
        keys = [*_PAIR, f"{end}_port"]
        joined = c.left_join(known, keys)
        c = joined.select(*c.columns, **{f"{end}_clients": joined.clients.fill_null(0)})
    return c


def _port_pairs(r: ibis.Table) -> ibis.Table:
    """The pairs of ports of records in which nothing else shows the service port."""
    unclear = ibis.and_(
        *(
            (r[port] >= FIRST_UNRESERVED) & ~is_service_port(r.protocol, r[port])
            for port in ("low_port", "high_port")
        )
    )
    no_flags = (r.protocol == _UDP) | ((r.protocol == _TCP) & r.flags.isnull() & (r.packets > 1))
    return r.filter(unclear & no_flags).select(*_PAIR, "low_port", "high_port").distinct()
