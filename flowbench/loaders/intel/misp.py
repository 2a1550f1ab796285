"""MISP: events as exported or as a feed's files (JSON), a feed's manifest, and the CSV export.

Only attributes that are marked for detection (``to_ids``) are read; the others are context, and are
rejected.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Rejected, Row
from flowbench.loaders.values import JsonObject, abbreviate, flag, pick, port, text, time

KIND, TABLE = indicators.KIND, indicators.TABLE

_TYPES = re.compile(r"(?:(?:ip-(?:src|dst)|hostname)(?:\|port)?|domain(?:\|ip)?|url)")
_COLUMNS = {"uuid", "event_id", "category", "type", "value", "to_ids"}
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class _Record(TypedDict):
    event: JsonObject
    attribute: object


def matches(value: object) -> list[object] | None:
    """Return the attributes of all events, each with its event; none for a manifest; or None."""
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


def original(record: _Record) -> object:
    """Return the object of the evidence that a record has."""
    return record["attribute"]


def to_row(record: _Record) -> list[Row]:
    """Convert one attribute. Raises BadRecord for context and for what flow logs and DNS lack."""
    attribute, event = record["attribute"], record["event"]
    if not isinstance(attribute, dict):
        raise BadRecord("not an attribute: no JSON object")
    owner = text(pick(event, "Orgc", "name"))
    feed = f"MISP: {owner + ': ' if owner else ''}{text(event.get('info')) or 'event'}"
    tags = [text(pick(t, "name")) for t in _list(attribute.get("Tag")) + _list(event.get("Tag"))]
    return _rows(attribute, feed, text(attribute.get("comment")), *tags, text(event.get("info")))


def matches_head(head: bytes) -> bool:
    """Whether a file starts with the header of MISP's CSV export."""
    return set(_header(head.decode("utf-8-sig", "replace").partition("\n")[0])) >= _COLUMNS


def read_lines(lines: Iterable[tuple[int, str]], label: str) -> Iterator[Row | Rejected]:
    """Read the attributes of a CSV export, or rejected lines. Quoted line breaks are not read."""
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
            cell = dict(zip(names, cells, strict=True))
            to_ids = cell.get("to_ids", "").strip() in ("1", "true", "True")
            words = (cell.get("comment"), cell.get("attribute_tag"))
            rows = _rows(cell | {"to_ids": to_ids}, f"MISP: {label}", *words)
        except (BadRecord, csv.Error) as reason:
            yield number, line, str(reason)
            continue
        yield from (row | {"line": number} for row in rows)


def _rows(attribute: JsonObject, feed: str, *words: str | None) -> list[Row]:
    """The rows of one attribute, its kind by the first of ``words`` that indicates one."""
    type_, value = text(attribute.get("type")) or "", text(attribute.get("value")) or ""
    if not _TYPES.fullmatch(type_):
        raise BadRecord(f"an attribute of type {abbreviate(type_)}: not in flow logs or DNS logs")
    if not flag(attribute.get("to_ids")):
        raise BadRecord("an attribute not marked for detection (to_ids): context, not an indicator")
    first, _, second = value.partition("|")
    parts = [first, second] if type_ == "domain|ip" else [first]
    return [
        row
        for part in parts
        for row in indicator_rows(
            part,
            feed=feed,
            kind=indicators.find_kind(*words),
            port=port(second) if type_.endswith("|port") else None,
            valid_from=time(attribute.get("first_seen")),
            valid_until=indicators.parse_end(attribute.get("last_seen")),
            description=text(attribute.get("comment")),
        )
    ]


def _attributes(event: JsonObject) -> list[object]:
    in_objects = [a for each in _list(event.get("Object")) for a in _list(pick(each, "Attribute"))]
    return _list(event.get("Attribute")) + in_objects


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _header(line: str) -> list[str]:
    return [name.strip().strip('"') for name in line.strip().split(",")]
