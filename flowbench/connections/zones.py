"""Hosts of one address in several VPCs or accounts, distinguished by a zone.

The same private address is assigned in every VPC with the same network. Where it is the own address
of interfaces in several VPCs or accounts of a case, connections name the host with a zone, as RFC
4007 writes scoped addresses: ``10.0.0.10%vpc-0aaa``. All other addresses stay as they are.

Which interfaces are one host is in hosts. The zone is the host's VPC, else its account if no other
host of the address is in it, else its first interface.

Observation: at an interface that has the address it is its own host. At any other one it is the
host in the same VPC; else the only one in the same account, unless the VPCs of both are known; else
the only host that recorded traffic with the same peer. Otherwise it stays without a zone.

Limitations: an address that is no interface's own (an unlogged host, a pod behind its node) has no
zone, though several hosts may have it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import ibis
import pyarrow as pa
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.hosts import Host, Owner, choose_host, divide_owners, name_hosts
from flowbench.schema import Table
from flowbench.text import split_zone

TABLE = Table.of(
    "address_zones",
    ("interface_id", "string", "where records with the address were made"),
    ("address", "string", "an address that several hosts have, as in the records"),
    ("host", "string", "which of them it is here: the address with its zone"),
    ("own", "bool", "whether it is the interface's own address"),
    ("vpc_id", "string", "VPC of the host; null if unknown"),
    ("account_id", "string", "account of the host; null if unknown"),
)
_MOST_LITERALS = 100
_POINT = ["interface_id", "address"]


def find_zones(
    connection: Backend, records: ibis.Table, own: ibis.Table, interfaces: ibis.Table
) -> ibis.Table:
    """Name the hosts whose address others have, too, at every observation point (TABLE).

    Args:
        connection: Where the result is kept.
        records: Records of traffic: point, src, dst, start, end, vpc_id, account_id.
        own: The own addresses of interfaces (enrich.own_addresses).
        interfaces: The inventory (loaders.aws.interfaces.TABLE).
    """
    count = own.interface_id.nunique().over(ibis.window(group_by="address"))
    shared = own.mutate(count=count).filter(_["count"] > 1).select("interface_id", "address")
    rows = shared.to_pyarrow().to_pylist()
    if not rows:
        return engine.register(connection, TABLE.rows([]))
    owners = _read_owners(records, interfaces, (row["interface_id"] for row in rows))
    by_address: dict[str, list[Owner]] = defaultdict(list)
    for row in rows:
        by_address[row["address"]].append(owners[row["interface_id"]])
    hosts = {
        address: name_hosts(address, divided)
        for address, some in sorted(by_address.items())
        if len(divided := divide_owners(some)) > 1
    }
    zones = [
        {"interface_id": owner.interface_id, "address": address, "own": True} | _of_host(host)
        for address, some in hosts.items()
        for host in some
        for owner in host.owners
    ]
    if not zones:
        return engine.register(connection, TABLE.rows([]))
    table = engine.register(connection, TABLE.rows(zones))
    zones += _observed_elsewhere(connection, records, interfaces, table, hosts)
    return engine.register(connection, TABLE.rows(zones))


def _read_owners(
    records: ibis.Table, interfaces: ibis.Table, names: Iterable[str]
) -> dict[str, Owner]:
    """Read VPC, account and period of some observation points; the inventory goes first."""
    wanted = ibis.memtable(pa.table({"name": pa.array(sorted(set(names)), pa.string())}))
    logged = records.semi_join(wanted, records.point == wanted.name).group_by(name="point")
    listed = interfaces.semi_join(wanted, interfaces.interface_id == wanted.name)
    listed = listed.group_by(name="interface_id")
    places = {"vpc_id": _.vpc_id.max(), "account_id": _.account_id.nullif("unknown").max()}
    logged = logged.aggregate(first_seen=_.start.min(), last_seen=_.end.max(), **places)
    rows = {row.pop("name"): row for row in logged.to_pyarrow().to_pylist()}
    nothing: dict[str, None] = dict.fromkeys(Owner._fields[1:])
    found = {name: nothing | rows.get(name, {}) for name in wanted.name.to_pyarrow().to_pylist()}
    for row in listed.aggregate(**places).to_pyarrow().to_pylist():
        known = {name: value for name, value in row.items() if value}
        found[known.pop("name")] |= known
    return {name: Owner(name, **row) for name, row in found.items()}


def _observed_elsewhere(
    connection: Backend,
    records: ibis.Table,
    interfaces: ibis.Table,
    zones: ibis.Table,
    hosts: Mapping[str, list[Host]],
) -> list[dict[str, object]]:
    """Rows of TABLE for the points that record a host as a peer, where it is clear which."""
    shared = zones.select("address").distinct()
    ends = [
        records.semi_join(shared, records[end] == shared.address).select(
            interface_id="point", address=end, peer=peer
        )
        for end, peer in (("src", "dst"), ("dst", "src"))
    ]
    with engine.materialized(connection, ends[0].union(ends[1], distinct=True)) as seen:
        elsewhere = seen.anti_join(zones, _POINT)
        at_host = seen.inner_join(zones.select(*_POINT, "host"), _POINT)
        at_host = at_host.select("address", "peer", "host").distinct()
        both = elsewhere.inner_join(at_host, ["address", "peer"])
        both = both.select("interface_id", "address", "host").distinct()
        with_peer: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in both.to_pyarrow().to_pylist():
            with_peer[row["interface_id"], row["address"]].add(row["host"])
        rows = elsewhere.select(_POINT).distinct().order_by(_POINT).to_pyarrow().to_pylist()
    observers = _read_owners(records, interfaces, (row["interface_id"] for row in rows))
    found = []
    for row in rows:
        observer, some = observers[row["interface_id"]], hosts[row["address"]]
        host = choose_host(observer, some, with_peer[row["interface_id"], row["address"]])
        if host is not None:
            found.append(row | {"own": False} | _of_host(host))
    return found


def _of_host(host: Host) -> dict[str, object]:
    return {"host": host.name, "vpc_id": host.vpc_id, "account_id": host.account_id}


def with_zones(rows: ibis.Table, zones: ibis.Table, point: str, *ends: str) -> ibis.Table:
    """Name the hosts at some ends of records by their zone, where they have one.

    Args:
        rows: Rows with an observation point and addresses.
        zones: The result of find_zones.
        point: The column of the observation point.
        ends: The columns of addresses.
    """
    for end in ends:
        names = zones.select(zone_at="interface_id", zone_of="address", zone_host="host").view()
        joined = rows.left_join(names, [(point, "zone_at"), (end, "zone_of")])
        rows = joined.mutate(**{end: ibis.coalesce(joined.zone_host, joined[end])})
        rows = rows.drop("zone_at", "zone_of", "zone_host")
    return rows


def observation_point(flows: ibis.Table) -> ibis.Value:
    """Where a record was made: its interface, or what takes its place.

    That is a regional NAT gateway (resource-id) or a transit gateway attachment.
    """
    names = ("interface_id", "resource_id", "tgw_attachment_id")
    return ibis.coalesce(*(flows[name] for name in names if name in flows.columns), "")


def is_host(
    flows: ibis.Table, columns: Iterable[str], hosts: Iterable[str], zones: ibis.Table
) -> ibis.Value:
    """Whether the address in a column of flow records is one of some hosts, as an expression.

    Args:
        flows: Flow log records (schema.FLOWS).
        columns: Columns of addresses, of which one is enough.
        hosts: Addresses as connections name them, with their zones. An address that several hosts
            have, without a zone, stands for the records for which the host is unknown.
        zones: The zones of the case (TABLE).
    """
    hosts = set(hosts)
    addresses = sorted({split_zone(host)[0] for host in hosts})
    points: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in zones.filter(zones.address.isin(_members(addresses))).to_pyarrow().to_pylist():
        points[row["address"]][row["host"]].append(row["interface_id"])
    point = observation_point(flows)
    at_point = {}
    for address, of_host in sorted(points.items()):
        known = [name for host, names in of_host.items() if host in hosts for name in names]
        at_point[address] = point.isin(known)
        if address in hosts:
            at_point[address] |= point.notin([n for names in of_host.values() for n in names])
    others = _members(sorted(hosts - points.keys()))
    return ibis.or_(
        *(flows[column].isin(others) for column in columns),
        *(
            (flows[name] == address) & here
            for name in columns
            for address, here in at_point.items()
        ),
    )


def _members(addresses: list[str]) -> list[str] | ibis.Value:
    """Many addresses as a column: as literals, a query with thousands takes seconds to compile."""
    if len(addresses) <= _MOST_LITERALS:
        return addresses
    return ibis.memtable(pa.table({"address": pa.array(addresses, pa.string())})).address


def hosts_of(address: str, zones: ibis.Table) -> list[str]:
    """The hosts that have an address in common, by name; none if at most one host has it."""
    hosts = zones.filter(zones.address == address).select("host").distinct()
    return sorted(hosts.to_pyarrow()["host"].to_pylist())


def with_dns_zones(dns: ibis.Table, zones: ibis.Table) -> ibis.Table:
    """Name the hosts of DNS queries by their zone: by the VPC of the query, else by its account."""
    own = zones.filter(zones.own)
    for place in ("vpc_id", "account_id"):
        hosts = own.filter(own[place].notnull()).group_by("address", place)
        hosts = hosts.aggregate(zone_host=_.host.min(), count=_.host.nunique())
        hosts = hosts.filter(hosts["count"] == 1)
        hosts = hosts.select(zone_of="address", zone_at=place, zone_host="zone_host").view()
        joined = dns.left_join(hosts, [("srcaddr", "zone_of"), (place, "zone_at")])
        dns = joined.mutate(srcaddr=ibis.coalesce(joined.zone_host, joined.srcaddr))
        dns = dns.drop("zone_of", "zone_at", "zone_host")
    return dns
