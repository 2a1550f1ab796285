"""An entry of the custody log, and how a line is read: anybody may have changed the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any, TypedDict

JsonObject = dict[str, Any]


class Part(TypedDict):
    """What the log records of one Parquet part of a table."""

    table: str
    file: str  # its path in the folder of the tables
    rows: int
    sha256: str
    bytes: int


class Entry(TypedDict):
    """One entry of the log. ``details`` depend on the action; see who appends it."""

    seq: int  # its position, from 1
    time: str  # when it was written, UTC
    by: str  # the user
    tool: str
    action: str
    details: JsonObject
    previous: str  # the digest of the entry before it
    digest: str


Types = Mapping[str, type | tuple[type, ...]]

_TEXTS = ("time", "by", "tool", "action", "previous", "digest")
_ENTRY: Types = {"seq": int, "details": dict, **dict.fromkeys(_TEXTS, str)}
_FILE: Types = {"file": str, "sha256": str, "bytes": int}
_NUMBERS = ("size", "records", "quarantined", "nodata", "skipdata", "rows", "bytes")
_NAMES = ("archive", "member", "first_seen", "last_seen")

# What callers rely on: keys and types of the records in the lists of an entry's details.
_RECORDS: Mapping[str, Types] = {
    "evidence": {"evidence_id": str, "sha256": str, "file": str, "path": str, "fields": list},
    "parts": {"table": str, "file": str, "sha256": str},
    "runs": _FILE,
    "files": _FILE,
}
# Types of what records and details may have besides.
_RECORD_VALUES: Types = {
    "kind": str,
    **dict.fromkeys(_NUMBERS, int),
    **dict.fromkeys(_NAMES, (str, NoneType)),
}
_DETAILS: Types = {
    "name": str,
    "manifest": str,
    "seen": int,
    "text": str,
    "at": (str, NoneType),
    "about": (str, NoneType),
    "about_kind": (str, NoneType),
    "reason": (str, NoneType),
    "finding_id": str,
    "decision": str,
    "starred": (bool, NoneType),
    "severity": str,
    "first_seen": str,
    "last_seen": str,
    "peers": int,
    "detectors": dict,
    "version": str,
    "folder": str,
    "index": (dict, NoneType),
}
_TEXT_LISTS = ("tags", "removed_tags", "fields")


def parse_entry(line: bytes) -> Entry | None:
    """Return the entry in a line of the log; None unless it has the shape that callers rely on."""
    try:
        entry = json.loads(line)
        # Undecodable bytes of file names are surrogates of their own; others are no text at all.
        json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not _has_types(entry, _ENTRY):
        return None
    details = entry["details"]
    if not _has_types(details, _DETAILS, some=True):
        return None
    if not _is_list_of(details.get("supersedes", []), int):
        return None
    if not all(_is_list_of(details.get(name) or [], str) for name in _TEXT_LISTS):
        return None
    for name, types in _RECORDS.items():
        records = details.get(name) or []
        if not _is_list_of(records, dict):
            return None
        for record in records:
            if not (_has_types(record, types) and _has_types(record, _RECORD_VALUES, some=True)):
                return None
    return entry  # type: ignore[return-value]  # checked above


def _has_types(content: JsonObject, types: Types, *, some: bool = False) -> bool:
    """Whether the values of all keys have their types; with ``some``, of the keys that it has."""
    return all(
        (some and name not in content) or _is(content.get(name), type_)
        for name, type_ in types.items()
    )


def _is_list_of(value: object, type_: type) -> bool:
    return isinstance(value, list) and all(_is(element, type_) for element in value)


def _is(value: object, type_: type | tuple[type, ...]) -> bool:
    # JSON gives these types only; to isinstance, True would be an int.
    return type(value) in (type_ if isinstance(type_, tuple) else (type_,))
