"""Membership of addresses in the groups of a segmentation policy, over time.

Tags, subnets, VPCs and security groups are those of the interface that an address was assigned to
(see enrich.assignments); public addresses follow their interface. An address without a known subnet
or VPC belongs to the subnets and VPCs whose networks contain it. Networks and addresses that the
policy names apply to every address.

Limitations: the history of security groups is not known; an interface counts for all that any
evidence names for it. An address that two interfaces had at the same time (two VPCs with the same
network) belongs to the groups of both.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from flowbench.enrich.intervals import NetworkIndex, address_keys
from flowbench.schema import Table
from flowbench.segmentation.policy import Group

TABLE = Table.of(
    "group_members",
    ("address", "string", "an address that is in a group"),
    ("valid_from", "time", "start of the period in which it is in these groups; null: always"),
    ("valid_until", "time", "end of the period; null: always"),
    ("profile", "int32", "the set of groups: index in Membership.profiles"),
)

_NO_GROUPS: frozenset[str] = frozenset()
_BATCH = 100_000  # addresses converted to Python at a time


class Period(NamedTuple):
    """The groups of an address in a period; None stands for an open end."""

    valid_from: datetime | None
    valid_until: datetime | None
    groups: frozenset[str]


class NetworkSet(NamedTuple):
    """The networks of one group in one address family."""

    group: str
    is_ipv6: bool
    unplaced_only: bool  # whether addresses with a known subnet or VPC are exempt
    ranges: NetworkIndex


@dataclass(frozen=True)
class Membership:
    """Which addresses are in which groups.

    Attributes:
        profiles: The distinct sets of groups; the first is the empty set.
        table: Rows of TABLE, one per address and period; addresses in no group have none.
        changing: Addresses whose groups changed over time.
    """

    profiles: list[frozenset[str]]
    table: pa.Table
    changing: list[str]

    def count(self, group: str) -> int:
        """Count the addresses that were in a group at any time."""
        wanted = [n for n, groups in enumerate(self.profiles) if group in groups]
        rows = self.table.filter(pc.is_in(self.table["profile"], pa.array(wanted, pa.int32())))
        return pc.count_distinct(rows["address"]).as_py()


def resolve_membership(
    groups: Mapping[str, Group],
    connection_summaries: ibis.Table,
    *,
    assignments: ibis.Table,
    interfaces: ibis.Table,
    subnets: ibis.Table,
    vpcs: ibis.Table,
) -> Membership:
    """Determine the groups of every address with an assignment or a connection.

    Args:
        groups: The policy's groups by name.
        connection_summaries: connections.PAIRS, whose ends are the addresses seen.
        assignments: enrich.assignments.TABLE.
        interfaces: The inventory's interfaces, for their security groups.
        subnets: The inventory's subnets, for their networks.
        vpcs: The inventory's VPCs, for their networks.
    """
    assigned, placed = _groups_of_assigned(groups, assignments, interfaces)
    named = {name: list(group.networks) for name, group in groups.items() if group.networks}
    located = _networks_of_places(groups, subnets, vpcs)
    networks = [
        *_network_sets(named, unplaced_only=False),
        *_network_sets(located, unplaced_only=True),
    ]
    profiles: dict[frozenset[str], int] = {_NO_GROUPS: 0}
    parts = [TABLE.arrow.empty_table()]
    by_network: dict[str, frozenset[str]] = {}  # of addresses with an assignment
    assigned_array, placed_array = (
        pa.array(sorted(addresses), pa.string()) for addresses in (assigned, placed)
    )
    for batch in _seen_addresses(connection_summaries) if networks else ():
        is_assigned = _is_in(batch, assigned_array)
        for names, rows in _match_networks(batch, _is_in(batch, placed_array), networks):
            others = batch.take(pa.array(rows[~is_assigned[rows]]))
            parts.append(_always(others, profiles.setdefault(names, len(profiles))))
            for address in batch.take(pa.array(rows[is_assigned[rows]])).to_pylist():
                by_network[address] = names
    rows_of_assigned: list[dict[str, object]] = []
    changing = []
    for address, periods in sorted(assigned.items()):
        extra = by_network.get(address, _NO_GROUPS)
        merged = _merge_periods([p._replace(groups=p.groups | extra) for p in periods])
        if len(merged) > 1:
            changing.append(address)
        rows_of_assigned += [
            {
                "address": address,
                "valid_from": period.valid_from,
                "valid_until": period.valid_until,
                "profile": profiles.setdefault(period.groups, len(profiles)),
            }
            for period in merged
            if period.groups
        ]
    table = pa.concat_tables([*parts, TABLE.rows(rows_of_assigned)])
    return Membership(list(profiles), table, changing)


def _seen_addresses(connection_summaries: ibis.Table) -> Iterable[pa.Array]:
    """Each address once, in batches: what Python holds of them stays small."""
    ends = [
        connection_summaries.select(address=connection_summaries[end])
        for end in ("initiator", "responder")
    ]
    seen = ends[0].union(ends[1]).filter(_.address.notnull()).distinct().to_pyarrow()
    return (batch.column("address") for batch in seen.to_batches(max_chunksize=_BATCH))


def _is_in(addresses: pa.Array, wanted: pa.Array) -> np.ndarray:
    return pc.is_in(addresses, wanted).to_numpy(zero_copy_only=False)


def _groups_of_assigned(
    groups: Mapping[str, Group], assignments: ibis.Table, interfaces: ibis.Table
) -> tuple[dict[str, list[Period]], set[str]]:
    """The periods of each address with an assignment, and those whose subnet or VPC is known."""
    placed: set[str] = set()
    security_groups: dict[str, set[str]] = defaultdict(set)
    columns = interfaces.filter(_.interface_id.notnull()).select("interface_id", "security_groups")
    for row in columns.distinct().to_pyarrow().to_pylist():
        security_groups[row["interface_id"]] |= set(row["security_groups"] or ())
    periods: dict[str, list[Period]] = defaultdict(list)
    columns = assignments.select(
        "address", "interface_id", "tags", "vpc_id", "subnet_id", "public_addresses",
        "valid_from", "valid_until",
    )  # fmt: skip
    order = ["address", _.valid_from.asc(nulls_first=True), "interface_id", "valid_until"]
    for row in columns.order_by(order).to_pyarrow().to_pylist():
        tags = dict(row["tags"] or ())
        ids = {
            "subnets": {row["subnet_id"]},
            "vpcs": {row["vpc_id"]},
            "security-groups": security_groups.get(row["interface_id"] or "", set()),
        }
        names = frozenset(
            name
            for name, group in groups.items()
            if any(wanted & ids[kind] for kind, wanted in group.ids.items())
            or any(
                all(tags.get(key) in values for key, values in tag_set) for tag_set in group.tags
            )
        )
        for address in {row["address"], *(row["public_addresses"] or ())}:
            periods[address].append(Period(row["valid_from"], row["valid_until"], names))
            if row["vpc_id"] or row["subnet_id"]:
                placed.add(address)
    return periods, placed


def _networks_of_places(
    groups: Mapping[str, Group], subnets: ibis.Table, vpcs: ibis.Table
) -> dict[str, list[tuple[str, str]]]:
    """The networks of the subnets and VPCs that groups name, as first and last addresses."""
    networks: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, table, key in (("subnets", subnets, "subnet_id"), ("vpcs", vpcs, "vpc_id")):
        wanted = {name: group.ids[kind] for name, group in groups.items() if kind in group.ids}
        if not wanted:
            continue
        rows = table.select(key, cidr=table.cidrs.unnest()).distinct()
        for row in rows.order_by(key, "cidr").to_pyarrow().to_pylist():
            for name, ids in wanted.items():
                if row[key] in ids and (network := _first_and_last(row["cidr"])):
                    networks[name].append(network)
    return networks


def _first_and_last(cidr: str | None) -> tuple[str, str] | None:
    """The first and last address of a network in evidence; None if it is not a network."""
    try:
        network = ipaddress.ip_network(cidr or "", strict=False)
    except ValueError:
        return None
    return str(network[0]), str(network[-1])


def _network_sets(
    networks: Mapping[str, Sequence[tuple[str, str]]], *, unplaced_only: bool
) -> list[NetworkSet]:
    return [
        NetworkSet(name, is_ipv6, unplaced_only, NetworkIndex(*zip(*family, strict=True)))
        for name, spans in networks.items()
        for is_ipv6 in (False, True)
        if (family := [span for span in spans if (":" in span[0]) == is_ipv6])
    ]


def _match_networks(
    addresses: pa.Array, is_placed: np.ndarray, networks: list[NetworkSet]
) -> list[tuple[frozenset[str], np.ndarray]]:
    """The sets of groups whose networks contain some addresses, each with their row numbers."""
    packed = address_keys(addresses.to_pylist())
    is_ipv6 = pc.match_substring(addresses, ":").to_numpy(zero_copy_only=False)
    names = sorted({network.group for network in networks})
    matches = np.zeros((len(packed), len(names)), dtype=bool)
    for network in networks:
        eligible = np.flatnonzero(
            (is_ipv6 == network.is_ipv6) & ~(is_placed & network.unplaced_only)
        )
        matches[eligible, names.index(network.group)] |= network.ranges.find(packed[eligible]) >= 0
    matched = np.flatnonzero(matches.any(axis=1))
    if not len(matched):
        return []
    patterns, which = np.unique(matches[matched], axis=0, return_inverse=True)
    return [
        (frozenset(np.array(names)[pattern].tolist()), matched[which.ravel() == number])
        for number, pattern in enumerate(patterns)
    ]


def _always(addresses: pa.Array, profile: int) -> pa.Table:
    """Rows of TABLE for addresses that are in the same groups at all times."""
    no_time = pa.nulls(len(addresses), TABLE.arrow.field("valid_from").type)
    profiles = pa.array(np.full(len(addresses), profile, dtype=np.int32))
    return pa.table([addresses, no_time, no_time, profiles], schema=TABLE.arrow)


def _merge_periods(periods: list[Period]) -> list[Period]:
    """Merge overlapping periods into consecutive ones of different groups, without gaps.

    In a gap the previous assignment still counts (an instance's last packets come after the call
    that terminates it), and before the first assignment that one does.
    """
    edges = sorted({edge for period in periods for edge in period[:2] if edge})
    merged: list[Period] = []
    for start, end in pairwise([None, *edges, None]):
        current = [
            groups
            for valid_from, valid_until, groups in periods
            if (valid_from is None or (start is not None and valid_from <= start))
            and (valid_until is None or (end is not None and valid_until >= end))
        ]
        groups = _NO_GROUPS.union(*current)
        if merged and (not current or merged[-1].groups == groups):
            merged[-1] = merged[-1]._replace(valid_until=end)
        elif current:
            merged.append(Period(start if merged else None, end, groups))
    return merged
