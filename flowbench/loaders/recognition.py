"""The kind of a file, decided by its content, and the records in it."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import pyarrow as pa

from flowbench.errors import InputError
from flowbench.io.byte_source import TooLargeError
from flowbench.io.stream import HEAD_SIZE
from flowbench.loaders import json_file, registry, table_file
from flowbench.loaders.base import File
from flowbench.loaders.evidence import UNKNOWN
from flowbench.loaders.flowlogs import csv as flow_csv
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.intel import list_columns, lists
from flowbench.loaders.values import abbreviate

EMPTY = "empty"
DOCUMENTATION = "documentation"
EXPORT_TEST = "aws-logs-write-test"  # CloudWatch Logs writes it to test its permission to export
MAX_BINARY = 2 << 30  # bytes decompressed to see how binary data of an unknown kind ends

_SIGNATURES = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it and load the folder",
    b"Rar!\x1a\x07": "a RAR archive: unpack it and load the folder",
}
_LINES_DESCRIBED = 20
_RECORD_WORDS = {b"ACCEPT", b"REJECT", b"OK", b"NODATA", b"SKIPDATA"}
# Names of the documentation and licence files that accompany feeds and samples.
_DOCUMENTATION = re.compile(
    r"(?:readme|licen[cs]e|copying|notice|authors|changelog|contributing|citation)(?:[._-].*)?"
    r"|.*\.(?:md|markdown|rst|licen[cs]e)",
    re.IGNORECASE,
)
_ROWS_AT_ONCE = 50_000
_TRAILER_SIZE = 128 << 10  # bytes at the end of a file in which TRAILER_MAGIC is looked for


def read_records(file: File, forced: str | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Recognise a file and read its records.

    Args:
        file: The file; it gets its kind, and what cannot be read goes to its quarantine.
        forced: A kind of text to take it for, where its content looks like another.

    Returns:
        Table names and rows without ``evidence_id``.

    Raises:
        InputError: ``forced`` is not a kind of text.
        OSError: The file cannot be read.
    """
    try:
        yield from _read_by_content(file, forced)
    except TooLargeError as error:
        file.quarantine(str(error))


def _read_by_content(file: File, forced: str | None) -> Iterator[tuple[str, pa.Table]]:
    head = file.stream.head()
    if not head and not file.stream.problem:
        file.kind = EMPTY
        file.quarantine("the file is empty")
        return
    for kind in registry.kinds_with("MAGIC"):
        if head.startswith(kind.MAGIC):
            yield from _named(kind, file, kind.read(file))
            if not file.fields:  # Parquet, but not of flow logs
                file.kind = UNKNOWN
            return
    if json_file.is_json(head) and forced is None:
        yield from json_file.read(file, registry.kinds_with("matches"))
        return
    reader = _text_reader(file, head, forced)
    is_documentation = _DOCUMENTATION.fullmatch(Path(file.name).name) and b"\0" not in head
    if is_documentation and forced is None and reader in (None, lists) and not file.list_columns:
        file.kind = DOCUMENTATION
        return
    is_other = reader is not None and (reader is not lists or file.list_columns)
    if forced is None and not is_other:
        json_kinds = registry.kinds_with("matches")
        if table_file.matches_head(head, json_kinds):
            yield from table_file.read(file, json_kinds)
            return
    if reader is not None:
        by_block = hasattr(reader, "read")
        yield from _named(reader, file, reader.read(file) if by_block else _by_line(reader, file))
        return
    if Path(file.name).name == EXPORT_TEST and len(head) < HEAD_SIZE:
        file.kind = EXPORT_TEST
        return
    if b"\0" in head:
        with file.stream.open_seekable(MAX_BINARY) as content:
            if (reader := _trailer_reader(content)) is not None:
                yield from _named(reader, file, reader.read(file, content))
                return
    file.quarantine(_describe_unrecognised(file, head), raw=head)


def _named(
    kind: ModuleType, file: File, tables: Iterator[pa.Table]
) -> Iterator[tuple[str, pa.Table]]:
    file.kind = kind.KIND
    for rows in tables:
        yield kind.TABLE.name, rows


def _trailer_reader(content: BinaryIO) -> ModuleType | None:
    """Return the kind of binary data whose signature is near the end of a file."""
    size = content.seek(0, io.SEEK_END)
    content.seek(max(0, size - _TRAILER_SIZE))
    trailer = content.read()
    content.seek(0)
    kinds = registry.kinds_with("TRAILER_MAGIC")
    return next((kind for kind in kinds if kind.TRAILER_MAGIC in trailer), None)


def _text_reader(file: File, head: bytes, forced: str | None) -> ModuleType | None:
    """Return the kind of text a file is: by its content, the user's formats, or as forced."""
    columns = dict(file.list_columns)
    if forced is not None:
        readers = registry.FORCED_READERS.get(forced)
        if readers is None:
            names = ", ".join(sorted(registry.FORCED_READERS))
            raise InputError(f"no kind of text evidence is called {forced!r}; there are: {names}")
        if lists in readers and columns and list_columns.has_mapped_columns(head, columns):
            return lists
        return next((kind for kind in readers if kind.matches_head(head)), readers[-1])
    is_mapped_list = columns and list_columns.has_mapped_columns(head, columns)
    if is_mapped_list and not flow_text.matches_head(head):
        return lists
    for kind in registry.kinds_with("matches_head"):
        if kind.matches_head(head):
            return kind
    readers = (flow_text, flow_csv) if file.formats else ()
    return next((kind for kind in readers if kind.matches_head(head, file.formats)), None)


def _by_line(kind: ModuleType, file: File) -> Iterator[pa.Table]:
    """Read a kind of text by its ``read_lines``; what it rejects goes to quarantine."""
    options = {"columns": dict(file.list_columns)} if kind is lists else {}
    rows: list[dict[str, object]] = []
    for result in kind.read_lines(_decode_lines(file), _feed_label(file.name), **options):
        if isinstance(result, tuple):
            line, raw, reason = result
            file.quarantine(reason, line=line, raw=raw.encode("utf-8", "surrogateescape"))
            continue
        rows.append(result)
        if len(rows) >= _ROWS_AT_ONCE:
            yield kind.TABLE.rows(rows).drop_columns(["evidence_id"])
            rows = []
    yield kind.TABLE.rows(rows).drop_columns(["evidence_id"])


def _feed_label(name: str) -> str:
    """Return the name of a list that has none: its file's, with the folders if that is a number."""
    *folders, last = Path(name).parts
    stem = last.partition(".")[0]
    return " ".join([*folders[-2:], stem]) if stem.isdigit() else stem


def _decode_lines(file: File) -> Iterator[tuple[int, str]]:
    for block in file.blocks():
        data = block.data.removeprefix(codecs.BOM_UTF8) if block.first_line == 1 else block.data
        for number, raw in enumerate(data.removesuffix(b"\n").split(b"\n"), block.first_line):
            yield number, raw.decode("utf-8", "surrogateescape").rstrip("\r")


def _describe_unrecognised(file: File, head: bytes) -> str:
    if file.stream.problem:
        return file.stream.problem
    for signature, description in _SIGNATURES.items():
        if head.startswith(signature):
            return description
    if b"\0" in head:
        return "binary data of no kind flowbench knows"
    if count := _count_record_fields(head):
        return (
            f"looks like flow log records of {count} fields in a custom format, without a"
            " header: give the format with --format-string, or put the flow log's"
            " describe-flow-logs answer beside them"
        )
    if lacking := flow_csv.describe_lacking(head):
        return lacking
    if file.list_columns and head.strip():
        names = ", ".join(abbreviate(header) for _, header in file.list_columns)
        return f"has no header with the given columns: {names}"
    return "of no kind flowbench knows: not a flow log, JSON evidence or indicator list"


def _count_record_fields(head: bytes) -> int:
    """Return how many fields the first line has that looks like a flow log record; 0 if none."""
    for line in head.splitlines()[:_LINES_DESCRIBED]:
        for cells in (line.split(), line.split(b","), line.split(b"\t")):
            words = {cell.strip(b' "') for cell in cells}
            if words & _RECORD_WORDS and any(word.isdigit() for word in words):
                return len(cells)
    return 0
