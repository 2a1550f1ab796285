"""Candidates for scans: sources with many failed connection attempts, and what they attempted.

A row of an attempt table is one source and one network service (host, port, protocol). A candidate
is a source; what an internal source attempts internally and externally is one candidate, what an
external source attempts is another.
"""

from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from flowbench.detect.logins import DATABASES, LOGINS
from flowbench.engine import epoch_seconds

SERVICE = ["responder", "service_port", "protocol"]
CANDIDATE = ["initiator", "internal"]

_TCP, _UDP = 6, 17
_HEADER_BYTES = 80  # a packet up to that size carries hardly any data
_SESSION_BYTES, _SESSION_SECONDS = 20_000, 1_200  # more than a login attempt
_LOGIN_PORTS = sorted(LOGINS.keys() | DATABASES.keys())
_TRAFFIC = [
    "answered",
    "rejected",
    "first_seen",
    "last_seen",
    "connections",
    "bytes_out",
    "bytes_in",
]


def build_attempts(connections: ibis.Table) -> ibis.Table:
    """Return what each source attempted: a row per source, direction and service.

    Args:
        connections: The connection summaries of a case.

    Returns:
        The columns initiator, direction, responder, service_port, protocol; failed (no connection
        had data in its answer), answered, rejected, has_session (longer or larger than a login
        attempt), min_source_port, max_source_port, connections, first_seen, last_seen, bytes_out
        and bytes_in.
    """
    c = connections.filter(~connections.intermediate, connections.direction != "external")
    # Much UDP has no answer, so that it and other protocols count only where they were rejected.
    c = c.filter((c.protocol == _TCP) | (c.rejected & (c.protocol == _UDP)))
    is_empty = (c.bytes_in <= _HEADER_BYTES * c.packets_in) & (c.packets_in <= 3)
    is_small = (c.packets_out <= 6) & (c.bytes_out <= _HEADER_BYTES * c.packets_out)
    seconds = epoch_seconds(c["last_seen"]) - epoch_seconds(c.first_seen)
    attempts = c.mutate(
        failed=(~c.answered | is_empty) & is_small,
        has_session=(c.bytes_in > _SESSION_BYTES) | (seconds >= _SESSION_SECONDS),
    )
    return attempts.group_by("initiator", "direction", *SERVICE).aggregate(
        failed=_.failed.all(),
        answered=_.answered.any(),
        rejected=_.rejected.any(),
        has_session=_.has_session.any(),
        min_source_port=_.initiator_port.min(),
        max_source_port=_.initiator_port.max(),  # a distinct count costs twice all the rest
        connections=_.count(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        bytes_out=_.bytes_out.sum(),
        bytes_in=_.bytes_in.sum(),
    )


def exclude_backscatter(attempts: ibis.Table) -> ibis.Table:
    """Return the attempts without backscatter (Moore et al., USENIX Security 2001).

    A flooded victim answers forged senders: from one well-known port to about as many ports as
    hosts. Without TCP flags, its answers look like connection attempts.
    """
    spread = attempts.filter(
        attempts.min_source_port < 1_024, attempts.min_source_port == attempts.max_source_port
    )
    spread = spread.group_by("initiator", "min_source_port").aggregate(
        hosts=_.responder.nunique(), ports=_.service_port.nunique()
    )
    spread = spread.filter(spread.hosts >= 3, spread.ports * 2 >= spread.hosts)
    spread = spread.filter(spread.hosts * 2 >= spread.ports)
    return attempts.anti_join(spread, ["initiator", "min_source_port"])


def find_candidates(attempts: ibis.Table, min_failed: int, popular_clients: int) -> ibis.Table:
    """Return the attempts of all candidates.

    All failed services of a source belong to its scan. Of the services that answered it, those of
    the same hosts belong to it that it first reached during the scan; for an external source, or
    after the scan: a scanner comes back to what it found.

    Args:
        attempts: The result of ``build_attempts``.
        min_failed: How many more services must have failed than answered.
        popular_clients: A service that answered so many external sources is open to all.

    Returns:
        CANDIDATE, SERVICE, failed, the columns of the traffic, and accepted: the service answered
        this source and few external ones, or it is a login service that had a session.
    """
    reached = _sources(attempts, min_failed)
    source = ["initiator", "direction"]
    rows = attempts.semi_join(reached, source).mutate(internal=_.direction != "inbound")
    failed = rows.filter(rows.failed)
    periods = failed.group_by(CANDIDATE).aggregate(
        begin=_.first_seen.min(), until=_.first_seen.max()
    )
    hosts = failed.select(*CANDIDATE, "responder").distinct()
    answered = rows.filter(~rows.failed).semi_join(hosts, [*CANDIDATE, "responder"])
    answered = answered.join(periods, CANDIDATE)
    during = answered.first_seen.between(answered.begin, answered.until)
    answered = answered.filter(
        ibis.ifelse(answered.internal, during, answered.first_seen >= answered.begin)
    )
    clients = attempts.filter(attempts.direction == "inbound", ~attempts.failed)
    clients = clients.group_by(SERVICE).aggregate(client_count=_.initiator.nunique())
    popular = clients.filter(clients.client_count >= popular_clients)
    answered = answered.left_join(popular, SERVICE)
    login_session = answered.has_session & answered.service_port.isin(_LOGIN_PORTS)
    answered = answered.mutate(accepted=answered.client_count.isnull() | login_session)
    columns = [*CANDIDATE, *SERVICE, "failed", *_TRAFFIC, "accepted"]
    return failed.mutate(accepted=False).select(columns).union(answered.select(columns))


def _sources(attempts: ibis.Table, min_failed: int) -> ibis.Table:
    """Return initiator and direction of the sources whose count reaches ``min_failed``.

    The count rises with a failed and falls with an answered service, in the order of first
    contact, and never falls below zero: it is the running sum less its least value so far (CUSUM).
    """
    source = ["initiator", "direction"]
    totals = attempts.group_by(source).aggregate(failed=_.failed.sum(), answered=(~_.failed).sum())
    totals = totals.filter(totals.failed >= min_failed)
    # Where the totals alone suffice, the count reaches the threshold in any order.
    is_certain = totals.failed - totals.answered >= min_failed
    steps = attempts.semi_join(totals.filter(~is_certain), source)
    so_far = ibis.cumulative_window(group_by=source, order_by=["first_seen", *SERVICE])
    steps = steps.mutate(count=(steps.failed.cast("int64") * 2 - 1).sum().over(so_far))
    steps = steps.mutate(least=steps["count"].min().over(so_far))
    steps = steps.filter(steps["count"] - ibis.least(steps["least"], 0) >= min_failed)
    return totals.filter(is_certain).select(source).union(steps.select(source), distinct=True)


def select_candidates(rows: ibis.Table, candidates: list[dict[str, Any]]) -> ibis.Table:
    """Return the rows of some of the candidates."""
    keys = {name: [candidate[name] for candidate in candidates] for name in CANDIDATE}
    types = pa.schema({"initiator": pa.string(), "internal": pa.bool_()})
    return rows.semi_join(ibis.memtable(pa.table(keys, types)), CANDIDATE)


def sum_attempts(rows: ibis.Table) -> dict[str, ibis.Value]:
    """Return the counts, ports, protocol (null if several), times and volume of a finding."""
    return {
        "service_count": rows.count(),
        "failed_count": rows.failed.sum(),
        "empty_count": rows.answered.sum(where=rows.failed),  # answered without data
        "rejected_count": rows.rejected.sum(where=rows.failed),
        "accepted_count": rows.accepted.sum(),
        "ports": rows.service_port.collect(distinct=True),
        "protocol": (rows.protocol.min() == rows.protocol.max()).ifelse(
            rows.protocol.min(), ibis.null("int32")
        ),
        "first_seen": rows.first_seen.min(),
        "last_seen": rows.last_seen.max(),
        **{name: rows[name].sum() for name in ("connections", "bytes_out", "bytes_in")},
    }


def sum_groups(rows: ibis.Table, groups: list[list[str]]) -> list[dict[str, Any]]:
    """Sum the attempts of groups of external sources, in the order of the groups.

    Args:
        rows: The result of ``find_candidates``.
        groups: The addresses of each group.

    Returns:
        For each group ``sum_attempts`` and group (its index); distinct_services, hosts (failed at);
        attempted_ports, ordered by port_sources (how many sources failed there).
    """
    members = [(source, index) for index, group in enumerate(groups) for source in group]
    types = pa.schema({"initiator": pa.string(), "group": pa.int64()})
    columns = [pa.array([member[column] for member in members]) for column in (0, 1)]
    table = ibis.memtable(pa.table(columns, names=types.names).cast(types))
    rows = rows.filter(~rows.internal).join(table, "initiator")
    failed = rows.filter(rows.failed)
    services = failed.select("group", *SERVICE).distinct().group_by("group")
    services = services.aggregate(
        distinct_services=_.count(), hosts=_.responder.collect(distinct=True)
    )
    ports = failed.group_by("group", "service_port").aggregate(sources=_.initiator.nunique())
    order = [_.sources.desc(), _.service_port]
    ports = ports.group_by("group").aggregate(
        attempted_ports=_.service_port.collect(order_by=order),
        port_sources=_.sources.collect(order_by=order),
    )
    sums = rows.group_by("group").aggregate(sum_attempts(rows))
    sums = sums.join(services, "group").join(ports, "group")
    return sums.order_by("group").to_pyarrow().to_pylist()
