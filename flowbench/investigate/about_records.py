"""The records that name something: flow records, API events, DNS queries, GuardDuty findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ibis

from flowbench.connections.zones import is_host
from flowbench.enrich.namesakes import name_of
from flowbench.investigate.filters import Filters, filter_api_events, filter_flows, filter_period
from flowbench.investigate.pivot import Pivot, is_in_domain, resolve
from flowbench.schema import record_key
from flowbench.text import split_zone

if TYPE_CHECKING:
    from flowbench.case import Case

_EVERYTHING = Filters()
_ENDS = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
_TIMES = ("start", "event_time", "query_time", "first_seen")


def evidence(
    case: Case, what: str | Pivot, filters: Filters = _EVERYTHING
) -> dict[str, ibis.Table]:
    """Return the records that name something, by kind of evidence.

    Flow records of its addresses, while it had them, and of its interfaces; API events that it
    called, that came from its addresses, or that name it; DNS queries of its addresses, for its
    domain, or answered with its addresses; GuardDuty findings that name it or its addresses.

    Args:
        case: The case.
        what: What ``pivot.resolve`` takes, or its result.
        filters: Which records are wanted.

    Returns:
        'flow-logs', 'cloudtrail', 'dns' and 'guardduty' with the rows of ``flows``, ``api_events``,
        ``dns`` and ``alerts`` and their ``file``, by time, evidence id and line.

    Raises:
        InputError: It is nothing in this case.
    """
    found = resolve(case, what) if isinstance(what, str) else what
    events = filter_api_events(case, filters)
    queries = filter_period(case.dns, filters, "query_time", "query_time")
    if filters.peer is not None:
        queries = queries.filter(queries.answers.contains(filters.peer).fill_null(False))
    if filters.ports or filters.rejected:
        queries = queries.filter(ibis.literal(False))
    flows, alerts = filter_flows(case, filters), _filter_alerts(case, filters)
    kinds = {
        "flow-logs": (flows, "start", _flow_conditions(case, flows, found)),
        "cloudtrail": (events, "event_time", _event_conditions(case, events, found)),
        "dns": (queries, "query_time", _query_conditions(case, queries, found)),
        "guardduty": (alerts, "first_seen", _alert_conditions(case, alerts, found)),
    }
    files = ibis.memtable(case.evidence[["evidence_id", "file"]])
    tables = {}
    for kind, (table, time, conditions) in kinds.items():
        known = (condition.fill_null(False) for condition in conditions)
        rows = table.filter(ibis.or_(ibis.literal(False), *known))
        named = rows.left_join(files, "evidence_id").drop("evidence_id_right")
        tables[kind] = named.order_by(time, *record_key(rows.columns))
    return tables


def combine(tables: Mapping[str, ibis.Table]) -> ibis.Table:
    """Return the records of several kinds as one table, with ``kind`` and the columns of all.

    Where two kinds have a column of one name and different types, it is text. In the order of the
    kinds' names, of each by its first time, evidence id and line.
    """
    types: dict[str, set[Any]] = {}
    for rows in tables.values():
        for name, kind in rows.schema().items():
            types.setdefault(name, set()).add(kind)
    chosen = {name: kinds.pop() if len(kinds) == 1 else "string" for name, kinds in types.items()}
    parts = []
    for kind, rows in tables.items():
        columns = {
            name: rows[name].cast(wanted) if name in rows.columns else ibis.null(wanted)
            for name, wanted in chosen.items()
        }
        parts.append(rows.select(kind=ibis.literal(kind), **columns))
    every = ibis.union(*parts)
    times = [name for name in _TIMES if name in every.columns]
    return every.order_by("kind", *times, *record_key(every.columns))


def addresses_of(case: Case, found: Pivot) -> list[str]:
    """Return the addresses of a pivot; of a principal or key those that its calls came from."""
    if not found.is_principal:
        return list(found.addresses)
    events = case.api_events
    calls = events.filter(_is_call_of(events, found).fill_null(False))
    sources = calls.select("source_ip").distinct().order_by("source_ip").to_pyarrow()
    return [source for source in sources["source_ip"].to_pylist() if source]


def periods(
    case: Case, found: Pivot
) -> Iterator[tuple[list[str], datetime | None, datetime | None]]:
    """Yield the addresses of a pivot with the bounds of their assignment, each pair once."""
    if found.is_principal:
        yield addresses_of(case, found), None, None
        return
    by_period: dict[tuple[datetime | None, datetime | None], list[str]] = {}
    for assignment in found.assignments:
        period = assignment.valid_from, assignment.valid_until
        by_period.setdefault(period, []).append(assignment.address)
    for (first, last), wanted in by_period.items():
        yield wanted, first, last


def overlaps(start: Any, end: Any, first: datetime | None, last: datetime | None) -> Any:
    """Whether a row from ``start`` to ``end`` falls into a period with or without bounds."""
    inside = ibis.literal(True)
    if first is not None:
        inside &= end >= ibis.literal(first)
    if last is not None:
        inside &= start <= ibis.literal(last)
    return inside


def _flow_conditions(case: Case, flows: ibis.Table, found: Pivot) -> Iterator[Any]:
    if found.interface_ids:
        yield flows.interface_id.isin(found.interface_ids)
    if found.is_principal:
        return
    for wanted, first, last in periods(case, found):
        is_end = is_host(flows, _ENDS, wanted, case.address_zones)
        yield is_end & overlaps(flows.start, flows["end"], first, last)


def _event_conditions(case: Case, events: ibis.Table, found: Pivot) -> Iterator[Any]:
    if found.is_principal:
        yield _is_call_of(events, found)
        if found.kind == "principal":
            yield events.target_user == name_of(found.text, case.namesakes)
        else:
            yield events.new_access_key_id == found.text
    for name in found.instance_ids:
        yield events.instance_ids.contains(name)
    for name in found.interface_ids:
        yield events.interface_ids.contains(name)
    if found.assignments:
        wanted = list(found.addresses)
        yield events.source_ip.isin(wanted)
        yield _contains_any(events.addresses, wanted)


def _query_conditions(case: Case, queries: ibis.Table, found: Pivot) -> Iterator[Any]:
    if found.domain is not None:
        yield is_in_domain(queries.name, found.domain)
    if found.instance_ids:
        yield queries.instance_id.isin(found.instance_ids)
    if found.is_principal:
        return
    for wanted, first, last in periods(case, found):
        is_its = queries.srcaddr.isin(wanted) | _contains_any(queries.answers, wanted)
        yield is_its & overlaps(queries.query_time, queries.query_time, first, last)


def _alert_conditions(case: Case, alerts: ibis.Table, found: Pivot) -> Iterator[Any]:
    named = (
        (found.instance_ids, "instance_id", "instance_ids"),
        (found.interface_ids, None, "interface_ids"),
        (found.principals, "principal_name", "principal_names"),
        (found.access_key_ids, "access_key_id", "access_key_ids"),
    )
    for names, column, several in named:
        if names:
            yield _contains_any(alerts[several], list(names))
            if column is not None:
                yield alerts[column].isin(names)
    if found.domain is not None:
        yield is_in_domain(alerts.domain, found.domain)
        yield alerts.domains.contains(found.domain)
    if found.is_principal:
        return
    for wanted, first, last in periods(case, found):
        # Without its instance, an alert may be about any host with the address, in any zone.
        bare = sorted({split_zone(address)[0] for address in wanted})
        is_local = alerts.local_address.isin(wanted) | _contains_any(alerts.local_addresses, wanted)
        is_local |= alerts.instance_id.isnull() & alerts.local_address.isin(bare)
        yield is_local & overlaps(*_alert_period(alerts), first, last)
        yield alerts.remote_address.isin(wanted) | _contains_any(alerts.remote_addresses, wanted)


def _alert_period(alerts: ibis.Table) -> tuple[Any, Any]:
    """When the activity of an alert was seen; without that, when it was reported."""
    reported = ibis.coalesce(alerts.first_seen, alerts.created_at, alerts.updated_at)
    return reported, ibis.coalesce(alerts.last_seen, alerts.first_seen, alerts.updated_at)


def _filter_alerts(case: Case, filters: Filters) -> ibis.Table:
    alerts = case.alerts
    first, last = _alert_period(alerts)
    conditions = []
    if filters.since is not None:
        conditions.append(last >= ibis.literal(filters.since))
    if filters.until is not None:
        conditions.append(first < ibis.literal(filters.until))
    if filters.peer is not None:
        remote = (alerts.remote_address == filters.peer).fill_null(False)
        conditions.append(remote | alerts.remote_addresses.contains(filters.peer).fill_null(False))
    if filters.ports:
        ports = [str(port) for port in filters.ports]
        local, remote = alerts.local_ports, alerts.remote_ports
        conditions.append(
            _contains_any(local, ports).fill_null(False) | _contains_any(remote, ports)
        )
    if filters.rejected:
        conditions.append(alerts.blocked)
    known = (condition.fill_null(False) for condition in conditions)
    return alerts.filter(ibis.literal(True), *known)


def _contains_any(values: Any, wanted: list[str]) -> Any:
    return values.intersect(ibis.array(wanted)).length() > 0


def _is_call_of(events: ibis.Table, found: Pivot) -> Any:
    """Whether a principal made a call, or an access key signed it."""
    if found.kind == "access key":
        return events.access_key_id.isin(found.access_key_ids)
    return events.principal_name.isin(found.principals)
