"""Connections as tables of given rows, for tests that need no flow log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis

from flowbench.connections import TABLE, summarize_connections
from tests.traffic import T0


def connection(
    initiator: str, responder: str, port: int, at: int = 0, *, seconds: int = 59, **fields: Any
) -> dict[str, Any]:
    """Return an unanswered connection that began ``at`` seconds after T0."""
    begin = datetime.fromtimestamp(T0 + at, UTC)
    ends = [address.startswith(("10.", "fd00:")) for address in (initiator, responder)]
    kinds = {(True, True): "internal", (True, False): "outbound", (False, True): "inbound"}
    return {
        "initiator": initiator,
        "initiator_port": 41_000,
        "responder": responder,
        "service_port": port,
        "protocol": 6,
        "first_seen": begin,
        "last_seen": begin + timedelta(seconds=seconds),
        "interface_id": "eni-a",
        "bytes_out": 60,
        "bytes_in": 0,
        "packets_out": 1,
        "packets_in": 0,
        "records": 1,
        "rejected": False,
        "rejected_records": 0,
        "answered": False,
        "syn_sent": None,
        "direction": kinds.get((ends[0], ends[1]), "external"),
        "intermediate": False,
        "initiator_rule": "one-way",
    } | fields


def answered(
    initiator: str, responder: str, port: int, at: int = 0, **fields: Any
) -> dict[str, Any]:
    """Return a connection of which both ends sent data."""
    given = {"bytes_out": 800, "bytes_in": 3_000, "packets_out": 5, "packets_in": 5}
    given |= {"answered": True, "initiator_rule": "ports"} | fields
    return connection(initiator, responder, port, at, **given)


def tables(rows: Iterable[dict[str, Any]]) -> tuple[ibis.Table, ibis.Table]:
    """Return the connections, and their summaries."""
    connections = ibis.memtable(TABLE.rows(rows))
    return connections, summarize_connections(connections)
