"""VPC and transit gateway flow logs as text: with a header line, or in a format known otherwise.

The fast way hands whole blocks of lines to Arrow's CSV reader. A block it refuses, or in which a
value cannot be right, is looked at line by line; the good lines then go the same fast way, so a
value is typed by one piece of code only, and just the bad lines land in quarantine.

Lines without a header (CloudWatch Logs and its export tasks, Firehose) have the first format that
they fit: one the user gave or a flow log's description named, else AWS's default. Where two flow
logs of different formats share a stream, that is decided line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyarrow import csv

from flowbench.io.stream import HEAD, Block
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.flowlogs.formats import MARK, Layout
from flowbench.loaders.flowlogs.validate import MISSING, RawLines, encoded, finish, without_faults
from flowbench.schema import FLOWS

KIND = "flow-logs"
TABLE = FLOWS

Message = tuple[int, int, bytes]  # line, item, the record's text
Group = tuple[Layout, list[Message], pa.Table]

_CHUNK = 1 << 20  # bytes that Arrow parses at a time: as many as fit a processor's cache
_NOTHING = pa.table({})  # after each block: the quarantine is emptied when something comes
_SNIFFED = 50  # lines that are looked at before a file is called something else
_RUNS = re.compile(rb"[ \t]+")
_TRAILING = re.compile(rb"[ \t]+(?=\r?\n|\Z)")


def matches_head(head: bytes, formats: tuple[tuple[str, ...], ...] = ()) -> bool:
    """Whether a file that starts with ``head`` is a text flow log, of these formats or AWS's."""
    known = record_formats.known(formats)
    lines = head.removeprefix(MARK).split(b"\n", _SNIFFED)[:_SNIFFED]
    return any(
        record_formats.header(line) or record_formats.choose(line.split(), known) for line in lines
    )


def read(file: File) -> Iterator[pa.Table]:
    """The file's records: tables of FLOWS' columns without ``evidence_id``, then any others.

    NODATA and SKIPDATA records stay. A header line anywhere sets the layout from there on.
    """
    lines = _Lines(file)
    for block in file.blocks():
        yield from lines.tables(block)
        yield _NOTHING


def from_messages(messages: list[Message], file: File) -> Iterator[pa.Table]:
    """Records that stood in another container, as (line, item, the record's text).

    Tables as ``read`` gives them, with a column ``item`` beside ``line``; what is no record goes
    to quarantine under both.
    """
    known = record_formats.known(file.formats)
    for layout, group, table in _alike(messages, known) or _sorted(messages, known, file):
        file.fields.update(layout.columns)
        lines, items = ([each[place] for each in group] for place in (0, 1))
        numbered = table.append_column("line", pa.array(lines, pa.int64()))
        numbered = numbered.append_column("item", pa.array(items, pa.int64()))
        yield finish(without_faults(numbered, {item: raw for _, item, raw in group}, file))


def _alike(messages: list[Message], known: list[Layout]) -> list[Group]:
    """Messages that all have the layout of the first, nothing odd about any; else nothing."""
    lines = [raw for *_, raw in messages]
    layout = record_formats.choose(lines[0].split(), known) if lines else None
    if layout is None or not layout.numbers:
        return []
    try:
        table = _gathered(lines, layout)
    except pa.ArrowInvalid:
        return []
    return [(layout, messages, table)] if table.num_rows == len(lines) else []


def _sorted(messages: list[Message], known: list[Layout], file: File) -> Iterator[Group]:
    """Messages by their layout, each looked at; what fits none goes to quarantine."""
    groups: dict[Layout, list[Message]] = {}
    latest = known[0]
    for line, item, raw in messages:
        tokens = raw.split()
        if latest.wrong(tokens):
            found = record_formats.choose(tokens, known)
            if found is None:
                file.quarantine(_misfit(tokens, known), line=line, item=item, raw=raw)
                continue
            latest = found
        groups.setdefault(latest, []).append((line, item, b" ".join(tokens)))
    for layout, group in groups.items():
        yield layout, group, _gathered((raw for *_, raw in group), layout)


def _misfit(tokens: list[bytes], known: list[Layout]) -> str:
    """Why a line without a header is no record: by the formats of its length, if there are any."""
    same = [layout for layout in known if layout.width == len(tokens)]
    if same:
        return same[0].wrong(tokens) or "words that no field of the format can hold"
    widths = sorted({layout.width for layout in known})
    return (
        f"{len(tokens)} fields where the known formats have {', '.join(map(str, widths))}: give"
        " the flow log's format with --format-string, or put its describe-flow-logs answer beside"
        " the log"
    )


class _Lines:
    """A text flow log on its way through: the formats it may have, and the one it has now."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._known = record_formats.known(file.formats)
        self._now: Layout | None = None

    def tables(self, block: Block) -> Iterator[pa.Table]:
        """The records of the next block."""
        body = self._begin(block) if self._now is None else block
        if not body.view:
            return
        assert self._now is not None
        parts: Iterable[tuple[pa.Table, RawLines]]
        try:
            parts = [(_numbered(body, body.view, self._now), _Raw(body))]
            block.lines = body.lines + body.first_line - block.first_line  # need not be counted
        except pa.ArrowInvalid:
            parts = self._slowly(body)
        for table, raw in parts:
            yield finish(without_faults(table, raw, self._file))

    def _begin(self, block: Block) -> Block:
        """Find the layout the file starts with; the block without its header line."""
        head = bytes(block.view[:HEAD])
        view = block.view[len(MARK) * head.startswith(MARK) :]
        lines = head.removeprefix(MARK).split(b"\n", _SNIFFED)[:_SNIFFED]
        if len(lines[0]) < HEAD - len(MARK) and (found := record_formats.header(lines[0])):
            self._take(found)
            view = view[len(lines[0]) + 1 :]
            return Block(block.first_line + 1, view, returns=block.returns)
        fitting = (record_formats.choose(line.split(), self._known) for line in lines)
        self._take(next((layout for layout in fitting if layout), record_formats.DEFAULT))
        return Block(block.first_line, view, returns=block.returns)

    def _take(self, layout: Layout) -> None:
        self._now = layout
        self._file.fields.update(layout.columns)
        if layout not in self._known:
            self._known.insert(0, layout)

    def _slowly(self, block: Block) -> Iterator[tuple[pa.Table, RawLines]]:
        """A block with something odd in it: its good lines as tables, the others in quarantine."""
        assert self._now is not None
        tidy = _RUNS.sub(b" ", _TRAILING.sub(b"", block.data))
        if tidy != block.data and self._now.numbers:
            try:
                yield _numbered(block, tidy, self._now), _Raw(block)
            except pa.ArrowInvalid:
                pass
            else:
                return
        good: dict[Layout, dict[int, bytes]] = {}
        for number, raw in enumerate(block.data.split(b"\n"), block.first_line):
            tokens = raw.split()
            if not tokens:
                continue
            reason = self._now.wrong(tokens)
            if tokens[0][:1].isalpha() and (found := record_formats.header(raw)):
                # Files run together, or a log whose format changed: it holds from here.
                self._take(found)
            elif reason is None:
                good.setdefault(self._now, {})[number] = b" ".join(tokens)
            elif other := record_formats.choose(tokens, self._known):
                self._file.fields.update(other.columns)
                good.setdefault(other, {})[number] = b" ".join(tokens)
            else:
                self._file.quarantine(reason, line=number, raw=raw)
        for layout, lines in good.items():
            table = _gathered(lines.values(), layout)
            yield table.append_column("line", pa.array(lines, pa.int64())), lines


class _Raw:
    """The raw lines of a block by line number, split only if somebody asks."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._lines: list[bytes] | None = None

    def __getitem__(self, number: int) -> bytes:
        if self._lines is None:
            self._lines = self._block.data.split(b"\n")
        return self._lines[number - self._block.first_line]


def _numbered(block: Block, data: bytes | memoryview, layout: Layout) -> pa.Table:
    """A block in which every line is a record, as a table; ArrowInvalid if one is not."""
    table = parse(data, layout)
    # A lone carriage return is a line end to Arrow, but not to us; and a format without numbers
    # would take a second header for a record.
    if not layout.numbers or (block.returns and table.num_rows != block.lines):
        raise pa.ArrowInvalid("lines and records differ in number")
    block.lines = table.num_rows
    numbers = np.arange(block.first_line, block.first_line + block.lines)
    return table.append_column("line", pa.array(numbers, pa.int64()))


def _gathered(lines: Iterable[bytes], layout: Layout) -> pa.Table:
    """Single lines that fit the layout, however long, as a table; numbers may be too large."""
    data = b"\n".join(lines)
    longest = max(map(len, data.split(b"\n")))
    return parse(data, layout, chunk=max(_CHUNK, longest + 2), types=layout.types)


def parse(
    data: bytes | memoryview,
    layout: Layout,
    *,
    chunk: int = _CHUNK,
    types: dict[str, pa.DataType] | None = None,
) -> pa.Table:
    """Lines that all have the layout's columns, as a table; ArrowInvalid if one has not.

    ``types`` are those in which the columns are read: by default no wider than need be, and a
    number that is too large is another reason for ArrowInvalid.
    """
    names = ["@stamp", *layout.columns] if layout.stamped else list(layout.columns)
    table = csv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        # On this thread: files are read side by side, not blocks.
        read_options=csv.ReadOptions(
            column_names=names, block_size=min(chunk, len(data) + 1), use_threads=False
        ),
        parse_options=csv.ParseOptions(
            delimiter=" ", quote_char=False, double_quote=False, ignore_empty_lines=False
        ),
        convert_options=csv.ConvertOptions(
            column_types=types or layout.narrow,
            include_columns=list(layout.columns),
            null_values=[MISSING],
            strings_can_be_null=False,  # quicker done for each word once, as is
            check_utf8=False,
        ),
    )
    return encoded(table)
