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

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.initiator import EPHEMERAL, FIRST_UNRESERVED, is_service_port

MIN_CLIENT_PORTS = 4
_PAIR = ["low", "high", "protocol"]
_TCP, _UDP = 6, 17


def is_unclear(c: ibis.Table) -> ibis.Value:
    """Whether a connection is counted here, or may be decided by what is counted.

    Args:
        c: Connections of which the initiator is not yet decided (sessions.join_records).
    """
    ports = ibis.and_(
        *(
            (c[port] >= FIRST_UNRESERVED) & ~is_service_port(c.protocol, c[port])
            for port in ("low_port", "high_port")
        )
    )
    syn_shows = (c.syn_up != c.syn_down) | (c.syn_ack_up != c.syn_ack_down)
    return ports & c.protocol.isin([_TCP, _UDP]) & (c.no_flags_up | c.no_flags_down | ~syn_shows)


def find_constant_ports(connection: Backend, unclear: ibis.Table) -> ibis.Table:
    """Count the client ports of each constant port, by pair of hosts.

    Args:
        connection: Where the result is kept.
        unclear: The connections that are unclear (is_unclear).

    Returns:
        low, high (hosts), protocol, end ("low" or "high": whose port it is), port, client_ports
        (at least MIN_CLIENT_PORTS).
    """
    counted = unclear.filter(unclear.no_flags_up | unclear.no_flags_down)
    pairs = counted.select(*_PAIR, "low_port", "high_port").distinct()
    ends = [
        pairs.filter(pairs[f"{other}_port"] >= EPHEMERAL)
        .group_by([*_PAIR, f"{end}_port"])
        .aggregate(client_ports=_.count())
        .filter(_.client_ports >= MIN_CLIENT_PORTS)
        .select(*_PAIR, "client_ports", end=ibis.literal(end), port=f"{end}_port")
        for end, other in (("low", "high"), ("high", "low"))
    ]
    return engine.materialize(connection, ends[0].union(ends[1]))


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
