"""VPC and transit gateway flow logs as text: with a header line, or in the default format.

The fast way hands whole blocks of lines to Arrow's CSV reader. A block it refuses, or in which a
value cannot be right, is looked at line by line; the good lines then go the same fast way, so a
value is typed by one piece of code only, and just the bad lines land in quarantine.
"""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from flowbench.load.base import File
from flowbench.load.stream import LONGEST_LINE, Block
from flowbench.schema import DEFAULT_FORMAT, FLOW_FIELDS, FLOWS, TYPES

KIND = "flow-logs"
TABLE = FLOWS

STATUSES = ("OK", "NODATA", "SKIPDATA", "INCOMPLETEDATA")  # the last from Cloud WAN only
ACTIONS = ("ACCEPT", "REJECT")
ADDRESSES = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
NUMBERS = ("int32", "int64", "time")
LIMITS = {"srcport": 65_535, "dstport": 65_535, "protocol": 255}

_CHUNK = LONGEST_LINE  # bytes that Arrow parses at a time: as many as fit a processor's cache
_MILLISECONDS = 100_000_000_000  # a larger number of seconds lies 3,000 years ahead
# The largest value a column of each type can hold; times end with the year 9999, in ms.
_MOST = {"int32": 2**31 - 1, "int64": 2**63 - 1, "time": 253_402_300_799_999}
_NAME = re.compile(rb"[a-zA-Z][a-zA-Z0-9_-]{0,62}")
_NUMBER = re.compile(rb"-|[0-9]{1,18}")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"^({_OCTET}(\.{_OCTET}){{3}}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$"


@dataclass(frozen=True)
class Layout:
    """Which field stands in which column of a line."""

    columns: tuple[str, ...]

    @property
    def types(self) -> dict[str, pa.DataType]:
        """How each column is read: whole numbers, times as such, everything else text."""
        return {
            name: pa.int64()
            if name in FLOW_FIELDS and FLOW_FIELDS[name].type in NUMBERS
            else pa.string()
            for name in self.columns
        }

    @property
    def numbers(self) -> list[int]:
        """Positions of the columns that hold numbers."""
        return [i for i, kind in enumerate(self.types.values()) if kind == pa.int64()]


DEFAULT = Layout(DEFAULT_FORMAT)


def header(line: bytes) -> Layout | None:
    """The layout that a header line names, or None when the line is no header.

    Names are AWS's, with hyphens or underscores; unknown ones are kept, as text.
    """
    tokens = line.removeprefix(b"\xef\xbb\xbf").split()
    if not tokens or not all(_NAME.fullmatch(token) for token in tokens):
        return None
    names = [token.decode().lower().replace("-", "_") for token in tokens]
    known = sum(name in FLOW_FIELDS for name in names)
    if known < max(2, len(names) / 2) or len(set(names)) < len(names):
        return None
    # `source` and `line` are ours: a field of that name is kept under another.
    return Layout(tuple(f"field_{n}" if n in ("source", "line") else n for n in names))


def sniff(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is a text flow log."""
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()[:50]
    return any(header(line) or _is_default(line) for line in lines)


def read(file: File) -> Iterator[pa.Table]:
    """The file's records: one table a block, columns of FLOWS without ``source``, then any others.

    NODATA and SKIPDATA records stay. A header line anywhere sets the layout from there on.
    """
    layout: Layout | None = None
    for block in file.blocks():
        if layout is None:
            layout, block = _first_layout(block)  # noqa: PLW2901  # the block less its header
            file.fields.update(layout.columns)
        if not block.data:
            continue
        try:
            parts = [_quickly(block, layout)]
        except pa.ArrowInvalid:
            parts, layout = _slowly(block, layout, file)
        for table, raw in parts:
            yield finish(without_faults(table, raw, file))


class RawLines(Protocol):
    """Raw lines by their number in the file."""

    def __getitem__(self, number: int, /) -> bytes: ...


class _Lines:
    """The raw lines of a block by line number, split only if somebody asks."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._lines: list[bytes] | None = None

    def __getitem__(self, number: int) -> bytes:
        if self._lines is None:
            self._lines = self._block.data.split(b"\n")
        return self._lines[number - self._block.first_line]


def _first_layout(block: Block) -> tuple[Layout, Block]:
    """The layout the file starts with, and the block without the header line."""
    first, _, rest = block.data.partition(b"\n")
    if found := header(first):
        return found, Block(block.first_line + 1, rest)
    return DEFAULT, Block(block.first_line, block.data.removeprefix(b"\xef\xbb\xbf"))


def _is_default(line: bytes) -> bool:
    tokens = line.split()
    return (
        len(tokens) == len(DEFAULT_FORMAT)
        and tokens[0].isdigit()
        and tokens[13].decode("ascii", "replace") in STATUSES
        and all(_NUMBER.fullmatch(tokens[i]) for i in DEFAULT.numbers)
    )


def _parse(data: bytes, layout: Layout) -> pa.Table:
    """Lines that all have the layout's columns, as a table; ArrowInvalid if one has not."""
    return csv.read_csv(
        io.BytesIO(data),
        # On this thread: files are read side by side, not blocks.
        read_options=csv.ReadOptions(
            column_names=list(layout.columns), block_size=_CHUNK, use_threads=False
        ),
        parse_options=csv.ParseOptions(
            delimiter=" ", quote_char=False, double_quote=False, ignore_empty_lines=False
        ),
        convert_options=csv.ConvertOptions(
            column_types=layout.types, null_values=["-"], strings_can_be_null=True
        ),
    )


def _quickly(block: Block, layout: Layout) -> tuple[pa.Table, RawLines]:
    """A block in which every line is a record, as a table; ArrowInvalid if one is not."""
    table = _parse(block.data, layout)
    if (
        table.num_rows != block.lines
    ):  # a lone carriage return is a line end to Arrow, but not to us
        raise pa.ArrowInvalid("lines and records differ in number")
    numbers = np.arange(block.first_line, block.first_line + block.lines)
    return table.append_column("line", pa.array(numbers, pa.int64())), _Lines(block)


def _slowly(
    block: Block, layout: Layout, file: File
) -> tuple[list[tuple[pa.Table, RawLines]], Layout]:
    """A block with something wrong in it: its good lines as tables, the others in quarantine."""
    parts: list[tuple[pa.Table, RawLines]] = []
    good: dict[int, bytes] = {}
    for number, raw in enumerate(block.data.split(b"\n"), block.first_line):
        tokens = raw.split()
        if not tokens:
            continue
        if found := header(raw):
            # Files run together, or a log whose format changed: the new layout holds from here.
            parts += _good(good, layout)
            layout, good = found, {}
            file.fields.update(layout.columns)
        elif reason := _wrong(tokens, layout):
            file.quarantine(reason, line=number, raw=raw)
        else:
            good[number] = b" ".join(tokens)
    return parts + _good(good, layout), layout


def _good(lines: dict[int, bytes], layout: Layout) -> list[tuple[pa.Table, RawLines]]:
    if not lines:
        return []
    table = _parse(b"\n".join(lines.values()), layout)
    return [(table.append_column("line", pa.array(lines, pa.int64())), lines)]


def _wrong(tokens: list[bytes], layout: Layout) -> str | None:
    """Why a line cannot be a record of this layout, or None when it can."""
    if len(tokens) != len(layout.columns):
        return f"{len(tokens)} fields where the format has {len(layout.columns)}"
    for position in layout.numbers:
        if not _NUMBER.fullmatch(tokens[position]):
            shown = tokens[position][:40].decode("utf-8", "backslashreplace")
            return f"{_aws(layout.columns[position])} is not a number: {shown!r}"
    try:
        b" ".join(tokens).decode()
    except UnicodeDecodeError:
        return "bytes that are no text (invalid UTF-8)"
    if any(b"\0" in token for token in tokens):
        return "a NUL byte"
    return None


def without_faults(table: pa.Table, raw: RawLines, file: File) -> pa.Table:
    """The table (with ``line``) less the records in which a value cannot be right: quarantine."""
    faults: dict[int, str] = {}
    for name in table.column_names:
        if (bad := _impossible(name, table[name])) is None:
            continue
        for row in pc.indices_nonzero(bad).to_pylist():
            value = str(table[name][row].as_py())[:40]
            faults.setdefault(row, f"{_aws(name)} cannot be {value!r}")
    if not faults:
        return table
    numbers = table["line"]
    for row in sorted(faults):
        line = numbers[row].as_py()
        file.quarantine(faults[row], line=line, raw=raw[line].rstrip(b"\r"))
    keep = [row for row in range(table.num_rows) if row not in faults]
    return table.take(pa.array(keep, pa.int64()))


def _impossible(name: str, column: pa.ChunkedArray) -> pa.Array | None:
    """Which values of a column no record can have; None when all are possible."""
    if name in ADDRESSES:
        words = pc.unique(column).drop_null()
        wrong = words.filter(pc.invert(pc.match_substring_regex(words, _ADDRESS))).to_pylist()
        wrong += [w for w in words.filter(pc.match_substring(words, ":")).to_pylist() if not _v6(w)]
        return pc.is_in(column, pa.array(wrong, pa.string())) if wrong else None
    if name in ("action", "log_status"):
        words = ACTIONS if name == "action" else STATUSES
        known = pc.is_in(column, pa.array([*words, None], pa.string()))
        return None if pc.all(known).as_py() else pc.invert(known)
    if not pa.types.is_integer(column.type):
        return None
    most = LIMITS.get(name, _MOST[FLOW_FIELDS[name].type] if name in FLOW_FIELDS else 2**63 - 1)
    ends = pc.min_max(column).as_py()
    if ends["min"] is None or (ends["min"] >= 0 and ends["max"] <= most):
        return None
    return pc.fill_null(pc.or_(pc.less(column, 0), pc.greater(column, most)), False)


def _v6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def finish(table: pa.Table) -> pa.Table:
    """The columns in their declared types and order; unknown ones after them, by name."""
    columns = {}
    extra = sorted(set(table.column_names) - set(FLOWS.columns))
    for name in [*(n for n in FLOWS.columns if n != "source"), *extra]:
        kind = TYPES[FLOW_FIELDS[name].type] if name in FLOW_FIELDS else None
        if name not in table.column_names:
            columns[name] = pa.nulls(table.num_rows, kind)
        elif name in ("start", "end"):
            columns[name] = _time(table[name])
        else:
            columns[name] = table[name].cast(kind) if kind else table[name]
    return pa.table(columns)


def _time(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Epoch seconds (or the milliseconds that some producers write) as UTC timestamps."""
    largest = pc.max(numbers).as_py()
    if largest is not None and largest >= _MILLISECONDS:
        in_ms = pc.greater_equal(numbers, _MILLISECONDS)
        ms = pc.if_else(in_ms, numbers, pc.multiply(numbers, 1000))
        return ms.cast(pa.timestamp("ms", tz="UTC")).cast(TYPES["time"])
    return numbers.cast(pa.timestamp("s", tz="UTC")).cast(TYPES["time"])


def _aws(name: str) -> str:
    return name.replace("_", "-")
