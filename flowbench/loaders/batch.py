"""Many small flow log files read as one.

AWS writes a file for every few minutes, often of no more than a thousand records, and to read a
file costs milliseconds whatever is in it. So the records of small files that begin with the same
header are parsed together. Whatever is odd about one of them (another header, a bad line, a value
that cannot be) sends them all back to be read one by one, as they would have been: together they
give the same rows, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.io.stream import Block, Opened
from flowbench.loaders import dispatch
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs import validate
from flowbench.loaders.flowlogs.formats import MARK, Layout
from flowbench.schema import TYPES

_LARGEST = 256 << 10  # bytes of a file that is small
AT_ONCE = 1 << 20  # bytes of files read together
_MOST_TEXT = 32 << 20  # bytes of text in them: a bomb is left to be read piece by piece


def groups(files: Iterable[dispatch.Evidence]) -> Iterator[list[dispatch.Evidence]]:
    """The files in their order, small ones that follow each other together, others alone."""
    group: list[dispatch.Evidence] = []
    for one in files:
        alone = one.size > _LARGEST or one.within is not None or one.container is not None
        if group and (alone or one.size + sum(file.size for file in group) > AT_ONCE):
            yield group
            group = []
        if alone:
            yield [one]
        else:
            group.append(one)
    if group:
        yield group


def read(
    group: list[dispatch.Evidence],
    kind: str | None = None,
    formats: dispatch.Formats = (),
    columns: dispatch.Columns = (),
) -> Iterator[tuple[str, pa.Table]]:
    """The tables in the files of a group; the same as ``load.read`` gives of one after the other.

    Raises load.UnreadableError as that does.
    """
    rows = _together(group) if len(group) > 1 and kind is None else None
    if rows is not None:
        yield flow_text.TABLE.name, rows
        return
    for one in group:
        yield from dispatch.read(one, kind, formats, columns)


def _together(group: list[dispatch.Evidence]) -> pa.Table | None:
    """The rows of all the files, each of which learns what was in it; None to read them singly."""
    try:
        texts = _texts(group)
        if texts is None:
            return None
        layout, bodies = texts
        counts = [Block(1, body).lines for body in bodies]
        table = flow_text.parse(b"".join(bodies), layout)
    except (OSError, pa.ArrowInvalid):
        return None
    if table.num_rows != sum(counts):
        return None
    firsts = np.cumsum([0, *counts[:-1]])
    lines = np.arange(table.num_rows) - np.repeat(firsts, counts) + 2  # the header is line 1
    table = table.append_column("line", pa.array(lines, pa.int64()))
    if validate.faults(table):
        return None
    table = validate.finish(table)
    times = [name for name in ("start", "end") if name in table.column_names]
    if any(table[name].null_count for name in times):
        return None
    _tell(group, layout, table, counts, firsts)
    place = np.repeat(np.arange(len(group), dtype=np.int32), counts)
    sources = pa.DictionaryArray.from_arrays(place, [one.evidence_id for one in group])
    return dispatch.with_evidence_id(table, sources)


def _texts(group: list[dispatch.Evidence]) -> tuple[Layout, list[memoryview]] | None:
    """The layout that all the files have, and the lines of each without the header."""
    layout, bodies, left = None, [], _MOST_TEXT
    for one in group:
        opened = Opened(Path(one.path), one.size)
        found = record_formats.header(opened.head().removeprefix(MARK).partition(b"\n")[0])
        if found is None or not found.numbers or found != (layout or found):
            return None
        layout = found
        text = opened.whole(left)
        if text is None or opened.problem or opened.sha256 != one.sha256:
            return None
        left -= len(text)
        text += b"" if text.endswith(b"\n") else b"\n"
        body = memoryview(text)[text.index(b"\n") + 1 :]
        if not body:
            return None
        bodies.append(body)
    return None if layout is None else (layout, bodies)


def _tell(
    group: list[dispatch.Evidence],
    layout: Layout,
    table: pa.Table,
    counts: list[int],
    firsts: np.ndarray,
) -> None:
    """Note in each file's evidence what was in it."""
    nothing = [None] * len(group)
    first = _each(np.minimum, table, "start", firsts) or nothing
    last = _each(np.maximum, table, "end", firsts) or nothing
    fates = {}
    for word in ("NODATA", "SKIPDATA"):
        fates[word] = [0] * len(group)
        if "log_status" in table.column_names and word in _words(table["log_status"]):
            said = pc.is_in(table["log_status"], pa.array([word])).to_numpy()
            fates[word] = np.add.reduceat(said, firsts, dtype=np.int64).tolist()
    for place, one in enumerate(group):
        one.kind = flow_text.KIND
        one.fields = sorted(layout.columns)
        one.records, one.quarantined = counts[place], 0
        one.nodata, one.skipdata = fates["NODATA"][place], fates["SKIPDATA"][place]
        one.first_seen, one.last_seen = None, None
        if "start" in table.column_names and "end" in table.column_names:
            one.first_seen, one.last_seen = first[place], last[place]


def _words(column: pa.ChunkedArray) -> list[str]:
    return column.chunk(0).dictionary.to_pylist()


def _each(least: np.ufunc, table: pa.Table, name: str, firsts: np.ndarray) -> list[str] | None:
    """The least or greatest time of each file, as ISO 8601."""
    if name not in table.column_names:
        return None
    numbers = table[name].cast(pa.int64()).to_numpy()
    times = pa.array(least.reduceat(numbers, firsts)).cast(TYPES["time"])
    return [time.isoformat() for time in times.to_pylist()]
