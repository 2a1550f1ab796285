"""AlienVault OTX pulses: an answer of the API with ``results``, or one exported pulse."""

from __future__ import annotations

from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed
from flowbench.loaders.values import brief, text, time

KIND, TABLE = lists.KIND, lists.TABLE

_USED = {"IPv4", "IPv6", "CIDR", "domain", "hostname", "URL"}


def matches(value: object) -> list[object] | None:
    """The indicators of all pulses, each with its pulse's name, or None for anything else."""
    results = value.get("results") if isinstance(value, dict) else None
    pulses: list[Any] = results if isinstance(results, list) else [value]
    if not pulses or not all(_is_pulse(pulse) for pulse in pulses):
        return None
    return [{"pulse": pulse, "indicator": each} for pulse in pulses for each in pulse["indicators"]]


def to_row(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one indicator. Raises BadRecord for types that neither flows nor DNS know."""
    each, pulse = record["indicator"], record["pulse"]
    if not isinstance(each, dict) or each.get("type") not in _USED:
        kind = each.get("type") if isinstance(each, dict) else each
        raise BadRecord(f"an indicator of type {brief(kind)}: neither flows nor DNS can tell it")
    told = [text(each.get(name)) for name in ("role", "title", "description")]
    name = text(pulse.get("name")) or "pulse"
    words = [w for w in (*told, *_words(pulse)) if w]
    kind = next((found for word in (*words, name) if (found := lists.kind_in(word))), None)
    return listed(
        each.get("indicator"),
        feed=f"OTX: {name}",
        kind=kind,
        valid_from=time(each.get("created")),
        valid_until=lists.moment("valid_until", each.get("expiration")),
        description=next((w for w in told[1:] if w), None),
    )


def _words(pulse: dict[str, Any]) -> list[str | None]:
    tags = pulse.get("tags")
    return [text(tag) for tag in tags] if isinstance(tags, list) else []


def _is_pulse(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("indicators"), list):
        return False
    return "name" in value and all(
        isinstance(each, dict) and {"indicator", "type"} <= each.keys()
        for each in value["indicators"][:20]
    )
