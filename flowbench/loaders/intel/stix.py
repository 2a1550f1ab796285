"""STIX 2.0 and 2.1: indicators with patterns, and bare observables, in bundles, lists and TAXII.

OASIS's own parser reads the patterns. A pattern of several sightings, with a time or a
wildcard cannot be matched against addresses: it is rejected with that reason.
"""

from __future__ import annotations

import re
from typing import Any, TypedDict

from stix2patterns.exceptions import ParseException
from stix2patterns.v21.pattern import Pattern

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Row
from flowbench.loaders.values import JsonObject, abbreviate, flag, integer, port, text, time

KIND, TABLE = indicators.KIND, indicators.TABLE

_OBSERVABLES = {"ipv4-addr", "ipv6-addr", "domain-name", "url"}
_ID = re.compile(r"[a-z0-9-]+--[0-9a-fA-F-]{36}")
# Most patterns by far; the parser takes milliseconds for each.
_SIMPLE = re.compile(
    r"\s*\[\s*(ipv4-addr|ipv6-addr|domain-name|url):value\s*=\s*'([^'\\]*)'\s*\]\s*"
)
_OPERATORS = {"=", "IN", "ISSUBSET"}
_MAX_PATTERN = 20_000  # characters of a pattern that is parsed
_MAX_BRACKETS = 50


class _Record(TypedDict):
    object: JsonObject
    creator: str | None


def matches(value: object) -> list[object] | None:
    """Return the indicators and observables of a bundle, an envelope or a list, or None.

    An indicator comes with the name of its creator, where the bundle has that identity.
    """
    bundled = isinstance(value, dict) and isinstance(value.get("objects"), list)
    objects = value["objects"] if isinstance(value, dict) and bundled else value
    if isinstance(objects, dict):
        objects = [objects]
    if not isinstance(objects, list) or not objects or not any(_is_stix(each) for each in objects):
        return None
    names = {
        each["id"]: text(each.get("name"))
        for each in objects
        if _is_stix(each) and each["type"] == "identity"
    }
    # In a bundle that has indicators, the bare observables are what was observed, not what is bad.
    kinds = {each["type"] for each in objects if _is_stix(each)}
    wanted = {"indicator"} if "indicator" in kinds else _OBSERVABLES
    return [
        {"object": each, "creator": names.get(text(each.get("created_by_ref")) or "")}
        for each in objects
        if _is_stix(each) and each["type"] in wanted
    ]


def original(record: _Record) -> object:
    """Return the object of the evidence that a record has."""
    return record["object"]


def to_row(record: _Record) -> list[Row]:
    """Convert one indicator or observable. Raises BadRecord for what cannot be matched."""
    item = record["object"]
    feed = f"STIX: {record['creator']}" if record["creator"] else "STIX"
    if item["type"] != "indicator":
        return indicator_rows(item.get("value"), feed=feed)
    if flag(item.get("revoked")):
        raise BadRecord("revoked by its creator")
    if item.get("pattern_type", "stix") != "stix":
        raise BadRecord(f"a pattern in another language: {abbreviate(item['pattern_type'])}")
    return [
        row
        for value, pattern_port in _values(text(item.get("pattern")) or "")
        for row in indicator_rows(
            value,
            feed=feed,
            kind=_kind(item),
            confidence=integer(item.get("confidence"), 0, 100),
            valid_from=time(item.get("valid_from")),
            valid_until=time(item.get("valid_until")),
            description=text(item.get("name")) or text(item.get("description")),
            port=pattern_port,
        )
    ]


def _kind(item: JsonObject) -> str | None:
    words = [text(w) for name in ("indicator_types", "labels") for w in _list(item.get(name))]
    words += [text(item.get("name")), text(item.get("description"))]
    # Two of STIX's indicator types are less specific than the indicator's name.
    general = ("malicious-activity", "anomalous-activity")
    return indicators.find_kind(*(word for word in words if word not in general))


def _values(pattern: str) -> list[tuple[str, int | None]]:
    """The addresses and names in a pattern, each with the port where the pattern has one."""
    if (simple := _SIMPLE.fullmatch(pattern)) is not None:
        return [(simple[2], None)]
    if len(pattern) > _MAX_PATTERN or pattern.count("(") > _MAX_BRACKETS:
        raise BadRecord("a pattern too long or too deep to be read")
    try:
        parsed = Pattern(pattern).inspect()
    except (ParseException, RecursionError) as error:
        raise BadRecord(f"not a STIX pattern: {abbreviate(str(error))}") from None
    if parsed.qualifiers or {"AND", "FOLLOWEDBY"} & set(parsed.observation_ops):
        raise BadRecord("a pattern of several sightings or with a time: it cannot be matched")
    values: list[str] = []
    ports: list[int | None] = []
    for kind, comparisons in parsed.comparisons.items():
        for path, operator, constant in comparisons:
            key = path[-1] if path else None
            if kind == "network-traffic" and key in ("dst_port", "src_port"):
                ports.append(port(constant.strip("'")))
            elif key == "value" and (kind in _OBSERVABLES or kind == "network-traffic"):
                if operator not in _OPERATORS:
                    raise BadRecord(f"a pattern with {operator}: it cannot be matched")
                values += re.findall(r"'((?:[^'\\]|\\.)*)'", constant)
    if not values:
        raise BadRecord("a pattern without address or domain")
    return [(value, ports[0] if len(ports) == 1 else None) for value in values]


def _is_stix(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and isinstance(value.get("id"), str)
        and _ID.fullmatch(value["id"]) is not None
        and value["id"].startswith(f"{value['type']}--")
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
