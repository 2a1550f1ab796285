"""STIX 2.0 and 2.1: indicators with their patterns and bare observables, in bundles, lists, TAXII.

Patterns are read by OASIS's own parser. A pattern that needs more than one sighting, a time or a
wildcard asks what a look-up of addresses cannot answer: it is refused, with that reason.
"""

from __future__ import annotations

import re
from typing import Any

from stix2patterns.exceptions import ParseException
from stix2patterns.v21.pattern import Pattern

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed
from flowbench.loaders.values import brief, flag, port, text, time, whole

KIND, TABLE = lists.KIND, lists.TABLE

_OBSERVABLES = {"ipv4-addr", "ipv6-addr", "domain-name", "url"}
_ID = re.compile(r"[a-z0-9-]+--[0-9a-fA-F-]{36}")
# Most patterns by far; the parser takes milliseconds for each.
_SIMPLE = re.compile(
    r"\s*\[\s*(ipv4-addr|ipv6-addr|domain-name|url):value\s*=\s*'([^'\\]*)'\s*\]\s*"
)
_OPERATORS = {"=", "IN", "ISSUBSET"}
_LONGEST = 20_000  # characters of a pattern that is parsed
_DEEPEST = 50  # brackets in brackets


def matches(value: object) -> list[object] | None:
    """The indicators and observables of a bundle, an envelope or a list, or None.

    An indicator comes with the identity that made it, where the bundle has it.
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
    # What an infrastructure or a report is made of is no accusation: the bare observables of a
    # bundle that has indicators are what was observed, not what is bad.
    kinds = {each["type"] for each in objects if _is_stix(each)}
    wanted = {"indicator"} if "indicator" in kinds else _OBSERVABLES
    return [
        {"object": each, "by": names.get(text(each.get("created_by_ref")) or "")}
        for each in objects
        if _is_stix(each) and each["type"] in wanted
    ]


def to_row(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one indicator or observable. Raises BadRecord for what cannot be looked up."""
    each = record["object"]
    feed = f"STIX: {record['by']}" if record["by"] else "STIX"
    if each["type"] != "indicator":
        return listed(each.get("value"), feed=feed)
    if flag(each.get("revoked")):
        raise BadRecord("revoked by its maker")
    if each.get("pattern_type", "stix") != "stix":
        raise BadRecord(f"a pattern in another language: {brief(each['pattern_type'])}")
    told = _told(each)
    return [
        one
        for value, at in _values(text(each.get("pattern")) or "")
        for one in listed(value, feed=feed, **told, port=at)
    ]


def _told(each: dict[str, Any]) -> dict[str, Any]:
    words = [text(w) for name in ("indicator_types", "labels") for w in _list(each.get(name))]
    words += [text(each.get("name")), text(each.get("description"))]
    # Two of STIX's own words for what an indicator means say less than its name does.
    told = [w for w in words if w and w not in ("malicious-activity", "anomalous-activity")]
    return {
        "kind": next((found for word in told if (found := lists.kind_in(word))), None),
        "confidence": whole(each.get("confidence"), 0, 100),
        "valid_from": time(each.get("valid_from")),
        "valid_until": time(each.get("valid_until")),
        "description": text(each.get("name")) or text(each.get("description")),
    }


def _values(pattern: str) -> list[tuple[str, int | None]]:
    """The addresses and names a pattern asks for, with the port where it asks for one."""
    if (simple := _SIMPLE.fullmatch(pattern)) is not None:
        return [(simple[2], None)]
    if len(pattern) > _LONGEST or pattern.count("(") > _DEEPEST:
        raise BadRecord("a pattern too long or too deep to be read")
    try:
        asked = Pattern(pattern).inspect()
    except (ParseException, RecursionError) as error:
        raise BadRecord(f"no STIX pattern: {brief(str(error))}") from None
    if asked.qualifiers or "FOLLOWEDBY" in asked.observation_ops:
        raise BadRecord(
            "a pattern of several sightings or of a time: not one that can be looked up"
        )
    found: list[str] = []
    ports: list[int | None] = []
    for kind, comparisons in asked.comparisons.items():
        for path, operator, constant in comparisons:
            place = path[-1] if path else None
            if kind == "network-traffic" and place in ("dst_port", "src_port"):
                ports.append(port(constant))
            elif place == "value" and (kind in _OBSERVABLES or kind == "network-traffic"):
                if operator not in _OPERATORS:
                    raise BadRecord(f"a pattern with {operator}: not one that can be looked up")
                found += re.findall(r"'((?:[^'\\]|\\.)*)'", constant)
    if not found:
        raise BadRecord("a pattern that names no address or domain")
    return [(value, ports[0] if len(ports) == 1 else None) for value in found]


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
