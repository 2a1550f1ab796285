"""The query engine: Ibis on an in-process DuckDB, over the case's Parquet files.

What differs between engines belongs here; everything else is an Ibis expression.

Known limits of Ibis 12 with DuckDB 2, which this module and ``case.query`` work around.
tests/test_engine.py shows each with the versions that are pinned:

- ``to_pyarrow_batches``, ``to_pandas_batches``, ``Table.sql`` and ``Backend.sql`` call methods that
  DuckDB no longer has, and leave the connection unusable: use ``stream_batches`` and ``Case.sql``.
- ``Table.cache`` cannot drop its table, ``create_table`` cannot take Arrow data: use
  ``materialized`` and ``register``.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend
from ibis.expr.operations import Node

from flowbench.schema import Table

# UTC, and never on the network: DuckDB would otherwise download extensions.
_SETTINGS = {
    "TimeZone": "UTC",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_progress_bar": False,
    "preserve_insertion_order": False,  # queries that need an order state it
}
_OPEN: weakref.WeakValueDictionary[int, Backend] = weakref.WeakValueDictionary()
_MAX_MEMORY = 3 << 30  # bytes
_ROWS_PER_GROUP = 128_000  # of a Parquet file: enough to compress well, few enough to skip


def connect(spill: Path | None = None, folders: Iterable[Path] | None = None) -> Backend:
    """Open a new in-memory DuckDB through Ibis, in UTC, without network.

    It takes at most half of the machine's memory, and no more than ``_MAX_MEMORY``.

    Args:
        spill: The folder for what a query needs beyond that, so that memory does not bound the
            size of a case. DuckDB makes it when it is needed, if its parent exists, and empties it
            afterwards. Without it nothing is written to the disk.
        folders: The only folders whose files queries may read and write; None for all, until the
            caller restricts it.
    """
    connection = ibis.duckdb.connect(":memory:", temp_directory=str(spill) if spill else "")
    _OPEN[id(connection)] = connection
    for name, value in _SETTINGS.items():
        connection.con.execute(f"SET {name} = ?", [value])
    allowed = connection.con.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
    # DuckDB allows itself 80 % of what the machine, or the container, has.
    limit = min(_MAX_MEMORY, int(_bytes(allowed) * 0.6))
    connection.con.execute("SET memory_limit = ?", [f"{limit >> 20}MiB"])
    if folders is not None:
        spellings = ((path, path.absolute()) for path in folders)
        paths = {str(path) for pair in spellings for path in pair}
        allowed = sorted(paths | {escape_glob(Path(path)) for path in paths})
        connection.con.execute("SET allowed_directories = ?", [allowed])
        connection.con.execute("SET enable_external_access = false")
    return connection


def interrupt() -> None:
    """End all running queries, from any thread; they raise duckdb.InterruptException."""
    for connection in list(_OPEN.values()):
        connection.con.interrupt()


def _bytes(size: str) -> float:
    """The bytes of a size as DuckDB writes it: '18.4 GiB'."""
    number, unit = size.split()
    return float(number) * 1024 ** ["bytes", "KiB", "MiB", "GiB", "TiB"].index(unit)


def register(connection: Backend, rows: pa.Table) -> ibis.Table:
    """Return a small Arrow table as a table of this connection."""
    name = ibis.util.gen_name("registered")
    connection.con.register(name, rows)  # a view over ibis.memtable, without compiling one
    return connection.table(name)


def scan(connection: Backend, table: Table, parts: Sequence[Path]) -> ibis.Table:
    """Return the rows of ``table`` in Parquet parts, with every column that it declares.

    A part has the columns that its evidence has; those it lacks are null. Columns that the table
    does not declare follow.
    """
    empty = table.arrow.empty_table()
    if not parts:
        return register(connection, empty)
    rows = connection.read_parquet([escape_glob(part) for part in parts], union_by_name=True)
    missing = {
        name: ibis.null(ibis.dtype(empty.schema.field(name).type))
        for name in table.columns
        if name not in rows.columns
    }
    extra = [name for name in rows.columns if name not in table.columns]
    return rows.mutate(**missing).select(*table.columns, *extra)


@ibis.udf.scalar.builtin(name="epoch_us", signature=(("timestamp('UTC')",), "int64"))
def _microseconds(time): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def epoch_microseconds(time: ir.TimestampValue) -> ir.IntegerValue:
    """Return the microseconds since 1970 of a time in UTC."""
    return _microseconds(time)


def epoch_seconds(time: ir.TimestampValue) -> ir.IntegerValue:
    """Return the whole seconds since 1970 of a time in UTC.

    The method ``epoch_seconds`` of Ibis takes the time zone off first, at seven times the cost.
    """
    return _microseconds(time) // 1_000_000


@ibis.udf.scalar.builtin(name="strlen", signature=(("string",), "int64"))
def _strlen(text): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def byte_length(text: ir.StringValue) -> ir.IntegerValue:
    """Return the bytes of a text in UTF-8; Ibis's ``length`` counts characters."""
    return _strlen(text)


@ibis.udf.scalar.builtin(
    name="regexp_extract_all", signature=(("string", "string", "int64"), "array<string>")
)
def _extract_all(text, pattern, group): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def find_json_texts(text: ir.StringValue) -> ir.ArrayValue:
    """Return the strings of a JSON text, keys too, escaped as they are there."""
    return _extract_all(text, r'"((?:[^"\\]|\\.)*)"', 1)


def latest_rows(table: ibis.Table, key: str, time: str) -> ibis.Table:
    """Return one row for each key, that with the latest time; all rows without a key stay."""
    ranked = table.mutate(rank=_rank(table, key, time))
    return ranked.filter((ranked.rank == 0) | ranked[key].isnull()).drop("rank")


def drop_earlier_rows(connection: Backend, table: ibis.Table, key: str, time: str) -> ibis.Table:
    """Return the rows of ``latest_rows``; the others are found now, not by each query again."""
    ranked = table.select("evidence_id", "item", key, rank=_rank(table, key, time))
    earlier = ranked.filter(ranked.rank > 0, ranked[key].notnull()).select("evidence_id", "item")
    rows = earlier.to_pyarrow()
    position = ["evidence_id", "item"]
    return table.anti_join(register(connection, rows), position) if len(rows) else table


def _rank(table: ibis.Table, key: str, time: str) -> ir.IntegerValue:
    """Count the rows of the same key that are later, or as late and come first."""
    order = [table[time].desc(nulls_first=False), table.evidence_id, table.item]
    return ibis.row_number().over(ibis.window(group_by=key, order_by=order))


def stream_batches(connection: Backend, expression: ibis.Table) -> pa.RecordBatchReader:
    """Return an expression's rows batch by batch, in bounded memory."""
    rows = connection.con.sql(_compile(expression)).to_arrow_reader()
    # DuckDB sums whole numbers into 128 bits, which Arrow has as decimals only.
    declared = expression.schema().to_pyarrow()
    return pa.RecordBatchReader.from_batches(declared, (batch.cast(declared) for batch in rows))


def write_parquet(
    connection: Backend,
    expressions: Iterable[ibis.Table],
    path: Path,
    columns: pa.Schema,
    texts: Mapping[str, pa.Array] | None = None,
) -> None:
    """Write the rows of expressions, one after the other, to one Parquet file of ``columns``.

    Args:
        connection: The connection of the expressions.
        expressions: Tables with these columns, in any order.
        path: The file.
        columns: Its columns.
        texts: For columns of numbers the texts that stand at these positions and are written
            instead: quicker than a join, above all where rows are sorted.
    """
    texts = texts or {}
    with pq.ParquetWriter(path, columns, compression="zstd") as writer:
        for expression in expressions:
            for batch in stream_batches(connection, expression):
                arrays = [
                    texts[name].take(batch[name]) if name in texts else batch[name]
                    for name in columns.names
                ]
                rows = pa.record_batch(arrays, schema=columns)
                writer.write_batch(rows, row_group_size=_ROWS_PER_GROUP)


def read_parquet(connection: Backend, path: Path | Sequence[Path]) -> ibis.Table:
    """Return the rows of a Parquet file, of all Parquet files in a folder, or of several of them.

    Rows from folders of ``write_partitions`` have the column that these are called after.
    """
    paths = [path] if isinstance(path, Path) else path
    files = [f for p in paths for f in (sorted(p.glob("*.parquet")) if p.is_dir() else [p])]
    return connection.read_parquet([escape_glob(file) for file in files])


def write_partitions(connection: Backend, expression: ibis.Table, folder: Path, by: str) -> None:
    """Write an expression's rows to Parquet files in a folder for each value of the column ``by``.

    The folders are called <by>=<value>. The rows are in no order: for temporary files that the
    engine reads again.
    """
    query = _compile(expression)
    target = str(folder).replace("'", "''")
    connection.con.execute(
        f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION lz4_raw, PARTITION_BY ({by}))"
    )


def materialize(connection: Backend, expression: ibis.Table, name: str = "") -> ibis.Table:
    """Compute an expression's rows now; the engine keeps them until ``drop``.

    With a name they replace the rows that had it, and the result is as that of ``name_rows``.
    """
    target = name or ibis.util.gen_name("materialized")
    integers = [n for n, kind in expression.schema().items() if kind.is_int64()]
    # DuckDB sums whole numbers into 128 bits: slower, and not an integer to other programs.
    casts = ", ".join(f'CAST("{column}" AS BIGINT) AS "{column}"' for column in integers)
    columns = f"* REPLACE ({casts})" if casts else "*"
    query = _compile(expression)
    connection._run_pre_execute_hooks(expression)  # registers its memtables
    connection.con.execute(f'CREATE OR REPLACE TABLE "{target}" AS SELECT {columns} FROM ({query})')  # noqa: S608
    return ibis.table(expression.schema(), target) if name else connection.table(target)


def name_rows(connection: Backend, expression: ibis.Table, name: str) -> ibis.Table:
    """Give an expression's rows a name, which replaces that of others.

    An expression over such tables only is compiled once in a process: that takes longer than to
    run it where rows are few. The result belongs to no connection: give it to the functions of this
    module, or to ``connection.to_pyarrow``.
    """
    connection.con.execute(f'CREATE OR REPLACE VIEW "{name}" AS {_compile(expression)}')
    return ibis.table(expression.schema(), name)


def _compile(expression: ibis.Table) -> str:
    """Return an expression as SQL."""
    if expression._find_backends()[0]:
        return ibis.to_sql(expression, dialect="duckdb")
    return _compile_once(expression.op())


@lru_cache(maxsize=128)
def _compile_once(operation: Node) -> str:
    return ibis.to_sql(operation.to_expr(), dialect="duckdb")


def drop(connection: Backend, *tables: ibis.Table) -> None:
    """Drop tables that ``materialize`` made."""
    for table in tables:
        connection.con.execute(f'DROP TABLE "{table.get_name()}"')


@contextmanager
def materialized(connection: Backend, expression: ibis.Table) -> Iterator[ibis.Table]:
    """Compute an expression's rows for the length of a ``with``.

    For expressions that one query uses several times: DuckDB computes each use again.
    """
    rows = materialize(connection, expression)
    try:
        yield rows
    finally:
        drop(connection, rows)


def escape_glob(path: Path) -> str:
    """Return a path as DuckDB reads it, with the characters that make a pattern escaped."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))
