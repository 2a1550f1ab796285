"""Staging of flow log records: addresses and interfaces as numbers, in parts that fit in memory.

All records between the same two ends are in the same part, so that the parts can be processed one
after the other with the result of a single pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.zones import find_zones, observation_point, with_zones
from flowbench.enrich.monitored_network import Inventory, internal_addresses
from flowbench.enrich.own_addresses import nat_gateways
from flowbench.enrich.ownership import is_private

ENDS = ["low", "low_port", "high", "high_port", "protocol"]
_KEPT = ("hop", "rejected", "flags", "start", "end", "packets", "bytes", "protocol")
_PRIMES = (1_000_003, 10_007, 101)  # spread addresses that are close over the parts


@dataclass(frozen=True)
class Staged:
    """The records in parts, and the tables of what their numbers mean."""

    parts: list[Path]
    addresses: ibis.Table  # id (in the order of the addresses), address, internal, intermediate
    points: ibis.Table  # observation points: id (in the order of the names), interface_id
    own: ibis.Table  # point, address: ids, which address belongs to which observation point
    zones: ibis.Table  # which host is meant at which point (zones.TABLE), where several have one


def stage_records(  # what a record is judged by
    connection: Backend,
    flows: ibis.Table,
    inventory: Inventory,
    own: ibis.Table,
    folder: Path,
    per_part: int,
) -> Staged:
    """Write the records of traffic into ``folder``, about ``per_part`` of them in each part.

    Columns of a part: ENDS (addresses as ids), point, hop, up (whether it went from the low end to
    the high one), rejected, flags, start, end, packets, bytes.

    Args:
        connection: Where the tables of Staged are kept.
        flows: Flow log records (schema.FLOWS).
        inventory: The inventory.
        own: The result of own_addresses for these records and the inventory's interfaces.
        folder: Where the parts are written.
        per_part: Number of records.
    """
    records = _records(flows)
    points = records.group_by("point").aggregate(interface_id=_.interface_id.min())
    points = engine.materialize(connection, points.mutate(id=_numbered("point")))
    ends = [records.select("point", address=end) for end in ("src", "dst")]
    seen, known = ends[0].union(ends[1]), own
    zones = find_zones(connection, records, own, inventory.interfaces)
    if zones.count().execute():
        seen = with_zones(seen.distinct(), zones, "point", "address")
        records = with_zones(records, zones, "point", "src", "dst")
        own = engine.materialize(connection, with_zones(own, zones, "interface_id", "address"))
        known = known.union(own)
    seen = engine.materialize(connection, seen.select("address").distinct())
    intermediates = own.semi_join(nat_gateways(flows, inventory.interfaces), "interface_id")
    internal = internal_addresses(connection, seen, known, inventory)
    addresses = engine.materialize(connection, _addresses(seen, internal, intermediates))
    own_ids = engine.materialize(
        connection,
        own.join(points, own.interface_id == points.point)
        .join(addresses, "address")
        .select(point="id", address="id_right"),
    )
    count = max(1, -(-int(flows.count().execute()) // per_part))
    encoded = _encoded(records, addresses, points, count)
    engine.write_partitions(connection, encoded, folder, "part")
    parts = [folder / f"part={number}" for number in range(count)]
    return Staged([part for part in parts if part.exists()], addresses, points, own_ids, zones)


def _records(flows: ibis.Table) -> ibis.Table:
    """Records of traffic, with the packet's own addresses as their ends.

    ``point`` is the observation point (see zones). ``hop`` distinguishes what a middlebox records
    of the same packet before and after it forwards it.
    """
    f = flows.filter(flows.srcaddr.notnull(), flows.dstaddr.notnull(), flows.start.notnull())
    src, dst = ibis.coalesce(f.pkt_srcaddr, f.srcaddr), ibis.coalesce(f.pkt_dstaddr, f.dstaddr)
    return f.select(
        "interface_id",
        "vpc_id",
        "account_id",
        "start",
        "end",
        src=src,
        dst=dst,
        point=observation_point(f),
        hop=((src != f.srcaddr).cast("int8") + (dst != f.dstaddr).cast("int8") * 2).cast("int8"),
        srcport=f.srcport.fill_null(0),
        dstport=f.dstport.fill_null(0),
        protocol=f.protocol.fill_null(-1).cast("int16"),
        packets=f.packets.fill_null(0),
        bytes=f.bytes.fill_null(0),
        rejected=(f.action == "REJECT").fill_null(False),
        flags=f.tcp_flags.cast("int16"),
    )


def _addresses(seen: ibis.Table, internal: ibis.Table, intermediates: ibis.Table) -> ibis.Table:
    """Every address with its id, and whether it is internal or an intermediate device's."""
    owned = internal.select("address").mutate(owned=True)
    intermediates = intermediates.select("address").distinct().mutate(intermediate=True)
    known = seen.left_join(owned, "address").drop("address_right")
    known = known.left_join(intermediates, "address").drop("address_right")
    return known.select(
        "address",
        id=_numbered("address"),
        internal=is_private(known.address) | known.owned.fill_null(False),
        intermediate=known.intermediate.fill_null(False),
    )


def _encoded(
    records: ibis.Table, addresses: ibis.Table, points: ibis.Table, count: int
) -> ibis.Table:
    """The records as numbers, their ends in one order for both directions, and their part."""
    ids = addresses.select("address", "id")
    r = records.join(ids.rename(src="address", src_id="id"), "src")
    r = r.join(ids.rename(dst="address", dst_id="id"), "dst")
    r = r.join(points.select("point", point_id="id"), "point")
    up = (r.src_id < r.dst_id) | ((r.src_id == r.dst_id) & (r.srcport <= r.dstport))
    r = r.select(
        *_KEPT,
        point=r.point_id,
        up=up,
        low=up.ifelse(r.src_id, r.dst_id),
        low_port=up.ifelse(r.srcport, r.dstport),
        high=up.ifelse(r.dst_id, r.src_id),
        high_port=up.ifelse(r.dstport, r.srcport),
    )
    factors = zip((r.low, r.high, r.low_port), _PRIMES, strict=True)
    mixed = sum((end.cast("int64") * prime for end, prime in factors), r.high_port)
    return r.mutate(part=(mixed % count).cast("int32"))


def _numbered(name: str) -> ibis.Value:
    return ibis.row_number().over(ibis.window(order_by=name)).cast("int32")
