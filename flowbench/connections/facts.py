"""What is known about the hosts and interfaces of records, and whether it changes old connections.

The facts are learned from all records and the inventory. Records that are loaded later usually tell
of new interfaces and addresses only, and old connections stay as they are. ``changes_old`` finds
where that is not so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import ibis
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections import zones as address_zones
from flowbench.connections.tables import SUMMARIES
from flowbench.connections.zones import find_zones, observation_point
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import nat_gateways
from flowbench.enrich.ownership import is_private
from flowbench.schema import Table
from flowbench.text import split_zone

TABLE = Table.of(
    "host_facts",
    ("kind", "string", "own, nat-gateway, public or network"),
    ("interface_id", "string", "the interface of an own address; a NAT gateway"),
    ("address", "string", "an own address, a public one of the inventory, or a VPC's network"),
)


class Facts(NamedTuple):
    """What is known about hosts and interfaces."""

    rows: ibis.Table  # TABLE
    zones: ibis.Table  # zones.TABLE

    def own(self) -> ibis.Table:
        """The own addresses of interfaces: interface_id, address."""
        return self.rows.filter(self.rows.kind == "own").select("interface_id", "address")

    def gateways(self) -> ibis.Table:
        """The NAT gateways: interface_id."""
        return self.rows.filter(self.rows.kind == "nat-gateway").select("interface_id")


def find_facts(
    connection: Backend,
    flows: ibis.Table,
    records: ibis.Table,
    inventory: Inventory,
    own: ibis.Table,
) -> Facts:
    """Gather the facts.

    Args:
        connection: Where they are kept.
        flows: Flow log records (schema.FLOWS).
        records: The same, selected (staging.select_records).
        inventory: The inventory.
        own: The own addresses of interfaces (enrich.own_addresses).
    """
    none = ibis.null("string")
    rows = own.select(kind=ibis.literal("own"), interface_id="interface_id", address="address")
    gateways = nat_gateways(flows, inventory.interfaces)
    rows = rows.union(gateways.select(kind=ibis.literal("nat-gateway"), interface_id="interface_id",
                                      address=none))  # fmt: skip
    public = inventory.public_addresses()
    rows = rows.union(public.select(kind=ibis.literal("public"), interface_id=none,
                                    address="address"))  # fmt: skip
    networks: list[dict[str, object]] = [
        {"kind": "network", "interface_id": None, "address": network}
        for network in inventory.public_networks()
    ]
    rows = rows.union(engine.register(connection, TABLE.rows(networks)))
    zones = find_zones(connection, records, own, inventory.interfaces)
    return Facts(engine.materialize(connection, rows.distinct()), zones)


def write_facts(connection: Backend, facts: Facts, folder: Path) -> None:
    """Write the facts (TABLE) and the zones (zones.TABLE) into a folder."""
    for table, rows in ((TABLE, facts.rows), (address_zones.TABLE, facts.zones)):
        in_order = rows.order_by(list(table.columns))
        engine.write_parquet(connection, [in_order], folder / f"{table.name}.parquet", table.arrow)


def changes_old(connection: Backend, facts: Facts, before: Path, old: ibis.Table) -> bool:
    """Whether the facts differ from earlier ones in what the connections of old records rest on.

    Args:
        connection: A DuckDB connection to work with.
        facts: The facts from all records.
        before: The folder with the facts from the old records, and their connection summaries.
        old: The old records (schema.FLOWS).
    """
    gained: list[dict[str, str | None]] = []
    for table, rows in ((TABLE, facts.rows), (address_zones.TABLE, facts.zones)):
        now = rows.to_pyarrow().to_pylist()
        earlier = engine.read_parquet(connection, before / f"{table.name}.parquet")
        known = {tuple(row.values()) for row in earlier.to_pyarrow().to_pylist()}
        if known - {tuple(row.values()) for row in now}:
            return True
        gained += [row for row in now if tuple(row.values()) not in known]
    if any(row.get("kind") == "network" for row in gained):
        return True
    interfaces = {row["interface_id"] for row in gained} - {None}
    if interfaces and _any_in(old.select(name=observation_point(old)), interfaces):
        return True
    # A private address is internal whatever else is known about it, but may be a NAT gateway's.
    own = facts.own().semi_join(facts.gateways(), "interface_id").to_pyarrow().to_pylist()
    of_gateways = {row["address"] for row in own if row["interface_id"] in interfaces}
    public = _public(connection, [row["address"] for row in gained])
    return _are_ends(connection, before, of_gateways | public)


def _public(connection: Backend, addresses: Iterable[str | None]) -> set[str]:
    rows = engine.register(connection, TABLE.rows({"address": a} for a in addresses))
    return set(rows.filter(~is_private(rows.address)).to_pyarrow()["address"].to_pylist())


def _are_ends(connection: Backend, before: Path, addresses: set[str]) -> bool:
    """Whether some addresses are ends of old connections, in any zone."""
    if not addresses:
        return False
    summaries = engine.read_parquet(connection, before / f"{SUMMARIES.name}.parquet")
    hosts = [
        summaries.select(name=summaries[end].split("%")[0]) for end in ("initiator", "responder")
    ]
    names = {split_zone(address)[0] for address in addresses}
    return any(_any_in(rows, names) for rows in hosts)


def _any_in(rows: ibis.Table, names: Iterable[str | None]) -> bool:
    """Whether any row's name is among some names."""
    wanted = ibis.memtable({"name": sorted(name for name in names if name)})
    return bool(rows.semi_join(wanted, "name").limit(1).count().execute())
