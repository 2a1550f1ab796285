"""Pairs of host and service that are judged for beaconing, and services that explain themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
from ibis import _

from flowbench.detect.check_ins import KEYS
from flowbench.detect.sharing import baseline_ends, shared_services
from flowbench.enrich.ports import ADMIN_PORTS, DATA_PORTS

if TYPE_CHECKING:
    from flowbench.case import Case

_ICMP = (1, 58)  # the records do not show who pinged whom
_PERIODIC_SERVICES = ((17, 123), (17, 53))  # protocol and port of NTP and DNS
# Internal services whose clients reconnect all day: data, directories, names, time, logs, metrics.
# Ports of administration are judged: implants talk over SMB and WinRM.
_INTERNAL_SERVICES = sorted(
    (DATA_PORTS - ADMIN_PORTS) | {53, 88, 123, 161, 389, 514, 636, 3268, 8125, 9090, 9100}
)
_LOAD_BALANCERS = ("alb", "nlb", "gwlb", "elb")  # they check the health of their targets
_SERVICE = ["responder", "service_port", "protocol"]
_CLIENT = ["initiator", "service_port", "protocol"]
_USES = 3  # connections of a host that uses a service
_MAX_CLIENTS, _MAX_TARGETS = 2, 1  # of an internal service that only a beacon would use


def find_candidates(case: Case, min_connections: int, max_connections: int) -> ibis.Table:
    """Return the pairs to judge: KEYS, direction, host_count, shared.

    ``host_count`` is the number of internal hosts that use the service (three connections or more),
    ``shared`` whether their number excuses it (sharing.shared_services): such a pair is among the
    candidates only if an indicator list names its address.
    """
    s = case.connection_summaries
    s = s.filter(s.direction.isin(["outbound", "internal"]), ~s.intermediate)
    s = s.filter(s.protocol.notin(_ICMP).fill_null(True))
    s = s.filter(s.packets_out >= s.connections)  # anyone can send a host answers to nothing
    for protocol, port in _PERIODIC_SERVICES:
        s = s.filter((s.protocol != protocol).fill_null(True) | (s.service_port != port))
    pairs = s.filter(s.connections.between(min_connections, max_connections))
    used = s.filter(s.connections >= _USES).group_by("direction", *_SERVICE)
    hosts = used.aggregate(host_count=_.initiator.nunique())
    external = _external(case, pairs.filter(pairs.direction == "outbound"))
    internal = _internal(case, s, pairs.filter(pairs.direction == "internal"))
    both = external.union(internal)
    same = [both[name] == hosts[name] for name in ("direction", "responder", "service_port")]
    same.append(both.protocol.identical_to(hosts.protocol))
    return both.join(hosts, same).select(
        *(both[name] for name in KEYS), both.direction, hosts.host_count, both.shared
    )


def _external(case: Case, pairs: ibis.Table) -> ibis.Table:
    """Pairs with external services that no sharing excuses, or that an indicator list names."""
    excused = shared_services(case).select(*_SERVICE, excused=True)
    joined = pairs.left_join(excused, _SERVICE)
    matches = case.indicator_matches
    matched = matches.filter(matches.in_period.fill_null(True)).address
    shared = joined.excused.fill_null(False)
    joined = joined.filter(~shared | joined.responder.isin(matched))
    return joined.select(*KEYS, "direction", shared=joined.excused.fill_null(False))


def _internal(case: Case, summaries: ibis.Table, pairs: ibis.Table) -> ibis.Table:
    """Pairs of an internal host and a service that hardly another host uses."""
    s = summaries.filter(summaries.direction == "internal", summaries.connections >= _USES)
    clients = s.group_by(_SERVICE).aggregate(n=_.initiator.nunique())
    targets = s.group_by(_CLIENT).aggregate(n=_.responder.nunique())
    interfaces = case.interfaces
    balancers = interfaces.filter(interfaces.service.isin(_LOAD_BALANCERS)).private_address
    managed = interfaces.filter(interfaces.service != "ec2").private_address
    p = pairs.filter(
        pairs.service_port.notin(_INTERNAL_SERVICES),
        pairs.initiator.notin(balancers),
        pairs.responder.notin(managed),
    )
    p = p.anti_join(clients.filter(clients.n > _MAX_CLIENTS), _SERVICE)
    p = p.anti_join(targets.filter(targets.n > _MAX_TARGETS), _CLIENT)
    if (ends := baseline_ends(case)) is not None:
        p = p.filter(~((p.first_seen <= ends[0]) & (p["last_seen"] >= ends[1])))
    return p.select(*KEYS, "direction", shared=ibis.literal(False))
