"""Peers: the addresses that hosts communicated with, and since when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ibis
from ibis import _

from flowbench.errors import InputError
from flowbench.investigate.traffic import read_host_traffic
from flowbench.investigate.where import Expression
from flowbench.investigate.where.values import Moment, read_time
from flowbench.schema import Table
from flowbench.text import escape_controls

if TYPE_CHECKING:
    from flowbench.case import Case

PEERS = Table.of(
    "peers",
    ("peer", "string", "the address"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last"),
    ("hosts", "int64", "number of hosts that communicated with it"),
    ("connections", "int64", "number of connections"),
    ("rejected", "int64", "number of them that were rejected"),
    ("answered", "int64", "number of them that were answered"),
    ("bytes_sent", "int64", "bytes from the hosts to it"),
    ("bytes_received", "int64", "bytes from it to the hosts"),
    ("internal", "bool", "whether it belongs to the monitored network"),
    ("name", "string", "the Name tag of its latest assignment; untrusted text"),
    ("names", "strings", "DNS names that resolved to it; untrusted text"),
    ("country", "string", "country of its network"),
    ("network_owner", "string", "its network owner; untrusted text"),
    ("kinds", "strings", "kinds of the indicators that cover it, valid at the time or not"),
)
_OF_ADDRESS = PEERS.columns[PEERS.columns.index("internal") :]


def list_peers(
    case: Case,
    hosts: Expression | None = None,
    first_seen_after: str | datetime | None = None,
    condition: str | Expression = "",
    *,
    nat_hops: bool = False,
) -> ibis.Table:
    """List the peers of hosts (PEERS), by first_seen and address; see ``Case.peers``.

    Raises:
        InputError: The time cannot be read.
    """
    rows = read_host_traffic(case, condition, hosts, internal=hosts is not None, nat_hops=nat_hops)
    peers = rows.group_by("peer").aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        hosts=_.host.nunique(),
        connections=_.count(),
        rejected=_.rejected.sum(),
        answered=_.answered.sum(),
        bytes_sent=_.bytes_sent.sum().cast("int64"),
        bytes_received=_.bytes_received.sum().cast("int64"),
    )
    if first_seen_after is not None:
        peers = peers.filter(_.first_seen >= ibis.literal(_read_time(first_seen_after)))
    known = _latest_assignments(case.addresses)
    described = peers.left_join(known, peers.peer == known.address).select(PEERS.columns)
    return described.order_by("first_seen", "peer")


def _latest_assignments(inventory: ibis.Table) -> ibis.Table:
    latest = [inventory.valid_from.desc(nulls_first=False), inventory.interface_id]
    rank = ibis.row_number().over(ibis.window(group_by="address", order_by=latest))
    rows = inventory.mutate(rank=rank).filter(_["rank"] == 0)
    return rows.select("address", *_OF_ADDRESS)


def _read_time(value: str | datetime) -> datetime:
    """Read a time; one without an offset is UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        moment = read_time(value)
    except ValueError as error:
        raise InputError(f"first_seen_after='{escape_controls(value)}': expected {error}") from None
    assert isinstance(moment, Moment)
    return moment.since
