"""Many small flow log files read as one.

AWS writes a file every few minutes, often with fewer than a thousand records, and to read a file
costs milliseconds whatever is in it. So the records of small files with the same header are parsed
together. If anything is unusual about one of them (another header, a bad line, an impossible
value), all are read one by one instead: the batch gives the same rows, or none.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.io.blocks import Block
from flowbench.io.stream import EvidenceStream
from flowbench.loaders import dispatch
from flowbench.loaders.base import Formats, ListColumns
from flowbench.loaders.evidence import Evidence
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.flowlogs import normalize, validate
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs.formats import RecordFormat
from flowbench.schema import TYPES

MAX_GROUP = 1 << 20  # bytes of files read together

_MAX_SMALL_FILE = 256 << 10  # bytes
_MAX_TEXT = 32 << 20  # decompressed bytes of a group: a bomb is left to be read chunk by chunk


def group_files(files: Iterable[Evidence]) -> Iterator[list[Evidence]]:
    """Yield the files in their order, successive small ones in groups, others alone."""
    group: list[Evidence] = []
    for file in files:
        is_single = (
            file.size > _MAX_SMALL_FILE
            or file.archive_member is not None
            or file.container is not None
        )
        if group and (is_single or file.size + sum(other.size for other in group) > MAX_GROUP):
            yield group
            group = []
        if is_single:
            yield [file]
        else:
            group.append(file)
    if group:
        yield group


def read(
    group: list[Evidence],
    kind: str | None = None,
    formats: Formats = (),
    list_columns: ListColumns = (),
) -> Iterator[tuple[str, pa.Table]]:
    """Read a group of files; the result is that of ``dispatch.read`` for one after the other.

    The other arguments, what is returned and what is raised are those of ``dispatch.read``.
    """
    rows = _read_together(group) if len(group) > 1 and kind is None else None
    if rows is not None:
        yield flow_text.TABLE.name, rows
        return
    for file in group:
        yield from dispatch.read(file, kind, formats, list_columns)


def _read_together(group: list[Evidence]) -> pa.Table | None:
    """Return the rows of all files and note what was in each; None to read them one by one."""
    try:
        texts = _read_texts(group)
        if texts is None:
            return None
        record_format, bodies = texts
        counts = [Block(1, body).line_count for body in bodies]
        table = flow_text.parse(b"".join(bodies), record_format)
    except (OSError, pa.ArrowException):
        return None
    if table.num_rows != sum(counts):
        return None
    starts = np.cumsum([0, *counts[:-1]])
    lines = np.arange(table.num_rows) - np.repeat(starts, counts) + 2  # the header is line 1
    table = table.append_column("line", pa.array(lines, pa.int64()))
    if validate.find_faults(table):
        return None
    table = normalize.finish(table)
    times = [name for name in ("start", "end") if name in table.column_names]
    if any(table[name].null_count for name in times):
        return None
    _note_contents(group, record_format, table, counts, starts)
    file_indices = np.repeat(np.arange(len(group), dtype=np.int32), counts)
    ids = pa.DictionaryArray.from_arrays(file_indices, [file.evidence_id for file in group])
    return dispatch.add_evidence_id(table, ids)


def _read_texts(group: list[Evidence]) -> tuple[RecordFormat, list[memoryview]] | None:
    """Return the record format that all files share, and the lines of each after the header."""
    record_format, bodies, left = None, [], _MAX_TEXT
    for file in group:
        stream = EvidenceStream(Path(file.path), file.size)
        header = stream.head().removeprefix(codecs.BOM_UTF8).partition(b"\n")[0]
        own_format = record_formats.parse_header(header)
        if own_format is None or not own_format.numbers:
            return None
        if record_format is not None and own_format != record_format:
            return None
        record_format = own_format
        text = stream.read_all(left)
        if text is None or stream.problem or stream.sha256 != file.sha256:
            return None
        left -= len(text)
        text += b"" if text.endswith(b"\n") else b"\n"
        body = memoryview(text)[text.index(b"\n") + 1 :]
        if not body:
            return None
        bodies.append(body)
    return None if record_format is None else (record_format, bodies)


def _note_contents(
    group: list[Evidence],
    record_format: RecordFormat,
    table: pa.Table,
    counts: list[int],
    starts: np.ndarray,
) -> None:
    """Note in each file's evidence what was in it.

    Args:
        group: The files.
        record_format: Their format.
        table: Their rows.
        counts: Number of rows of each file.
        starts: Index of each file's first row.
    """
    has_times = "start" in table.column_names and "end" in table.column_names
    first = _aggregate_times(np.minimum, table["start"], starts) if has_times else []
    last = _aggregate_times(np.maximum, table["end"], starts) if has_times else []
    nodata = _count_status(table, "NODATA", starts)
    skipdata = _count_status(table, "SKIPDATA", starts)
    for index, file in enumerate(group):
        file.kind = flow_text.KIND
        file.fields = sorted(record_format.fields)
        file.records, file.quarantined = counts[index], 0
        file.nodata, file.skipdata = nodata[index], skipdata[index]
        file.first_seen = first[index] if has_times else None
        file.last_seen = last[index] if has_times else None


def _count_status(table: pa.Table, status: str, starts: np.ndarray) -> list[int]:
    """Count the rows of each file with a log status."""
    if "log_status" not in table.column_names:
        return [0] * len(starts)
    column = table["log_status"]
    if status not in column.chunk(0).dictionary.to_pylist():
        return [0] * len(starts)
    has_status = pc.is_in(column, pa.array([status])).to_numpy()
    return list(np.add.reduceat(has_status, starts, dtype=np.int64).tolist())


def _aggregate_times(function: np.ufunc, column: pa.ChunkedArray, starts: np.ndarray) -> list[str]:
    """Return the least or greatest time of each file, as ISO 8601."""
    numbers = column.cast(pa.int64()).to_numpy()
    times = pa.array(function.reduceat(numbers, starts)).cast(TYPES["time"])
    return [time.isoformat() for time in times.to_pylist()]
