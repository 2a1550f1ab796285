"""Where tables live and queries run: DuckDB, in this process, over the case's Parquet.

The few places where engines differ belong here; everything else is an Ibis expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from flowbench.schema import Table

# Deterministic, UTC, and never on the network: DuckDB would otherwise fetch extensions by itself.
_SETTINGS = {
    "TimeZone": "UTC",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_progress_bar": False,
}


def connect() -> Backend:
    """A new in-memory DuckDB through Ibis, in UTC, with no network."""
    connection = ibis.duckdb.connect(":memory:")
    for name, value in _SETTINGS.items():
        connection.con.execute(f"SET {name} = ?", [value])
    return connection


def hold(connection: Backend, rows: pa.Table) -> ibis.Table:
    """A small Arrow table as a table of this connection."""
    return connection.create_view(ibis.util.gen_name("held"), ibis.memtable(rows))


def scan(connection: Backend, table: Table, parts: Sequence[Path]) -> ibis.Table:
    """The rows of ``table`` that lie in ``parts``; every column of the schema is there.

    Parts hold the columns that their evidence has: what a part lacks is null.
    """
    empty = table.arrow.empty_table()
    if not parts:
        return hold(connection, empty)
    seen = connection.read_parquet([_exactly(part) for part in parts], union_by_name=True)
    lacking = [name for name in table.columns if name not in seen.columns]
    types = empty.schema
    seen = seen.mutate(**{n: ibis.null(ibis.dtype(types.field(n).type)) for n in lacking})
    extra = [name for name in seen.columns if name not in table.columns]
    return seen.select(*table.columns, *extra)


def newest(table: ibis.Table, key: str, time: str) -> ibis.Table:
    """One row per key, the one with the latest time; rows without a key all stay."""
    window = ibis.window(
        group_by=key, order_by=[table[time].desc(nulls_first=False), table.source, table.item]
    )
    ranked = table.mutate(rank=ibis.row_number().over(window))
    return ranked.filter((ranked.rank == 0) | ranked[key].isnull()).drop("rank")


def stream(connection: Backend, expression: ibis.Table) -> pa.RecordBatchReader:
    """An expression's rows, batch by batch, however many there are.

    Ibis 12 asks DuckDB for batches in a way that DuckDB 2 no longer has; its SQL is the same.
    """
    rows = connection.con.sql(ibis.to_sql(expression, dialect="duckdb")).to_arrow_reader()
    # DuckDB sums whole numbers into 128 bits, which Arrow knows as decimals only.
    declared = expression.schema().to_pyarrow()
    return pa.RecordBatchReader.from_batches(declared, (batch.cast(declared) for batch in rows))


def save(connection: Backend, expression: ibis.Table, path: Path) -> None:
    """Write an expression's rows to a Parquet file, batch by batch."""
    rows = stream(connection, expression)
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)


def load(connection: Backend, path: Path) -> ibis.Table:
    """What ``save`` wrote."""
    return connection.read_parquet([_exactly(path)])


def _exactly(path: Path) -> str:
    """A path as DuckDB reads it, with the characters that would make a pattern of it disarmed."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))
