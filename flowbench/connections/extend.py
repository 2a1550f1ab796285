"""Connections of a case to which flow log records were added, without joining all of them again.

The result is that of ``build_connections`` from all records, byte for byte. Joined again, from all
of their records, old and new, are

* the ends (addresses, ports, protocol) of each new record, whenever it was;
* the ends of a pair of hosts with a protocol that have no port known to be a service's, if a new
  record of the pair has none either: which port is constant (service_ports) is counted over them.

All other connections stay as they are. That is right only as long as what is known about the old
records' hosts stays the same. So ``extend_connections`` declines where an interface that old
records name has other own addresses than before, an address in old records turns out to be internal
or a NAT gateway's, or several hosts have one address (zones).

Limits: the own addresses are learned from all records each time, and all old records are read once
to find those that are joined again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections import zones
from flowbench.connections.build import RECORDS_PER_PART, join_parts, write_in_order
from flowbench.connections.initiator import is_service_port
from flowbench.connections.staging import (
    ENDS,
    Facts,
    count_parts,
    number_addresses,
    part_number,
    select_records,
    stage_with_facts,
)
from flowbench.connections.tables import IDLE_TIMEOUT, TABLE
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import nat_gateways
from flowbench.enrich.ownership import is_private
from flowbench.schema import Table

OWN = Table.of(
    "own_addresses",
    ("interface_id", "string", "an interface, or a regional NAT gateway"),
    ("address", "string", "an own address of it"),
    ("nat_gateway", "bool", "whether it is a NAT gateway"),
)
_PAIR = ["low", "high", "protocol"]


class Flows(NamedTuple):
    """The flow log records of a case (schema.FLOWS), and which of them are old."""

    every: ibis.Table
    old: ibis.Table
    new: ibis.Table


def write_own(
    connection: Backend, flows: ibis.Table, inventory: Inventory, own: ibis.Table, folder: Path
) -> None:
    """Write the own addresses (OWN): ``extend_connections`` compares them."""
    rows = _with_nat(flows, inventory, own).order_by("interface_id", "address")
    engine.write_parquet(connection, [rows], folder / f"{OWN.name}.parquet", OWN.arrow)


def extend_connections(
    connection: Backend,
    flows: Flows,
    inventory: Inventory,
    own: ibis.Table,
    before: Path,
    folder: Path,
    *,
    per_part: int = RECORDS_PER_PART,
) -> bool:
    """Write what ``build_connections`` writes, from the connections of the old records.

    Args:
        connection: A DuckDB connection to work with.
        flows: The records.
        inventory: The inventory, the same as for the old records.
        own: The own addresses of interfaces, from all records.
        before: The folder with the tables of the old records: those of ``build_connections``,
            sightings and OWN.
        folder: Where the tables and intermediate results are written.
        per_part: As for ``build_connections``, which had the same.

    Returns:
        Whether it was done; nothing is written where it was not.
    """
    zone_file = f"{zones.TABLE.name}.parquet"
    now = zones.find_zones(connection, select_records(flows.every), own, inventory.interfaces)
    earlier = engine.read_parquet(connection, before / zone_file)
    if now.count().execute() or earlier.count().execute():
        return False
    old = engine.read_parquet(connection, before / "connections.parquet")
    seen = engine.materialize(
        connection,
        old.select(address="initiator").union(old.select(address="responder"), distinct=True),
    )
    own = engine.materialize(connection, _with_nat(flows.every, inventory, own))
    if _has_changed(own, seen, before):
        return False
    facts = Facts(
        own.select("interface_id", "address"),
        own.filter(own.nat_gateway).select("interface_id", "address"),
        now,
    )
    count = count_parts(int(flows.every.count().execute()), per_part)
    _write(connection, flows, inventory, facts, old, seen, folder, count)
    engine.write_parquet(connection, [now], folder / zone_file, zones.TABLE.arrow)
    return True


def _with_nat(flows: ibis.Table, inventory: Inventory, own: ibis.Table) -> ibis.Table:
    """Own addresses with whether they are a NAT gateway's (OWN)."""
    gateways = nat_gateways(flows, inventory.interfaces).mutate(nat=True)
    rows = own.left_join(gateways, "interface_id")
    return rows.select("interface_id", "address", nat_gateway=rows.nat.fill_null(False))


def _has_changed(own: ibis.Table, seen: ibis.Table, before: Path) -> bool:
    """Whether the new records tell something about the hosts of old ones."""
    connection = own.get_backend()
    known = engine.read_parquet(connection, before / f"{OWN.name}.parquet")
    sightings = engine.read_parquet(connection, before / "sightings.parquet")
    lost = known.anti_join(own, OWN.columns)
    learned = own.anti_join(known, OWN.columns)
    public = learned.filter(~is_private(learned.address) | learned.nat_gateway)
    changes = (
        lost,
        learned.semi_join(sightings, "interface_id"),
        public.semi_join(seen, "address"),
    )
    return any(rows.count().execute() for rows in changes)


def _write(
    connection: Backend,
    flows: Flows,
    inventory: Inventory,
    facts: Facts,
    old: ibis.Table,
    seen: ibis.Table,
    folder: Path,
    count: int,
) -> None:
    """Join again what the new records concern, and write all connections in their order."""
    temporary = folder / "records"
    temporary.mkdir()
    added = _with_ends(select_records(flows.new), "src", "srcport", "dst", "dstport")
    affected = engine.materialize(connection, added.select(ENDS).distinct())
    pairs = affected.group_by(_PAIR).aggregate(whole=_is_unclear(affected).any())
    pairs = engine.materialize(connection, pairs)
    earlier = _with_ends(select_records(flows.old), "src", "srcport", "dst", "dstport")
    again = _select(earlier, affected, pairs, hit=True).union(added).drop("low", "high")
    again = again.drop("low_port", "high_port")
    engine.write_partitions(connection, again.mutate(part=0), temporary / "again", "part")
    fresh = temporary / "fresh.parquet"
    if (temporary / "again" / "part=0").exists():
        records = engine.read_parquet(connection, temporary / "again" / "part=0")
        records = records.select(*select_records(flows.new).columns)
        staged = stage_with_facts(
            connection, records, inventory, facts, temporary / "staged", count
        )
        ids = staged.addresses.select("id", "address")
        points = staged.points.select("interface_id", point="id")
        rows = (
            _with_names(part.join(points, "point"), ids)
            for part in join_parts(connection, staged, IDLE_TIMEOUT, lambda *_: None)
        )
        engine.write_parquet(connection, rows, fresh, TABLE.arrow)
        seen = seen.union(staged.addresses.select("address"), distinct=True)
    else:
        engine.write_parquet(connection, [], fresh, TABLE.arrow)
    addresses = engine.materialize(connection, number_addresses(seen))
    ends = ("initiator", "initiator_port", "responder", "service_port")
    kept = _select(_with_ends(old.mutate(key=_.protocol), *ends), affected, pairs, hit=False)
    kept = kept.mutate(protocol=kept.key).select(*TABLE.columns)
    rows = kept.union(engine.read_parquet(connection, fresh).select(*TABLE.columns))
    numbered = _with_part(_with_ids(rows, addresses), count)
    engine.write_partitions(connection, numbered, temporary / "all", "part")
    write_in_order(connection, _parts(connection, temporary / "all", count), addresses, folder)


def _with_ends(rows: ibis.Table, a: str, a_port: str, b: str, b_port: str) -> ibis.Table:
    """Rows with ENDS, the addresses as text: in the same order as their ids."""
    low = (rows[a] < rows[b]) | ((rows[a] == rows[b]) & (rows[a_port] <= rows[b_port]))
    return rows.mutate(
        low=low.ifelse(rows[a], rows[b]),
        low_port=low.ifelse(rows[a_port], rows[b_port]),
        high=low.ifelse(rows[b], rows[a]),
        high_port=low.ifelse(rows[b_port], rows[a_port]),
        protocol=rows.protocol.fill_null(-1).cast("int16"),
    )


def _select(rows: ibis.Table, ends: ibis.Table, pairs: ibis.Table, *, hit: bool) -> ibis.Table:
    """The rows whose ends are joined again, or all others."""
    columns = rows.columns
    j = rows.left_join(ends.mutate(found=True), ENDS).select(*columns, "found")
    j = j.left_join(pairs, _PAIR).select(*columns, "found", "whole")
    chosen = j.found.fill_null(False) | (j.whole.fill_null(False) & _is_unclear(j))
    return j.filter(chosen if hit else ~chosen).select(*columns)


def _is_unclear(ends: ibis.Table) -> ibis.Value:
    """Whether neither port is known to be a service's: only then a constant port decides."""
    low, high = (is_service_port(ends.protocol, ends[f"{end}_port"]) for end in ("low", "high"))
    return ~(low | high)


def _with_names(rows: ibis.Table, addresses: ibis.Table) -> ibis.Table:
    """Connections with addresses for ids."""
    for end in ("initiator", "responder"):
        names = addresses.select(**{end: "id", f"{end}_address": "address"})
        rows = rows.join(names, end)
    rows = rows.mutate(initiator=rows.initiator_address, responder=rows.responder_address)
    return rows.select(*TABLE.columns)


def _with_ids(rows: ibis.Table, addresses: ibis.Table) -> ibis.Table:
    """Connections with ids for addresses."""
    for end in ("initiator", "responder"):
        ids = addresses.select(**{end: "address", f"{end}_id": "id"})
        rows = rows.join(ids, end)
    rows = rows.mutate(initiator=rows.initiator_id, responder=rows.responder_id)
    return rows.select(*TABLE.columns)


def _with_part(rows: ibis.Table, count: int) -> ibis.Table:
    ends = _with_ends(
        rows.mutate(key=_.protocol), "initiator", "initiator_port", "responder", "service_port"
    )
    numbered = ends.mutate(part=part_number(ends, count), protocol=ends.key)
    return numbered.select(*TABLE.columns, "part")


def _parts(connection: Backend, folder: Path, count: int) -> Iterator[ibis.Table]:
    for number in range(count):
        if (part := folder / f"part={number}").exists():
            rows = engine.materialize(connection, engine.read_parquet(connection, part))
            yield rows.select(*TABLE.columns)
            engine.drop(connection, rows)
