"""Indicator lists: addresses, networks and domains someone calls bad, as text or CSV.

A plain list has one item a line; comments at its start may say ``# feed: …``, ``# kind: tor``,
``# confidence: 90``, ``# valid_from: …`` and ``# valid_until: …``. A CSV list has a header (it may
be a comment) that names an indicator column, or one that the user's map of columns names. Quoted
line breaks are not read.

``# kind: allow`` makes it a list of what is known to be harmless, ``# reason: …`` says why.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flowbench import schema
from flowbench.errors import InputError
from flowbench.io.stream import HEAD
from flowbench.loaders.intel.observable import Observable, in_cell, in_line
from flowbench.loaders.values import brief, port, text, time, whole
from flowbench.text import replace_unstorable

KIND = "indicators"

TABLE = schema.Table.of(
    "indicators",
    ("indicator", "string", "address, network in CIDR form, or domain in lower case"),
    ("type", "string", "address, network or domain"),
    ("kind", "string", "tor, mining, c2, scanner, malware, reputation, …; else unspecified"),
    ("feed", "string", "who says so: as the list names itself, else its file name"),
    ("confidence", "int32", "0 to 100 as the feed says; null when it does not"),
    ("valid_from", "time", "when it was first seen to hold; null when open"),
    ("valid_until", "time", "when it was last seen to hold; null when open"),
    ("port", "int32", "port on which it is bad; null for any"),
    ("description", "string", "what the feed adds: malware, operator, count of lists, …"),
    *schema.ORIGIN,
)

UNSPECIFIED = "unspecified"
ALLOW = "allow"  # the kind of what a list calls well known: it never flags anything

# Words that tell a kind, the telling before the vague; underscores and dashes count as spaces.
_KINDS = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"\btor\b|\btor(bulk|exit|node|relay)|\bonion|\bexits?\b|exit ?node", "tor"),
        (r"\bc2s?\b|\bcnc\b|cobalt|botnet|feodo|command and control", "c2"),
        (r"\b(crypto)?min(ers?|ing)\b|coin|\bpools?\b|stratum|cryptojack|monero|\bxmr", "mining"),
        (r"scan|probe\b|probing", "scanner"),
        (r"phish", "phishing"),
        (r"ransom|lockbit|malware|trojan|stealer|payload|threatfox|urlhaus", "malware"),
        (r"brute ?force", "brute-force"),
        (r"\bspam", "spam"),
        (r"\bprox(y|ies)\b|anonymi[sz]er|\bvpn\b", "anonymizer"),
        (r"sinkhole", "sinkhole"),
        (
            r"reputation|compromised|block ?list|black ?list|abuse|attack|\bbad\b|\bban",
            "reputation",
        ),
    )
)

_COLUMNS = {
    "indicator": "indicator ioc ioc_value value address ip ip_address dst_ip domain network cidr",
    "kind": "kind threat_type threat category type",
    "feed": "feed source meta_source",
    "confidence": "confidence confidence_level",
    "valid_from": "valid_from first_seen first_seen_utc firstseen dateadded",
    "valid_until": "valid_until last_seen last_seen_utc last_online lastonline expires expiration",
    "port": "port dst_port dstport",
    "description": "description reason comment malware malware_printable meta_desc tags",
}
_ALIASES = {name: aliases.split() for name, aliases in _COLUMNS.items()}
_ALIASES["indicator"] += ["dstip", "url"]
_SURE = {"indicator", "ioc", "ioc_value"}  # the others head columns of many other tables as well
_TRAFFIC = {"src_ip", "srcaddr", "source_ip", "src", "bytes", "packets", "protocol"}
_NOT_KINDS = {
    *("address", "network", "domain", "ip", "ipv4", "ipv6", "cidr", "hostname", "host", "url"),
    *("ip:port", "ip_dst", "ip_src", "ip:dst", "intel::addr", "intel::domain", "intel::subnet"),
}
_NOTHING = {"", "-", "none", "null", "n/a", "unknown"}

_ALLOWED = re.compile(r"allow(ed)?([-_ ]?list(ed)?)?|white[-_ ]?list(ed)?")
_COMMENT = re.compile(r"\s*(?:#|;|//)+\s?(.*)")
_SETTING = re.compile(
    r"(feed|kind|category|confidence|reason|valid_from|valid_until)\s*:\s*(.+)", re.I
)
_DAY = timedelta(days=1, microseconds=-1)
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_BARE = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
_SNIFFED = 200
_ENOUGH = 0.8


@dataclass
class Layout:
    """The columns of a CSV list: what separates them, and where each of ours stands."""

    delimiter: str
    width: int
    places: dict[str, int]


@dataclass
class List:
    """What a list says about all of its items, as far as it has been read."""

    label: str
    columns: Mapping[str, str]
    layout: Layout | None = None
    possible: Layout | None = None  # a comment that may turn out to be the header
    settings: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    bare: dict[str, object] | None = None  # the row of a line that is nothing but an address
    kind: str | None = None  # from the words of label and comments; decided at the first item


def matches_head(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is an indicator list.

    At least four in five of its first 200 lines that are no comments must hold an indicator.
    """
    if b"\0" in head:
        return False
    lines = head.decode("utf-8-sig", "replace").split("\n")
    if len(head) >= HEAD and len(lines) > 1:
        lines.pop()  # it may be cut
    good = bad = 0
    for found in read_lines(enumerate(lines, 1), ""):
        good, bad = (good, bad + 1) if isinstance(found, tuple) else (good + 1, bad)
        if good + bad == _SNIFFED:
            break
    return good > 0 and good >= _ENOUGH * (good + bad)


def column_map(words: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """A map of columns as users write it: ``indicator=IP,kind=Threat``, in one word or several.

    On the left what flowbench calls it, on the right the name in the list's header. Raises
    InputError when it is no such map.
    """
    pairs: dict[str, str] = {}
    for pair in next(csv.reader([",".join(words)], skipinitialspace=True), []):
        name, equals, header = (part.strip() for part in pair.partition("="))
        if not equals or not header or name not in _ALIASES or name in pairs:
            raise InputError(
                f"not a map of columns: {brief(pair)}; give each of {', '.join(_ALIASES)} at most"
                " once, as in indicator=IP,kind=Threat"
            )
        pairs[name] = header
    if pairs and "indicator" not in pairs:
        raise InputError("the map of columns does not say which column holds the indicator")
    return tuple(sorted(pairs.items()))


def mapped(head: bytes, columns: Mapping[str, str]) -> bool:
    """Whether a file that starts with ``head`` has a header with the columns of the user's map."""
    lines = head.decode("utf-8-sig", "replace").split("\n", _SNIFFED)[:_SNIFFED]
    told = ((_COMMENT.fullmatch(line.strip("\r")) or ["", line.strip("\r")])[1] for line in lines)
    return any(_given(line.strip(), columns) for line in told if line.strip())


def read_lines(
    lines: Iterable[tuple[int, str]], label: str, columns: Mapping[str, str] | None = None
) -> Iterator[dict[str, object] | tuple[int, str, str]]:
    """The items of a list: rows of TABLE without ``evidence_id``, or (line, raw, reason).

    ``lines`` are decoded lines with their numbers; ``label`` names the feed where the list does
    not, and its words may tell the kind; ``columns`` are the user's names of columns. A range of
    addresses becomes the networks that make it.
    """
    read = List(label, columns or {})
    for number, raw in lines:
        if read.bare is not None and _BARE.fullmatch(raw):  # nearly every line of large lists
            yield {**read.bare, "indicator": raw, "line": number}
            continue
        line = replace_unstorable(raw).strip("\ufeff \r\n")  # no tabs: they may be empty columns
        if not line.strip():
            continue
        comment = _COMMENT.fullmatch(line)
        if comment:
            read.bare = None  # it may set something
            if reason := _note(read, comment[1].strip()):
                yield number, raw, reason
            continue
        if read.kind is None:
            read.kind = _kind_of_list(read)
            header = _layout(line, read.columns)
            if header:
                read.layout = header
                continue
            possible = read.possible
            if possible and len(_split(line, possible.delimiter) or ()) == possible.width:
                read.layout = possible
        found = _from_csv(read, read.layout, line) if read.layout else _from_plain(read, line)
        if isinstance(found, str):
            yield number, raw, found
        else:
            yield from (row | {"line": number} for row in found)
            if read.bare is None and read.layout is None:
                read.bare = _row(read, Observable("", "address"), {})


def _note(read: List, comment: str) -> str | None:
    """Learn from a comment; the reason when what it says cannot be understood."""
    setting = _SETTING.fullmatch(comment)
    if not setting:
        if read.kind is None:
            read.comments.append(comment)
            header = _layout(comment, read.columns)
            read.possible = header if header and header.width > 1 else read.possible
        return None
    name, value = setting[1].lower(), setting[2].strip()
    meant: object = value
    if name in {"valid_from", "valid_until"}:
        meant = moment(name, value)
    elif name == "confidence":
        meant = whole(value.removesuffix("%"), 0, 100)
    if meant is None:
        return f"{name} of the list cannot be understood: {brief(value)}"
    read.settings["kind" if name == "category" else name] = meant
    return None


def _kind_of_list(read: List) -> str:
    # Links in comments name the sites of others, not what this list holds.
    told = [
        read.label,
        *(re.sub(r"\S+://\S+|reference:.*", "", c, flags=re.I) for c in read.comments),
    ]
    kinds = [kind for part in told if (kind := kind_in(part))]
    vague = _KINDS[-1][1]
    return next((kind for kind in kinds if kind != vague), kinds[0] if kinds else UNSPECIFIED)


def kind_in(told: str) -> str | None:
    """The kind that the words of a name or a comment tell, if they do."""
    words = re.sub(r"[_\W]+", " ", told.lower().replace("c&c", "c2"))
    return next((kind for pattern, kind in _KINDS if pattern.search(words)), None)


def kind_stated(value: str | None) -> str | None:
    """A kind that a list states itself, in our words where they match, else in its own."""
    stated = (value or "").strip().lower()
    if stated in _NOTHING or stated in _NOT_KINDS:
        return None
    if _ALLOWED.fullmatch(stated):
        return ALLOW
    return kind_in(stated) or re.sub(r"[_\W]+", "-", stated).strip("-")[:40] or None


def _layout(line: str, columns: Mapping[str, str]) -> Layout | None:
    """The columns a header names, or None when the line is no header of an indicator list."""
    line = re.sub(r"^fields\t", "", line)
    delimiter = max(",\t;|", key=line.count)
    given = _given(line, columns)
    names = [re.sub(r"\W+", "_", name.strip().lower()) for name in _split(line, delimiter) or ()]
    places = {
        column: names.index(alias)
        for column, aliases in _ALIASES.items()
        if (alias := next((alias for alias in aliases if alias in names), None))
    }
    if given:
        free = {name: at for name, at in places.items() if at not in given.places.values()}
        return Layout(delimiter, given.width, free | given.places)
    if "indicator" not in places or _TRAFFIC & set(names):
        return None
    telling = places.keys() & {"kind", "feed", "confidence", "valid_from", "valid_until"}
    if len(names) > 1 and not telling and not _SURE & set(names):
        return None
    return Layout(delimiter, len(names), places)


def _given(line: str, columns: Mapping[str, str]) -> Layout | None:
    """The columns of a header that has all that the user's map names."""
    delimiter = max(",\t;|", key=line.count)
    heads = [name.strip().casefold() for name in _split(line, delimiter) or ()]
    places = {name: header.casefold() for name, header in columns.items()}
    if not columns or not set(places.values()) <= set(heads):
        return None
    return Layout(delimiter, len(heads), {name: heads.index(at) for name, at in places.items()})


def _split(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
    except (csv.Error, StopIteration):
        return None


def _from_csv(read: List, layout: Layout, line: str) -> list[dict[str, object]] | str:
    cells = _split(line, layout.delimiter)
    if cells is None or len(cells) != layout.width:
        return f"not {layout.width} columns as in the header"
    cell = {name: cells[place].strip() for name, place in layout.places.items()}
    found = in_cell(cell["indicator"])
    if isinstance(found, str):
        return found
    told: dict[str, object] = {}
    for name in ("valid_from", "valid_until"):
        value = cell.get(name, "")
        if value.lower() not in _NOTHING:
            told[name] = moment(name, value)
            if told[name] is None:
                return f"{name} is not a time: {brief(value)}"
    told["confidence"] = whole(cell.get("confidence"), 0, 100)
    told["port"] = port(cell.get("port")) or None
    told["feed"] = text(cell.get("feed"))
    told["kind"] = kind_stated(cell.get("kind"))
    told["description"] = text(cell.get("description"))
    return [_row(read, item, told) for item in found]


def moment(name: str, value: object) -> datetime | None:
    """A time; where only a day is told, a period lasts to the end of that day."""
    found = time(value)
    whole_day = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)
    return found + _DAY if found and whole_day and name == "valid_until" else found


def _from_plain(read: List, line: str) -> list[dict[str, object]] | str:
    found = in_line(line)
    return found if isinstance(found, str) else [_row(read, item, {}) for item in found]


def _row(read: List, item: Observable, told: dict[str, object]) -> dict[str, object]:
    """The most particular word on each column: the line's, the list's settings, its words."""
    row: dict[str, object] = {
        name: told.get(name) for name in TABLE.columns if name != "evidence_id"
    }
    for name in ("confidence", "valid_from", "valid_until"):
        row[name] = told[name] if told.get(name) is not None else read.settings.get(name)
    row["feed"] = told.get("feed") or read.settings.get("feed") or read.label or None
    row["kind"] = told.get("kind") or kind_stated(read.settings.get("kind")) or read.kind
    if row["kind"] == UNSPECIFIED and told:
        row["kind"] = kind_in(f"{told.get('feed')} {told.get('description')}") or UNSPECIFIED
    row["indicator"], row["type"] = item.indicator, item.type
    row["port"] = item.port or told.get("port")
    row["description"] = told.get("description") or item.description or read.settings.get("reason")
    return row
