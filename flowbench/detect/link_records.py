"""What links finding groups: administrative sessions, creations, and uses of role credentials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.api_calls import select_events
from flowbench.detect.credential_use import find_unexpected_use, read_assignments, read_calls
from flowbench.enrich.admin_sessions import LEAST_LOGIN_PACKETS, MOST_LOGIN_PACKETS
from flowbench.text import is_address

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.selector import ApiEventSelector

# Ports of SMB, and of databases: SQL Server, Oracle, MySQL, PostgreSQL, Redshift, MongoDB, Db2.
# What a host used before its first finding is no step of an attack.
ROUTINE_PORTS = (139, 445, 1433, 1521, 3306, 5432, 5439, 27017, 50000)
PORTS = (*MOST_LOGIN_PACKETS, *ROUTINE_PORTS)

_KNOWN_INITIATOR = ("flags", "ports")
_MOST_CREATED = 20  # instances of one principal: more is deployment
_BY_SERVICE = "AWSServiceRoleFor"  # sessions of services that create instances for an account


@dataclass(frozen=True)
class RoleUse:
    """Calls of an instance's role session from an address that is not the instance's.

    Attributes:
        host: The instance's first address.
        session: The principal's name: role/instance.
        names: The addresses of the calls, the session, and users who call from there too.
        row: first_seen, last_seen and connections (the number of calls).
        selector: Selects the calls.
    """

    host: str
    session: str
    names: tuple[str, ...]
    row: Mapping[str, Any]
    selector: ApiEventSelector


def read_sessions(case: Case, since: Mapping[str, pd.Timestamp]) -> list[dict[str, Any]]:
    """Read the administrative sessions between some hosts, summed by port.

    Args:
        case: The case.
        since: The hosts, and for each the time from which sessions that it opened count.

    Returns:
        Rows with initiator, responder, service_port, before (sessions before that time), and of
        those since: connections, first_seen, last_seen. In the order of the first four.
    """
    hosts = sorted(host for host in since if is_address(host))
    times = pa.array([since[host] for host in hosts], pa.timestamp("us", tz="UTC"))
    wanted = ibis.memtable(pa.table({"host": pa.array(hosts, pa.string()), "since": times}))
    c = case.connections.filter(
        _.initiator.isin(hosts),
        _.responder.isin(hosts),
        _.initiator != _.responder,
        _.protocol == 6,
        _.answered,
        ~_.intermediate,
        _.direction == "internal",
        _.service_port.isin(sorted(PORTS)),
        _.packets_out >= LEAST_LOGIN_PACKETS,
        _.packets_in >= LEAST_LOGIN_PACKETS,
        _.initiator_rule.isin(_KNOWN_INITIATOR),
    )
    j = c.join(wanted, c.initiator == wanted.host)
    counts = j.first_seen >= j.since
    rows = j.group_by("initiator", "responder", "service_port").aggregate(
        before=j.count(where=~counts),
        connections=j.count(where=counts),
        first_seen=j.first_seen.min(where=counts),
        last_seen=j["last_seen"].max(where=counts),
    )
    rows = rows.filter(rows.connections > 0)
    return rows.order_by("initiator", "responder", "service_port").to_pyarrow().to_pylist()


def read_internal(case: Case, addresses: Iterable[str]) -> set[str]:
    """Return which of some addresses are internal, by the connections that they had."""
    wanted, s = sorted(addresses), case.connection_summaries
    found: set[str] = set()
    for end, direction in (("initiator", "outbound"), ("responder", "inbound")):
        rows = s.filter(s[end].isin(wanted), s.direction.isin(["internal", direction]))
        found |= set(rows.select(end).distinct().to_pyarrow()[end].to_pylist())
    return found


def read_creations(case: Case, hosts: Iterable[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the principals that created instances of some hosts, and these in order of time.

    Rows have address, event_id, first_seen, last_seen (the time of the call) and connections (1).
    """
    assigned = case.address_assignments
    wanted = sorted(host for host in hosts if is_address(host))
    owned = assigned.filter(assigned.address.isin(wanted), assigned.instance_id.notnull())
    owned = owned.select("address", "instance_id").distinct()
    e = case.api_events.filter(_.event_name == "RunInstances", _.error_code.isnull())
    e = e.filter(e.principal_name.notnull(), e.principal_type != "AWSService")
    e = e.filter(~e.principal_name.startswith(_BY_SERVICE))
    made = e.select("principal_name", "event_time", "event_id", instance=e.instance_ids.unnest())
    count = made.instance.nunique().over(ibis.window(group_by="principal_name"))
    made = made.mutate(count=count).filter(_["count"] <= _MOST_CREATED)
    rows = made.join(owned, made.instance == owned.instance_id)
    rows = rows.order_by("principal_name", "event_time", "event_id", "address")
    by_creator: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pyarrow().to_pylist():
        when = row["event_time"]
        by_creator.setdefault(row["principal_name"], []).append(
            row | {"first_seen": when, "last_seen": when, "connections": 1}
        )
    yield from by_creator.items()


def read_role_uses(case: Case) -> Iterator[RoleUse]:
    """Yield the uses of instances' role credentials elsewhere (credential_use)."""
    for use in find_unexpected_use(read_calls(case), read_assignments(case)):
        session = str(use.calls["principal_name"].iloc[0])
        sources = sorted(set(use.calls["source_ip"]))
        times = use.calls["event_time"]
        yield RoleUse(
            host=use.host,
            session=session,
            names=(session, *sources, *use.users),
            row={
                "first_seen": times.min(),
                "last_seen": times.max(),
                "connections": len(use.calls),
            },
            selector=select_events(use.calls),
        )
