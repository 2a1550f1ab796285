"""VPC and transit gateway flow logs as Parquet, as AWS delivers them to S3 or others rewrite them.

Columns are recognised by name, with underscores or hyphens; Security Lake's are those of OCSF
events. ``line`` is the row's number in the file, from 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import ocsf
from flowbench.loaders.flowlogs.column_names import (
    column_names,
    describe_missing_times,
    field_of,
    has_ends,
    has_flow_columns,
)
from flowbench.loaders.flowlogs.normalize import normalize
from flowbench.schema import FLOWS

KIND = "flow-logs"
TABLE = FLOWS
MAGIC = b"PAR1"

_ROWS_AT_ONCE = 128_000
_MAX_SHOWN = 8  # columns that a reason names


def read(file: File) -> Iterator[pa.Table]:
    """Read the records of a file, batch by batch.

    A row with an impossible value goes to quarantine; so does a damaged file, from the damage on.

    Returns:
        Tables of FLOWS' columns without ``evidence_id``, then any others.
    """
    first = 1
    try:
        with file.stream.open_seekable() as content, pq.ParquetFile(content) as parquet:
            names = parquet.schema_arrow.names
            columns = column_names(names)
            is_flow_log = has_flow_columns(columns)
            if not is_flow_log and not ocsf.is_ocsf(names):
                shown = ", ".join(names[:_MAX_SHOWN])
                file.quarantine(f"a Parquet file of no kind flowbench knows; its columns: {shown}")
                return
            lacks_ends = is_flow_log and not has_ends(columns)
            reason = describe_missing_times(columns) if is_flow_log else None
            if lacks_ends or reason:
                file.quarantine(reason or "srcaddr or dstaddr is missing: not flow records")
                return
            file.fields.update(map(field_of, columns) if is_flow_log else ())
            for batch in parquet.iter_batches(_ROWS_AT_ONCE):
                rows, lines = _valid_rows(pa.Table.from_batches([batch]), first, file)
                raw = partial(_raw_row, rows, lines)
                if is_flow_log:
                    yield normalize(rows.rename_columns(columns), lines, raw, file)
                else:
                    yield ocsf.convert_table(rows, lines, raw, file)
                first += batch.num_rows
            expected = parquet.metadata.num_rows
            if expected != first - 1:
                file.quarantine(
                    f"damaged Parquet: {first - 1:,} rows where its footer has {expected:,}"
                )
    except (pa.ArrowException, OSError, ValueError) as error:
        file.quarantine(f"damaged Parquet from row {first:,} on: {error}", line=first)


def _valid_rows(rows: pa.Table, first: int, file: File) -> tuple[pa.Table, np.ndarray]:
    """Return the rows whose values have their types, and their lines; others go to quarantine.

    Arrow does not check that texts in Parquet are UTF-8, and fails where they are used.
    """
    parts, lines = [rows.slice(0, 0)], list[int]()
    ranges = [(0, rows.num_rows)]
    while ranges:
        start, length = ranges.pop()
        part = rows.slice(start, length)
        try:
            part.validate(full=True)
        except pa.ArrowInvalid as error:
            if length > 1:
                half = length // 2
                ranges += [(start + half, length - half), (start, half)]
            else:
                file.quarantine(f"values that are not of their type: {error}", line=first + start)
            continue
        parts.append(part)
        lines += range(first + start, first + start + length)
    return pa.concat_tables(parts), np.array(lines, np.int64)


def _raw_row(rows: pa.Table, lines: np.ndarray, line: int) -> bytes:
    """Return a row by its number in the file, as the quarantine shows it."""
    row = rows.slice(int(np.searchsorted(lines, line)), 1)
    try:
        return json.dumps(row.to_pylist()[0], default=str).encode()
    except (OverflowError, ValueError, pa.ArrowException):  # a time that Python does not have
        return row.to_string(preview_cols=row.num_columns).encode()
