"""The address inventory: what each address was and when, and how many indicators cover it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from flowbench.schema import Table
from flowbench.text import format_time

TABLE = Table.of(
    "addresses",
    ("address", "string", "the address"),
    ("internal", "bool", "whether it belongs to the monitored network"),
    ("interface_id", "string", "the interface that it is assigned to"),
    ("instance_id", "string", "the instance that the interface is attached to"),
    ("service", "string", "the AWS service of the interface: ec2, rds, efs, nat-gateway, …"),
    ("name", "string", "the interface's Name tag, or its instance's"),
    ("tags", "tags", "tags of interface and instance; anyone with the permission can set them"),
    ("vpc_id", "string", "its VPC"),
    ("subnet_id", "string", "its subnet"),
    ("account_id", "string", "the account that owns the interface"),
    ("public_addresses", "strings", "public addresses that map to it"),
    ("private_address", "string", "of a public address: the private one that it maps to"),
    ("valid_from", "time", "start of the assignment; null: before the evidence"),
    ("valid_until", "time", "end of the assignment, the next one has its own row; null: open"),
    ("known_from", "string", "data source: inventory, cloudtrail, or logs (from flow records)"),
    ("indicators", "int64", "number of indicators that cover it"),
    ("kinds", "strings", "the kinds of those indicators"),
)

Assignment = dict[str, Any]  # a row of TABLE, or of assignments.TABLE


def build_inventory(
    summaries: ibis.Table, assignments: ibis.Table, matches: ibis.Table
) -> ibis.Table:
    """Join what is known of every address into the address inventory (TABLE), as an expression.

    Args:
        summaries: Connection summaries (connections.SUMMARIES): which addresses were seen.
        assignments: Address assignments (assignments.TABLE).
        matches: Indicator matches (indicators.MATCHES).

    Returns:
        A row for each assignment of an address, one row for an address without any; ordered by
        address, start and interface.
    """
    ends = [
        summaries.select(
            address=summaries[end], internal=summaries.direction.isin(["internal", direction])
        )
        for end, direction in (("initiator", "outbound"), ("responder", "inbound"))
    ]
    seen = ends[0].union(ends[1]).group_by("address").aggregate(seen_internal=_.internal.any())
    assigned = with_public_addresses(assignments)
    rows = seen.outer_join(assigned.mutate(assigned=True), "address")
    rows = rows.mutate(address=ibis.coalesce(rows.address, rows.address_right)).drop(
        "address_right"
    )
    listed = matches.group_by(listed=matches.address).aggregate(
        indicators=matches.count(), kinds=matches.kind.collect(distinct=True, order_by=matches.kind)
    )
    rows = rows.left_join(listed, rows.address == listed.listed)
    rows = rows.mutate(
        internal=rows.assigned.fill_null(False) | rows.seen_internal.fill_null(False),
        indicators=rows.indicators.fill_null(0),
        kinds=ibis.coalesce(rows.kinds, ibis.literal([], type="array<string>")),
    )
    return rows.select(*TABLE.columns).order_by(_in_time(rows))


def describe_assignment(assignment: Assignment) -> str:
    """Name the interface, instance and period of an assignment in words."""
    start, end = assignment["valid_from"], assignment["valid_until"]
    words = [
        assignment["interface_id"] or "an unnamed interface",
        f"({assignment['instance_id']})" if assignment["instance_id"] else "",
        f"from {format_time(start)}" if start else "",
        f"until {format_time(end)}" if end else "",
    ]
    return " ".join(filter(None, words))


def with_public_addresses(assignments: ibis.Table) -> ibis.Table:
    """Return assignments, and a row for each public address of one, in the columns of TABLE.

    Args:
        assignments: Address assignments (assignments.TABLE).
    """
    columns = [name for name in assignments.columns if name in TABLE.columns]
    private = assignments.select(*columns, private_address=ibis.null("string"))
    public = assignments.select(
        *(name for name in columns if name not in ("address", "public_addresses")),
        private_address="address",
        address=assignments.public_addresses.unnest(),
        public_addresses=ibis.literal([], type="array<string>"),
    )
    return private.union(public.select(private.columns))


def with_tags(inventory: ibis.Table, tags: Iterable[str]) -> ibis.Table:
    """Add a column with the value of each tag; null where an address lacks it.

    The column has the tag's name, with ``tag:`` before it where the inventory has such a column.
    """
    taken = set(inventory.columns)
    named = {f"tag:{tag}" if tag in taken else tag: tag for tag in tags}
    return inventory.mutate(**{name: inventory.tags.get(tag) for name, tag in named.items()})


class AssignmentLookup:
    """The assignments of some addresses, public ones too, for questions about each at some time."""

    def __init__(self, assignments: ibis.Table, addresses: Iterable[str]) -> None:
        wanted = ibis.memtable({"wanted": pa.array(sorted(set(addresses)), pa.string())})
        rows = with_public_addresses(assignments)
        rows = rows.semi_join(wanted, rows.address == wanted.wanted)
        self._rows: dict[str, list[Assignment]] = {}
        for row in rows.order_by(_in_time(rows)).to_pyarrow().to_pylist():
            self._rows.setdefault(row["address"], []).append(row)

    def at(self, address: str, time: datetime | None = None) -> Assignment | None:
        """The assignment of an address at a time (see ``assignment_at``); None without any."""
        return assignment_at(self._rows.get(address, []), time)


def assignment_at(rows: Sequence[Assignment], time: datetime | None = None) -> Assignment | None:
    """Choose the assignment at a time from those of one address, in order of start.

    Of several at once the last to start. Where none was valid then, the nearest: the start of a
    record is up to a minute early, and an instance's last packets come after the call that
    terminates it. Without a time, the last one; None if there are no rows.
    """
    if time is None or len(rows) < 2:
        return rows[-1] if rows else None

    def distance(row: Assignment) -> tuple[float, float]:
        start, end = row["valid_from"], row["valid_until"]
        early = (start - time).total_seconds() if start else -float("inf")
        late = (time - end).total_seconds() if end else -float("inf")
        return max(early, late, 0.0), early * -1 if early <= 0 else 0.0

    return min(rows, key=distance)


def _in_time(rows: ibis.Table) -> list[ibis.Value]:
    return [rows.address, rows.valid_from.asc(nulls_first=True), rows.interface_id]
