"""Address ranges with country and network owner: the table, and what both readers share."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from flowbench import schema

KIND = "geography"

TABLE = schema.Table.of(
    "geography",
    ("first", "string", "first address of the range"),
    ("last", "string", "last address of the range"),
    ("country", "string", "ISO 3166-1 code, two letters; null where the database has none"),
    ("asn", "int64", "number of the autonomous system that announces it"),
    ("owner", "string", "name of that system in the database; to be escaped"),
    ("database", "string", "name of the database by itself, else its file name"),
    ("published", "time", "its date, by itself or by its file name"),
    *schema.ORIGIN,
)

COUNTRY_CODE = re.compile(r"[A-Z]{2}")
AS_NUMBER = re.compile(r"(?:AS)?(\d{1,10})")
_UNKNOWN_CODES = {"ZZ", "XX"}  # ISO 3166 leaves these to users; the databases mean "unknown"


Rejected = tuple[int, str, str]  # a line for quarantine: number, raw text, reason


class Network(NamedTuple):
    """What a database states of an address: country, autonomous system and its name."""

    country: str | None
    asn: int | None
    owner: str | None


UNKNOWN = Network(None, None, None)


class Range(NamedTuple):
    """A range of addresses with one statement; ``bits`` is 32 or 128."""

    bits: int
    first: int
    last: int
    network: Network
    line: int | None

    def continues(self, previous: Range) -> bool:
        """Whether this range follows the other without a gap and has the same statement."""
        key = (self.bits, self.first, self.network)
        return key == (previous.bits, previous.last + 1, previous.network)

    def to_row(self, database: str | None, published: datetime | None) -> dict[str, object]:
        """Convert to a row of TABLE without ``evidence_id``."""
        return {
            "first": format_number(self.first, self.bits),
            "last": format_number(self.last, self.bits),
            **self.network._asdict(),
            "database": database,
            "published": published,
            "line": self.line,
        }


def join_ranges(ranges: Iterable[Range | Rejected]) -> Iterator[Range | Rejected]:
    """Join adjacent ranges with the same statement, and drop those without any.

    A joined range has the line of its first part. Rejected lines are passed on.
    """
    open_range: Range | None = None
    for item in ranges:
        if not isinstance(item, Range):
            yield item
        elif item.network == UNKNOWN:
            continue
        elif open_range is not None and item.continues(open_range):
            open_range = open_range._replace(last=item.last)
        else:
            if open_range is not None:
                yield open_range
            open_range = item
    if open_range is not None:
        yield open_range


def format_number(number: int, bits: int) -> str:
    """Format the number of an address in its canonical spelling."""
    family = socket.AF_INET if bits == 32 else socket.AF_INET6
    return socket.inet_ntop(family, number.to_bytes(bits // 8, "big"))


def country_code(value: object) -> str | None:
    """A country code in capitals; None for what databases have where they know none."""
    code = str(value).strip().upper() if isinstance(value, str) else ""
    return code if COUNTRY_CODE.fullmatch(code) and code not in _UNKNOWN_CODES else None


def as_number(value: object) -> int | None:
    """The number of an autonomous system; None also for 0, a network that nobody announces."""
    match = AS_NUMBER.fullmatch(str(value).strip().upper())
    return int(match[1]) or None if match else None
