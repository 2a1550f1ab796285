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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from flowbench.enrich.intervals import NO_ADDRESS, address_keys, find_all
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
_PLACE = ("vpc_id", "subnet_id")
_PERIOD = ("valid_from", "valid_until")
_BATCH = 100_000  # addresses converted to Python at a time


class Period(NamedTuple):
    """The groups of an address in a period; None stands for an open end."""

    valid_from: datetime | None
    valid_until: datetime | None
    groups: frozenset[str]


class GroupNetwork(NamedTuple):
    """A network of a group; ``unplaced_only`` exempts addresses with a known subnet or VPC."""

    group: str
    first: str
    last: str
    unplaced_only: bool


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
        connection_summaries: connections.SUMMARIES, whose ends are the addresses seen.
        assignments: enrich.assignments.TABLE.
        interfaces: The inventory's interfaces, for their security groups.
        subnets: The inventory's subnets, for their networks.
        vpcs: The inventory's VPCs, for their networks.
    """
    assigned, placed = _groups_of_assigned(groups, assignments, interfaces)
    networks = [
        GroupNetwork(name, *network, unplaced_only=False)
        for name, group in groups.items()
        for network in group.networks
    ]
    networks += _networks_of_places(groups, subnets, vpcs)
    profiles: dict[frozenset[str], int] = {_NO_GROUPS: 0}
    parts = [TABLE.arrow.empty_table()]
    by_network: dict[str, frozenset[str]] = {}  # of addresses with an assignment
    batches = _seen_addresses(connection_summaries) if networks else ()
    with_assignment = pa.array(sorted(assigned), pa.string())
    for names, addresses in _group_by_networks(batches, placed, networks):
        is_assigned = _is_in(addresses, with_assignment)
        others = addresses.filter(pa.array(~is_assigned))
        parts.append(_always(others, profiles.setdefault(names, len(profiles))))
        by_network |= dict.fromkeys(addresses.filter(pa.array(is_assigned)).to_pylist(), names)
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


def _group_by_networks(
    batches: Iterable[pa.Array], placed: set[str], networks: Sequence[GroupNetwork]
) -> Iterator[tuple[frozenset[str], pa.Array]]:
    """Yield addresses that networks contain, by the set of groups that these belong to."""
    with_place = pa.array(sorted(placed), pa.string())
    for batch in batches:
        for names, rows in _match_networks(batch, _is_in(batch, with_place), networks):
            yield names, batch.take(pa.array(rows))


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
        "address", "interface_id", "tags", *_PLACE, "public_addresses", *_PERIOD
    )
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
) -> list[GroupNetwork]:
    """The networks of the subnets and VPCs that groups name."""
    networks = []
    for kind, table, key in (("subnets", subnets, "subnet_id"), ("vpcs", vpcs, "vpc_id")):
        wanted = {name: group.ids[kind] for name, group in groups.items() if kind in group.ids}
        if not wanted:
            continue
        rows = table.select(key, cidr=table.cidrs.unnest()).distinct()
        for row in rows.order_by(key, "cidr").to_pyarrow().to_pylist():
            if (network := _first_and_last(row["cidr"])) is not None:
                networks += [
                    GroupNetwork(name, *network, unplaced_only=True)
                    for name, ids in wanted.items()
                    if row[key] in ids
                ]
    return networks


def _first_and_last(cidr: str | None) -> tuple[str, str] | None:
    """The first and last address of a network in evidence; None if it is not a network."""
    try:
        network = ipaddress.ip_network(cidr or "", strict=False)
    except ValueError:
        return None
    return str(network[0]), str(network[-1])


def _match_networks(
    addresses: pa.Array, is_placed: np.ndarray, networks: Sequence[GroupNetwork]
) -> list[tuple[frozenset[str], np.ndarray]]:
    """The sets of groups whose networks contain some addresses, each with their row numbers."""
    names = sorted({network.group for network in networks})
    column = np.array([names.index(network.group) for network in networks])
    unplaced_only = np.array([network.unplaced_only for network in networks])
    network_is_ipv6 = np.array([":" in network.first for network in networks])
    is_ipv6 = pc.match_substring(addresses, ":").to_numpy(zero_copy_only=False)
    keys = address_keys(addresses.to_pylist())
    at, which = find_all(
        keys,
        address_keys([network.first for network in networks]),
        address_keys([network.last for network in networks]),
    )
    # ::/0 contains the keys of IPv4 addresses, and of what is not an address.
    applies = (is_ipv6[at] == network_is_ipv6[which]) & (keys[at] != NO_ADDRESS)
    applies &= ~(is_placed[at] & unplaced_only[which])
    matches = np.zeros((len(keys), len(names)), dtype=bool)
    matches[at[applies], column[which[applies]]] = True
    matched = np.flatnonzero(matches.any(axis=1))
    if not len(matched):
        return []
    patterns, pattern_of = np.unique(matches[matched], axis=0, return_inverse=True)
    return [
        (frozenset(np.array(names)[pattern].tolist()), matched[pattern_of.ravel() == number])
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
