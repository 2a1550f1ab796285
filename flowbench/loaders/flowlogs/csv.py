"""Flow logs as comma- or tab-separated tables: results of Athena and of CloudWatch Logs Insights.

The first line names the columns, as AWS's fields or as other tools spell them (see
``column_names``). A table with whole records in ``@message`` is read by these. A table without a
header is read if its rows have the order of a known record format, also after one more value: the
time at which something received the record.

A table without a destination is of another kind (a Resolver query has a source address and port,
too), and without a time its rows are no records, but an aggregate or a selection.

Quoted line breaks are not read: no field of a flow log has one. Parsers disagree on carriage
returns and quotation marks within a value; such rows go to quarantine (RFC 4180 allows neither).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from flowbench.io.blocks import MAX_LINE, Block
from flowbench.loaders.base import File, Formats
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs.column_names import (
    column_names,
    describe_missing_times,
    field_of,
    has_ends,
)
from flowbench.loaders.flowlogs.normalize import normalize
from flowbench.schema import FLOW_FIELDS, FLOWS

KIND = "flow-logs"
TABLE = FLOWS

_MESSAGE_COLUMNS = ("@message", "message")
_MIN_KNOWN = 3  # flow log fields in a header; many a table has fewer
_MAX_SHOWN = 6  # columns that a reason names
_SAMPLE = 20  # lines at the start of a file that are looked at
_MAX_ROW = 128 << 10  # bytes; a record has at most a few thousand
DELIMITERS = ",\t;"
# A value without quotation marks, or one that is quoted from its start to its end.
_CELLS = {
    delimiter: re.compile(rf'(?:"((?:[^"]|"")*+)"|([^"{delimiter}]*+))(?:{delimiter}|\Z)')
    for delimiter in DELIMITERS
}


class _Layout(NamedTuple):
    """How a table is written.

    Attributes:
        delimiter: The character between the values.
        columns: flowbench's names of its columns.
        has_header: Whether its first line has their names.
    """

    delimiter: str
    columns: list[str]
    has_header: bool


def matches_head(head: bytes, formats: Formats = ()) -> bool:
    """Whether a file that starts with ``head`` is a table of flow log records.

    Args:
        head: The start of the file.
        formats: Record formats that a table without a header may have.
    """
    layout = _find_layout(head, formats)
    if layout is None:
        return False
    index = _message_index(layout.columns)
    if has_ends(layout.columns) or index is None:
        return has_ends(layout.columns)
    known = record_formats.known_formats(formats)
    rows = (split_row(line, layout.delimiter) for line in _sample_lines(head)[1:])
    return any(
        row
        and len(row) > index
        and record_formats.choose_format(row[index].encode().split(), known)
        for row in rows
    )


def describe_lacking(head: bytes) -> str | None:
    """Return what a table with columns of flow logs lacks; None if it has no such columns."""
    layout = _parse_header(_sample_lines(head)[0])
    known = [name for name in layout.columns if name in FLOW_FIELDS] if layout else []
    lacking = [name for name in ("srcaddr", "dstaddr") if name not in known]
    if not {"srcaddr", "dstaddr"}.intersection(known) or not lacking:
        return None
    return (
        f"a table with columns of flow logs ({', '.join(known[:_MAX_SHOWN])}) but without"
        f" {' and '.join(lacking)}: an aggregate or another kind of log, which has no flow records"
    )


def read(file: File) -> Iterator[pa.Table]:
    """Read the records of a file.

    Returns:
        Tables of FLOWS' columns without ``evidence_id``, then any others.
    """
    layout = None
    for block in file.blocks():
        body = block
        if layout is None:
            layout = _find_layout(block.data, file.formats) or _Layout(",", [], has_header=True)
            if layout.has_header:
                rest = block.data.removeprefix(codecs.BOM_UTF8).partition(b"\n")[2]
                body = Block(block.first_line + 1, memoryview(rest))
        if body.data:
            yield from _read_block(body, layout, file)


def _read_block(block: Block, layout: _Layout, file: File) -> Iterator[pa.Table]:
    columns = layout.columns
    is_of_messages = not has_ends(columns) and _message_index(columns) is not None
    if not is_of_messages and (reason := describe_missing_times(columns)):
        for number, line in enumerate(block.lines, block.first_line):
            if line.strip():
                file.quarantine(reason, line=number, raw=line.rstrip(b"\r"))
        return
    table, lines = _parse(block, layout.delimiter, columns, file)
    if is_of_messages:
        texts = table.column(_message_index(columns)).to_pylist()
        messages = [
            (line, line - 1, (text or "").encode())
            for line, text in zip(lines.tolist(), texts, strict=True)
        ]
        yield from flow_text.read_messages(messages, file)
        return
    # What Insights adds (@timestamp, @ptr, @log) is not about the traffic.
    table = table.select([name for name in columns if not name.startswith("@")])
    file.fields.update(map(field_of, table.column_names))
    yield normalize(table, lines, block.line, file)


def _find_layout(head: bytes, formats: Formats) -> _Layout | None:
    """Return how a file that starts with ``head`` is written; None if it is no table of flows."""
    lines = _sample_lines(head)
    return _parse_header(lines[0]) or _layout_of_rows(lines, formats)


def _sample_lines(head: bytes) -> list[str]:
    lines = head.removeprefix(codecs.BOM_UTF8).split(b"\n", _SAMPLE)[:_SAMPLE]
    return [line.decode("utf-8", "replace").strip("\r") for line in lines]


def _parse_header(line: str) -> _Layout | None:
    """Return the layout that a header gives; None for any other line."""
    for delimiter in DELIMITERS:
        columns = column_names(cell.strip() for cell in split_row(line, delimiter) or ())
        known = sum(field_of(name) in FLOW_FIELDS for name in columns)
        is_known = known >= _MIN_KNOWN or _message_index(columns) is not None
        if len(columns) > 1 and is_known:
            return _Layout(delimiter, columns, has_header=True)
    return None


def _layout_of_rows(lines: list[str], formats: Formats) -> _Layout | None:
    """Return the layout of a table without a header, by the first row that fits a format."""
    known = record_formats.known_formats(formats)
    for line in lines:
        for delimiter in DELIMITERS:
            row = [cell.encode() or b"-" for cell in split_row(line, delimiter) or ()]
            for before in ([], ["@received"]):
                chosen = record_formats.choose_format(row[len(before) :], known)
                if chosen is not None and len(row) > 1 and not chosen.has_timestamp:
                    return _Layout(delimiter, [*before, *chosen.columns], has_header=False)
    return None


def _message_index(columns: list[str]) -> int | None:
    return next((columns.index(name) for name in _MESSAGE_COLUMNS if name in columns), None)


def _parse(
    block: Block, delimiter: str, columns: list[str], file: File
) -> tuple[pa.Table, np.ndarray]:
    """Return the complete rows, as text, and their lines; the others go to quarantine."""
    lines = block.data.removesuffix(b"\n").split(b"\n")
    good = []
    for index, line in enumerate(lines):
        if reason := _find_fault(line, delimiter, len(columns)):
            if line.strip():
                file.quarantine(reason, line=block.first_line + index, raw=line.rstrip(b"\r"))
        else:
            good.append(index)
    numbers = np.array(good, np.int64) + block.first_line
    if not good:
        return pa.table({name: pa.array([], pa.string()) for name in columns}), numbers
    data = block.data if len(good) == len(lines) else b"\n".join(lines[index] for index in good)
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(
            column_names=columns, block_size=2 * MAX_LINE, use_threads=False
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return table, numbers


def _find_fault(line: bytes, delimiter: str, width: int) -> str | None:
    """Return why a line cannot be a row of the table; None if it can."""
    try:
        text = line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return "bytes that are not text (invalid UTF-8)"
    if "\0" in text:
        return "a NUL byte"
    if "\r" in text:
        return "a carriage return within a row"
    if len(line) > _MAX_ROW:
        return f"a row of {len(line):,} bytes: longer than any record can be"
    if '"' not in text:
        count = text.count(delimiter) + 1
    elif text.count('"') % 2:
        return "a quotation mark that is not closed"
    elif (cells := split_row(text, delimiter)) is None:
        return "a quotation mark within a value"
    else:
        count = len(cells)
    return None if count == width else f"{count} columns where the table has {width}"


def split_row(text: str, delimiter: str) -> list[str] | None:
    """Return the values of a row of a comma- or tab-separated table.

    None where a quotation mark stands within a value, or is not closed.
    """
    if '"' not in text:
        return text.split(delimiter)
    values, end = list[str](), 0
    pattern = _CELLS[delimiter]
    while cell := pattern.match(text, end):
        quoted, plain = cell.groups()
        values.append(plain if quoted is None else quoted.replace('""', '"'))
        end = cell.end()
        if end == len(text) and not cell.group().endswith(delimiter):
            return values
    return None
