"""MISP: events as exported or as a feed's files (JSON), a feed's manifest, and the CSV export.

Only attributes that are marked for detection (``to_ids``) are taken; the others are context, and
are refused as such.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed
from flowbench.loaders.values import brief, flag, pick, port, text, time

KIND, TABLE = lists.KIND, lists.TABLE

_TYPES = re.compile(r"(?:(?:ip-(?:src|dst)|hostname)(?:\|port)?|domain(?:\|ip)?|url)")
_COLUMNS = {"uuid", "event_id", "category", "type", "value", "to_ids"}
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


def matches(value: object) -> list[object] | None:
    """The attributes of all events, each with its event; none for a manifest; or None."""
    if isinstance(value, dict) and "response" in value:
        value = value["response"]
    events = [pick(each, "Event") for each in (value if isinstance(value, list) else [value])]
    if events and all(isinstance(event, dict) and "info" in event for event in events):
        return [
            {"event": event, "attribute": each} for event in events for each in _attributes(event)
        ]
    if isinstance(value, dict) and value and all(_UUID.fullmatch(name) for name in value):
        about = next(iter(value.values()))
        return [] if isinstance(about, dict) and {"info", "Orgc"} <= about.keys() else None
    return None


def to_row(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one attribute. Raises BadRecord when it is context or nothing that flows know."""
    each, event = record["attribute"], record["event"]
    if not isinstance(each, dict):
        raise BadRecord("not an attribute: no JSON object")
    who = text(pick(event, "Orgc", "name"))
    feed = f"MISP: {who + ': ' if who else ''}{text(event.get('info')) or 'event'}"
    tags = [text(pick(tag, "name")) for tag in _list(each.get("Tag")) + _list(event.get("Tag"))]
    words = [w for w in (text(each.get("comment")), *tags, text(event.get("info"))) if w]
    return _rows(each, feed, words)


def matches_head(head: bytes) -> bool:
    """Whether a file starts with the header of MISP's CSV export."""
    return set(_header(head.decode("utf-8-sig", "replace").partition("\n")[0])) >= _COLUMNS


def read_lines(
    lines: Iterable[tuple[int, str]], label: str
) -> Iterator[dict[str, Any] | tuple[int, str, str]]:
    """The attributes of a CSV export, or (line, raw, reason). Quoted line breaks are not read."""
    names: list[str] = []
    for number, line in lines:
        if not names:
            names = _header(line.lstrip("\ufeff"))
            continue
        if not line.strip():
            continue
        try:
            cells = next(csv.reader([line], strict=True))
            if len(cells) != len(names):
                raise BadRecord(f"not {len(names)} columns as in the header")
            each: dict[str, Any] = dict(zip(names, cells, strict=True))
            each["to_ids"] = each.get("to_ids", "").strip() in ("1", "true", "True")
            told = [each.get("comment"), each.get("attribute_tag")]
            found = _rows(each, f"MISP: {label}", [w for w in told if w])
        except (BadRecord, csv.Error) as reason:
            yield number, line, str(reason)
            continue
        yield from (one | {"line": number} for one in found)


def _rows(each: dict[str, Any], feed: str, words: list[str]) -> list[dict[str, Any]]:
    kind, value = text(each.get("type")) or "", text(each.get("value")) or ""
    if not _TYPES.fullmatch(kind):
        raise BadRecord(f"an attribute of type {brief(kind)}: neither flows nor DNS can tell it")
    if not flag(each.get("to_ids")):
        raise BadRecord("an attribute not marked for detection (to_ids): context, not an indicator")
    first, _, second = value.partition("|")
    parts = [first, second] if kind == "domain|ip" else [first]
    told: dict[str, Any] = {
        "kind": next((found for word in words if (found := lists.kind_in(word))), None),
        "port": port(second) if kind.endswith("|port") else None,
        "valid_from": time(each.get("first_seen")),
        "valid_until": lists.moment("valid_until", each.get("last_seen")),
        "description": text(each.get("comment")),
    }
    return [one for part in parts for one in listed(part, feed=feed, **told)]


def _attributes(event: dict[str, Any]) -> list[object]:
    inner = [a for each in _list(event.get("Object")) for a in _list(pick(each, "Attribute"))]
    return _list(event.get("Attribute")) + inner


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _header(line: str) -> list[str]:
    return [name.strip().strip('"') for name in line.strip().split(",")]
