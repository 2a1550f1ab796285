"""Flow logs as comma- or tab-separated tables: results of Athena and of CloudWatch Logs Insights.

The first line names the columns, as AWS's fields or as Insights spells them (``srcAddr``,
``startTime``). A table with whole records in ``@message`` is read by these. Quoted line breaks are
not read: no field of a flow log has one. Parsers disagree on carriage returns and quotation marks
within a value; such rows go to quarantine (RFC 4180 allows neither).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from flowbench.io.blocks import MAX_LINE, Block
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import formats
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs.normalize import column_name, normalize
from flowbench.schema import FLOW_FIELDS, FLOWS

KIND = "flow-logs"
TABLE = FLOWS

_MESSAGE_COLUMNS = ("@message", "message")
_MIN_KNOWN = 3  # flow log fields in a header; many a table has fewer
_SAMPLE = 20  # lines at the start of a file that are looked at
_MAX_ROW = 128 << 10  # bytes; a record has at most a few thousand
# A value without quotation marks, or one that is quoted from its start to its end.
_CELLS = {
    delimiter: re.compile(rf'(?:"((?:[^"]|"")*+)"|([^"{delimiter}]*+))(?:{delimiter}|\Z)')
    for delimiter in ",\t"
}


def matches_head(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is a table of flow log records."""
    lines = head.removeprefix(codecs.BOM_UTF8).split(b"\n", _SAMPLE)[:_SAMPLE]
    header = _parse_header(lines[0])
    if header is None:
        return False
    delimiter, columns = header
    if "srcaddr" in columns:
        return True
    index = _message_index(columns)
    if index is None:
        return False
    known = formats.known_formats()
    rows = (_split_row(line.decode("utf-8", "replace"), delimiter) for line in lines[1:])
    return any(
        row and len(row) > index and formats.choose_format(row[index].encode().split(), known)
        for row in rows
    )


def read(file: File) -> Iterator[pa.Table]:
    """Read the records of a file.

    Returns:
        Tables of FLOWS' columns without ``evidence_id``, then any others.
    """
    delimiter, columns = ",", list[str]()
    for block in file.blocks():
        body = block
        if not columns:
            first, _, rest = block.data.removeprefix(codecs.BOM_UTF8).partition(b"\n")
            delimiter, columns = _parse_header(first) or (",", [])
            body = Block(block.first_line + 1, memoryview(rest))
        if not body.data:
            continue
        table, lines = _parse(body, delimiter, columns, file)
        index = _message_index(columns)
        if "srcaddr" not in columns and index is not None:
            messages = [
                (line, line - 1, (text or "").encode())
                for line, text in zip(lines.tolist(), table.column(index).to_pylist(), strict=True)
            ]
            yield from flow_text.read_messages(messages, file)
            continue
        # What Insights adds (@timestamp, @ptr, @log) is not about the traffic.
        table = table.select([name for name in columns if not name.startswith("@")])
        file.fields.update(table.column_names)
        yield normalize(table, lines, body.line, file)


def _parse_header(line: bytes) -> tuple[str, list[str]] | None:
    """Return the delimiter and our names of the columns; None for any other line."""
    text = line.decode("utf-8", "replace").strip()
    for delimiter in ",\t":
        columns = [column_name(cell.strip()) for cell in _split_row(text, delimiter) or ()]
        known = sum(name in FLOW_FIELDS for name in columns)
        is_known = known >= _MIN_KNOWN or _message_index(columns) is not None
        if len(columns) > 1 and is_known and len(set(columns)) == len(columns):
            return delimiter, columns
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
    elif (cells := _split_row(text, delimiter)) is None:
        return "a quotation mark within a value"
    else:
        count = len(cells)
    return None if count == width else f"{count} columns where the table has {width}"


def _split_row(text: str, delimiter: str) -> list[str] | None:
    """Return the values of a row; None where a quotation mark stands within one."""
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
