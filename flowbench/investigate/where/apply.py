"""Filter expressions as Ibis expressions over connections and flow records.

A comparison is true or false, never unknown: a row without the value does not match it, and matches
its negation. ``!=`` and ``not in`` are the negations of ``=`` and ``in``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import ibis

from flowbench import engine
from flowbench.enrich import ports
from flowbench.errors import InputError
from flowbench.investigate.where import fields
from flowbench.investigate.where.ends import End, NotCounted, Test
from flowbench.investigate.where.fields import SIDES
from flowbench.investigate.where.parser import parse
from flowbench.investigate.where.syntax import And, Comparison, Expression, Not, Or
from flowbench.investigate.where.values import Moment, Range, Value

if TYPE_CHECKING:
    from flowbench.case import Case

_SAME = tuple(  # fields of connections that are called as their columns
    "rejected answered intermediate direction bytes_out bytes_in packets_out packets_in"
    " records".split()
)
_AS_TIME = partial(ibis.literal, type="timestamp('UTC')")
_MICROSECOND = timedelta(microseconds=1)
_ADDRESS_SIDES = {"src": ("src",), "dst": ("dst",), "ip": SIDES}
_POSITIVE = {"!=": "=", "not in": "in"}


@dataclass(frozen=True)
class Rows:
    """Rows that a filter expression applies to.

    Attributes:
        table: The rows.
        columns: The values of fields by name; of a field with several, one is enough.
        start: The start of a row.
        end: Its end.
        ends: Its two ends, by side.
        is_record: Whether the rows are flow records, which lack some fields.
        time: Writes a time as ``start`` and ``end`` have it.
    """

    table: ibis.Table
    columns: Mapping[str, tuple[ibis.Value, ...]]
    start: ibis.Value
    end: ibis.Value
    ends: Mapping[str, End]
    is_record: bool = False
    time: Callable[[datetime], ibis.Value] = _AS_TIME


def filter_connections(
    case: Case, where: str | Expression, connections: ibis.Table | None = None
) -> ibis.Table:
    """Return the connections that match a filter expression, as an expression.

    Args:
        case: The case.
        where: The filter expression (docs/filters.md), as text or parsed.
        connections: Connections of the case, if not all (connections.TABLE).

    Raises:
        FilterError: The text cannot be read.
    """
    table = case.connections if connections is None else connections
    condition = build_condition(where, connection_rows(case, table))
    return table.filter(condition)


def filter_flows(
    case: Case, where: str | Expression, flows: ibis.Table | None = None
) -> ibis.Table:
    """Return the flow records that match a filter expression; see ``filter_connections``.

    Args:
        case: The case.
        where: The filter expression.
        flows: Flow records of the case, if not all (schema.FLOWS).

    Raises:
        FilterError: The text cannot be read.
        InputError: A field is one of connections only.
    """
    table = case.flows if flows is None else flows
    return table.filter(build_condition(where, record_rows(case, table)))


def connection_rows(case: Case, table: ibis.Table) -> Rows:
    """Describe connections (connections.TABLE) to ``build_condition``."""
    columns = {name: (table[name],) for name in _SAME}
    columns |= {
        "sport": (table.initiator_port,),
        "dport": (table.service_port,),
        "port": (table.service_port,),
        "proto": (table.protocol,),
        "action": (table.rejected.ifelse("REJECT", "ACCEPT"),),
        "bytes": (_total(table.bytes_out, table.bytes_in),),
        "packets": (_total(table.packets_out, table.packets_in),),
        "interface": (table.interface_id,),
        "duration": (_duration(table.first_seen, table.last_seen),),
    }
    ends = {
        side: End(case, table, (column,), "first_seen", has_zones=True)
        for side, column in zip(SIDES, ("initiator", "responder"), strict=True)
    }
    return Rows(table, columns, table.first_seen, table.last_seen, ends)


def record_rows(case: Case, table: ibis.Table) -> Rows:
    """Describe flow records (schema.FLOWS) to ``build_condition``."""
    columns = {
        "sport": (table.srcport,),
        "dport": (table.dstport,),
        "port": (table.srcport, table.dstport),
        "proto": (table.protocol,),
        "action": (table.action,),
        "rejected": (table.action == "REJECT",),
        "bytes": (table.bytes,),
        "packets": (table.packets,),
        "interface": (table.interface_id,),
        "duration": (_duration(table["start"], table["end"]),),
    }
    ends = {
        side: End(case, table, (f"{side}addr", f"pkt_{side}addr"), "start", has_zones=False)
        for side in SIDES
    }
    return Rows(table, columns, table["start"], table["end"], ends, is_record=True)


def _duration(start: ibis.Value, end: ibis.Value) -> ibis.Value:
    return engine.epoch_microseconds(end) - engine.epoch_microseconds(start)


def _total(out: ibis.Value, back: ibis.Value) -> ibis.Value:
    return ibis.coalesce(out + back, out, back)


def build_condition(where: str | Expression, rows: Rows) -> ibis.Value:
    """Return whether a row matches a filter expression, as an expression that is never null."""
    match parse(where) if isinstance(where, str) else where:
        case Comparison() as comparison:
            return _compare(comparison, rows)
        case Not(term):
            return ~build_condition(term, rows)
        case And(terms):
            return ibis.and_(*(build_condition(term, rows) for term in terms))
        case Or(terms):
            return ibis.or_(*(build_condition(term, rows) for term in terms))


def _compare(comparison: Comparison, rows: Rows) -> ibis.Value:
    field = comparison.field
    if rows.is_record and not field.is_of_record:
        raise InputError(
            f"{field.name} is a field of connections: flow records do not have it; filter"
            " connections instead"
        )
    operator = _POSITIVE.get(comparison.operator, comparison.operator)

    test = partial(_matches, operator=operator, values=comparison.values, time=rows.time)
    if field.kind is fields.ADDRESS:
        sides = _ADDRESS_SIDES[field.name]
        found = [rows.ends[side].has_address(comparison.values) for side in sides]
    elif field.is_of_end:
        sides = (field.side,) if field.side else SIDES
        matches: Test = test
        if field.base == "domain" and operator in ("=", "in"):
            matches = partial(_is_in_domain, values=comparison.values)
        found = [rows.ends[side].has_value(field, matches) for side in sides]
    elif field.kind is fields.SERVICE:
        found = [_is_service(rows, str(name)) for name in comparison.values]
    elif field.name == "time":
        found = [_overlaps(rows, operator, value) for value in comparison.values]
    elif field.name in ("start", "end"):
        found = [test(rows.start if field.name == "start" else rows.end)]
    elif field.name in rows.columns:
        found = [test(value) for value in rows.columns[field.name]]
    else:
        raise NotCounted(f"the cube has no {field.name}")
    hit = ibis.or_(*(condition.fill_null(False) for condition in found))
    return hit if operator == comparison.operator else ~hit


def _matches(
    column: ibis.Value,
    operator: str,
    values: Sequence[Value],
    time: Callable[[datetime], ibis.Value],
) -> ibis.Value:
    """Whether a column matches a comparison without negation."""
    if not operator:
        return column if column.type().is_boolean() else column.notnull()
    if isinstance(values[0], bool):  # Ibis writes `a = b IN (FALSE)` without brackets
        return column if values[0] else ~column
    if operator == "~":
        return ibis.or_(*(column.lower().contains(str(text).lower()) for text in values))
    if operator not in ("=", "in"):
        return _is_ordered(column, column, operator, values[0], time)
    single = [_plain(v) for v in values if not isinstance(v, Range | Moment)]
    found = [column.isin(single)] if single else []
    for value in values:
        if isinstance(value, Range):
            found.append(column.between(value.low, value.high))
        elif isinstance(value, Moment):
            found.append((column >= time(value.since)) & (column < time(value.until)))
    return ibis.or_(*found)


def _is_ordered(
    first: ibis.Value,
    last: ibis.Value,
    operator: str,
    value: Value,
    time: Callable[[datetime], ibis.Value],
) -> ibis.BooleanValue:
    """Whether what lies from ``first`` to ``last`` is before or after a value, or reaches it."""
    if isinstance(value, Moment):
        bound = time(value.since if operator in ("<", ">=") else value.until)
        return first < bound if operator in ("<", "<=") else last >= bound
    low, high = (value.low, value.high) if isinstance(value, Range) else (_plain(value),) * 2
    return {"<": first < low, "<=": first <= high, ">": last > high, ">=": last >= low}[operator]


def _overlaps(rows: Rows, operator: str, moment: Value) -> ibis.Value:
    if operator in ("=", "in"):
        reaches = _is_ordered(rows.start, rows.end, ">=", moment, rows.time)
        return reaches & _is_ordered(rows.start, rows.end, "<=", moment, rows.time)
    return _is_ordered(rows.start, rows.end, operator, moment, rows.time)


def _is_service(rows: Rows, name: str) -> ibis.Value:
    (port,), (protocol,) = rows.columns["dport"], rows.columns["proto"]
    pairs = ports.service_names()[name]
    return ibis.or_(*((port == number) & (protocol == kind) for number, kind in pairs))


def _is_in_domain(name: ibis.Value, values: Sequence[Value]) -> ibis.Value:
    domains = [str(value).rstrip(".").lower() for value in values]
    below = (name.endswith(f".{domain}") for domain in domains)
    return ibis.or_(name.isin(domains), *below)


def _plain(value: Value) -> Value:
    """A value as a column has it: a duration in microseconds."""
    return value // _MICROSECOND if isinstance(value, timedelta) else value
