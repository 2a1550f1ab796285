"""SQL over the tables of a case: read-only, and on a connection of its own.

Each query runs in a DuckDB of its own, which may read the Parquet files of the tables that the
query names and nothing else: no other file, no network, no Python variable; settings are locked.
There the tables are views, so that statements which write in unexpected places (in common table
expressions, say) fail as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import duckdb
import ibis
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.errors import InputError
from flowbench.schema import TYPES, to_frame

_LOCK_DOWN = (
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class ParquetTable(NamedTuple):
    """A table in Parquet files: which they are, and the expression that reads them."""

    paths: list[Path]
    read: Callable[[Backend], ibis.Table]


def run_sql(
    sql: str, tables: Mapping[str, Callable[[], ParquetTable | pa.Table]], spill: Path | None
) -> pd.DataFrame:
    """Run one SELECT statement in DuckDB's dialect.

    Args:
        sql: The statement.
        tables: The tables it may name; only those that it does name are opened.
        spill: The folder for what exceeds the memory.

    Returns:
        The rows. Times are UTC, those without a time zone too; sums of whole numbers are Int64.

    Raises:
        InputError: It is not one SELECT statement, names no table, or DuckDB refuses it.
    """
    words = sql.casefold()
    named = [name for name in tables if name in words]
    connection = engine.connect(spill)
    try:
        _check_statement(connection, sql)
        if not named:
            raise InputError(f"the query names no table of the case: {', '.join(sorted(tables))}")
        _create_views(connection, {name: tables[name]() for name in named})
        return to_frame(_normalize_types(connection.con.sql(sql).to_arrow_table()))
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        raise InputError(f"the query cannot be run: {str(error).splitlines()[0]}") from error
    finally:
        connection.disconnect()


def _check_statement(connection: Backend, sql: str) -> None:
    statements = connection.con.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InputError("only a query can be run, and one at a time: SELECT … FROM …")


def _create_views(connection: Backend, opened: Mapping[str, ParquetTable | pa.Table]) -> None:
    allowed: list[str] = []
    for name, table in opened.items():
        if isinstance(table, pa.Table):
            connection.con.register(name, table)
            continue
        select = ibis.to_sql(table.read(connection), dialect="duckdb")
        connection.con.execute(f'CREATE VIEW "{name}" AS {select}')
        # DuckDB looks a path up as it is written in the view, and as it is in the file system.
        allowed += [form for path in table.paths for form in (engine.escape_glob(path), str(path))]
    connection.con.execute("SET allowed_paths = ?", [allowed])
    for statement in _LOCK_DOWN:
        connection.con.execute(statement)


def _normalize_types(table: pa.Table) -> pa.Table:
    """Whole numbers of 128 bits, which Arrow has as decimals, as 64; naive times as UTC."""
    for position, field in enumerate(table.schema):
        column = table.column(position)
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            with suppress(pa.ArrowInvalid):  # larger than 64 bits: it stays a decimal
                table = table.set_column(position, field.name, column.cast(pa.int64()))
        elif pa.types.is_timestamp(field.type):
            table = table.set_column(position, field.name, column.cast(TYPES["time"]))
    return table
