"""The values of filter expressions: how each kind is read from text and written back.

A reader takes the text of a value and returns it in its canonical form, or raises ValueError with
what was expected. Every value that a reader returns is written back by ``format_value``.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network

from flowbench.enrich import ports
from flowbench.text import canonical_address, is_address, split_zone

_MAX_INT = 2**63 - 1  # of a column int64
_SIZES = {"": 1, "b": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("kmgt", 1)
    for unit, base in (("b", 1_000), ("ib", 1_024))
}
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    # An hour has no offset: those of some zones are half hours.
    r"(?:[T ]([0-9]{2})(?:(:[0-9]{2})(?:(:[0-9]{2})(\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?)?"
)
_PROTOCOLS = {name: number for number, name in ports.PROTOCOLS.items()}
_MICROSECOND = timedelta(microseconds=1)
_PRECISION = {
    timedelta(hours=1): "hours",
    timedelta(minutes=1): "minutes",
    timedelta(seconds=1): "seconds",
    _MICROSECOND: "microseconds",
}


@dataclass(frozen=True)
class Range:
    """Whole numbers from ``low`` to ``high``, inclusive."""

    low: int
    high: int


@dataclass(frozen=True)
class Moment:
    """The period that a time stands for, as precise as it is written: a day, an hour, a second."""

    since: datetime
    until: datetime  # exclusive


Network = IPv4Network | IPv6Network
Value = str | int | bool | timedelta | Range | Moment | IPv4Network | IPv6Network


def read_address(text: str) -> Value:
    """Read an address (with its zone, where it has one) or a network in CIDR form."""
    if "/" not in text and is_address(text):
        address, zone = split_zone(text)
        return canonical_address(address) + ("" if zone is None else f"%{zone}")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("an address, or a network such as 10.0.0.0/8") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


def read_port(text: str) -> Value:
    """Read a port or a range of ports."""
    return _read_whole(text, 65_535, "a port from 0 to 65535, or a range such as 8000-8100")


def read_protocol(text: str) -> Value:
    """Read the name or number of a protocol."""
    if text.casefold() in _PROTOCOLS:
        return _PROTOCOLS[text.casefold()]
    return _read_whole(text, 255, f"{', '.join(_PROTOCOLS)}, or a protocol number up to 255")


def read_count(text: str) -> Value:
    """Read a whole number or a range."""
    return _read_whole(text, _MAX_INT, "a whole number")


def read_size(text: str) -> Value:
    """Read a number of bytes: 1500, 1.5kB, 3MB, 2MiB."""
    size = _read_number(text, _SIZES)
    if size is None or size != int(size) or size > _MAX_INT:
        raise ValueError("a number of bytes such as 1500, 1MB or 2MiB")
    return int(size)


def read_duration(text: str) -> Value:
    """Read a duration: 90, 90s, 5m, 1.5h, 2d."""
    seconds = _read_number(text, _SECONDS)
    if seconds is None or seconds > _MAX_INT // 10**12:
        raise ValueError("a duration such as 90s, 5m, 1.5h or 2d")
    return timedelta(microseconds=int(seconds * 1_000_000))


def read_time(text: str) -> Value:
    """Read a time, UTC without an offset: 2026-09-02, 2026-09-02T03, 2026-09-02T03:00:15."""
    match = _TIME.fullmatch(text)
    expected = "a time such as 2026-09-02, 2026-09-02T03:00 or 2026-09-02T03:00+02:00"
    if match is None:
        raise ValueError(expected)
    hour, minute, second, fraction = match.groups()
    steps = {fraction: _MICROSECOND, second: timedelta(seconds=1), minute: timedelta(minutes=1)}
    steps |= {hour: timedelta(hours=1)}
    length = next((step for given, step in steps.items() if given), timedelta(days=1))
    try:
        since = datetime.fromisoformat(text)
        since = since.astimezone(UTC) if since.tzinfo else since.replace(tzinfo=UTC)
        return Moment(since, since + length)
    except (ValueError, OverflowError):
        raise ValueError(expected) from None


def read_bool(text: str) -> Value:
    """Read yes, no, true or false."""
    return choice({"yes": True, "true": True, "no": False, "false": False}, "yes or no")(text)


def read_text(text: str) -> Value:
    """Read any text."""
    return text


def read_country(text: str) -> Value:
    """Read a country code of ISO 3166-1."""
    if not re.fullmatch("[A-Za-z]{2}", text):
        raise ValueError("a country code of two letters such as DE")
    return text.upper()


def choice(values: dict[str, Value], expected: str) -> Callable[[str], Value]:
    """Return a reader of some words."""

    def read(text: str) -> Value:
        found = values.get(text.casefold())
        if found is None:
            raise ValueError(expected + suggest(text.casefold(), values))
        return found

    return read


def suggest(text: str, names: Iterable[str]) -> str:
    """Name the words that are spelled nearly like a text, as the end of a sentence."""
    near = difflib.get_close_matches(text, list(names), n=3)
    return f"; the nearest: {', '.join(near)}" if near else ""


def format_value(value: Value) -> str:
    """Write a value as its reader reads it; quotes are added where they are needed."""
    match value:
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return f"{Decimal(value // _MICROSECOND) / 1_000_000:f}s"
        case Range():
            return f"{value.low}-{value.high}"
        case Moment():
            return _format_moment(value)
    return str(value)


def format_protocol(value: Value) -> str:
    """Write a protocol by its name, if it has one."""
    named = ports.PROTOCOLS.get(value) if isinstance(value, int) else None
    return named or format_value(value)


def _format_moment(moment: Moment) -> str:
    text, length = moment.since.replace(tzinfo=None), moment.until - moment.since
    if length == timedelta(days=1):
        return text.date().isoformat()
    return text.isoformat(timespec=_PRECISION[length])


def _read_whole(text: str, most: int, expected: str) -> Value:
    match = re.fullmatch(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", text)
    if match is None:
        raise ValueError(expected)
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high or high > most:
        raise ValueError(expected)
    return low if match[2] is None else Range(low, high)


def _read_number(text: str, units: dict[str, int]) -> Decimal | None:
    match = _NUMBER.fullmatch(text)
    if match is None or match[2].casefold() not in units or len(match[1]) > 30:
        return None
    try:
        return Decimal(match[1]) * units[match[2].casefold()]
    except InvalidOperation:
        return None
