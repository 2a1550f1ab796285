"""VPC and transit gateway flow logs as Parquet, as AWS delivers them to S3 or others rewrote them.

Columns go by name, with underscores or hyphens; Security Lake's are those of OCSF events. ``line``
is the row's number in the file, from 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import normalize, ocsf
from flowbench.schema import FLOW_FIELDS, FLOWS

KIND = "flow-logs"
TABLE = FLOWS
MAGIC = b"PAR1"

_ROWS = 128_000


def columns(names: list[str]) -> dict[str, str] | None:
    """The file's column names as ours, or None when they are no flow log's."""
    found = {name: normalize.ours(name) for name in names}
    known = sum(name in FLOW_FIELDS for name in found.values())
    if known < max(2, len(names) / 2) or len(set(found.values())) < len(found):
        return None
    return found


def read(file: File) -> Iterator[pa.Table]:
    """The file's records (FLOWS without ``evidence_id``, then any other columns), batch by batch.

    A row in which a value cannot be right goes to quarantine; a damaged file, whole or from where
    it is damaged, too.
    """
    first = 1
    try:
        with file.opened.file() as whole, pq.ParquetFile(whole) as parquet:
            names = columns(parquet.schema_arrow.names)
            events = ocsf.describes(parquet.schema_arrow.names)
            if names is None and not events:
                shown = ", ".join(parquet.schema_arrow.names[:8])
                file.quarantine(f"a Parquet file of no kind flowbench knows; its columns: {shown}")
                return
            file.fields.update((names or {}).values())
            for batch in parquet.iter_batches(_ROWS):
                rows, numbers = _readable(pa.Table.from_batches([batch]), first, file)
                if names is None:
                    yield ocsf.from_table(rows, numbers, _Rows(rows, numbers), file)
                else:
                    rows = rows.rename_columns(list(names.values()))
                    yield normalize.sound(rows, numbers, _Rows(rows, numbers), file)
                first += batch.num_rows
            if (told := parquet.metadata.num_rows) != first - 1:
                file.quarantine(
                    f"damaged Parquet: {first - 1:,} rows where its footer has {told:,}"
                )
    except (pa.ArrowException, OSError, ValueError) as error:
        file.quarantine(f"damaged Parquet from row {first:,} on: {error}", line=first)


def _readable(rows: pa.Table, first: int, file: File) -> tuple[pa.Table, np.ndarray]:
    """The rows that hold what their types say, and their numbers; the others in quarantine.

    Arrow takes a Parquet file's word that its texts are UTF-8, and fails where they are used.
    """
    parts, numbers = [rows.slice(0, 0)], list[int]()
    halves = [(0, rows.num_rows)]
    while halves:
        start, length = halves.pop()
        part = rows.slice(start, length)
        try:
            part.validate(full=True)
        except pa.ArrowInvalid as error:
            if length > 1:
                half = length // 2
                halves += [(start + half, length - half), (start, half)]
            else:
                file.quarantine(f"values that are not of their type: {error}", line=first + start)
            continue
        parts.append(part)
        numbers += range(first + start, first + start + length)
    return pa.concat_tables(parts), np.array(numbers, np.int64)


class _Rows:
    """Rows by their number in the file, as the quarantine shows them."""

    def __init__(self, rows: pa.Table, numbers: np.ndarray) -> None:
        self._rows, self._numbers = rows, numbers

    def __getitem__(self, number: int) -> bytes:
        row = int(np.searchsorted(self._numbers, number))
        return json.dumps(self._rows.slice(row, 1).to_pylist()[0], default=str).encode()
