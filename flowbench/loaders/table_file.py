"""Tables of records that are not flow logs: results of Athena and Logs Insights, SIEM exports.

Each row becomes an object of its columns, and is offered to the JSON kinds like a JSON value,
whatever it carries (see ``unwrap``): columns of CloudTrail or of Resolver queries, or whole
records in ``@message`` or ``_raw``. Tables are separated by commas or tabs, and have a header.

A quoted value may have line breaks. A row whose quotation mark is not closed within _MAX_LINES
lines, or whose number of values is wrong, goes to quarantine, and the lines after its first are
read as rows of their own.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import pyarrow as pa

from flowbench.loaders import json_file, unwrap
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs.csv import DELIMITERS, split_row
from flowbench.loaders.json_file import TableRow

_MAX_LINES = 200  # of a row
_SAMPLE = 5  # rows by which a table is recognised

Line = tuple[int, bytes]


class _Header(NamedTuple):
    """The delimiter of a table, and its columns as they are written."""

    delimiter: str
    columns: list[str]


def matches_head(head: bytes, kinds: list[ModuleType]) -> bool:
    """Whether a file that starts with ``head`` is a table of records of these JSON kinds."""
    lines = [(0, line) for line in head.removeprefix(codecs.BOM_UTF8).split(b"\n")]
    header = _parse_header(lines[0][1])
    if header is None:
        return False
    rows: list[object] = [TableRow.fromkeys(header.columns)]  # of a file that has only a header
    for _, row in _read_rows(iter(lines[1 : _SAMPLE * _MAX_LINES]), header):
        if isinstance(row, TableRow):
            rows.append(row)
        if len(rows) > _SAMPLE:
            break
    for content in (content for row in rows for content in unwrap.unwrap(row)):
        candidates = [each for each in (content, unwrap.message(content)) if each is not None]
        if any(kind.matches(each) is not None for each in candidates for kind in kinds):
            return True
    return False


def read(file: File, kinds: list[ModuleType]) -> Iterator[tuple[str, pa.Table]]:
    """Read the records of a file; arguments and result as of ``json_file.read``."""
    yield from json_file.convert_values(_values(file), file, kinds)


def _values(file: File) -> Iterator[tuple[int, object]]:
    lines = (
        (number, line)
        for block in file.blocks()
        for number, line in enumerate(block.data.removesuffix(b"\n").split(b"\n"), block.first_line)
    )
    header = _parse_header(next(lines)[1].removeprefix(codecs.BOM_UTF8))
    assert header is not None  # matches_head has seen it
    for line, row in _read_rows(lines, header):
        if isinstance(row, TableRow):
            yield line, row
        else:
            file.quarantine(row[0], line=line, raw=row[1])


def _parse_header(line: bytes) -> _Header | None:
    text = line.decode("utf-8", "replace").strip("\r")
    for delimiter in DELIMITERS:
        columns = [cell.strip() for cell in split_row(text, delimiter) or ()]
        if len(columns) > 1 and len(set(columns)) == len(columns):
            return _Header(delimiter, columns)
    # A lone column has no delimiter, and then the record in it has the name that a SIEM gives it.
    name = text.strip(' "')
    if unwrap.message({name: "x"}) or list(unwrap.unwrap({name: "x"})) == ["x"]:
        return _Header(",", [name])
    return None


def _read_rows(
    lines: Iterator[Line], header: _Header
) -> Iterator[tuple[int, TableRow | tuple[str, bytes]]]:
    """Yield the rows after the header with their lines, or why a line is none and its bytes."""
    waiting = deque[Line]()  # lines to be read again
    while (first := waiting.popleft() if waiting else next(lines, None)) is not None:
        taken = [first]
        quotes = first[1].count(b'"')
        while quotes % 2 and len(taken) < _MAX_LINES:
            following = waiting.popleft() if waiting else next(lines, None)
            if following is None:
                break
            taken.append(following)
            quotes += following[1].count(b'"')
        row = _parse_row(b"\n".join(line for _, line in taken), header)
        if row is None:
            continue
        if isinstance(row, str):
            waiting.extendleft(reversed(taken[1:]))
            alone = _parse_row(first[1], header)
            yield first[0], (alone if isinstance(alone, str) else row, first[1].rstrip(b"\r"))
        else:
            yield first[0], row


def _parse_row(data: bytes, header: _Header) -> TableRow | str | None:
    """Return a row, why it is none, or None for an empty line."""
    try:
        text = data.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return "bytes that are not text (invalid UTF-8)"
    if not text.strip():
        return None
    cells = split_row(text, header.delimiter)
    if cells is None:
        return "a quotation mark within a value, or one that is not closed"
    if len(cells) != len(header.columns):
        return f"{len(cells)} columns where the table has {len(header.columns)}"
    row = TableRow(zip(header.columns, (cell or None for cell in cells), strict=True))
    row.text = text
    return row
