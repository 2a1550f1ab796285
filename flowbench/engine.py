"""Where tables live and queries run: DuckDB, in this process, over the case's Parquet.

The few places where engines differ belong here; everything else is an Ibis expression.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ibis
import ibis.expr.types as ir
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
    "preserve_insertion_order": False,  # what must be in order says so; the rest need not wait
}
_OPEN: weakref.WeakValueDictionary[int, Backend] = weakref.WeakValueDictionary()
_MOST_MEMORY = 3 << 30
_ROWS_PER_GROUP = 128_000  # of a file that is written: enough to compress, few enough to skip


def connect(spill: Path | None = None) -> Backend:
    """A new in-memory DuckDB through Ibis, in UTC, with no network.

    It takes at most half of the machine's memory, and no more than ``_MOST_MEMORY``; what a query
    needs beyond that goes into the folder ``spill`` (made when needed if its parent is there,
    emptied when done with), so that memory does not bound the size of a case. Without ``spill``
    nothing goes to the disk.
    """
    connection = ibis.duckdb.connect(":memory:", temp_directory=str(spill) if spill else "")
    _OPEN[id(connection)] = connection
    for name, value in _SETTINGS.items():
        connection.con.execute(f"SET {name} = ?", [value])
    allowed = connection.con.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
    # DuckDB allows itself 80 % of what the machine, or the container, has.
    limit = min(_MOST_MEMORY, int(_bytes(allowed) * 0.6))
    connection.con.execute("SET memory_limit = ?", [f"{limit >> 20}MiB"])
    return connection


def interrupt() -> None:
    """End the queries that are running, whatever thread asks: they raise an error."""
    for connection in list(_OPEN.values()):
        connection.con.interrupt()


def _bytes(size: str) -> float:
    """A size as DuckDB writes it: '18.4 GiB'."""
    number, unit = size.split()
    return float(number) * 1024 ** ["bytes", "KiB", "MiB", "GiB", "TiB"].index(unit)


def hold(connection: Backend, rows: pa.Table) -> ibis.Table:
    """A small Arrow table as a table of this connection."""
    name = ibis.util.gen_name("held")
    connection.con.register(name, rows)  # a view over ibis.memtable, without compiling one
    return connection.table(name)


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


@ibis.udf.scalar.builtin(name="epoch_us", signature=(("timestamp('UTC')",), "int64"))
def _microseconds(time): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def seconds(time: ir.TimestampValue) -> ir.IntegerValue:
    """Whole seconds since 1970 of a time in UTC.

    Ibis' ``epoch_seconds`` takes the time zone off first, at seven times the cost.
    """
    return _microseconds(time) // 1_000_000


def newest(table: ibis.Table, key: str, time: str) -> ibis.Table:
    """One row per key, the one with the latest time; rows without a key all stay."""
    window = ibis.window(
        group_by=key, order_by=[table[time].desc(nulls_first=False), table.evidence_id, table.item]
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


def save(
    connection: Backend, expressions: Iterable[ibis.Table], path: Path, columns: pa.Schema
) -> None:
    """Write the rows of expressions, one after the other, to one Parquet file of ``columns``."""
    with pq.ParquetWriter(path, columns, compression="zstd") as writer:
        for expression in expressions:
            for batch in stream(connection, expression):
                writer.write_batch(batch, row_group_size=_ROWS_PER_GROUP)


def load(connection: Backend, path: Path) -> ibis.Table:
    """The rows of a Parquet file, or of all that lie in a folder."""
    paths = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return connection.read_parquet([_exactly(one) for one in paths])


def keep(connection: Backend, expression: ibis.Table) -> ibis.Table:
    """An expression's rows, worked out now and kept by the engine until ``drop``."""
    name = ibis.util.gen_name("kept")
    whole = [n for n, kind in expression.schema().items() if kind.is_int64()]
    # DuckDB sums whole numbers into 128 bits: slower, and no integer to anybody else.
    casts = ", ".join(f'CAST("{name}" AS BIGINT) AS "{name}"' for name in whole)
    columns = f"* REPLACE ({casts})" if casts else "*"
    query = ibis.to_sql(expression, dialect="duckdb")
    connection.con.execute(f'CREATE TABLE "{name}" AS SELECT {columns} FROM ({query})')  # noqa: S608
    return connection.table(name)


def drop(connection: Backend, *kept: ibis.Table) -> None:
    """Let go of what ``keep`` kept."""
    for table in kept:
        connection.con.execute(f'DROP TABLE "{table.get_name()}"')


@contextmanager
def kept(connection: Backend, expression: ibis.Table) -> Iterator[ibis.Table]:
    """An expression's rows, kept until the end of the ``with``.

    DuckDB works a part of a query out again for each of its uses in it.
    """
    rows = keep(connection, expression)
    try:
        yield rows
    finally:
        drop(connection, rows)


def deal_out(connection: Backend, expression: ibis.Table, folder: Path, by: str) -> None:
    """Write an expression's rows into a folder each for every value of the column ``by``.

    The folders are called <by>=<value>. In no order: for what is read again by the engine only.
    """
    query = ibis.to_sql(expression, dialect="duckdb")
    target = str(folder).replace("'", "''")
    connection.con.execute(
        f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION lz4_raw, PARTITION_BY ({by}))"
    )


def _exactly(path: Path) -> str:
    """A path as DuckDB reads it, with the characters that would make a pattern of it disarmed."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))
