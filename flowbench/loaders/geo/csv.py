"""Which networks lie where and belong to whom, as lists of address ranges: CSV or TSV.

Read are the layouts of iptoasn, DB-IP, IPinfo, IP2Location, MaxMind's ASN blocks, RFC 8805 geofeeds
and maltrail's ip2cc, with or without a header: a range (two addresses, two numbers or a network)
and then a country, an autonomous system, or both. Databases in MaxMind's format: see ``mmdb``.

Such a list says what its maker believed when it was made. Countries are where a network is
registered or used, never where a person sits.
"""

from __future__ import annotations

import csv
import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from flowbench import schema
from flowbench.io.stream import HEAD
from flowbench.loaders.values import text
from flowbench.text import replace_unstorable

KIND = "geography"

TABLE = schema.Table.of(
    "geography",
    ("first", "string", "first address of the range"),
    ("last", "string", "its last address"),
    ("country", "string", "ISO 3166-1 code, two letters; null when not told"),
    ("asn", "int64", "number of the autonomous system that announces it"),
    ("owner", "string", "who runs that system, as the database spells it; to be escaped"),
    ("database", "string", "the database as it names itself, else its file name"),
    ("published", "time", "when it was made, as far as it or its file name tells"),
    *schema.ORIGIN,
)

_FIRST = {"start_ip", "ip_from", "range_start", "first", "start", "start_address"}
_LAST = {"end_ip", "ip_to", "range_end", "last", "end", "end_address"}
_NETWORK = {"network", "cidr", "prefix", "ip_prefix"}
_COUNTRY = ("country_code", "country_iso_code", "country")
_ASN = ("asn", "autonomous_system_number")
_OWNER = ("as_name", "autonomous_system_organization", "organization", "name", "org", "as")
_FOREIGN = {"kind", "feed", "confidence", "threat", "indicator", "srcaddr", "bytes", "packets"}

_CODE = re.compile(r"[A-Z]{2}")
_UNKNOWN_CODES = {"ZZ", "XX"}  # ISO 3166 leaves these to users; the lists mean "unknown"
_CONTINENTS = {"AF", "AN", "AS", "EU", "NA", "OC", "SA"}
_NUMBER = re.compile(r"(?:AS)?(\d{1,10})")
_DATE = re.compile(r"(20\d\d)-?([01]\d)(?:-?([0-3]\d))?(?!\d)")
_DELTAS = re.compile(r"#hexdelta1:([46])")
_MAX_IPV4 = (1 << 32) - 1
_MAPPED = 0xFFFF << 32  # ::ffff:0:0/96, where IPv6 lists keep IPv4
_SNIFFED = 200
_ENOUGH = 0.8

Found = dict[str, object] | tuple[int, str, str]


class Range(NamedTuple):
    """Some addresses in a row of which the same is said; ``bits`` is 32 or 128."""

    bits: int
    first: int
    last: int
    country: str | None
    asn: int | None
    owner: str | None
    line: int | None

    @property
    def told(self) -> tuple[str | None, int | None, str | None]:
        """What is said of the addresses."""
        return self.country, self.asn, self.owner

    def continues(self, before: Range) -> bool:
        """Whether this range takes up where the other ends, and says the same."""
        return (self.bits, self.first, self.told) == (before.bits, before.last + 1, before.told)

    def row(self, database: str | None, published: datetime | None) -> dict[str, object]:
        """As a row of TABLE without ``evidence_id``."""
        return {
            "first": spell(self.first, self.bits),
            "last": spell(self.last, self.bits),
            "country": self.country,
            "asn": self.asn,
            "owner": self.owner,
            "database": database,
            "published": published,
            "line": self.line,
        }


def spell(number: int, bits: int) -> str:
    """An address as the logs spell it."""
    family = socket.AF_INET if bits == 32 else socket.AF_INET6
    return socket.inet_ntop(family, number.to_bytes(bits // 8, "big"))


def country(value: object) -> str | None:
    """A country code, or None for what the lists write when they know none."""
    code = str(value).strip().upper() if isinstance(value, str) else ""
    return code if _CODE.fullmatch(code) and code not in _UNKNOWN_CODES else None


def system(value: object) -> int | None:
    """The number of an autonomous system; 0 means that nobody announces the network."""
    found = _NUMBER.fullmatch(str(value).strip().upper())
    return int(found[1]) or None if found else None


def matches_head(head: bytes) -> bool:
    """Whether a file that starts with ``head`` lists where networks lie or whose they are."""
    if b"\0" in head:
        return False
    lines = head.decode("utf-8-sig", "replace").split("\n")
    if len(head) >= HEAD and len(lines) > 1:
        lines.pop()  # it may be cut
    if _DELTAS.match(lines[0]):
        return True
    layout, good, bad = None, 0, 0
    for line in lines[:_SNIFFED]:
        cells = _cells(line)
        if not cells or line.startswith("#"):
            continue
        if not good and not bad and layout is None:
            layout = _header(cells)
            if layout is not None and not _tells(layout):
                return True  # to be refused with the remedy
            if layout is not None:
                continue
        told = _read(cells, 0, layout)
        good, bad = (good, bad + 1) if isinstance(told, str) else (good + 1, bad)
    return (good > 0 and good >= _ENOUGH * (good + bad)) or (bad == 0 and layout is not None)


def read_lines(lines: Iterable[tuple[int, str]], label: str) -> Iterator[Found]:
    """The ranges of a list: rows of TABLE without ``evidence_id``, or (line, raw, reason).

    Neighbours of which the same is said become one row, with the line of the first. Ranges of
    which nothing is said are left out. ``label`` names the database; a date in it is its date.
    """
    published = _date(label)
    before: Range | None = None
    for found in _ranges(lines):
        if not isinstance(found, Range):
            yield found
            continue
        if found.told == (None, None, None):
            continue
        if before is not None and found.continues(before):
            before = before._replace(last=found.last)
            continue
        if before is not None:
            yield before.row(text(label), published)
        before = found
    if before is not None:
        yield before.row(text(label), published)


def _ranges(lines: Iterable[tuple[int, str]]) -> Iterator[Range | tuple[int, str, str]]:
    layout: dict[str, int] | None = None
    fresh = True
    lines = iter(lines)
    for number, raw in lines:
        line = replace_unstorable(raw).strip("\ufeff \r\n")
        if fresh and (deltas := _DELTAS.match(line)):
            yield from _from_deltas(lines, 32 if deltas[1] == "4" else 128)
            return
        cells = _cells(line)
        if not cells or line.startswith("#"):
            continue
        if fresh:
            fresh = False
            layout = _header(cells)
            if layout is not None:
                if not _tells(layout):
                    yield (
                        number,
                        raw,
                        (
                            "countries only by number, their names in another file: load the same"
                            " database as .mmdb"
                        ),
                    )
                    return
                continue
        found = _read(cells, number, layout)
        yield (number, raw, found) if isinstance(found, str) else found


def _cells(line: str) -> list[str]:
    if not line.strip():
        return []
    delimiter = "\t" if "\t" in line else ","
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return [line]


def _header(cells: list[str]) -> dict[str, int] | None:
    """Where each column stands, or None when this is no header of such a list."""
    names = [re.sub(r"\W+", "_", cell.strip().lower()) for cell in cells]
    if _FOREIGN & set(names):
        return None
    places: dict[str, int] = {}
    for ours, known in (("first", _FIRST), ("last", _LAST), ("network", _NETWORK)):
        if at := [place for place, name in enumerate(names) if name in known]:
            places[ours] = at[0]
    for ours, ordered in (("country", _COUNTRY), ("asn", _ASN), ("owner", _OWNER)):
        if name := next((name for name in ordered if name in names), None):
            places[ours] = names.index(name)
    ranged = "network" in places or {"first", "last"} <= places.keys()
    telling = places.keys() & {"country", "asn"} or "geoname_id" in names
    return places if ranged and telling else None


def _tells(layout: dict[str, int]) -> bool:
    return bool(layout.keys() & {"country", "asn"})


def _read(cells: list[str], line: int, layout: dict[str, int] | None) -> Range | str:
    """What one line says, or why it says nothing that can be used."""
    if layout is None:
        layout = _guess(cells)
    cell = {name: cells[place] for name, place in layout.items() if place < len(cells)}
    ends = _ends(cell)
    if ends is None:
        return "no range of addresses"
    if ends[1] > ends[2]:
        return "a range that ends before it starts"
    if not cell.keys() & {"country", "asn"}:
        return "neither a country nor an autonomous system"
    owner = text(cell.get("owner"))
    asn = system(cell.get("asn", ""))
    named = owner is not None and owner not in ("-", "None") and (asn or "asn" not in cell)
    return Range(*ends, country(cell.get("country")), asn, owner if named else None, line)


def _guess(cells: list[str]) -> dict[str, int]:
    """Where the columns of a line stand in a file that has no header."""
    if "/" in cells[0]:
        places, at = {"network": 0}, 1
    else:
        places, at = {"first": 0, "last": 1}, 2
    if len(cells) > at and "/" in cells[at]:  # IP2Location repeats the range as a network
        at += 1
    if len(cells) <= at:
        return places
    if _NUMBER.fullmatch(cells[at].upper()):
        places["asn"], at = at, at + 1
        if len(cells) > at and (_CODE.fullmatch(cells[at]) or cells[at] == "None"):
            places["country"], at = at, at + 1
        if len(cells) > at:
            places["owner"] = at
    elif len(cells) > at + 1 and cells[at] in _CONTINENTS and _CODE.fullmatch(cells[at + 1]):
        places["country"] = at + 1
    elif _CODE.fullmatch(cells[at]) or cells[at] in ("", "-", "None"):
        places["country"] = at
    return places


def _ends(cell: dict[str, str]) -> tuple[int, int, int] | None:
    """Bits, first and last address of a line."""
    try:
        if "network" in cell:
            network = ipaddress.ip_network(cell["network"], strict=False)
            return network.max_prefixlen, int(network[0]), int(network[-1])
        first, last = (_address(cell[name]) for name in ("first", "last"))
    except (ValueError, KeyError):
        return None
    if first[0] != last[0]:  # a list of IPv6 ranges that begins with all of IPv4
        first, last = (128, first[1]), (128, last[1])
    bits = first[0]
    if bits == 128 and first[1] >= _MAPPED and last[1] <= _MAPPED | _MAX_IPV4:
        return 32, first[1] - _MAPPED, last[1] - _MAPPED
    return bits, first[1], last[1]


def _address(value: str) -> tuple[int, int]:
    """Bits and number of an address, also where it is written as a number."""
    if value.isdecimal() and value.isascii():
        number = int(value[:40])
        if number >> 128:
            raise ValueError
        return (32 if number <= _MAX_IPV4 else 128), number
    found = ipaddress.ip_address(value)
    return found.max_prefixlen, int(found)


def _from_deltas(
    lines: Iterable[tuple[int, str]], bits: int
) -> Iterator[Range | tuple[int, str, str]]:
    """Maltrail's ip2cc: how far each range starts after the one before, and its country.

    Numbers are hexadecimal; those of IPv6 count networks of 64 bits.
    """
    shift = bits // 2 if bits == 128 else 0
    start, told, since = 0, None, 0
    for number, raw in lines:
        step, comma, code = raw.strip().partition(",")
        if not re.fullmatch(r"[0-9a-fA-F]{1,32}", step) or not comma:
            yield number, raw, "no distance to the range before: all that follows is displaced"
            return
        following = start + (int(step, 16) << shift)
        if following >> bits:
            yield number, raw, "a range beyond the last address"
            return
        if following > start:
            yield Range(bits, start, following - 1, told, None, None, since)
        start, told, since = following, country(code), number
    yield Range(bits, start, (1 << bits) - 1, told, None, None, since)


def _date(label: str) -> datetime | None:
    found = _DATE.search(label)
    try:
        return (
            datetime(int(found[1]), int(found[2]), int(found[3] or 1), tzinfo=UTC)
            if found
            else None
        )
    except ValueError:
        return None
