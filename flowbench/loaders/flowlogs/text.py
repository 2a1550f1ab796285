"""VPC and transit gateway flow logs as text: with a header line, or in a format known otherwise.

The fast path hands whole blocks of lines to Arrow's CSV reader. A block that it rejects, or in
which a value is impossible, is read line by line; the good lines then take the same fast path, so
that values are typed by one piece of code only, and just the bad lines go to quarantine.

Lines without a header (CloudWatch Logs and its export tasks, Firehose) have the first format that
they fit: one that the user or a flow log's description gave, else AWS's default. Where two flow
logs of different formats share a stream, this is decided line by line.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyarrow import csv

from flowbench.io.blocks import Block
from flowbench.io.stream import HEAD_SIZE
from flowbench.loaders.base import File, Formats
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.flowlogs.formats import RecordFormat
from flowbench.loaders.flowlogs.normalize import MISSING, encode_text, finish
from flowbench.loaders.flowlogs.validate import RawRecords, quarantine_faults
from flowbench.schema import FLOWS

KIND = "flow-logs"
TABLE = FLOWS

Message = tuple[int, int, bytes]  # line, item, the record's text
Group = tuple[RecordFormat, list[Message], pa.Table]

_CHUNK = 1 << 20  # bytes that Arrow parses at once: as many as fit a processor's cache
_NOTHING = pa.table({})  # comes after each block, so that its quarantine is handed on
_SAMPLE = 50  # lines at the start of a file that are looked at
_SPACES = re.compile(rb"[ \t]+")
_TRAILING_SPACES = re.compile(rb"[ \t]+(?=\r?\n|\Z)")


def matches_head(head: bytes, formats: Formats = ()) -> bool:
    """Whether a file that starts with ``head`` is a text flow log, of these formats or AWS's."""
    known = record_formats.known_formats(formats)
    lines = _first_lines(head)
    header = record_formats.parse_header(lines[0])
    if b"\t" in lines[0] and header and {"srcaddr", "dstaddr"} <= set(header.columns):
        return False  # a table, whose values may have blanks
    return any(
        record_formats.parse_header(line) or record_formats.choose_format(line.split(), known)
        for line in lines
    )


def read(file: File) -> Iterator[pa.Table]:
    """Read the records of a file, also those of status NODATA and SKIPDATA.

    A header line anywhere sets the format from there on.

    Returns:
        Tables of FLOWS' columns without ``evidence_id``, then any others.
    """
    reader = _Reader(file)
    for block in file.blocks():
        yield from reader.tables(block)
        yield _NOTHING


def read_messages(messages: list[Message], file: File) -> Iterator[pa.Table]:
    """Read records that are texts in another container.

    Args:
        messages: Line, item and text of each; what is not a record goes to quarantine under both.
        file: Their file.

    Returns:
        Tables as ``read`` returns them, with a column ``item`` after ``line``.
    """
    known = record_formats.known_formats(file.formats)
    groups = _read_uniform(messages, known) or _group_by_format(messages, known, file)
    for record_format, group, table in groups:
        file.fields.update(record_format.fields)
        lines, items = ([message[index] for message in group] for index in (0, 1))
        numbered = table.append_column("line", pa.array(lines, pa.int64()))
        numbered = numbered.append_column("item", pa.array(items, pa.int64()))
        raw = {item: text for _, item, text in group}
        yield finish(quarantine_faults(numbered, raw.__getitem__, file))


def parse(
    data: bytes | memoryview,
    record_format: RecordFormat,
    *,
    chunk: int = _CHUNK,
    types: dict[str, pa.DataType] | None = None,
) -> pa.Table:
    """Parse lines that all have one format.

    Args:
        data: The lines.
        record_format: Their format.
        chunk: Bytes to parse at once; no line may be longer.
        types: The types as which columns are read; by default the narrowest possible.

    Returns:
        Their columns, text in dictionaries.

    Raises:
        ArrowInvalid: A line has not as many fields as the format, or a value does not fit its type.
    """
    columns = list(record_format.columns)
    names = ["@timestamp", *columns] if record_format.has_timestamp else columns
    table = csv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        # On this thread: files are read in parallel, not blocks.
        read_options=csv.ReadOptions(
            column_names=names, block_size=min(chunk, len(data) + 1), use_threads=False
        ),
        parse_options=csv.ParseOptions(
            delimiter=" ", quote_char=False, double_quote=False, ignore_empty_lines=False
        ),
        convert_options=csv.ConvertOptions(
            column_types=types or record_format.narrow_types,
            include_columns=columns,
            null_values=[MISSING],
            strings_can_be_null=False,  # quicker done once for each word, in encode_text
            check_utf8=False,
        ),
    )
    return encode_text(table)


def _first_lines(head: bytes) -> list[bytes]:
    return head.removeprefix(codecs.BOM_UTF8).split(b"\n", _SAMPLE)[:_SAMPLE]


def _read_uniform(messages: list[Message], known: list[RecordFormat]) -> list[Group]:
    """Parse messages that all have the format of the first; return nothing if one has not."""
    texts = [text for *_, text in messages]
    record_format = record_formats.choose_format(texts[0].split(), known) if texts else None
    if record_format is None or not record_format.numbers:
        return []
    try:
        table = _parse_lines(texts, record_format)
    except pa.ArrowInvalid:
        return []
    return [(record_format, messages, table)] if table.num_rows == len(texts) else []


def _group_by_format(
    messages: list[Message], known: list[RecordFormat], file: File
) -> Iterator[Group]:
    """Parse messages by their format; what fits none goes to quarantine."""
    groups: dict[RecordFormat, list[Message]] = {}
    latest = known[0]
    for line, item, text in messages:
        tokens = text.split()
        if latest.find_mismatch(tokens):
            chosen = record_formats.choose_format(tokens, known)
            if chosen is None:
                reason = _describe_mismatch(tokens, known)
                file.quarantine(reason, line=line, item=item, raw=text)
                continue
            latest = chosen
        groups.setdefault(latest, []).append((line, item, b" ".join(tokens)))
    for record_format, group in groups.items():
        table = _parse_lines((text for *_, text in group), record_format)
        yield record_format, group, table


def _describe_mismatch(tokens: list[bytes], known: list[RecordFormat]) -> str:
    """Return why a line without a header fits no format."""
    for record_format in known:
        if record_format.token_count == len(tokens):
            mismatch = record_format.find_mismatch(tokens)
            return mismatch or "words that no field of the format can hold"
    counts = sorted({record_format.token_count for record_format in known})
    return (
        f"{len(tokens)} fields where the known formats have {', '.join(map(str, counts))}: give"
        " the flow log's format with --format-string, or put its describe-flow-logs answer beside"
        " the log"
    )


class _Reader:
    """Reads the blocks of one file; keeps the format at the current line, and all known ones."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._known = record_formats.known_formats(file.formats)
        self._format: RecordFormat | None = None

    def tables(self, block: Block) -> Iterator[pa.Table]:
        """Read the records of the next block."""
        body = self._detect_format(block) if self._format is None else block
        if not body.view:
            return
        assert self._format is not None
        parts: Iterable[tuple[pa.Table, RawRecords]]
        try:
            parts = [(_parse_block(body, body.view, self._format), body.line)]
            block.line_count = body.line_count + body.first_line - block.first_line
        except pa.ArrowInvalid:
            parts = self._read_by_line(body)
        for table, raw in parts:
            yield finish(quarantine_faults(table, raw, self._file))

    def _detect_format(self, block: Block) -> Block:
        """Set the format at the start of the file; return the block without its header line."""
        head = bytes(block.view[:HEAD_SIZE])
        bom_size = len(codecs.BOM_UTF8)
        view = block.view[bom_size * head.startswith(codecs.BOM_UTF8) :]
        lines = _first_lines(head)
        is_whole = len(lines[0]) < HEAD_SIZE - bom_size
        if is_whole and (header := record_formats.parse_header(lines[0])):
            self._set_format(header)
            view = view[len(lines[0]) + 1 :]
            return Block(block.first_line + 1, view, may_have_returns=block.may_have_returns)
        chosen = (record_formats.choose_format(line.split(), self._known) for line in lines)
        self._set_format(next(filter(None, chosen), record_formats.DEFAULT))
        return Block(block.first_line, view, may_have_returns=block.may_have_returns)

    def _set_format(self, record_format: RecordFormat) -> None:
        self._format = record_format
        self._file.fields.update(record_format.fields)
        if record_format not in self._known:
            self._known.insert(0, record_format)

    def _read_by_line(self, block: Block) -> Iterator[tuple[pa.Table, RawRecords]]:
        """Parse the good lines of a block; the others go to quarantine."""
        assert self._format is not None
        tidy = _SPACES.sub(b" ", _TRAILING_SPACES.sub(b"", block.data))
        if tidy != block.data and self._format.numbers:
            try:
                yield _parse_block(block, tidy, self._format), block.line
            except pa.ArrowInvalid:
                pass
            else:
                return
        good: dict[RecordFormat, dict[int, bytes]] = {}
        for number, raw in enumerate(block.lines, block.first_line):
            tokens = raw.split()
            if not tokens:
                continue
            mismatch = self._format.find_mismatch(tokens)
            if tokens[0][:1].isalpha() and (header := record_formats.parse_header(raw)):
                # Concatenated files, or a log whose format changed.
                self._set_format(header)
            elif mismatch is None:
                good.setdefault(self._format, {})[number] = b" ".join(tokens)
            elif other := record_formats.choose_format(tokens, self._known):
                self._file.fields.update(other.fields)
                good.setdefault(other, {})[number] = b" ".join(tokens)
            else:
                self._file.quarantine(mismatch, line=number, raw=raw)
        for record_format, lines in good.items():
            table = _parse_lines(lines.values(), record_format)
            yield table.append_column("line", pa.array(lines, pa.int64())), lines.__getitem__


def _parse_block(block: Block, data: bytes | memoryview, record_format: RecordFormat) -> pa.Table:
    """Parse a block in which every line is a record. Raises ArrowInvalid if one is not."""
    table = parse(data, record_format)
    # A lone carriage return is a line end to Arrow, but not here; and a format without numbers
    # would take a second header for a record.
    may_differ = block.may_have_returns and table.num_rows != block.line_count
    if not record_format.numbers or may_differ:
        raise pa.ArrowInvalid("lines and records differ in number")
    block.line_count = table.num_rows
    numbers = np.arange(block.first_line, block.first_line + block.line_count)
    return table.append_column("line", pa.array(numbers, pa.int64()))


def _parse_lines(lines: Iterable[bytes], record_format: RecordFormat) -> pa.Table:
    """Parse single lines that fit the format, however long; numbers may be too large."""
    data = b"\n".join(lines)
    longest = max(map(len, data.split(b"\n")))
    chunk = max(_CHUNK, longest + 2)
    return parse(data, record_format, chunk=chunk, types=record_format.types)
