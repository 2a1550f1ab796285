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
    ("inside", "bool", "private, or an interface's own"),
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


def is_inside(address: ibis.Value) -> ibis.Value:
    """Whether an address is one that no internet host has: private, link-local, carrier-grade NAT.

    The documentation networks (192.0.2.0/24 and the like) count as outside: training cases use
    them for the internet.
    """
    return address.re_search(_INSIDE)


def own_addresses(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """Which address is whose: (interface_id, address), one row each.

    From the inventory; for interfaces it does not list, from their records: every record of an
    interface has its own address on one side, the one that flow-direction tells where that is
    logged, else the one that all its records share. Known limit: an interface whose few records
    all have the same two ends is taken to own the private one, or none if both are.
    """
    listed = interfaces.select("interface_id", address=interfaces.addresses.unnest()).union(
        interfaces.select("interface_id", address=interfaces.private_address)
    )
    listed = listed.filter(_.address.notnull(), _.interface_id.notnull()).distinct()
    f = flows.filter(flows.srcaddr.notnull(), flows.interface_id.notnull())
    f = f.anti_join(interfaces.select("interface_id").distinct(), "interface_id")
    sides = [
        f.filter(f.flow_direction.isnull() | (f.flow_direction == way)).select(
            "interface_id", address=f[column]
        )
        for way, column in (("egress", "srcaddr"), ("ingress", "dstaddr"))
    ]
    counts = sides[0].union(sides[1]).group_by("interface_id", "address").aggregate(n=_.count())
    totals = f.group_by("interface_id").aggregate(total=_.count())
    shared = counts.join(totals, "interface_id").filter(_.n >= _.total)
    rivals = ibis.window(group_by="interface_id")
    shared = shared.mutate(private=is_inside(shared.address))
    shared = shared.mutate(rivals=_.count().over(rivals), privates=_.private.sum().over(rivals))
    # A public IPv4 address is never an interface's own in these logs; an IPv6 one is.
    able = shared.private | shared.address.contains(":")
    learned = shared.filter(able, (_.rivals == 1) | (_.private & (_.privates == 1)))
    return listed.union(learned.select("interface_id", "address")).distinct()


def book(pairs: ibis.Table, holders: ibis.Table, matches: ibis.Table) -> ibis.Table:
    """The address book (TABLE), as an expression: every address that anything knows.

    An address has a row for each of its ``holders`` (enrich.interfaces.TABLE), one row if it had
    none; ``matches`` is what enrich.indicators.match returned. Ordered by address and time.
    """
    ends = [
        pairs.select(address=pairs[end], inside=pairs.direction.isin(["internal", way]))
        for end, way in (("initiator", "outbound"), ("responder", "inbound"))
    ]
    seen = ends[0].union(ends[1]).group_by("address").aggregate(seen_inside=_.inside.any())
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
        inside=rows.held.fill_null(False) | rows.seen_inside.fill_null(False),
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
