"""DNS names of addresses by the Resolver query logs, and destinations without a look-up.

Only hosts whose look-ups are logged can be judged: those with at least one query. A host's own
cache answers without a log line, a look-up may be older than the logs, and look-ups through another
resolver or over HTTPS are never logged. So an address without a name is a reason to look, not a
finding: addresses can be hard-coded, by time synchronisation and peer-to-peer software as by
malware.
"""

from __future__ import annotations

import ibis
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.schema import Table

NAMES = Table.of(
    "resolved_names",
    ("address", "string", "an address that was an answer"),
    ("name", "string", "the name that was queried; attackers choose theirs, to be escaped"),
    ("first_asked", "time", "when a host first received this answer"),
    ("last_asked", "time", "when a host last received it"),
    ("hosts", "int64", "number of hosts that received it"),
    ("look_ups", "int64", "number of look-ups with this answer"),
)

RESOLVED = Table.of(
    "resolved_destinations",
    ("host", "string", "address of the host that queried the name and then connected"),
    ("address", "string", "the address that it connected to"),
    ("name", "string", "the name of its last look-up before that"),
    ("first_seen", "time", "its first connection after such a look-up"),
    ("last_seen", "time", "end of its last"),
    ("connections", "int64", "number of connections"),
    ("bytes_out", "int64", "bytes from host to address"),
    ("bytes_in", "int64", "bytes from address to host"),
)

UNRESOLVED = Table.of(
    "unresolved_destinations",
    ("host", "string", "address of a host whose look-ups are logged"),
    ("address", "string", "the external address that it connected to"),
    ("names", "strings", "names that it was an answer to for other hosts; empty: for none"),
    ("service_port", "int32", "port of the responder"),
    ("protocol", "int32", "IANA protocol number"),
    ("first_seen", "time", "the first connection without a look-up before it"),
    ("last_seen", "time", "end of the last"),
    ("connections", "int64", "number of connections"),
    ("answered", "int64", "number of them that were answered"),
    ("bytes_out", "int64", "bytes from host to address"),
    ("bytes_in", "int64", "bytes from address to host"),
)

ANSWER_LIFETIME = 86_400  # seconds for which a host may use an answer; longer TTLs are rare
START_TOLERANCE = 60  # seconds by which a flow record may start before its first packet

_AMOUNTS = ("bytes_out", "bytes_in")


def resolved_names(dns: ibis.Table) -> ibis.Table:
    """List every name that an address was an answer to (NAMES), by address, first asked, name.

    ``dns`` are Resolver query log records (resolver.TABLE), here and below.
    """
    answers = _answers(dns)
    return (
        answers.group_by("address", "name")
        .aggregate(
            first_asked=_.query_time.min(),
            last_asked=_.query_time.max(),
            hosts=_.host.nunique(),
            look_ups=_.count(),
        )
        .select(NAMES.columns)
        .order_by("address", "first_asked", "name")
    )


def resolved_destinations(
    connections: ibis.Table, dns: ibis.Table, *, lifetime: int = ANSWER_LIFETIME
) -> ibis.Table:
    """Find the name that a host looked up last before it connected to an address (RESOLVED).

    The look-up must be the host's own, have the address in its answer, and be at most ``lifetime``
    seconds older than the connection, whose record may start START_TOLERANCE seconds early. Of
    names queried in the same instant the first in the alphabet counts. Ordered by host, address,
    name.
    """
    look_ups = _answers(dns).group_by("host", "address", "query_time")
    look_ups = look_ups.aggregate(name=_.name.min())
    c = connections.select(
        "first_seen",
        "last_seen",
        *_AMOUNTS,
        host=_.initiator,
        address=_.responder,
        until=_.first_seen + ibis.interval(seconds=START_TOLERANCE),
    )
    look_ups = look_ups.mutate(until=look_ups.query_time)
    joined = c.asof_join(look_ups, "until", ["host", "address"])
    age = epoch_seconds(joined.until) - epoch_seconds(joined.query_time)
    joined = joined.filter(joined.name.notnull(), age <= lifetime + START_TOLERANCE)
    return (
        joined.group_by("host", "address", "name")
        .aggregate(
            first_seen=_.first_seen.min(),
            last_seen=_.last_seen.max(),
            connections=_.count(),
            **{name: joined[name].sum().cast("int64") for name in _AMOUNTS},
        )
        .select(RESOLVED.columns)
        .order_by("host", "address", "name")
    )


def unresolved_destinations(connections: ibis.Table, dns: ibis.Table) -> ibis.Table:
    """Find external addresses that hosts connected to without a look-up before (UNRESOLVED).

    A connection counts when its host queried the Resolver at some time, but had no answer with this
    address until START_TOLERANCE seconds after the connection began. Connections before the host's
    first logged look-up are left out: their look-ups may be older than the logs. Where other hosts
    had the address as an answer, a cache or another resolver is likely: addresses that no host had
    as an answer come first, then most bytes out.
    """
    answers = _answers(dns)
    first_answers = answers.group_by("host", "address").aggregate(answered_at=_.query_time.min())
    hosts = dns.filter(dns.srcaddr.notnull()).group_by(host=dns.srcaddr)
    hosts = hosts.aggregate(logged_from=_.query_time.min())
    c = connections.filter(connections.direction == "outbound").rename(
        host="initiator", address="responder"
    )
    c = c.inner_join(hosts, "host").left_join(first_answers, ["host", "address"])
    start = c.first_seen + ibis.interval(seconds=START_TOLERANCE)
    c = c.filter(start >= c.logged_from, c.answered_at.isnull() | (c.answered_at > start))
    names = answers.group_by("address").aggregate(
        names=answers.name.collect(distinct=True, order_by=answers.name)
    )
    destinations = (
        c.group_by("host", "address", "service_port", "protocol")
        .aggregate(
            first_seen=_.first_seen.min(),
            last_seen=_.last_seen.max(),
            connections=_.count(),
            answered=_.count(where=_.answered),
            **{name: c[name].sum().cast("int64") for name in _AMOUNTS},
        )
        .left_join(names, "address")
    )
    names = ibis.coalesce(destinations.names, ibis.literal([], "array<string>"))
    destinations = destinations.mutate(names=names)
    order = [destinations.names.length() > 0, destinations.bytes_out.desc()]
    return destinations.select(UNRESOLVED.columns).order_by(
        *order, "host", "address", "service_port", "protocol"
    )


def _answers(dns: ibis.Table) -> ibis.Table:
    """A row per look-up and address in its answer."""
    rows = dns.filter(dns.name.notnull()).select(
        "query_time", "name", host=_.srcaddr, address=_.answers.unnest()
    )
    return rows.filter(rows.address.notnull())
