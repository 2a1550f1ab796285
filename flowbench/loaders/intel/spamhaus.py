"""Spamhaus DROP as JSON lines: a network each, and a last line about the list itself."""

from __future__ import annotations

from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed
from flowbench.loaders.values import text

KIND, TABLE = lists.KIND, lists.TABLE


def matches(value: object) -> list[object] | None:
    """The network in one line, nothing for the line about the list, None for anything else."""
    if not isinstance(value, dict):
        return None
    if value.get("type") == "metadata" and "records" in value and "timestamp" in value:
        return []
    return (
        [value] if {"cidr", "sblid"} <= value.keys() or {"asn", "asname"} <= value.keys() else None
    )


def to_row(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The network as a row. Raises BadRecord, for autonomous systems too."""
    if "cidr" not in record:
        raise BadRecord("an autonomous system, not an address: load the list of its networks")
    return listed(
        record["cidr"], feed="Spamhaus DROP", kind="reputation", description=text(record["sblid"])
    )
