"""Staging of flow log records: addresses and interfaces as numbers, by period."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ibis
import pyarrow as pa
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.facts import Facts
from flowbench.connections.periods import Periods, start_minute
from flowbench.connections.reopened import in_reopened, with_earlier
from flowbench.connections.zones import observation_point, with_zones
from flowbench.enrich.monitored_network import Inventory, internal_addresses
from flowbench.enrich.ownership import is_private

ENDS = ["hosts", "ports", "protocol"]  # low and high end in one number: quicker to group by
_KEPT = ["hop", "rejected", "flags", "start", "end", "packets", "bytes", "protocol"]
RECORD = [*ENDS, "point", "up", *_KEPT[:-1]]  # columns of a staged record
_BITS = 32
# An id of an address has its number in the order of the addresses, and two facts as bits.
_INTERNAL, _INTERMEDIATE, _FLAGS = 1, 2, 4


@dataclass(frozen=True)
class Staged:
    """The records by period, and the tables of what their numbers mean."""

    parts: dict[int, Path]  # the folder with the records of a period, by its number, in order
    periods: Periods
    addresses: ibis.Table  # id (in the order of the addresses, see below), address
    points: ibis.Table  # observation points: id (in the order of the names), interface_id
    own: ibis.Table  # point, address: ids, which address belongs to which observation point

    def texts(self) -> tuple[pa.Array, pa.Array]:
        """The addresses by ``number_of`` their ids, and the interfaces by the ids of points."""
        addresses, points = (
            table.order_by("id").select(name).to_pyarrow()[name].combine_chunks()
            for table, name in ((self.addresses, "address"), (self.points, "interface_id"))
        )
        return addresses, points


def number_of(address_id: ibis.Value) -> ibis.Value:
    """The number of an address in their order, from 0, by its id."""
    return address_id // _FLAGS


def is_internal(address_id: ibis.Value) -> ibis.Value:
    """Whether an address is internal, by its id."""
    return (address_id & _INTERNAL) > 0


def is_intermediate(address_id: ibis.Value) -> ibis.Value:
    """Whether an address is an intermediate device's, by its id."""
    return (address_id & _INTERMEDIATE) > 0


def low_and_high(both: ibis.Value) -> tuple[ibis.Value, ibis.Value]:
    """The numbers of the low and of the high end, from those that ENDS has in one number."""
    return (both >> _BITS).cast("int32"), (both & ((1 << _BITS) - 1)).cast("int32")


def stage_records(  # what a record is judged by
    connection: Backend,
    records: ibis.Table,
    inventory: Inventory,
    facts: Facts,
    periods: Periods,
    folder: Path,
    *,
    first: int = 0,
    reopened: ibis.Table | None = None,
) -> Staged:
    """Write the records of some periods into ``folder``, those of each into a part.

    Columns of a part: RECORD. Its hosts are the ids of two addresses (low_and_high); ``up`` is
    whether a record went from the low end to the high one.

    Args:
        connection: Where the tables of Staged are kept.
        records: The result of select_records.
        inventory: The inventory.
        facts: The facts about hosts and interfaces.
        periods: The periods of all records.
        folder: Where the parts are written.
        first: The number of the first of these periods.
        reopened: The ends of connections that began before it and end in it or later
            (reopened.find_reopened): their earlier records are staged in it, too.
    """
    if reopened is not None:
        records = with_earlier(records, periods.time(first), reopened)
    points = records.group_by("point").aggregate(interface_id=_.interface_id.min())
    points = engine.materialize(connection, points.mutate(id=_numbered("point")))
    ends = [records.select("point", address=end) for end in ("src", "dst")]
    seen, own = ends[0].union(ends[1]), facts.own()
    known = own
    if facts.zones.count().execute():
        seen = with_zones(seen.distinct(), facts.zones, "point", "address")
        records = with_zones(records, facts.zones, "point", "src", "dst")
        zoned = with_zones(own, facts.zones, "interface_id", "address")
        own = engine.materialize(connection, zoned)
        known = known.union(own)
    seen = engine.materialize(connection, seen.select("address").distinct())
    intermediates = own.semi_join(facts.gateways(), "interface_id")
    internal = internal_addresses(connection, seen, known, inventory)
    addresses = engine.materialize(connection, _addresses(seen, internal, intermediates))
    own_ids = engine.materialize(
        connection,
        own.join(points, own.interface_id == points.point)
        .join(addresses, "address")
        .select(point="id", address="id_right"),
    )
    encoded = _encoded(records, addresses, points)
    begins = periods.begins[first] if periods.begins else 0
    encoded = encoded.mutate(minute=ibis.greatest(start_minute(encoded), begins))
    if reopened is not None:
        encoded = in_reopened(encoded, periods.time(first), reopened, addresses)
    parts = encoded.join(periods.minutes, "minute")
    for both, low, high in (("hosts", "low", "high"), ("ports", "low_port", "high_port")):
        parts = parts.mutate(**{both: (parts[low].cast("int64") << _BITS) | parts[high]})
    parts = parts.select(*RECORD, "part")
    engine.write_partitions(connection, parts, folder, "part")
    paths = {number: folder / f"part={number}" for number in range(first, len(periods.begins))}
    written = {number: path for number, path in paths.items() if path.exists()}
    return Staged(written, periods, addresses, points, own_ids)


def select_records(flows: ibis.Table) -> ibis.Table:
    """Select the records of traffic, with the packet's own addresses as their ends.

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
        end=ibis.coalesce(f["end"], f.start),
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
    """Every address with its id."""
    owned = internal.select("address").mutate(owned=True)
    intermediates = intermediates.select("address").distinct().mutate(intermediate=True)
    known = seen.left_join(owned, "address").drop("address_right")
    known = known.left_join(intermediates, "address").drop("address_right")
    internal = (is_private(known.address) | known.owned.fill_null(False)).ifelse(_INTERNAL, 0)
    intermediate = known.intermediate.fill_null(False).ifelse(_INTERMEDIATE, 0)
    number = _numbered("address") * _FLAGS
    return known.select("address", id=(number + internal + intermediate).cast("int32"))


def _encoded(records: ibis.Table, addresses: ibis.Table, points: ibis.Table) -> ibis.Table:
    """The records as numbers, their ends in one order for both directions."""
    ids = addresses.select("address", "id")
    r = records.join(ids.rename(src="address", src_id="id"), "src")
    r = r.join(ids.rename(dst="address", dst_id="id"), "dst")
    r = r.join(points.select("point", point_id="id"), "point")
    up = (r.src_id < r.dst_id) | ((r.src_id == r.dst_id) & (r.srcport <= r.dstport))
    return r.select(
        *_KEPT,
        point=r.point_id,
        up=up,
        low=up.ifelse(r.src_id, r.dst_id),
        low_port=up.ifelse(r.srcport, r.dstport),
        high=up.ifelse(r.dst_id, r.src_id),
        high_port=up.ifelse(r.dstport, r.srcport),
    )


def _numbered(name: str) -> ibis.Value:
    return ibis.row_number().over(ibis.window(order_by=name)).cast("int32")
