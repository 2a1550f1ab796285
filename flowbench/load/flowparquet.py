"""VPC and transit gateway flow logs as Parquet, as AWS delivers them to S3 or others rewrote them.

Columns go by name, with underscores or hyphens. Numbers may be numbers or text, missing values
null, empty, '-' or 'None': writers differ. ``line`` is the row's number in the file, from 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowbench.load import records
from flowbench.load.base import File
from flowbench.schema import FLOW_FIELDS, FLOWS

KIND = "flow-logs"
TABLE = FLOWS
MAGIC = b"PAR1"

_ROWS = 128_000
_MISSING = pa.array(["", "-", "None"])
_DATE = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?"
    r"( ?UTC|Z)?$"
)
_NUMBER = r"^[0-9]{1,18}$"


def columns(names: list[str]) -> dict[str, str] | None:
    """The file's column names as ours, or None when they are no flow log's."""
    ours = {name: name.lower().replace("-", "_") for name in names}
    known = sum(name in FLOW_FIELDS for name in ours.values())
    if known < max(2, len(names) / 2) or len(set(ours.values())) < len(ours):
        return None
    return {n: f"field_{o}" if o in ("source", "line") else o for n, o in ours.items()}


def read(file: File) -> Iterator[pa.Table]:
    """The file's records (FLOWS without ``source``, then any other columns), batch by batch.

    A row in which a value cannot be right goes to quarantine; a damaged file, whole or from where
    it is damaged, too.
    """
    first = 1
    try:
        with file.opened.file() as whole, pq.ParquetFile(whole) as parquet:
            names = columns(parquet.schema_arrow.names)
            if names is None:
                shown = ", ".join(parquet.schema_arrow.names[:8])
                file.quarantine(f"a Parquet file of no kind flowbench knows; its columns: {shown}")
                return
            file.fields.update(names.values())
            for batch in parquet.iter_batches(_ROWS):
                rows = pa.Table.from_batches([batch]).rename_columns(list(names.values()))
                numbers = np.arange(first, first + rows.num_rows)
                yield sound(rows, numbers, _Rows(rows, first), file)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        file.quarantine(f"damaged Parquet from row {first:,} on: {error}", line=first)


def sound(rows: pa.Table, numbers: np.ndarray, raw: records.RawLines, file: File) -> pa.Table:
    """Rows whose columns are named as ours, in our types, less those with a value that cannot be.

    ``numbers`` are the rows' lines, ``raw`` their text by line, for the quarantine.
    """
    faults: dict[int, str] = {}
    typed = {}
    for name in rows.column_names:
        known = FLOW_FIELDS.get(name)
        if known is not None and known.type in records.NUMBERS:
            typed[name] = _whole(name, rows[name], faults)
        else:
            typed[name] = _text(rows[name], known is not None and name == "account_id")
    table = pa.table(typed).append_column("line", pa.array(numbers, pa.int64()))
    for row, reason in sorted(faults.items()):
        line = int(numbers[row])
        file.quarantine(reason, line=line, raw=raw[line])
    if faults:
        keep = [row for row in range(table.num_rows) if row not in faults]
        table = table.take(pa.array(keep, pa.int64()))
    return records.finish(records.without_faults(table, raw, file))


def _whole(name: str, column: pa.ChunkedArray, faults: dict[int, str]) -> pa.ChunkedArray:
    """A column of whole numbers; what is none is null and named in ``faults``."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms")).cast(pa.int64())
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    text = _text(column, padded=False)
    if FLOW_FIELDS[name].type == "time":
        text = _epoch(text)
    right = pc.fill_null(pc.match_substring_regex(text, _NUMBER), True)
    if not pc.all(right).as_py():
        for row in pc.indices_nonzero(pc.invert(right)).to_pylist():
            shown = str(text[row].as_py())[:40]
            faults.setdefault(row, f"{name.replace('_', '-')} is not a number: {shown!r}")
        text = pc.if_else(right, text, pa.scalar(None, pa.string()))
    return text.cast(pa.int64())


def _epoch(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times written as dates, which a query may make of them, as milliseconds."""
    dates = pc.fill_null(pc.match_substring_regex(text, _DATE), False)
    if not pc.any(dates).as_py():
        return text
    bare = pc.replace_substring_regex(text, r"( ?UTC|Z)$", "")
    bare = pc.if_else(dates, bare, pa.scalar(None, pa.string()))
    milliseconds = bare.cast(pa.timestamp("ms")).cast(pa.int64()).cast(pa.string())
    return pc.if_else(dates, milliseconds, text)


def _text(column: pa.ChunkedArray, padded: bool) -> pa.ChunkedArray:
    """A column of text without the words for missing; account ids keep their twelve digits."""
    if pa.types.is_floating(column.type):  # whole numbers with gaps, as pandas writes them
        column = column.cast(pa.int64(), safe=False)
    text = column.cast(pa.string()) if not pa.types.is_nested(column.type) else _dumped(column)
    text = pc.if_else(pc.is_in(text, _MISSING), pa.scalar(None, pa.string()), text)
    return pc.utf8_lpad(text, 12, "0") if padded and pa.types.is_integer(column.type) else text


def _dumped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    words = [None if v is None else json.dumps(v, default=str) for v in column.to_pylist()]
    return pa.chunked_array([pa.array(words, pa.string())])


class _Rows:
    """Rows by their number, as the quarantine shows them."""

    def __init__(self, rows: pa.Table, first: int) -> None:
        self._rows, self._first = rows, first

    def __getitem__(self, number: int) -> bytes:
        return _raw(self._rows, number - self._first)


def _raw(rows: pa.Table, row: int) -> bytes:
    return json.dumps(rows.slice(row, 1).to_pylist()[0], default=str).encode()
