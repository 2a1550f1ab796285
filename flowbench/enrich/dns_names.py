"""The names behind addresses, out of the Resolver query logs, and the addresses that have none.

Only the hosts whose look-ups are logged can be judged: those that asked at least once. A host's own
cache answers without a log line, a name may have been asked before the logs begin, and look-ups
through another resolver or over HTTPS are never logged. So that no name is known is a reason to
look, not a finding: hard-coded addresses, but also time servers, peers of peers, and malware.
"""

from __future__ import annotations

import ibis
from ibis import _

from flowbench.engine import seconds
from flowbench.schema import Table

NAMES = Table.of(
    "names",
    ("address", "string", "an address that was an answer"),
    ("name", "string", "the name that was asked for; attackers choose theirs, to be escaped"),
    ("first_asked", "time", "when some host first got this answer"),
    ("last_asked", "time", "when some host last got it"),
    ("hosts", "int64", "how many hosts got it"),
    ("look_ups", "int64", "how many times it was given"),
)

USED = Table.of(
    "names_used",
    ("host", "string", "address of the host that asked and then connected"),
    ("address", "string", "the address it connected to"),
    ("name", "string", "the name it had asked for last before that"),
    ("first_seen", "time", "its first connection after such a look-up"),
    ("last_seen", "time", "end of its last"),
    ("connections", "int64", "how many"),
    ("bytes_out", "int64", "bytes from host to address"),
    ("bytes_in", "int64", "bytes from address to host"),
)

UNRESOLVED = Table.of(
    "unresolved",
    ("host", "string", "address of a host whose look-ups are logged"),
    ("address", "string", "the outside address it connected to"),
    ("names", "strings", "names that other hosts were given it for; none: nobody ever was"),
    ("service_port", "int32", "port that was asked for"),
    ("protocol", "int32", "IANA protocol number"),
    ("first_seen", "time", "the first connection without a look-up before it"),
    ("last_seen", "time", "end of the last"),
    ("connections", "int64", "how many"),
    ("answered", "int64", "how many were answered"),
    ("bytes_out", "int64", "bytes from host to address"),
    ("bytes_in", "int64", "bytes from address to host"),
)

KEPT = 86_400  # seconds for which a host may use an answer: longer lifetimes are rare
BLUR = 60  # seconds by which a flow record may start before its first packet

_AMOUNTS = ("bytes_out", "bytes_in")


def known(dns: ibis.Table) -> ibis.Table:
    """Every name that an address was an answer to (NAMES), by address, first asked, name.

    ``dns`` is load.dns's table, here and below.
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


def used(connections: ibis.Table, dns: ibis.Table, *, kept: int = KEPT) -> ibis.Table:
    """Which name each host had looked up last before it connected to an address (USED).

    The look-up must have been answered with the address, by the host itself, at most ``kept``
    seconds before the connection; its record may start up to a minute early. Of names asked in the
    same instant the first in the alphabet counts. Ordered by host, address, name.
    """
    asked = _answers(dns).group_by("host", "address", "query_time").aggregate(name=_.name.min())
    c = connections.select(
        "first_seen", "last_seen", *_AMOUNTS, host=_.initiator, address=_.responder,
        until=_.first_seen + ibis.interval(seconds=BLUR),
    )  # fmt: skip
    asked = asked.mutate(until=asked.query_time)
    joined = c.asof_join(asked, "until", ["host", "address"])
    age = seconds(joined.until) - seconds(joined.query_time)
    joined = joined.filter(joined.name.notnull(), age <= kept + BLUR)
    return (
        joined.group_by("host", "address", "name")
        .aggregate(
            first_seen=_.first_seen.min(),
            last_seen=_.last_seen.max(),
            connections=_.count(),
            **{name: joined[name].sum().cast("int64") for name in _AMOUNTS},
        )
        .select(USED.columns)
        .order_by("host", "address", "name")
    )


def unresolved(connections: ibis.Table, dns: ibis.Table) -> ibis.Table:
    """Outside addresses that hosts connected to without any look-up before (UNRESOLVED).

    A connection counts when its host asked the Resolver at some time, but was never, up to a minute
    after the connection began, given this address. What began before the host's first logged
    look-up is left out: its look-ups may lie before the logs. Where other hosts were given the
    address for some name, an own cache or another resolver is likely: what nobody was given comes
    first, then most bytes out.
    """
    answers = _answers(dns)
    given = answers.group_by("host", "address").aggregate(given=_.query_time.min())
    hosts = dns.filter(dns.srcaddr.notnull()).group_by(host=dns.srcaddr)
    hosts = hosts.aggregate(logged_from=_.query_time.min())
    c = connections.filter(connections.direction == "outbound").rename(
        host="initiator", address="responder"
    )
    c = c.inner_join(hosts, "host").left_join(given, ["host", "address"])
    begun = c.first_seen + ibis.interval(seconds=BLUR)
    c = c.filter(begun >= c.logged_from, c.given.isnull() | (c.given > begun))
    names = answers.group_by("address").aggregate(
        names=answers.name.collect(distinct=True, order_by=answers.name)
    )
    found = (
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
    found = found.mutate(names=ibis.coalesce(found.names, ibis.literal([], "array<string>")))
    order = [found.names.length() > 0, found.bytes_out.desc()]
    return found.select(UNRESOLVED.columns).order_by(
        *order, "host", "address", "service_port", "protocol"
    )


def _answers(dns: ibis.Table) -> ibis.Table:
    """A row per look-up and address in its answer."""
    rows = dns.filter(dns.name.notnull()).select(
        "query_time", "name", host=_.srcaddr, address=_.answers.unnest()
    )
    return rows.filter(rows.address.notnull())
