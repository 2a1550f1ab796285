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

from flowbench.load import flowcolumns, ocsf
from flowbench.load.base import File
from flowbench.schema import FLOW_FIELDS, FLOWS

KIND = "flow-logs"
TABLE = FLOWS
MAGIC = b"PAR1"

_ROWS = 128_000


def columns(names: list[str]) -> dict[str, str] | None:
    """The file's column names as ours, or None when they are no flow log's."""
    found = {name: flowcolumns.ours(name) for name in names}
    known = sum(name in FLOW_FIELDS for name in found.values())
    if known < max(2, len(names) / 2) or len(set(found.values())) < len(found):
        return None
    return found


def read(file: File) -> Iterator[pa.Table]:
    """The file's records (FLOWS without ``source``, then any other columns), batch by batch.

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
                rows = pa.Table.from_batches([batch])
                numbers = np.arange(first, first + rows.num_rows)
                if names is None:
                    yield ocsf.from_table(rows, numbers, _Rows(rows, first), file)
                else:
                    rows = rows.rename_columns(list(names.values()))
                    yield flowcolumns.sound(rows, numbers, _Rows(rows, first), file)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        file.quarantine(f"damaged Parquet from row {first:,} on: {error}", line=first)


class _Rows:
    """Rows by their number, as the quarantine shows them."""

    def __init__(self, rows: pa.Table, first: int) -> None:
        self._rows, self._first = rows, first

    def __getitem__(self, number: int) -> bytes:
        return _raw(self._rows, number - self._first)


def _raw(rows: pa.Table, row: int) -> bytes:
    return json.dumps(rows.slice(row, 1).to_pylist()[0], default=str).encode()
