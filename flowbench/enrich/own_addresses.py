"""Which addresses are an interface's own, from the inventory and from flow log records.

The inventory decides for the interfaces that it lists. Of the others a record always has the
interface's own address on one side (AWS writes the primary address there, whatever the packet has).
The first of these rules that applies to the IPv4 or the IPv6 records of an interface decides:

* the side that flow-direction names: source of egress, destination of ingress. A public address
  among several must never be on the other side;
* the address that all of its records share, if that is one;
* of two, the one that AWS wrote in place of the packet's (pkt-srcaddr or pkt-dstaddr differs);
* of two, the private one;
* of two public ones, the one that is no other interface's own, if the other is; else the one that
  has the own address of another interface in its subnet (ownership.SUBNET).

Limitations: without flow-direction an interface with one peer stays without an address if both are
private or both public, unless another rule applies. So does one that has a public IPv4 address and
private peers only: several private hosts that share a public peer would look the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import ibis
import pyarrow as pa
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.enrich.ownership import SUBNET, is_private, neighbourhood

_OWN = pa.schema([("interface_id", pa.string()), ("address", pa.string())])
_GROUP = ["interface_id", "is_ipv6"]  # an interface may have addresses of both kinds
_SIDES = (("egress", "srcaddr", "dstaddr"), ("ingress", "dstaddr", "srcaddr"))


class _Group(NamedTuple):
    """An interface's IPv4 or IPv6 records."""

    interface_id: str
    is_ipv6: bool


class _Candidate(NamedTuple):
    """An address that can be the own one in all of these records."""

    address: str
    private: bool
    stated: bool  # by flow-direction, in all records


def own_addresses(connection: Backend, flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """Match interfaces with their own addresses: (interface_id, address), one row each.

    Regional NAT gateways have no interface: they appear under their resource id, with their public
    addresses.

    Args:
        connection: Where the result and intermediate results are kept.
        flows: Flow log records (schema.FLOWS).
        interfaces: The inventory (loaders.aws.interfaces.TABLE).
    """
    listed = interfaces.select("interface_id", address=interfaces.addresses.unnest()).union(
        interfaces.select("interface_id", address=interfaces.private_address)
    )
    own = listed.filter(_.address.notnull(), _.interface_id.notnull()).distinct()
    f = flows.filter(flows.srcaddr.notnull(), flows.interface_id.notnull())
    f = f.anti_join(interfaces.select("interface_id").distinct(), "interface_id")
    f = f.mutate(is_ipv6=f.srcaddr.contains(":"), stated=f.flow_direction.notnull())
    known = own.address.to_pyarrow().to_pylist()
    with engine.materialized(connection, _possible_addresses(f)) as possible:
        learned = _from_shared(f, possible, known) + _from_direction(f, possible)
    own = own.union(engine.register(connection, _rows(learned)))
    if (regional := _regional_nat_addresses(flows, interfaces)) is not None:
        own = own.union(regional)
    return engine.materialize(connection, own.distinct())


def _possible_addresses(f: ibis.Table) -> ibis.Table:
    """Count the records in which an address can be the interface's own.

    Columns: _GROUP, address, n; ``stated``, how many of these have flow-direction; total, the
    number of all records of the interface.
    """
    sides = [
        f.filter(~f.stated | (f.flow_direction == direction)).select(
            *_GROUP, "stated", address=f[near]
        )
        for direction, near, _far in _SIDES
    ]
    both = sides[0].union(sides[1])
    counts = both.group_by(*_GROUP, "address").aggregate(
        n=both.count(), stated=both.stated.cast("int64").sum()
    )
    # A record without direction counts for both of its sides.
    group = ibis.window(group_by=_GROUP)
    return counts.mutate(total=(counts.stated.sum().over(group) + counts.n.sum().over(group)) / 2)


def _from_shared(
    f: ibis.Table, possible: ibis.Table, known: Iterable[str]
) -> list[tuple[str, str]]:
    """Choose among the addresses that all records of an interface share."""
    shared = possible.filter(possible.n >= possible.total)
    shared = shared.mutate(private=is_private(shared.address), stated=shared.stated >= shared.total)
    groups: dict[_Group, list[_Candidate]] = defaultdict(list)
    for row in shared.order_by(*_GROUP, "address").to_pyarrow().to_pylist():
        candidate = _Candidate(row["address"], row["private"], row["stated"])
        groups[_Group(row["interface_id"], row["is_ipv6"])].append(candidate)
    suspects = [group for group, candidates in groups.items() if _is_suspect(group, candidates)]
    excluded = set(suspects)
    if suspects:
        excluded -= _with_other_public_addresses(_of_groups(possible, suspects))
    several = [group for group, candidates in groups.items() if len(candidates) > 1]
    replacing = _replacing_addresses(_of_groups(f, several)) if several else set()
    own: list[tuple[str, str]] = []
    undecided: list[tuple[str, list[str]]] = []
    for group, candidates in groups.items():
        written = [c for c in candidates if (group.interface_id, c.address) in replacing]
        private = [c for c in candidates if c.private]
        chosen = next((some for some in (candidates, written, private) if len(some) == 1), [])
        if chosen and group not in excluded:
            own.append((group.interface_id, chosen[0].address))
        elif not private:
            undecided.append((group.interface_id, [c.address for c in candidates]))
    return own + _by_others(undecided, {address for _interface, address in own} | set(known))


def _by_others(undecided: list[tuple[str, list[str]]], known: set[str]) -> list[tuple[str, str]]:
    """Choose among an interface's public addresses by those that other interfaces have."""
    networks = {neighbourhood(address, SUBNET) for address in known}
    own = []
    for interface_id, addresses in undecided:
        unknown = [address for address in addresses if address not in known]
        near = [address for address in unknown if neighbourhood(address, SUBNET) in networks]
        chosen = unknown if len(unknown) == 1 else near
        if len(chosen) == 1 and len(addresses) > 1:
            own.append((interface_id, chosen[0]))
    return own


def _is_suspect(group: _Group, candidates: list[_Candidate]) -> bool:
    """Whether a single shared address may be a peer that several private hosts have in common."""
    first = candidates[0]
    return len(candidates) == 1 and not (first.private or first.stated or group.is_ipv6)


def _of_groups(rows: ibis.Table, groups: list[_Group]) -> ibis.Table:
    names = pa.table({"interface_id": pa.array([group.interface_id for group in groups])})
    return rows.semi_join(ibis.memtable(names), "interface_id")


def _with_other_public_addresses(possible: ibis.Table) -> set[_Group]:
    """The interfaces that have public addresses beside the one that all records share."""
    public = possible.filter(~is_private(possible.address), possible.n < possible.total)
    rows = public.select(_GROUP).distinct().to_pyarrow().to_pylist()
    return {_Group(**row) for row in rows}


def _replacing_addresses(f: ibis.Table) -> set[tuple[str, str]]:
    """(interface, address) where AWS wrote the address in place of the packet's."""
    sides = [
        f.filter(f[side] != f[f"pkt_{side}"]).select("interface_id", address=f[side])
        for side in ("srcaddr", "dstaddr")
    ]
    rows = sides[0].union(sides[1]).distinct().to_pyarrow().to_pylist()
    return {(row["interface_id"], row["address"]) for row in rows}


def _from_direction(f: ibis.Table, possible: ibis.Table) -> list[tuple[str, str]]:
    """Public addresses of interfaces with several on the side that flow-direction names."""
    stated = possible.filter(possible.stated > 0)
    count = _.count().over(ibis.window(group_by=_GROUP))
    several = stated.filter(stated.n < stated.total).mutate(count=count)
    near = several.filter(several["count"] > 1, ~is_private(several.address))
    groups = near.select(_GROUP).distinct().to_pyarrow().to_pylist()
    if not groups:
        return []
    f = _of_groups(f.filter(f.stated), [_Group(**group) for group in groups])
    sides = [
        f.filter(f.flow_direction == direction).select("interface_id", address=f[far])
        for direction, _near, far in _SIDES
    ]
    near = near.select("interface_id", "address")
    own = near.anti_join(sides[0].union(sides[1]).distinct(), ["interface_id", "address"])
    rows = own.distinct().order_by("interface_id", "address").to_pyarrow().to_pylist()
    return [(row["interface_id"], row["address"]) for row in rows]


def _rows(own: list[tuple[str, str]]) -> pa.Table:
    rows = [{"interface_id": name, "address": address} for name, address in own]
    return pa.Table.from_pylist(rows, schema=_OWN)


def nat_gateways(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """NAT gateways by the interface_id that ``own_addresses`` gives them, one row each.

    From the inventory, from records that carry the interface's type (v11), and all regional ones.
    """
    found = interfaces.filter(interfaces.service == "nat-gateway").select("interface_id")
    if "interface_type" in flows.columns:
        typed = flows.filter(flows.interface_type == "nat_gateway").select("interface_id")
        found = found.union(typed)
    if (regional := is_regional_nat(flows)) is not None:
        found = found.union(flows.filter(regional).select(interface_id=_.resource_id))
    return found.filter(_.interface_id.notnull()).distinct()


def is_regional_nat(flows: ibis.Table) -> ibis.Value | None:
    """Whether a record is of a regional NAT gateway, which has an id, but no interface.

    None where no evidence has the field for it (resource-id, v9).
    """
    if "resource_id" not in flows.columns:
        return None
    return flows.interface_id.isnull() & flows.resource_id.startswith("nat-").fill_null(False)


def _regional_nat_addresses(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table | None:
    """The public addresses of regional NAT gateways, as ``own_addresses``, from their records.

    They record each exchange twice: client and peer, then their own address and the same peer. So
    of two public addresses the gateway's is the one that exchanges with a peer of its clients and
    is no such peer itself; the source of an inbound scan exchanges with no peer.
    """
    regional = is_regional_nat(flows)
    if regional is None:
        return None
    f = flows.filter(regional, flows.srcaddr.notnull(), flows.dstaddr.notnull())
    f = f.anti_join(interfaces, f.resource_id == interfaces.interface_id)
    directions = [
        f.select(nat=f.resource_id, near=f[near], far=f[far])
        for near, far in (("srcaddr", "dstaddr"), ("dstaddr", "srcaddr"))
    ]
    exchanges = directions[0].union(directions[1]).distinct()
    exchanges = exchanges.mutate(
        near_private=is_private(exchanges.near), far_private=is_private(exchanges.far)
    )
    external = exchanges.filter(~exchanges.near_private)
    peers = external.filter(external.far_private).select("nat", "near").distinct()
    candidates = external.semi_join(peers.rename(far="near"), ["nat", "far"])
    own = candidates.anti_join(peers, ["nat", "near"])
    return own.select(interface_id=own.nat, address=own.near).distinct()
