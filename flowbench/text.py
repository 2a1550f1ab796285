"""Formats of times, periods, byte counts and lists; and escaping of hostile text.

Times are UTC. Whatever prints evidence calls ``escape_controls``: attackers write evidence.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from datetime import datetime

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Characters that move the cursor, change the order of others, or cannot be seen.
_CONTROL = re.compile(
    "["
    r"\x00-\x1f\x7f-\x9f\u2028\u2029"  # controls, line and paragraph separator
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction
    r"\xad\u034f\u180b-\u180f\u200b-\u200d\u2060-\u2065\ufeff"  # without width
    r"\u115f\u1160\u17b4\u17b5\u3164\uffa0\U0001d173-\U0001d17a"  # fillers
    r"\ufe00-\ufe0f\ufff0-\ufffb\U000e0000-\U000e0fff"  # variants, annotations, tags
    r"\ud800-\udfff"  # unpaired surrogates, which cannot be encoded
    "]"
)
_ZONE = re.compile(r"[0-9A-Za-z_-]+")  # of an address: an id of AWS's
_LONG_WORD = re.compile(r"\S{301,}")
_MOST_MESSAGE = 4_000  # characters of an error's message
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def format_date(moment: datetime) -> str:
    """Return a date as '2026-09-02'."""
    return f"{moment:%Y-%m-%d}"


def format_time(moment: datetime, *, seconds: bool = False) -> str:
    """Return a time as '2026-09-02 03:09' (or ':12' more); the caller states the time zone."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if seconds else f"{moment:%Y-%m-%d %H:%M}"


def format_utc(moment: datetime, *, seconds: bool = False) -> str:
    """Return a time as '2026-09-02 03:09 UTC'."""
    return f"{format_time(moment, seconds=seconds)} UTC"


def format_period(first: datetime, last: datetime, *, seconds: bool = False) -> str:
    """Return a period as '2026-09-02 03:09 to 2026-09-03 11:18 UTC'."""
    return f"{format_time(first, seconds=seconds)} to {format_utc(last, seconds=seconds)}"


def format_duration(duration: float) -> str:
    """Return a duration in seconds as '45 s', '5.0 min', '32.2 h' or '3.5 days'."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if duration >= 2 * length or (unit == "min" and duration >= length):
            return f"{duration / length:.1f} {unit}"
    return f"{duration:.0f} s"


def format_bytes(count: float) -> str:
    """Return a number of bytes in decimal units: '512 B', '1.2 kB', '3.4 GB'."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def format_count(count: int, noun: str, plural: str | None = None) -> str:
    """Return '1 host' or '1,024 hosts'; ``plural`` where it is not the noun and an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def list_some(
    items: Iterable[object], most: int = 5, *, separator: str = ", ", rest: str = "more"
) -> str:
    """Return the first items and how many follow: 'a, b, c, d, e and 7 more'."""
    words = [str(item) for item in items]
    hidden = len(words) - most
    return separator.join(words[:most]) + (f" and {hidden:,} {rest}" if hidden > 0 else "")


def join_words(items: Iterable[object], most: int = 5, *, separator: str = ", ") -> str:
    """Return items as a list of a sentence: 'a, b and c'; as ``list_some`` beyond the most."""
    words = [str(item) for item in items]
    if not 1 < len(words) <= most:
        return list_some(words, most, separator=separator)
    last = " and " if separator == ", " else f"{separator}and "
    return f"{separator.join(words[:-1])}{last}{words[-1]}"


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address, with or without a zone."""
    address, zone = split_zone(text)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return zone is None or _ZONE.fullmatch(zone) is not None


def canonical_address(text: str) -> str:
    """Return an address in canonical form: IPv6 as in RFC 5952, an IPv4-mapped address as IPv4.

    Anything else is returned as it is.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)


def split_zone(text: str) -> tuple[str, str | None]:
    """Split an address from its zone: '10.0.0.5%vpc-0a1' (see connections.zones); None without."""
    address, percent, zone = text.partition("%")
    return address, zone if percent else None


def escape_controls(value: object) -> str:
    r"""Return text for a terminal, with characters that hide or reorder text as codes.

    The codes are those of Python's strings: \x1b, \u202e, \U000e0041.
    """
    return _CONTROL.sub(_to_code, str(value))


def _to_code(found: re.Match[str]) -> str:
    number = ord(found.group())
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x1_0000 else f"\\U{number:08x}"


def cut_message(text: str) -> str:
    """Cut the middle of a message's words beyond 300 characters, and of itself beyond 4,000.

    What a message repeats (a name, an expression) was typed or read, and may be of any length.
    """
    text = _LONG_WORD.sub(lambda found: _cut_middle(found.group(), 100), text)
    return text if len(text) <= _MOST_MESSAGE else _cut_middle(text, _MOST_MESSAGE // 2)


def _cut_middle(text: str, most: int) -> str:
    """Keep the start and, half as long, the end, where a message has its remedy."""
    return f"{text[:most]}… ({len(text):,} characters) …{text[-most // 2 :]}"


def escape_lines(text: str) -> str:
    """Return lines for a terminal as ``escape_controls`` does, their line ends as line feeds."""
    return "\n".join(map(escape_controls, text.replace("\r\n", "\n").split("\n")))


def escape_formula(value: object) -> object:
    """Return a CSV cell with a quote before what a spreadsheet would run as a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def replace_unstorable(text: str) -> str:
    """Return text with U+FFFD for what no table can store: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", text)


def escape_undecodable(name: str) -> str:
    """Return a file name that any table can store: bytes that are not UTF-8 as hex codes."""
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
