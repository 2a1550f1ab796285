"""The columns of CSV indicator lists: by the names in their header, or by a map of the user."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowbench.errors import InputError
from flowbench.loaders.values import abbreviate

_NAMES = {
    "indicator": "indicator ioc_value indicator_value observable value address ip ip_address"
    " ipaddress ip_addr dst_ip domain domain_name hostname fqdn network cidr",
    "kind": "kind threat_type threat category type",
    "feed": "feed source meta_source",
    "confidence": "confidence confidence_level score risk_score abuse_confidence_score"
    " abuseconfidencescore",
    "valid_from": "valid_from first_seen first_seen_utc firstseen dateadded",
    "valid_until": "valid_until last_seen last_seen_utc last_online lastonline expires expiration",
    "port": "port dst_port dstport",
    "description": "description reason comment malware malware_printable meta_desc tags",
}
_ALIASES = {column: names.split() for column, names in _NAMES.items()}
_ALIASES["indicator"] += ["dstip", "url", "ioc"]  # beside an address, "ioc" is what it indicates
_ALIASES["description"].append("ioc")
_UNAMBIGUOUS = {
    "indicator",
    "indicator_value",
    "ioc",
    "ioc_value",
}  # other names are in headers of other tables too
_TYPICAL = {"kind", "feed", "confidence", "valid_from", "valid_until"}
_TRAFFIC = {"src_ip", "srcaddr", "source_ip", "src", "bytes", "packets", "protocol"}
_DELIMITERS = ",\t;|"

LINES_CHECKED = 200  # at the start of a file by which it is recognised
COMMENT = re.compile(r"\s*(?:#|;|//)+\s?(.*)")


@dataclass(frozen=True)
class Layout:
    """The columns of a CSV list.

    Attributes:
        delimiter: The character between the cells.
        width: The number of cells.
        positions: The position of each column that the list has.
        is_certain: Whether the names alone show that this is a header.
    """

    delimiter: str
    width: int
    positions: dict[str, int]
    is_certain: bool = True


def column_map(words: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Parse a map of columns: ``indicator=IP,kind=Threat``, in one word or several.

    Returns:
        Pairs of flowbench's column and the name in the list's header, sorted.

    Raises:
        InputError: This is no such map.
    """
    names: dict[str, str] = {}
    for pair in next(csv.reader([",".join(words)], skipinitialspace=True), []):
        column, equals, name = (part.strip() for part in pair.partition("="))
        if not equals or not name or column not in _ALIASES or column in names:
            raise InputError(
                f"not a map of columns: {abbreviate(pair)}; give each of {', '.join(_ALIASES)} at"
                " most once, as in indicator=IP,kind=Threat"
            )
        names[column] = name
    if names and "indicator" not in names:
        raise InputError("the map of columns lacks the column of the indicator")
    return tuple(sorted(names.items()))


def has_mapped_columns(head: bytes, columns: Mapping[str, str]) -> bool:
    """Whether a file that starts with ``head`` has a header with the columns of a user's map."""
    lines = head.decode("utf-8-sig", "replace").split("\n", LINES_CHECKED)[:LINES_CHECKED]
    texts = (line.strip("\r") for line in lines)
    texts = (comment[1] if (comment := COMMENT.fullmatch(line)) else line for line in texts)
    return any(_mapped_layout(line.strip(), columns) for line in texts if line.strip())


def find_layout(
    line: str, columns: Mapping[str, str], *, is_comment: bool = False
) -> Layout | None:
    """The layout that a header gives, or None for a line that is no header of a list.

    Args:
        line: The line.
        columns: The user's map of columns, empty without one.
        is_comment: Whether the line is a comment. One whose first column is the indicator may be
            a header whatever the other columns are called, if the lines after it fit.
    """
    line = re.sub(r"^fields\t", "", line)
    delimiter = max(_DELIMITERS, key=line.count)
    mapped = _mapped_layout(line, columns)
    cells = split_line(line, delimiter)
    names = [re.sub(r"\W+", "_", name.lower()).strip("_") for name in cells]
    positions = {
        column: names.index(alias)
        for column, aliases in _ALIASES.items()
        if (alias := next((alias for alias in aliases if alias in names), None))
    }
    if mapped:
        taken = mapped.positions.values()
        free = {column: at for column, at in positions.items() if at not in taken}
        return Layout(delimiter, mapped.width, free | mapped.positions)
    if positions.get("description") == positions.get("indicator"):
        positions.pop("description", None)
    is_typical = bool(positions.keys() & _TYPICAL or _UNAMBIGUOUS & set(names))
    is_certain = not _TRAFFIC & set(names) and (is_typical or len(names) == 1)
    if "indicator" not in positions:
        return None
    if not is_certain and not (is_comment and positions["indicator"] == 0):
        return None
    return Layout(delimiter, len(names), positions, is_certain)


def split_line(line: str, delimiter: str) -> list[str]:
    """Split a CSV line into its cells; no cells for a line that is not CSV."""
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
    except (csv.Error, StopIteration):
        return []


def _mapped_layout(line: str, columns: Mapping[str, str]) -> Layout | None:
    """The layout of a header that has all names of the user's map; None for any other line."""
    delimiter = max(_DELIMITERS, key=line.count)
    names = [name.strip().casefold() for name in split_line(line, delimiter)]
    mapped = {column: name.casefold() for column, name in columns.items()}
    if not columns or not set(mapped.values()) <= set(names):
        return None
    positions = {column: names.index(name) for column, name in mapped.items()}
    return Layout(delimiter, len(names), positions)
