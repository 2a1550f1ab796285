"""Spamhaus DROP as JSON lines: one network a line, and a last line about the list itself."""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Row
from flowbench.loaders.values import JsonObject, text

KIND, TABLE = indicators.KIND, indicators.TABLE


def matches(value: object) -> list[object] | None:
    """Return the network in a line, nothing for the line about the list, or None otherwise."""
    if not isinstance(value, dict):
        return None
    if value.get("type") == "metadata" and "records" in value and "timestamp" in value:
        return []
    return (
        [value] if {"cidr", "sblid"} <= value.keys() or {"asn", "asname"} <= value.keys() else None
    )


def to_row(record: JsonObject) -> list[Row]:
    """Convert one network. Raises BadRecord, also for an autonomous system."""
    if "cidr" not in record:
        raise BadRecord("an autonomous system, not an address: load the list of its networks")
    return indicator_rows(
        record["cidr"], feed="Spamhaus DROP", kind="reputation", description=text(record["sblid"])
    )
