"""The address book: what each address is, whose it was when, and who warned of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from flowbench.schema import Table

TABLE = Table.of(
    "addresses",
    ("address", "string", "the address"),
    ("internal", "bool", "private, or an interface's own"),
    ("interface_id", "string", "the interface it belongs to"),
    ("instance_id", "string", "the instance that interface is attached to"),
    ("service", "string", "what kind of thing owns it: ec2, rds, efs, nat-gateway, …"),
    ("name", "string", "its Name tag, or its instance's"),
    (
        "tags",
        "tags",
        "its tags and its instance's; whoever may write them, attackers too, wrote them",
    ),
    ("vpc_id", "string", "its VPC"),
    ("subnet_id", "string", "its subnet"),
    ("account_id", "string", "the account that owns it"),
    ("public_addresses", "strings", "the public addresses that lead to it; never in flow logs"),
    ("valid_from", "time", "since when that holds; null: since before the evidence"),
    ("valid_until", "time", "until when: it has another row for what follows; null: open"),
    ("known_from", "string", "who told: inventory, cloudtrail, or logs (learned from records)"),
    ("indicators", "int64", "how many indicators cover it"),
    ("kinds", "strings", "what those indicators call it"),
)

# RFC 1918, 6598 (carrier-grade NAT), 3927 and 4291 (link-local), 1122 (loopback), 4193 (ULA).
_INSIDE = (
    r"^(10\.|127\.|192\.168\.|169\.254\.|172\.(1[6-9]|2[0-9]|3[01])\."
    r"|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|::1$)"
)


def is_internal(address: ibis.Value) -> ibis.Value:
    """Whether an address is one that no internet host has: private, link-local, carrier-grade NAT.

    The documentation networks (192.0.2.0/24 and the like) count as outside: training cases use
    them for the internet.
    """
    return address.re_search(_INSIDE)


def own_addresses(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """Which address is whose: (interface_id, address), one row each.

    From the inventory; for interfaces it does not list, from their records: every record of an
    interface has its own address on one side, the one that flow-direction tells where that is
    logged, else the one that all its records of IPv4, or of IPv6, share. Regional NAT gateways have
    no interface: they stand there by their own id, with their public addresses. Known limit: an
    interface whose few records all have the same two ends is taken to own the private one, or none
    if both are.
    """
    listed = interfaces.select("interface_id", address=interfaces.addresses.unnest()).union(
        interfaces.select("interface_id", address=interfaces.private_address)
    )
    listed = listed.filter(_.address.notnull(), _.interface_id.notnull()).distinct()
    f = flows.filter(flows.srcaddr.notnull(), flows.interface_id.notnull())
    f = f.anti_join(interfaces.select("interface_id").distinct(), "interface_id")
    f = f.mutate(six=f.srcaddr.contains(":"))  # an interface may have an address of each kind
    sides = [
        f.filter(f.flow_direction.isnull() | (f.flow_direction == way)).select(
            "interface_id", "six", address=f[column]
        )
        for way, column in (("egress", "srcaddr"), ("ingress", "dstaddr"))
    ]
    each = ["interface_id", "six"]
    counts = sides[0].union(sides[1]).group_by(*each, "address").aggregate(n=_.count())
    totals = f.group_by(each).aggregate(total=_.count())
    shared = counts.join(totals, each).filter(_.n >= _.total)
    rivals = ibis.window(group_by=each)
    shared = shared.mutate(private=is_internal(shared.address))
    shared = shared.mutate(rivals=_.count().over(rivals), privates=_.private.sum().over(rivals))
    # A public IPv4 address is never an interface's own in these logs; an IPv6 one is.
    able = shared.private | shared.six
    learned = shared.filter(able, (_.rivals == 1) | (_.private & (_.privates == 1)))
    own = listed.union(learned.select("interface_id", "address"))
    if (regional := _of_regional(flows, interfaces)) is not None:
        own = own.union(regional)
    return own.distinct()


def nat_gateways(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """NAT gateways by the interface_id that own_addresses gives them, one row each.

    From the inventory, from records that carry the interface's type (v11), and all regional ones.
    """
    found = interfaces.filter(interfaces.service == "nat-gateway").select("interface_id")
    if "interface_type" in flows.columns:
        typed = flows.filter(flows.interface_type == "nat_gateway").select("interface_id")
        found = found.union(typed)
    if (regional := of_regional_nat(flows)) is not None:
        found = found.union(flows.filter(regional).select(interface_id=_.resource_id))
    return found.filter(_.interface_id.notnull()).distinct()


def of_regional_nat(flows: ibis.Table) -> ibis.Value | None:
    """Whether a record is a regional NAT gateway's, which has an id, but no interface.

    None where no evidence has the field that tells (resource-id, v9).
    """
    if "resource_id" not in flows.columns:
        return None
    return flows.interface_id.isnull() & flows.resource_id.startswith("nat-").fill_null(False)


def _of_regional(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table | None:
    """The public addresses of regional NAT gateways (as own_addresses), told by their records.

    They see each exchange twice: client and peer, then their own address and the same peer. So of
    two public ends the gateway's is the one across from a peer that its clients talk to, and no
    such peer itself; one that only ever calls in (a scan) stands across from no peer.
    """
    regional = of_regional_nat(flows)
    if regional is None:
        return None
    f = flows.filter(regional, flows.srcaddr.notnull(), flows.dstaddr.notnull())
    f = f.anti_join(interfaces, f.resource_id == interfaces.interface_id)
    ways = [
        f.select(nat=f.resource_id, here=f[here], there=f[there])
        for here, there in (("srcaddr", "dstaddr"), ("dstaddr", "srcaddr"))
    ]
    met = ways[0].union(ways[1]).distinct()
    met = met.mutate(here_internal=is_internal(met.here), there_internal=is_internal(met.there))
    outside = met.filter(~met.here_inside)
    peers = outside.filter(outside.there_inside).select("nat", "here").distinct()
    across = outside.semi_join(peers.rename(there="here"), ["nat", "there"])
    own = across.anti_join(peers, ["nat", "here"])
    return own.select(interface_id=own.nat, address=own.here).distinct()


def book(pairs: ibis.Table, holders: ibis.Table, matches: ibis.Table) -> ibis.Table:
    """The address book (TABLE), as an expression: every address that anything knows.

    An address has a row for each of its ``holders`` (enrich.interfaces.TABLE), one row if it had
    none; ``matches`` is what enrich.indicators.match returned. Ordered by address and time.
    """
    ends = [
        pairs.select(address=pairs[end], internal=pairs.direction.isin(["internal", way]))
        for end, way in (("initiator", "outbound"), ("responder", "inbound"))
    ]
    seen = ends[0].union(ends[1]).group_by("address").aggregate(seen_internal=_.internal.any())
    held = holders.select(*(name for name in holders.columns if name in TABLE.columns))
    rows = seen.outer_join(held.mutate(held=True), "address")
    rows = rows.mutate(address=ibis.coalesce(rows.address, rows.address_right)).drop(
        "address_right"
    )
    listed = matches.group_by(listed=matches.address).aggregate(
        indicators=matches.count(), kinds=matches.kind.collect(distinct=True, order_by=matches.kind)
    )
    rows = rows.left_join(listed, rows.address == listed.listed)
    rows = rows.mutate(
        internal=rows.held.fill_null(False) | rows.seen_inside.fill_null(False),
        indicators=rows.indicators.fill_null(0),
        kinds=ibis.coalesce(rows.kinds, ibis.literal([], type="array<string>")),
    )
    order = [rows.address, rows.valid_from.asc(nulls_first=True), rows.interface_id]
    return rows.select(*TABLE.columns).order_by(order)


def with_tags(book: ibis.Table, tags: Iterable[str]) -> ibis.Table:
    """The address book with a column for the value of each tag; null where an address lacks it.

    The column is called as the tag is; ``tag:`` stands before it where the book has such a column.
    """
    taken = set(book.columns)
    named = {f"tag:{tag}" if tag in taken else tag: tag for tag in tags}
    return book.mutate(**{name: book.tags.get(tag) for name, tag in named.items()})


class Lookup:
    """The address book for questions about some addresses, each at some time."""

    def __init__(self, book: ibis.Table, addresses: Iterable[str]) -> None:
        wanted = ibis.memtable({"wanted": pa.array(sorted(set(addresses)), pa.string())})
        rows = book.semi_join(wanted, book.address == wanted.wanted)
        order = [rows.address, rows.valid_from.asc(nulls_first=True), rows.interface_id]
        self._rows: dict[str, list[dict[str, Any]]] = {}
        for row in rows.order_by(order).to_pyarrow().to_pylist():
            self._rows.setdefault(row["address"], []).append(row)

    def at(self, address: str, time: datetime | None = None) -> dict[str, Any] | None:
        """The row of an address that was valid at a time; None for an address without any.

        See ``holder``.
        """
        return holder(self._rows.get(address, []), time)


def holder(rows: list[dict[str, Any]], time: datetime | None = None) -> dict[str, Any] | None:
    """Of some holders in order of time the one at a time: of several at once the latest to come.

    Where none held it then, the one whose time lies nearest: windows blur by a minute, and an
    instance's last packets come after the call that ends it. Without a time, the last one.
    """
    if time is None or len(rows) < 2:
        return rows[-1] if rows else None

    def away(row: dict[str, Any]) -> tuple[float, float]:
        begun, until = row["valid_from"], row["valid_until"]
        early = (begun - time).total_seconds() if begun else -float("inf")
        late = (time - until).total_seconds() if until else -float("inf")
        return max(early, late, 0.0), early * -1 if early <= 0 else 0.0

    return min(rows, key=away)
