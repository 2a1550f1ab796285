"""Country and network owner of address ranges, as CSV or TSV.

Read are the layouts of iptoasn, DB-IP, IPinfo, IP2Location, MaxMind's ASN blocks, RFC 8805 geofeeds
and maltrail's ip2cc, with or without a header: a range (two addresses, two numbers or a network)
and then a country, an autonomous system, or both. Databases in MaxMind's format: see ``mmdb``.

Such a list has what its maker believed when it was made. A country is where a network is registered
or used, never where a person is.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from flowbench.io.stream import HEAD_SIZE
from flowbench.loaders.geo.ranges import (
    AS_NUMBER,
    COUNTRY_CODE,
    KIND,
    TABLE,
    Network,
    Range,
    Rejected,
    as_number,
    country_code,
    join_ranges,
)
from flowbench.loaders.values import text
from flowbench.text import replace_unstorable

__all__ = ["KIND", "TABLE", "matches_head", "read_lines"]

_FIRST = {"start_ip", "ip_from", "range_start", "first", "start", "start_address"}
_LAST = {"end_ip", "ip_to", "range_end", "last", "end", "end_address"}
_NETWORK = {"network", "cidr", "prefix", "ip_prefix"}
_COUNTRY = ("country_code", "country_iso_code", "country")
_ASN = ("asn", "autonomous_system_number")
_OWNER = ("as_name", "autonomous_system_organization", "organization", "name", "org", "as")
_OTHER_KINDS = {"kind", "feed", "confidence", "threat", "indicator", "srcaddr", "bytes", "packets"}

_CONTINENTS = {"AF", "AN", "AS", "EU", "NA", "OC", "SA"}
_DATE = re.compile(r"(20\d\d)-?([01]\d)(?:-?([0-3]\d))?(?!\d)")
_DELTAS = re.compile(r"#hexdelta1:([46])")
_MAX_IPV4 = (1 << 32) - 1
_MAPPED = 0xFFFF << 32  # ::ffff:0:0/96, where IPv6 lists keep IPv4
_LINES_CHECKED = 200
_REQUIRED_SHARE = 0.8
_BY_NUMBER = (
    "countries only by number, their names in another file: load the same database as .mmdb"
)

Layout = dict[str, int]  # the position of each column: first, last, network, country, asn, owner


def matches_head(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is a list of ranges with country or owner."""
    if b"\0" in head:
        return False
    lines = head.decode("utf-8-sig", "replace").split("\n")
    if len(head) >= HEAD_SIZE and len(lines) > 1:
        lines.pop()  # it may be cut
    if _DELTAS.match(lines[0]):
        return True
    layout, good, bad = None, 0, 0
    for line in lines[:_LINES_CHECKED]:
        cells = _cells(line)
        if not cells or line.startswith("#"):
            continue
        if not good and not bad and layout is None:
            layout = _header(cells)
            if layout is not None and not _has_statement(layout):
                return True  # to be rejected with the remedy
            if layout is not None:
                continue
        is_bad = isinstance(_range(cells, 0, layout), str)
        good, bad = (good, bad + 1) if is_bad else (good + 1, bad)
    has_enough = good > 0 and good >= _REQUIRED_SHARE * (good + bad)
    return has_enough or (bad == 0 and layout is not None)


def read_lines(
    lines: Iterable[tuple[int, str]], label: str
) -> Iterator[dict[str, object] | Rejected]:
    """Read the ranges of a list: rows of TABLE without ``evidence_id``, or rejected lines.

    Adjacent ranges with the same statement become one row. ``label`` names the database; a date in
    it is its date.
    """
    published, database = _date(label), text(label)
    for item in join_ranges(_ranges(lines)):
        yield item.to_row(database, published) if isinstance(item, Range) else item


def _ranges(lines: Iterable[tuple[int, str]]) -> Iterator[Range | Rejected]:
    layout: Layout | None = None
    is_first = True
    lines = iter(lines)
    for number, raw in lines:
        line = replace_unstorable(raw).strip("\ufeff \r\n")
        if is_first and (deltas := _DELTAS.match(line)):
            yield from _ranges_from_deltas(lines, 32 if deltas[1] == "4" else 128)
            return
        cells = _cells(line)
        if not cells or line.startswith("#"):
            continue
        if is_first:
            is_first = False
            layout = _header(cells)
            if layout is not None and not _has_statement(layout):
                yield number, raw, _BY_NUMBER
                return
            if layout is not None:
                continue
        found = _range(cells, number, layout)
        yield (number, raw, found) if isinstance(found, str) else found


def _cells(line: str) -> list[str]:
    if not line.strip():
        return []
    delimiter = "\t" if "\t" in line else ","
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return [line]


def _header(cells: list[str]) -> Layout | None:
    """The layout that a header gives, or None for a line that is no header of such a list."""
    names = [re.sub(r"\W+", "_", cell.strip().lower()) for cell in cells]
    if _OTHER_KINDS & set(names):
        return None
    layout: Layout = {}
    for column, aliases in (("first", _FIRST), ("last", _LAST), ("network", _NETWORK)):
        if positions := [i for i, name in enumerate(names) if name in aliases]:
            layout[column] = positions[0]
    for column, ordered in (("country", _COUNTRY), ("asn", _ASN), ("owner", _OWNER)):
        if name := next((name for name in ordered if name in names), None):
            layout[column] = names.index(name)
    has_range = "network" in layout or {"first", "last"} <= layout.keys()
    return layout if has_range and (_has_statement(layout) or "geoname_id" in names) else None


def _has_statement(layout: Layout) -> bool:
    return bool(layout.keys() & {"country", "asn"})


def _range(cells: list[str], line: int, layout: Layout | None) -> Range | str:
    """The range in one line, or the reason why it has none that can be used."""
    if layout is None:
        layout = _guess_layout(cells)
    cell = {name: cells[position] for name, position in layout.items() if position < len(cells)}
    bounds = _bounds(cell)
    if bounds is None:
        return "no range of addresses"
    if bounds[1] > bounds[2]:
        return "a range that ends before it starts"
    if not cell.keys() & {"country", "asn"}:
        return "neither a country nor an autonomous system"
    owner = text(cell.get("owner"))
    asn = as_number(cell.get("asn", ""))
    has_owner = owner is not None and owner not in ("-", "None") and (asn or "asn" not in cell)
    network = Network(country_code(cell.get("country")), asn, owner if has_owner else None)
    return Range(*bounds, network, line)


def _guess_layout(cells: list[str]) -> Layout:
    """The layout of a line in a file that has no header."""
    if "/" in cells[0]:
        layout, at = {"network": 0}, 1
    else:
        layout, at = {"first": 0, "last": 1}, 2
    if len(cells) > at and "/" in cells[at]:  # IP2Location repeats the range as a network
        at += 1
    if len(cells) <= at:
        return layout
    if AS_NUMBER.fullmatch(cells[at].upper()):
        layout["asn"], at = at, at + 1
        if len(cells) > at and (COUNTRY_CODE.fullmatch(cells[at]) or cells[at] == "None"):
            layout["country"], at = at, at + 1
        if len(cells) > at:
            layout["owner"] = at
    elif len(cells) > at + 1 and cells[at] in _CONTINENTS and COUNTRY_CODE.fullmatch(cells[at + 1]):
        layout["country"] = at + 1
    elif COUNTRY_CODE.fullmatch(cells[at]) or cells[at] in ("", "-", "None"):
        layout["country"] = at
    return layout


def _bounds(cell: dict[str, str]) -> tuple[int, int, int] | None:
    """Bits, first and last address of a line; None if it has no range."""
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
    """Bits and number of an address, also of one written as a number. Raises ValueError."""
    if value.isdecimal() and value.isascii():
        number = int(value[:40])
        if number >> 128:
            raise ValueError
        return (32 if number <= _MAX_IPV4 else 128), number
    address = ipaddress.ip_address(value)
    return address.max_prefixlen, int(address)


def _ranges_from_deltas(lines: Iterable[tuple[int, str]], bits: int) -> Iterator[Range | Rejected]:
    """Read maltrail's ip2cc: the distance of each range from the start of the last, its country.

    Numbers are hexadecimal; those of IPv6 count networks of 64 bits.
    """
    shift = bits // 2 if bits == 128 else 0
    start, network, since = 0, Network(None, None, None), 0
    for number, raw in lines:
        distance, comma, code = raw.strip().partition(",")
        if not re.fullmatch(r"[0-9a-fA-F]{1,32}", distance) or not comma:
            yield number, raw, "no distance from the last range: all following ranges are displaced"
            return
        following = start + (int(distance, 16) << shift)
        if following >> bits:
            yield number, raw, "a range beyond the last address"
            return
        if following > start:
            yield Range(bits, start, following - 1, network, since)
        start, network, since = following, Network(country_code(code), None, None), number
    yield Range(bits, start, (1 << bits) - 1, network, since)


def _date(label: str) -> datetime | None:
    """The date in the name of a list; the first of the month where it has no day."""
    match = _DATE.search(label)
    if match is None:
        return None
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3] or 1), tzinfo=UTC)
    except ValueError:
        return None
