"""Records made small and dealt out: numbers for words, and parts that each fit the memory.

Every record between the same two ends lands in the same part, so that the parts can be worked
through one after the other, and together give what one pass over everything would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.enrich.inventory import is_internal, nat_gateways, own_addresses

ENDS = ["low", "low_port", "high", "high_port", "protocol"]
_SPREAD = (1_000_003, 10_007, 101)  # primes: neighbours come into different parts


@dataclass(frozen=True)
class Staged:
    """The records in parts, and what their numbers stand for."""

    parts: list[Path]
    addresses: ibis.Table  # id (in the order of the addresses), address, inside, relay
    places: ibis.Table  # id (in the order of the names), interface_id
    own: ibis.Table  # place, address: ids, which address is whose


def stage(
    connection: Backend, flows: ibis.Table, interfaces: ibis.Table, folder: Path, per_part: int
) -> Staged:
    """Write the records of traffic into ``folder``, about ``per_part`` of them a part.

    Columns of a part: ENDS (addresses as ids), place, leg, up (whether it went from the low end to
    the high one), rejected, flags, start, end, packets, bytes.
    """
    records = _records(flows)
    own = engine.keep(connection, own_addresses(flows, interfaces))
    relays = own.semi_join(nat_gateways(flows, interfaces), "interface_id")
    addresses = engine.keep(connection, _addresses(records, own, relays))
    places = records.group_by("place").aggregate(interface_id=_.interface_id.min())
    places = engine.keep(connection, places.mutate(id=_numbered("place")))
    owned = engine.keep(
        connection,
        own.join(places, own.interface_id == places.place)
        .join(addresses, "address")
        .select(place="id", address="id_right"),
    )
    count = max(1, -(-int(flows.count().execute()) // per_part))
    encoded = _encoded(records, addresses, places, count)
    engine.deal_out(connection, encoded, folder, "part")
    parts = [folder / f"part={number}" for number in range(count)]
    return Staged([part for part in parts if part.exists()], addresses, places, owned)


def _records(flows: ibis.Table) -> ibis.Table:
    """Records of traffic, their ends those of the packet itself.

    ``place`` is what saw it: the interface, or what stands in its stead at a regional NAT gateway
    (resource-id) and in transit gateway logs (the attachment). ``leg`` tells apart what a place
    sees of the same packet before and after it hands it on: a middlebox logs both.
    """
    f = flows.filter(flows.srcaddr.notnull(), flows.dstaddr.notnull(), flows.start.notnull())
    seen_by = [f[n] for n in ("interface_id", "resource_id", "tgw_attachment_id") if n in f.columns]
    src, dst = ibis.coalesce(f.pkt_srcaddr, f.srcaddr), ibis.coalesce(f.pkt_dstaddr, f.dstaddr)
    return f.select(
        "interface_id",
        "start",
        "end",
        src=src,
        dst=dst,
        place=ibis.coalesce(*seen_by, ""),
        leg=((src != f.srcaddr).cast("int8") + (dst != f.dstaddr).cast("int8") * 2).cast("int8"),
        srcport=f.srcport.fill_null(0),
        dstport=f.dstport.fill_null(0),
        protocol=f.protocol.fill_null(-1).cast("int16"),
        packets=f.packets.fill_null(0),
        bytes=f.bytes.fill_null(0),
        rejected=(f.action == "REJECT").fill_null(False),
        flags=f.tcp_flags.cast("int16"),
    )


def _addresses(records: ibis.Table, own: ibis.Table, relays: ibis.Table) -> ibis.Table:
    """Every address with its number and what is known of it."""
    seen = records.select(address="src").union(records.select(address="dst")).distinct()
    ours = own.select("address").distinct().mutate(ours=True)
    relays = relays.select("address").distinct().mutate(intermediate=True)
    known = seen.left_join(ours, "address").drop("address_right")
    known = known.left_join(relays, "address").drop("address_right")
    return known.select(
        "address",
        id=_numbered("address"),
        internal=is_internal(known.address) | known.ours.fill_null(False),
        intermediate=known.intermediate.fill_null(False),
    )


def _encoded(
    records: ibis.Table, addresses: ibis.Table, places: ibis.Table, count: int
) -> ibis.Table:
    """The records as numbers, their ends in one order whichever way they went, and their part."""
    number = addresses.select("address", "id")
    r = records.join(number.rename(src="address", src_id="id"), "src")
    r = r.join(number.rename(dst="address", dst_id="id"), "dst")
    r = r.join(places.select("place", place_id="id"), "place")
    up = (r.src_id < r.dst_id) | ((r.src_id == r.dst_id) & (r.srcport <= r.dstport))
    r = r.select(
        "leg",
        "rejected",
        "flags",
        "start",
        "end",
        "packets",
        "bytes",
        "protocol",
        place=r.place_id,
        up=up,
        low=up.ifelse(r.src_id, r.dst_id),
        low_port=up.ifelse(r.srcport, r.dstport),
        high=up.ifelse(r.dst_id, r.src_id),
        high_port=up.ifelse(r.dstport, r.srcport),
    )
    factors = zip((r.low, r.high, r.low_port), _SPREAD, strict=True)
    mixed = sum((end.cast("int64") * prime for end, prime in factors), r.high_port)
    return r.mutate(part=(mixed % count).cast("int32"))


def _numbered(name: str) -> ibis.Value:
    return ibis.row_number().over(ibis.window(order_by=name)).cast("int32")
