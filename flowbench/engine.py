"""Where tables live and queries run: DuckDB, in this process, over the case's Parquet.

The few places where engines differ belong here; everything else is an Ibis expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ibis
import pyarrow as pa
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

    Parts may differ in their extra columns (evidence of other formats): what a part lacks is null.
    """
    empty = table.arrow.empty_table()
    if not parts:
        return hold(connection, empty)
    seen = connection.read_parquet([str(part) for part in parts], union_by_name=True)
    extra = [name for name in seen.columns if name not in table.columns]
    return seen.select(*table.columns, *extra)


def stream(connection: Backend, expression: ibis.Table) -> pa.RecordBatchReader:
    """An expression's rows, batch by batch, however many there are.

    Ibis 12 asks DuckDB for batches in a way that DuckDB 2 no longer has; its SQL is the same.
    """
    return connection.con.sql(ibis.to_sql(expression, dialect="duckdb")).to_arrow_reader()
