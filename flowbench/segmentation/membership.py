"""Which of a policy's groups an address belongs to, and when.

Tags, subnets, VPCs and security groups are those of whoever held the address (see interfaces); its
public addresses belong with it. An address of which nobody says where it is lies in the subnets and
VPCs whose networks hold it. Networks and addresses that the policy names hold for everyone.

Known limits: security groups are known for no time of their own: an interface counts for all that
any evidence names for it. Where two interfaces held one address at the same time (two VPCs with the
same network) it belongs to the groups of both.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from flowbench.enrich.intervals import Ranges, keys
from flowbench.schema import Table
from flowbench.segmentation.policy import Group

TABLE = Table.of(
    "members",
    ("address", "string", "an address of some group"),
    ("valid_from", "time", "since when it is in just these groups; null: always"),
    ("valid_until", "time", "until when; null: always"),
    ("profile", "int32", "which groups: their place in Members.profiles"),
)

Turn = tuple[datetime | None, datetime | None, frozenset[str]]  # since, until, groups
_NONE: frozenset[str] = frozenset()
_AT_ONCE = 100_000
_HELD = ("address", "interface_id", "tags", "vpc_id", "subnet_id", "public_addresses")


@dataclass(frozen=True)
class Members:
    """Who belongs to which groups: an address has as many rows as it was in different groups."""

    profiles: list[frozenset[str]]  # the first one is no group at all
    table: pa.Table  # TABLE; who is in no group is not in it
    changing: list[str]  # addresses that were in different groups at different times

    def count(self, group: str) -> int:
        """How many addresses were in a group at any time."""
        wanted = [n for n, groups in enumerate(self.profiles) if group in groups]
        rows = self.table.filter(pc.is_in(self.table["profile"], pa.array(wanted, pa.int32())))
        return pc.count_distinct(rows["address"]).as_py()


def members(
    groups: Mapping[str, Group],
    pairs: ibis.Table,
    *,
    holders: ibis.Table,
    interfaces: ibis.Table,
    subnets: ibis.Table,
    vpcs: ibis.Table,
) -> Members:
    """Who of all those in ``pairs``, or known to have held an address, belongs to which groups.

    ``holders`` is enrich.interfaces.TABLE, the others are the inventory's tables.
    """
    held, placed = _held(groups, holders, interfaces)
    always = {name: list(group.networks) for name, group in groups.items() if group.networks}
    lying = _networks(groups, subnets, vpcs)
    profiles: dict[frozenset[str], int] = {_NONE: 0}
    parts = [TABLE.arrow.empty_table()]
    of_held: dict[str, frozenset[str]] = {}
    if always or lying:
        spans = [*_families(always, by_place=False), *_families(lying, by_place=True)]
        known, somewhere = (pa.array(sorted(one), pa.string()) for one in (held, placed))
        for column in _seen(pairs):
            is_held, is_placed = (
                pc.is_in(column, some).to_numpy(zero_copy_only=False) for some in (known, somewhere)
            )
            for found, at in _cover(column, is_placed, spans):
                mine = column.take(pa.array(at[~is_held[at]]))
                parts.append(_rows(mine, profiles.setdefault(found, len(profiles))))
                for one in column.take(pa.array(at[is_held[at]])).to_pylist():
                    of_held[one] = found
    rows: list[dict[str, object]] = []
    changing = []
    for address, one_by_one in sorted(held.items()):
        added = of_held.get(address, _NONE)
        turns = _in_turn([(since, until, own | added) for since, until, own in one_by_one])
        if len(turns) > 1:
            changing.append(address)
        rows += [
            {"address": address, "valid_from": since, "valid_until": until,
             "profile": profiles.setdefault(now, len(profiles))}
            for since, until, now in turns if now
        ]  # fmt: skip
    return Members(list(profiles), pa.concat_tables([*parts, TABLE.rows(rows)]), changing)


def _seen(pairs: ibis.Table) -> Iterable[pa.Array]:
    """Each address once, some at a time: what is made of them in Python stays small."""
    ends = [pairs.select(address=pairs[end]) for end in ("initiator", "responder")]
    seen = ends[0].union(ends[1]).filter(_.address.notnull()).distinct().to_pyarrow()
    return (batch.column("address") for batch in seen.to_batches(max_chunksize=_AT_ONCE))


def _held(
    groups: Mapping[str, Group], holders: ibis.Table, interfaces: ibis.Table
) -> tuple[dict[str, list[Turn]], set[str]]:
    """For each address that somebody held since and until when, and that one's groups.

    And those of them of which it is said where they are.
    """
    placed: set[str] = set()
    guards: dict[str, set[str]] = defaultdict(set)
    listed = interfaces.filter(_.interface_id.notnull()).select("interface_id", "security_groups")
    for row in listed.distinct().to_pyarrow().to_pylist():
        guards[row["interface_id"]] |= set(row["security_groups"] or ())
    found: dict[str, list[Turn]] = defaultdict(list)
    columns = holders.select(*_HELD, "valid_from", "valid_until")
    order = ["address", _.valid_from.asc(nulls_first=True), "interface_id", "valid_until"]
    for row in columns.order_by(order).to_pyarrow().to_pylist():
        tags = dict(row["tags"] or ())
        own = {
            "subnets": {row["subnet_id"]},
            "vpcs": {row["vpc_id"]},
            "security-groups": guards.get(row["interface_id"] or "", set()),
        }
        names = frozenset(
            name
            for name, group in groups.items()
            if any(ids & own[kind] for kind, ids in group.ids.items())
            or any(all(tags.get(key) in values for key, values in one) for one in group.tags)
        )
        for address in {row["address"], *(row["public_addresses"] or ())}:
            found[address].append((row["valid_from"], row["valid_until"], names))
            if row["vpc_id"] or row["subnet_id"]:
                placed.add(address)
    return found, placed


def _networks(
    groups: Mapping[str, Group], subnets: ibis.Table, vpcs: ibis.Table
) -> dict[str, list[tuple[str, str]]]:
    """The networks of the subnets and VPCs that groups name, as first and last addresses."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, table, key in (("subnets", subnets, "subnet_id"), ("vpcs", vpcs, "vpc_id")):
        wanted = {name: g.ids[kind] for name, g in groups.items() if kind in g.ids}
        if not wanted:
            continue
        rows = table.select(key, cidr=table.cidrs.unnest()).distinct()
        for row in rows.order_by(key, "cidr").to_pyarrow().to_pylist():
            for name, ids in wanted.items():
                if row[key] in ids and (span := _span(row["cidr"])):
                    found[name].append(span)
    return found


def _span(cidr: str | None) -> tuple[str, str] | None:
    """The first and last address of a network in evidence; None for what is none."""
    try:
        network = ipaddress.ip_network(cidr or "", strict=False)
    except ValueError:
        return None
    return str(network[0]), str(network[-1])


def _families(
    networks: Mapping[str, Sequence[tuple[str, str]]], *, by_place: bool
) -> list[tuple[str, bool, bool, Ranges]]:
    """(group, IPv6?, not for those whose place is known?, ranges) for each group and family."""
    return [
        (name, v6, by_place, Ranges(*zip(*mine, strict=True)))
        for name, spans in networks.items()
        for v6 in (False, True)
        if (mine := [span for span in spans if (":" in span[0]) == v6])
    ]


def _cover(
    addresses: pa.Array, placed: np.ndarray, spans: list[tuple[str, bool, bool, Ranges]]
) -> list[tuple[frozenset[str], np.ndarray]]:
    """The sets of groups whose networks hold some of the addresses, each with their places."""
    packed = keys(addresses.to_pylist())
    v6 = pc.match_substring(addresses, ":").to_numpy(zero_copy_only=False)
    names = sorted({name for name, *_rest in spans})
    found = np.zeros((len(packed), len(names)), dtype=bool)
    for name, family, by_place, ranges in spans:
        mine = np.flatnonzero((v6 == family) & ~(placed & by_place))
        found[mine, names.index(name)] |= ranges.find(packed[mine]) >= 0
    some = np.flatnonzero(found.any(axis=1))
    if not len(some):
        return []
    patterns, which = np.unique(found[some], axis=0, return_inverse=True)
    return [
        (frozenset(np.array(names)[pattern].tolist()), some[which.ravel() == number])
        for number, pattern in enumerate(patterns)
    ]


def _rows(addresses: pa.Array, profile: int) -> pa.Table:
    always = pa.nulls(len(addresses), TABLE.arrow.field("valid_from").type)
    which = pa.array(np.full(len(addresses), profile, dtype=np.int32))
    return pa.table([addresses, always, always, which], schema=TABLE.arrow)


def _in_turn(rows: list[Turn]) -> list[Turn]:
    """One row for each time in which an address was in the same groups, without gaps.

    When nobody held it, whoever held it last still counts (an instance's last packets come after
    the call that ends it), and before the first one that one.
    """
    edges = sorted({edge for since, until, _g in rows for edge in (since, until) if edge})
    turns: list[Turn] = []
    for since, until in pairwise([None, *edges, None]):
        now = [
            groups
            for begun, ended, groups in rows
            if (begun is None or (since is not None and begun <= since))
            and (ended is None or (until is not None and ended >= until))
        ]
        groups = _NONE.union(*now)
        if turns and (not now or turns[-1][2] == groups):
            turns[-1] = (turns[-1][0], until, turns[-1][2])
        elif now:
            turns.append((since if turns else None, until, groups))
    return turns
