"""AlienVault OTX pulses: a response of the API with ``results``, or one exported pulse."""

from __future__ import annotations

from typing import Any, TypedDict

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Row
from flowbench.loaders.values import JsonObject, abbreviate, text, time

KIND, TABLE = indicators.KIND, indicators.TABLE

_USED = {"IPv4", "IPv6", "CIDR", "domain", "hostname", "URL"}


class _Record(TypedDict):
    pulse: JsonObject
    indicator: object


def matches(value: object) -> list[object] | None:
    """Return the indicators of all pulses, each with its pulse, or None for anything else."""
    results = value.get("results") if isinstance(value, dict) else None
    pulses: list[Any] = results if isinstance(results, list) else [value]
    if not pulses or not all(_is_pulse(pulse) for pulse in pulses):
        return None
    return [{"pulse": pulse, "indicator": each} for pulse in pulses for each in pulse["indicators"]]


def original(record: _Record) -> object:
    """Return the object of the evidence that a record has."""
    return record["indicator"]


def to_row(record: _Record) -> list[Row]:
    """Convert one indicator. Raises BadRecord for types that flow logs and DNS logs lack."""
    item, pulse = record["indicator"], record["pulse"]
    if not isinstance(item, dict) or item.get("type") not in _USED:
        type_ = item.get("type") if isinstance(item, dict) else item
        raise BadRecord(f"an indicator of type {abbreviate(type_)}: not in flow logs or DNS logs")
    role, title, description = (text(item.get(n)) for n in ("role", "title", "description"))
    name = text(pulse.get("name")) or "pulse"
    return indicator_rows(
        item.get("indicator"),
        feed=f"OTX: {name}",
        kind=indicators.find_kind(role, title, description, *_tags(pulse), name),
        valid_from=time(item.get("created")),
        valid_until=indicators.parse_end(item.get("expiration")),
        description=title or description,
    )


def _tags(pulse: JsonObject) -> list[str | None]:
    tags = pulse.get("tags")
    return [text(tag) for tag in tags] if isinstance(tags, list) else []


def _is_pulse(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("indicators"), list):
        return False
    return "name" in value and all(
        isinstance(each, dict) and {"indicator", "type"} <= each.keys()
        for each in value["indicators"][:20]
    )
