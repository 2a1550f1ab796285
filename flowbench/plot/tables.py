"""Tables that figures take: frames or expressions of the engine, which sums what is too much."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench import engine
from flowbench.connections import SUMMARIES, TABLE
from flowbench.errors import InputError
from flowbench.schema import to_frame
from flowbench.text import list_some

BINS = 200  # columns of time that can be distinguished at 800 pixels


def to_table(rows: ibis.Table | pd.DataFrame, columns: Sequence[str]) -> ibis.Table:
    """Return connections or connection summaries as a table of the engine.

    Args:
        rows: An expression such as ``case.connections``, or a frame such as
            ``case.connections_of(address)``.
        columns: The columns that are needed.

    Raises:
        InputError: Some of them are missing.
    """
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise InputError(f"not a table of connections: it lacks {', '.join(missing)}")
    if not isinstance(rows, pd.DataFrame):
        return rows
    known = {field.name: field.type for table in (SUMMARIES, TABLE) for field in table.arrow}
    arrays = {name: pa.array(rows[name], from_pandas=True) for name in rows if name in known}
    table = pa.table({name: array.cast(known[name]) for name, array in arrays.items()})
    return engine.register(engine.connect(), table)


def count_connections(table: ibis.Table) -> ibis.IntegerValue:
    """The number of connections in a row, or rows: of summaries their sum."""
    return table.connections.sum() if "connections" in table.columns else table.count()


def span(table: ibis.Table) -> tuple[pd.Timestamp | None, pd.Timestamp | None, int]:
    """First and last time (UTC; None without rows) and number of connections."""
    ends = table.aggregate(
        first=table.first_seen.min(), last=table.last_seen.max(), n=count_connections(table)
    )
    row = to_frame(ends.to_pyarrow()).iloc[0]
    if pd.isna(row["first"]):
        return None, None, 0
    return row["first"], row["last"], int(row["n"])


def ranked(table: ibis.Table, column: str, value: ibis.Value, most: int) -> tuple[list[str], int]:
    """Return the values of a column with the largest sums, and the number of its values.

    Null is a value, 'unknown'.
    """
    sums = table.group_by(name=_[column].fill_null("unknown")).aggregate(sum=value)
    sums = sums.mutate(total=sums.count().over(ibis.window()))
    rows = sums.order_by(_["sum"].desc(), "name").limit(most).to_pyarrow().to_pylist()
    return [row["name"] for row in rows], rows[0]["total"] if rows else 0


def name_most(table: ibis.Table, column: str, value: ibis.Value, rest: str) -> str:
    """Name the value of a column with the largest sum, and how many others there are.

    ``rest`` is what the others are, in the plural.
    """
    names, total = ranked(table, column, value, 1)
    rest = rest.removesuffix("s") if total == 2 else rest
    return list_some([*names, *[""] * (total - len(names))], 1, rest=rest)


def bin_width(seconds: float, most: int = BINS) -> int:
    """A width of bins (seconds) that divides a period into ``most`` at most."""
    widths = (1, 5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400)
    for width in widths:
        if seconds / width <= most:
            return width
    days = int(seconds // (most * 86_400)) + 1
    return days * 86_400
