"""MISP warning lists: what is well known (resolvers, clouds, scanners), never what is bad."""

from __future__ import annotations

from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed
from flowbench.loaders.values import brief, text

KIND, TABLE = lists.KIND, lists.TABLE

_TYPES = {"cidr", "hostname", "string"}


def matches(value: object) -> list[object] | None:
    """The entries, each with the list's name, or None for anything else."""
    if not isinstance(value, dict) or not {"name", "list", "type", "version"} <= value.keys():
        return None
    if not isinstance(value["list"], list):
        return None
    told = {name: value.get(name) for name in ("name", "description", "type")}
    return [told | {"entry": entry} for entry in value["list"]]


def to_row(record: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry as rows of kind ``allow``. Raises BadRecord for patterns."""
    if record["type"] not in _TYPES:
        raise BadRecord(f"an entry of a list of {brief(record['type'])}: a pattern, not a name")
    entry = record["entry"]
    return listed(
        entry.removeprefix(".") if isinstance(entry, str) else entry,
        feed=text(record["name"]) or "warning list",
        kind=lists.ALLOW,
        description=text(record["description"]),
    )
