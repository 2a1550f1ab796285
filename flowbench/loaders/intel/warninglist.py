"""MISP warning lists: well-known resolvers, clouds and scanners, as allow lists."""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Row
from flowbench.loaders.values import JsonObject, abbreviate, text

KIND, TABLE = indicators.KIND, indicators.TABLE

_TYPES = {"cidr", "hostname", "string"}


def matches(value: object) -> list[object] | None:
    """Return the entries, each with the list's name, or None for anything else."""
    if not isinstance(value, dict) or not {"name", "list", "type", "version"} <= value.keys():
        return None
    if not isinstance(value["list"], list):
        return None
    about = {name: value.get(name) for name in ("name", "description", "type")}
    return [about | {"entry": entry} for entry in value["list"]]


def original(record: JsonObject) -> object:
    """Return the entry of the evidence that a record has."""
    return record["entry"]


def to_row(record: JsonObject) -> list[Row]:
    """Convert one entry to rows of kind ``allow``. Raises BadRecord for patterns."""
    if record["type"] not in _TYPES:
        raise BadRecord(f"an entry of a list of {abbreviate(record['type'])}: patterns, not names")
    entry = record["entry"]
    return indicator_rows(
        entry.removeprefix(".") if isinstance(entry, str) else entry,
        feed=text(record["name"]) or "warning list",
        kind=indicators.ALLOW,
        description=text(record["description"]),
    )
