"""Values out of JSON that anyone may have written: the type a column wants, or null.

Nothing here raises on any JSON value. What has the wrong type counts as absent; a kind decides
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

# Lone surrogates are no text to Arrow, and a NUL ends a string in too many programs.
_EPOCH = re.compile(r"-?\d{9,16}(\.\d+)?")
_MILLISECONDS = 100_000_000_000  # seconds up to here reach the year 5138, milliseconds start 1973
_INT64 = 1 << 63
_PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")
_BRIEF = 60  # characters of a value in a reason
_HIGHEST_PORT = 65535
_DEEPEST = 20  # levels of a struct
_STRUCT_NAME = re.compile(r"([A-Za-z_]\w*)=")
# A value ends at a bracket, and in a row where the next name follows, in a list at the next comma.
_WORDS = {
    "}": re.compile(r"(?:(?!, [A-Za-z_]\w*=)[^{}\[\]])*"),
    "]": re.compile(r"(?:(?!, )[^{}\[\]])*"),
}


def text(value: object) -> str | None:
    """A non-empty string; a whole number (an account id) as its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _INT64 else None
    return replace_unstorable(value) if isinstance(value, str) and value else None


def whole(value: object, lowest: int = -_INT64, highest: int = _INT64 - 1) -> int | None:
    """A whole number within bounds, also from its digits."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,19}\s*", value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if lowest <= value <= highest else None


def port(value: object) -> int | None:
    """A port number, 0 to 65535."""
    return whole(value, 0, _HIGHEST_PORT)


def number(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def flag(value: object) -> bool | None:
    """A boolean, also spelled out as lookup-events does."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def time(value: object) -> datetime | None:
    """A UTC time from ISO 8601 (no zone means UTC), epoch seconds or milliseconds.

    Also a time as the placebo recorder of boto3 answers writes it: ``{"__class__": "datetime",
    "year": …}``.
    """
    try:
        if isinstance(value, dict) and value.get("__class__") == "datetime":
            return datetime(**{name: value.get(name, 0) for name in _PARTS}, tzinfo=UTC)
        if isinstance(value, str) and not _EPOCH.fullmatch(value.strip()):
            # Python also reads "20260901" and week dates; nobody means those here.
            if not re.match(r"\s*\d{4}-\d\d-\d\d", value):
                return None
            found = datetime.fromisoformat(value.strip())
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        seconds = float(value)
        if abs(seconds) >= _MILLISECONDS:
            seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def address(value: object) -> str | None:
    """An IPv4 or IPv6 address in its canonical spelling."""
    found = parse_address(value) if isinstance(value, str) else None
    return str(found) if found else None


def parse_address(value: str) -> Address | None:
    """An address object; a scope (``%eth0``) is no part of an address in evidence."""
    try:
        return ipaddress.ip_address(value.strip()) if "%" not in value else None
    except ValueError:
        return None


def domain(value: object) -> str | None:
    """A DNS name in lower case without the trailing dot; the root stays a dot."""
    name = text(value)
    return (name.lower().removesuffix(".") or ".") if name else None


def pick(value: object, *path: str) -> Any:
    """What lies at ``path`` in nested objects; keys may start with a capital as in the SDKs."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value[name] if name in value else value.get(name[:1].upper() + name[1:])
    return value


def items(value: object) -> list[Any]:
    """An AWS list: an array, ``{"items": […]}``, ``{"item": […]}`` or the bare single element."""
    for name in ("items", "item"):
        if isinstance(value, dict) and name in value:
            value = value[name]
    if isinstance(value, list):
        return value
    return [value] if value else []


def unique(values: Iterable[str | None]) -> list[str]:
    """The values that are there, each once, in the order in which they came."""
    return list(dict.fromkeys(value for value in values if value))


def parse(value: object) -> object:
    """The JSON in a string; anything else, broken JSON too, is None."""
    if not isinstance(value, str):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def struct(value: str) -> object:
    """A row or list as Athena writes it into a text: ``{type=Root, tags=[a, b], arn=null}``.

    None when it is none, or ambiguous.
    """
    try:
        found, end = _struct(value, 0, 0)
    except (ValueError, IndexError):
        return None
    return found if end == len(value) else None


def _struct(value: str, place: int, depth: int) -> tuple[object, int]:
    """What a bracket at ``place`` opens, and the place after its end."""
    closing = {"{": "}", "[": "]"}.get(value[place])
    if closing is None or depth > _DEEPEST:
        raise ValueError
    names: dict[str, object] = {}
    elements: list[object] = []
    place += 1
    while value[place] != closing:
        name = _STRUCT_NAME.match(value, place) if closing == "}" else None
        if closing == "}" and name is None:
            raise ValueError
        place = name.end() if name else place
        found: object
        if value[place] in "{[":
            found, place = _struct(value, place, depth + 1)
        else:
            end = _WORDS[closing].match(value, place).end()  # type: ignore[union-attr]  # always
            found, place = (None if value[place:end] == "null" else value[place:end]), end
        if name:
            names[name[1]] = found
        else:
            elements.append(found)
        if value.startswith(", ", place):
            place += 2
        elif value[place] != closing:
            raise ValueError
    return (names if closing == "}" else elements), place + 1


def brief(value: object) -> str:
    """A value as a reason may quote it: short, on one line, harmless."""
    try:
        shown = repr(value)
    except (RecursionError, ValueError):
        shown = f"a {type(value).__name__}"
    return replace_unstorable(shown if len(shown) <= _BRIEF else f"{shown[: _BRIEF - 1]}…")
