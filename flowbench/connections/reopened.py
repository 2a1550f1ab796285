"""Connections at the edge of the periods that are built again: their earlier records.

When records are loaded later, the last periods are built again. A connection that began before
them and ends in them is made from all of its records, also those of earlier periods. Which these
are is known from the connections that were built before.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine

_ROW_ENDS = {
    "connections": ("initiator", "initiator_port", "responder", "service_port"),
    "unclear": ("low", "low_port", "high", "high_port"),
}
_ENDS = ["low", "low_port", "high", "high_port", "protocol"]


def find_reopened(
    connection: Backend, before: Path, names: Iterable[str], time: datetime
) -> ibis.Table:
    """Find the connections that began before a time among those of some periods.

    Args:
        connection: Where the result is kept.
        before: The folder with the connections that were built before.
        names: The names of periods there, of which the first begins at ``time``.
        time: When the periods begin that are built again.

    Returns:
        A row per two ends: a, a_port, b, b_port, protocol, first (start of their connection).
    """
    rows = []
    for kind, (a, a_port, b, b_port) in _ROW_ENDS.items():
        paths = [before / f"{kind}-{name}.parquet" for name in names]
        r = engine.read_parquet(connection, paths)
        r = r.filter(r.first_seen < ibis.literal(time))
        rows.append(
            r.select(
                "first_seen",
                a=r[a],
                a_port=r[a_port].cast("int32"),
                b=r[b],
                b_port=r[b_port].cast("int32"),
                protocol=r.protocol.fill_null(-1).cast("int16"),
            )
        )
    ends = _in_order(rows[0].union(rows[1]), "a", "a_port", "b", "b_port")
    ends = ends.group_by(_ENDS).aggregate(first=_.first_seen.min())
    return engine.materialize(
        connection, ends.rename(a="low", a_port="low_port", b="high", b_port="high_port")
    )


def with_earlier(records: ibis.Table, time: datetime, reopened: ibis.Table) -> ibis.Table:
    """Select the records from a time on, and earlier ones between the same two addresses.

    Args:
        records: The result of staging.select_records.
        time: When the periods begin that are built again.
        reopened: The result of find_reopened.

    Returns:
        Records. Among the earlier ones are those of other hosts with the same addresses.
    """
    columns = records.columns
    bare = reopened.mutate(a=_.a.split("%")[0], b=_.b.split("%")[0])
    ends = _in_order(bare, "a", "a_port", "b", "b_port")
    ends = ends.group_by(_ENDS).aggregate(first=_.first.min())
    later = records.filter(records.start >= ibis.literal(time))
    first = ends["first"].min().to_pyarrow().as_py()
    if first is None:
        return later
    earlier = records.filter(
        records.start < ibis.literal(time), records.start >= ibis.literal(first)
    )
    earlier = _in_order(earlier, "src", "srcport", "dst", "dstport")
    earlier = earlier.semi_join(ends, [*_ENDS, earlier.start >= ends["first"]])
    return later.union(earlier.select(columns))


def in_reopened(
    encoded: ibis.Table, time: datetime, reopened: ibis.Table, addresses: ibis.Table
) -> ibis.Table:
    """Select the staged records from a time on, and earlier ones of reopened connections only.

    Args:
        encoded: Staged records (staging.RECORD).
        time: When the periods begin that are built again.
        reopened: The result of find_reopened.
        addresses: The addresses with their ids, from Staged.
    """
    ids = addresses.select("address", "id")
    r = reopened.join(ids.rename(a="address", a_id="id"), "a")
    r = r.join(ids.rename(b="address", b_id="id"), "b")
    ends = _in_order(r.drop("a", "b"), "a_id", "a_port", "b_id", "b_port")
    ends = ends.select(*_ENDS, reopened_at="first").view()
    columns = encoded.columns
    joined = encoded.left_join(ends, _ENDS)
    is_earlier = (joined.reopened_at <= joined.start).fill_null(False)
    return joined.filter((joined.start >= ibis.literal(time)) | is_earlier).select(columns)


def _in_order(rows: ibis.Table, a: str, a_port: str, b: str, b_port: str) -> ibis.Table:
    """Rows with their two ends in one order for both directions: _ENDS."""
    up = (rows[a] < rows[b]) | ((rows[a] == rows[b]) & (rows[a_port] <= rows[b_port]))
    return rows.mutate(
        low=up.ifelse(rows[a], rows[b]),
        low_port=up.ifelse(rows[a_port], rows[b_port]),
        high=up.ifelse(rows[b], rows[a]),
        high_port=up.ifelse(rows[b_port], rows[a_port]),
    )
