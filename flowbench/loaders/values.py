"""Values of JSON that anyone may have written, converted to the type of a column, or null.

Nothing here raises on any JSON value. A value of the wrong type counts as absent; a kind decides
which absences make a record unusable.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from flowbench.text import replace_unstorable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
JsonObject = dict[str, object]

_EPOCH = re.compile(r"-?\d{9,16}(\.\d+)?")
_PORTAL_TIME = re.compile(
    r"(\d\d?/\d\d?/\d{4}),?\s(\d\d?:\d\d:\d\d)(\.\d{1,6})?[\s\u202f]([AP]M)", re.ASCII
)
_PORTAL_FORMAT = "%m/%d/%Y %I:%M:%S.%f %p"
_MIN_MILLISECONDS = 100_000_000_000  # as seconds the year 5138, as milliseconds 1973
_INT64 = 1 << 63
_DATETIME_KEYS = ("year", "month", "day", "hour", "minute", "second", "microsecond")
_MAX_SHOWN = 60  # characters of a value in a reason
_MAX_PORT = 65535
_MAX_DEPTH = 20  # levels of a struct
_STRUCT_NAME = re.compile(r"([A-Za-z_]\w*)=")
# The text of a value: it ends at a bracket; in a row also before the next name, in a list also at a
# comma.
_STRUCT_VALUE = {
    "}": re.compile(r"(?:(?!, [A-Za-z_]\w*=)[^{}\[\]])*"),
    "]": re.compile(r"(?:(?!, )[^{}\[\]])*"),
}


def text(value: object) -> str | None:
    """Return a non-empty string; an integer (an account id) as its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _INT64 else None
    return replace_unstorable(value) if isinstance(value, str) and value else None


def integer(value: object, minimum: int = -_INT64, maximum: int = _INT64 - 1) -> int | None:
    """Return an integer within bounds, also from its digits."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,19}\s*", value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if minimum <= value <= maximum else None


def port(value: object) -> int | None:
    """Return a port number, 0 to 65535."""
    return integer(value, 0, _MAX_PORT)


def number(value: object) -> float | None:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def flag(value: object) -> bool | None:
    """Return a boolean, also from 'true' and 'false', as lookup-events writes it."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def time(value: object) -> datetime | None:
    """Return a UTC time from ISO 8601 (without a zone: UTC), epoch seconds or milliseconds.

    The portal of Log Analytics exports ``9/1/2026, 3:10:00.000 AM``, the month first. Placebo, a
    recorder of boto3 answers, writes ``{"__class__": "datetime", "year": …}``.
    """
    try:
        if isinstance(value, dict) and value.get("__class__") == "datetime":
            return datetime(**{name: value.get(name, 0) for name in _DATETIME_KEYS}, tzinfo=UTC)
        if isinstance(value, str) and not _EPOCH.fullmatch(value.strip()):
            if portal_time := _PORTAL_TIME.fullmatch(value.strip()):
                date, clock, fraction, half = portal_time.groups()
                spelled = f"{date} {clock}{fraction or '.0'} {half}"
                return datetime.strptime(spelled, _PORTAL_FORMAT).replace(tzinfo=UTC)
            # Python also reads "20260901" and week dates, which AWS does not write.
            if not re.match(r"\s*\d{4}-\d\d-\d\d", value):
                return None
            moment = datetime.fromisoformat(value.strip())
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        seconds = float(value)
        if abs(seconds) >= _MIN_MILLISECONDS:
            seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def address(value: object) -> str | None:
    """Return an IPv4 or IPv6 address in its canonical spelling."""
    parsed = parse_address(value) if isinstance(value, str) else None
    return str(parsed) if parsed else None


def parse_address(value: str) -> Address | None:
    """Parse an address, a mapped one as IPv4; None for others and for one with a scope."""
    try:
        parsed = ipaddress.ip_address(value.strip()) if "%" not in value else None
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def domain(value: object) -> str | None:
    """Return a DNS name in lower case without the trailing dot; the root stays a dot."""
    name = text(value)
    return (name.lower().removesuffix(".") or ".") if name else None


def pick(value: object, *path: str) -> Any:
    """Return the value at ``path`` in nested objects; keys may be capitalised, as in the SDKs."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value[name] if name in value else value.get(name[:1].upper() + name[1:])
    return value


def items(value: object) -> list[Any]:
    """Return an AWS list: an array, ``{"items": […]}``, ``{"item": […]}`` or a single element."""
    for name in ("items", "item"):
        if isinstance(value, dict) and name in value:
            value = value[name]
    if isinstance(value, list):
        return value
    return [value] if value else []


def unique(values: Iterable[str | None]) -> list[str]:
    """Return the distinct values without null and empty ones, in their order."""
    return list(dict.fromkeys(value for value in values if value))


def parse_json(value: object) -> object:
    """Parse the JSON in a string; None for anything else, also for invalid JSON."""
    if not isinstance(value, str):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def parse_struct(value: str) -> object:
    """Parse a row or list as Athena writes it into a text: ``{type=Root, tags=[a, b], arn=null}``.

    Returns None for anything else, and where it is ambiguous.
    """
    try:
        parsed, end = _parse_struct(value, 0, 0)
    except (ValueError, IndexError):
        return None
    return parsed if end == len(value) else None


def _parse_struct(value: str, position: int, depth: int) -> tuple[object, int]:
    """Parse what a bracket at ``position`` opens; return it and the position after its end."""
    closing = {"{": "}", "[": "]"}.get(value[position])
    if closing is None or depth > _MAX_DEPTH:
        raise ValueError
    row: JsonObject = {}
    elements: list[object] = []
    position += 1
    while value[position] != closing:
        name = _STRUCT_NAME.match(value, position) if closing == "}" else None
        if closing == "}" and name is None:
            raise ValueError
        position = name.end() if name else position
        element: object
        if value[position] in "{[":
            element, position = _parse_struct(value, position, depth + 1)
        else:
            end = _STRUCT_VALUE[closing].match(value, position).end()  # type: ignore[union-attr]
            element = None if value[position:end] == "null" else value[position:end]
            position = end
        if name:
            row[name[1]] = element
        else:
            elements.append(element)
        if value.startswith(", ", position):
            position += 2
        elif value[position] != closing:
            raise ValueError
    return (row if closing == "}" else elements), position + 1


def abbreviate(value: object) -> str:
    """Return a value as a message may quote it: short, on one line, without unstorable text."""
    try:
        shown = repr(value)
    except (RecursionError, ValueError):
        shown = f"a {type(value).__name__}"
    return replace_unstorable(shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 1]}…")
