"""Connections as a hunter reads them: with duration, day and hour, and what both ends were.

Each end is described by its assignment at the start of the connection, as filter expressions and
graphs do; country and network owner are those of the address at any time. Connections of a NAT
gateway are left out where those of its clients are recorded, so that no traffic counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import ibis
from ibis import _

from flowbench import engine
from flowbench.connections import TABLE as CONNECTIONS
from flowbench.investigate import where
from flowbench.investigate.host_conditions import at_side
from flowbench.investigate.where import Expression
from flowbench.schema import Table

if TYPE_CHECKING:
    from flowbench.case import Case

_DESCRIPTION = (
    ("name", "string", "Name tag of the {end}'s interface or instance; untrusted text"),
    ("tags", "tags", "tags of the {end}'s interface and instance; untrusted text"),
    ("instance_id", "string", "instance of the {end}"),
    ("interface_id", "string", "interface of the {end}"),
    ("subnet_id", "string", "subnet of the {end}"),
    ("vpc_id", "string", "VPC of the {end}"),
    ("account_id", "string", "account that owns the {end}'s interface"),
    ("service", "string", "AWS service of the {end}'s interface: ec2, rds, …"),
    ("internal", "bool", "whether the {end} belongs to the monitored network"),
    ("country", "string", "country of the {end}'s network"),
    ("network_owner", "string", "network owner of the {end}; untrusted text"),
)
DESCRIPTION = [name for name, _type, _meaning in _DESCRIPTION]
_TIMES = (
    ("duration", "int64", "seconds from first_seen to last_seen"),
    ("day", "date", "day of first_seen, UTC"),
    ("hour", "time", "start of the hour of first_seen"),
    ("hour_of_day", "int32", "hour of first_seen, UTC: 0 to 23"),
)


def _columns_of(end: str) -> list[tuple[str, str, str]]:
    return [(f"{end}_{name}", kind, text.format(end=end)) for name, kind, text in _DESCRIPTION]


_OWN = {field.name: (field.name, field.type, field.meaning) for field in CONNECTIONS.fields}
_ALL = {
    column[0]: column
    for column in (*_OWN.values(), *_TIMES, *_columns_of("initiator"), *_columns_of("responder"))
}
_FIRST = (
    "first_seen initiator initiator_name responder responder_name service_port protocol duration"
    " bytes_out bytes_in rejected answered direction initiator_tags responder_tags"
).split()
TRAFFIC = Table.of("traffic", *({name: _ALL[name] for name in _FIRST} | _ALL).values())

_SIDES = {"initiator": ("responder", "out", "in"), "responder": ("initiator", "in", "out")}
_EITHER = (
    "service_port protocol first_seen last_seen rejected answered direction intermediate duration"
    " day hour hour_of_day"
).split()
HOST_TRAFFIC = Table.of(
    "host_traffic",
    ("host", "string", "a host: the initiator or the responder of a connection"),
    ("peer", "string", "the other end"),
    ("is_initiator", "bool", "whether the host opened the connection"),
    ("bytes_sent", "int64", "bytes from the host to the peer"),
    ("bytes_received", "int64", "bytes from the peer to the host"),
    *(_ALL[name] for name in _EITHER),
)
_EVER = 1 << 62  # microseconds before or after 1970 that no record has


def read_traffic(
    case: Case,
    condition: str | Expression = "",
    *,
    tags: Iterable[str] = (),
    nat_hops: bool = False,
) -> ibis.Table:
    """Return connections with their times and both ends described (TRAFFIC), by time.

    Args:
        case: The case.
        condition: A filter expression, as text or parsed.
        tags: Keys of tags; each becomes a column of both ends: ``initiator_tag:env``.
        nat_hops: Whether to include connections of NAT gateways whose clients have rows of their
            own; they are too if the condition asks about ``intermediate``.

    Raises:
        FilterError: The condition cannot be read.
    """
    rows, keys = select_connections(case, condition, nat_hops=nat_hops), tuple(dict.fromkeys(tags))
    for end in _SIDES:
        rows = describe_end(case, rows, end, keys)
    more = [f"{end}_tag:{key}" for end in _SIDES for key in keys]
    order = "first_seen initiator initiator_port responder service_port protocol".split()
    return rows.select(*TRAFFIC.columns, *more).order_by(order)


def read_host_traffic(
    case: Case,
    condition: str | Expression = "",
    hosts: Expression | None = None,
    *,
    internal: bool = True,
    nat_hops: bool = False,
) -> ibis.Table:
    """Return a row for each connection and each of its hosts (HOST_TRAFFIC), in no order.

    Args:
        case: The case.
        condition: A filter expression, as text or parsed.
        hosts: Conditions on the hosts (``host_conditions.read_hosts``); by default hosts are
            internal addresses, and both ends where neither is internal.
        internal: Whether to include connections between two internal addresses.
        nat_hops: See ``read_traffic``.
    """
    parts = []
    for end, side, inwards in (("initiator", "src", "outbound"), ("responder", "dst", "inbound")):
        parsed = where.parse(condition) if isinstance(condition, str) else condition
        if hosts is not None:
            parsed = where.And((parsed, at_side(hosts, side)))
        rows = select_connections(case, parsed, nat_hops=nat_hops)
        if hosts is None:
            directions = [inwards, "external", *(["internal"] if internal else [])]
            rows = rows.filter(rows.direction.isin(directions))
        if end == "responder":  # a connection of an address with itself counts once
            rows = rows.filter(rows.initiator != rows.responder)
        other, sent, received = _SIDES[end]
        renamed = rows.mutate(
            host=rows[end],
            peer=rows[other],
            is_initiator=ibis.literal(end == "initiator"),
            bytes_sent=rows[f"bytes_{sent}"],
            bytes_received=rows[f"bytes_{received}"],
        )
        parts.append(renamed.select(HOST_TRAFFIC.columns))
    return ibis.union(*parts)


def describe_end(case: Case, rows: ibis.Table, end: str, tags: Iterable[str] = ()) -> ibis.Table:
    """Add what an end was at the start of a connection: ``<end>_`` and DESCRIPTION.

    Args:
        case: The case.
        rows: Rows with the end's address in the column ``end``, and ``first_seen``.
        end: That column.
        tags: Keys of tags; each becomes a column ``<end>_tag:KEY``.
    """
    known = _assignment_periods(case.addresses)
    named = known.select(
        **{f"{end}_{name}": known[name] for name in DESCRIPTION},
        **{f"{end}_tag:{key}": known.tags.get(key) for key in tags},
        _address="address",
        _since="since",
        _until="until",
    )
    start = engine.epoch_microseconds(rows.first_seen)
    joined = rows.left_join(
        named,
        [rows[end] == named._address, start >= named._since, start < named._until],
    )
    return joined.drop("_address", "_since", "_until")


def _assignment_periods(inventory: ibis.Table) -> ibis.Table:
    """Add the microseconds from and until which a row of the inventory counts.

    The rows of an address follow each other without gap or overlap: the time between two
    assignments is divided in the middle, and of several at once the last to start counts.
    """
    order = [inventory.valid_from.asc(nulls_first=True), inventory.interface_id]
    by_time = ibis.window(group_by="address", order_by=order)
    start, end = (engine.epoch_microseconds(inventory[n]) for n in ("valid_from", "valid_until"))
    gap = ibis.greatest(start - end.lag().over(by_time), 0).fill_null(0)
    is_first = ibis.row_number().over(by_time) == 0
    rows = inventory.mutate(turn=is_first.ifelse(-_EVER, (start - gap // 2).fill_null(-_EVER)))
    so_far = ibis.window(group_by="address", order_by=order, preceding=None, following=0)
    rows = rows.mutate(since=_.turn.max().over(so_far))
    return rows.mutate(until=rows.since.lead().over(by_time).fill_null(_EVER)).drop("turn")


def select_connections(
    case: Case, condition: str | Expression = "", *, nat_hops: bool = False
) -> ibis.Table:
    """Return connections with their times, their ends not described; see ``read_traffic``."""
    parsed = where.parse(condition) if isinstance(condition, str) else condition
    rows = where.filter_connections(case, parsed)
    asked = any(term.field.name == "intermediate" for term in where.comparisons(parsed))
    if not nat_hops and not asked:
        rows = rows.filter(~rows.intermediate)
    first, last = (engine.epoch_seconds(rows[name]) for name in ("first_seen", "last_seen"))
    return rows.mutate(
        duration=last - first,
        day=rows.first_seen.date(),
        hour=rows.first_seen.truncate("h").cast(rows.first_seen.type()),
        hour_of_day=(first // 3_600 % 24).cast("int32"),
    )
