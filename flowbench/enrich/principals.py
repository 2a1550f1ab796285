"""Addresses from which API calls came and that occur in flow logs too: whose they are.

CloudTrail names the address of a caller, flow logs the addresses at both ends of a connection. An
address in both links a principal to connections: the same person, or the same network, holds an
access key and opened or answered the connection.

Known limits: an address that many people share (an office, a VPN, a carrier) has the principals of
all of them; CloudTrail has the public address of an instance, flow logs have its private one; calls
that an AWS service made for a principal have the service's name as their source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
from ibis import _

from flowbench.schema import Table
from flowbench.text import canonical_address

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = Table.of(
    "principal_addresses",
    ("address", "string", "address of the caller, which is also an end of connections"),
    ("principal_name", "string", "user name, role/session or root; untrusted text"),
    ("principal_arn", "string", "ARN of the caller; null where the events have none"),
    ("principal_type", "string", "IAMUser, AssumedRole, Root, …"),
    ("access_keys", "strings", "access keys that signed the calls, in order"),
    ("calls", "int64", "number of API calls of the principal from the address"),
    ("failed_calls", "int64", "number of them that failed or were denied"),
    ("first_call", "time", "time of the first call"),
    ("last_call", "time", "time of the last call"),
    ("first_seen", "time", "start of the address's first connection"),
    ("last_seen", "time", "end of the address's last connection"),
    ("connections", "int64", "number of connections of the address, as initiator or responder"),
)

_PRINCIPAL = ["principal_name", "principal_arn", "principal_type"]


def principal_addresses(summaries: ibis.Table, api_events: ibis.Table) -> pa.Table:
    """Join the addresses of API callers with the ends of connections.

    Args:
        summaries: Connection summaries (connections.SUMMARIES).
        api_events: API events (cloudtrail.TABLE).

    Returns:
        TABLE: one row for each address and principal, ordered by address, first call and principal.
    """
    ends = [
        summaries.select("first_seen", "last_seen", "connections", address=summaries[end])
        for end in ("initiator", "responder")
    ]
    seen = ends[0].union(ends[1]).group_by("address")
    seen = seen.aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        connections=_.connections.sum().cast("int64"),
    )
    calls = _canonical(api_events).group_by("address", *_PRINCIPAL)
    calls = calls.aggregate(
        access_keys=_.access_key_id.collect(where=_.access_key_id.notnull(), distinct=True),
        calls=_.count(),
        failed_calls=_.error_code.count(),
        first_call=_.event_time.min(),
        last_call=_.event_time.max(),
    )
    joined = calls.join(seen, "address").mutate(access_keys=_.access_keys.sort())
    order = ["address", "first_call", *_PRINCIPAL]
    return joined.order_by(order).select(TABLE.columns).to_pyarrow().cast(TABLE.arrow)


def _canonical(api_events: ibis.Table) -> ibis.Table:
    """API events with ``address``, the source in the spelling of flow logs.

    IPv6 addresses have several spellings, of which flow logs use the canonical one (RFC 5952).
    """
    events = api_events.filter(api_events.source_ip.notnull())
    sources = events.filter(events.source_ip.contains(":")).select("source_ip").distinct()
    spelling = {}
    for source in sources.to_pyarrow()["source_ip"].to_pylist():
        canonical = canonical_address(source)
        if canonical != source:
            spelling[source] = canonical
    address = events.source_ip.substitute(spelling) if spelling else events.source_ip
    return events.mutate(address=address)
