"""The address book: what each address is, whose it is, and who warned of it."""

from __future__ import annotations

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
    ("name", "string", "its Name tag"),
    ("tags", "tags", "its tags; written by whoever may write them, attackers too"),
    ("vpc_id", "string", "its VPC"),
    ("subnet_id", "string", "its subnet"),
    ("account_id", "string", "the account that owns it"),
    ("public_addresses", "strings", "the public addresses that lead to it; never in flow logs"),
    ("known_from", "string", "who told: inventory, or logs (interface learned from its records)"),
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


def book(pairs: ibis.Table, interfaces: ibis.Table, matches: ibis.Table) -> pa.Table:
    """The address book (TABLE): a row for every address seen in connections or in the inventory.

    ``matches`` is what enrich.indicators.match returned. Ordered by address.
    """
    seen = (
        pairs.select(address=pairs.initiator, inside=pairs.direction.isin(["internal", "outbound"]))
        .union(
            pairs.select(
                address=pairs.responder, inside=pairs.direction.isin(["internal", "inbound"])
            )
        )
        .group_by("address")
        .aggregate(inside=_.inside.any())
        .to_pyarrow()
        .to_pylist()
    )
    rows = {row["address"]: row for row in seen}
    columns = ["interface_id", "instance_id", "service", "name", "tags", "vpc_id", "subnet_id"]
    listed = interfaces.select(
        *columns, "account_id", "public_addresses", "private_address", "addresses", "source", "item"
    )
    for row in listed.order_by("source", "item").to_pyarrow().to_pylist():
        known = {name: row[name] for name in (*columns, "account_id", "public_addresses")}
        for address in {row["private_address"], *(row["addresses"] or ())} - {None}:
            rows[address] = known | {"address": address, "inside": True, "known_from": "inventory"}
    for match in matches.select("address", "kind").to_pyarrow().to_pylist():
        row = rows[match["address"]]
        row["indicators"] = row.get("indicators", 0) + 1
        row["kinds"] = sorted({*row.get("kinds", ()), match["kind"]})
    for row in rows.values():
        row.setdefault("indicators", 0)
        row.setdefault("kinds", [])
    return TABLE.rows(rows[address] for address in sorted(rows))
