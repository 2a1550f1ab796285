"""The cube: connections counted by period, ends, service and outcome, for panels.

Histograms, top hosts and ports of millions of connections are sums over its cells, which are fewer
and narrower than connections: addresses are numbers, times are numbers of periods of equal length.
What the cube has no dimension for (bytes of a single connection, source ports, exact times) is
asked of the connections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.schema import Table, to_frame

DIRECTIONS = ("inbound", "outbound", "internal", "external")
MAX_PERIODS = 120
WIDTHS = (1, 10, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400)  # seconds

CELLS = Table.of(
    "cube",
    ("period", "int32", "number of the period in which the connections start"),
    ("last_period", "int32", "number of the period in which they end"),
    ("initiator", "int32", "number of the initiator's address"),
    ("responder", "int32", "number of the responder's address"),
    ("service_port", "int32", "port of the responder"),
    ("protocol", "int32", "IANA protocol number"),
    ("direction", "int32", "position in DIRECTIONS"),
    ("rejected", "bool", "whether the connections are rejected"),
    ("answered", "bool", "whether they are answered"),
    ("intermediate", "bool", "whether one end is a NAT gateway"),
    ("connections", "int32", "number of connections"),
    ("bytes_out", "int64", "bytes from the initiator"),
    ("bytes_in", "int64", "bytes from the responder"),
    ("records", "int32", "number of flow log records"),
)
ADDRESSES = Table.of(
    "cube_addresses",
    ("number", "int32", "number of the address"),
    ("address", "string", "the address"),
    ("internal", "bool", "whether it belongs to the monitored network"),
    ("name", "string", "the Name tag of its latest assignment; untrusted text"),
    ("country", "string", "country of its network"),
    ("network_owner", "string", "network owner; untrusted text"),
    ("indicators", "int64", "number of indicators that cover it"),
)
PERIODS = Table.of(
    "cube_periods",
    ("period", "int32", "number of the period"),
    ("since", "time", "its start"),
    ("until", "time", "its end, exclusive"),
)
TABLES = (CELLS, ADDRESSES, PERIODS)
_DIMENSIONS = CELLS.columns[: CELLS.columns.index("connections")]


@dataclass(frozen=True)
class Cube:
    """The tables of a cube, as expressions.

    Attributes:
        cells: CELLS.
        addresses: ADDRESSES.
        periods: PERIODS, in order; without gaps.
    """

    cells: ibis.Table
    addresses: ibis.Table
    periods: ibis.Table

    @cached_property
    def scale(self) -> pd.DataFrame:
        """The periods in order, as a frame."""
        return to_frame(self.periods.order_by("period").to_pyarrow())

    def number_of(self, time: datetime) -> int | None:
        """Return the number of the period that starts at a time; None if none does.

        Times before and after all periods have numbers too: the periods continue.
        """
        if self.scale.empty:
            return 0
        first, until = self.scale["since"].iloc[0], self.scale["until"].iloc[0]
        number, rest = divmod(pd.Timestamp(time) - first, until - first)
        return None if rest else int(number)


def choose_width(first: datetime, last: datetime) -> timedelta:
    """Choose the length of the periods: the shortest of WIDTHS that makes at most MAX_PERIODS."""
    span = (last - first).total_seconds()
    longest = int(span / (MAX_PERIODS - 1) / WIDTHS[-1]) + 1  # whole days, for years
    widths = (*WIDTHS, longest * WIDTHS[-1])
    return timedelta(seconds=next(w for w in widths if span < w * (MAX_PERIODS - 1)))


def build_cube(
    connection: Backend,
    connections: ibis.Table,
    inventory: ibis.Table,
    folder: Path,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Write the tables of the cube (TABLES, .parquet) into a folder.

    Args:
        connection: The DuckDB connection of the tables.
        connections: Connections (connections.TABLE).
        inventory: The address inventory (enrich.inventory.TABLE, with context).
        folder: Where the files are written.
        progress: Called with (steps done, number of steps, description of the next step).
    """
    progress(0, 2, "describing the addresses of the connections")
    numbered = engine.materialize(connection, _number_addresses(connections, inventory))
    _write(connection, ADDRESSES, numbered.order_by("number"), folder)
    progress(1, 2, "counting connections by period, ends and service")
    periods = _make_periods(connections)
    _write(connection, PERIODS, engine.register(connection, periods), folder)
    cube = Cube(numbered, numbered, engine.register(connection, periods))
    cells = count_cells(connections, cube).order_by(_DIMENSIONS)
    _write(connection, CELLS, cells, folder)
    engine.drop(connection, numbered)
    progress(2, 2, "")


def read_cube(connection: Backend, folder: Path) -> Cube:
    """Read the cube that ``build_cube`` wrote; its cells are kept in memory."""
    cells, addresses, periods = (
        engine.read_parquet(connection, folder / f"{table.name}.parquet") for table in TABLES
    )
    return Cube(engine.materialize(connection, cells), addresses, periods)


def _write(connection: Backend, table: Table, rows: ibis.Table, folder: Path) -> None:
    path = folder / f"{table.name}.parquet"
    engine.write_parquet(connection, [rows.select(*table.columns)], path, table.arrow)


def _number_addresses(connections: ibis.Table, inventory: ibis.Table) -> ibis.Table:
    """Number the addresses of connections in their order, with what the inventory has of them."""
    ends = (connections.select(address=connections[end]) for end in ("initiator", "responder"))
    seen = ibis.union(*ends, distinct=True)
    latest = [inventory.valid_from.desc(nulls_first=False), inventory.interface_id]
    rank = ibis.row_number().over(ibis.window(group_by="address", order_by=latest))
    known = inventory.mutate(rank=rank).filter(_["rank"] == 0)
    rows = seen.left_join(known, "address").drop("address_right")
    number = ibis.row_number().over(ibis.window(order_by="address")).cast("int32")
    return rows.mutate(number=number).select(*ADDRESSES.columns)


def _make_periods(connections: ibis.Table) -> pa.Table:
    ends = connections.aggregate(
        first=connections.first_seen.min(), last=connections.last_seen.max()
    )
    (row,) = ends.to_pyarrow().to_pylist()
    if row["first"] is None:
        return PERIODS.rows([])
    width = choose_width(row["first"], row["last"])
    start = pd.Timestamp(row["first"]).floor(width).to_pydatetime()
    count = (row["last"] - start) // width + 1
    return PERIODS.rows(
        {"period": number, "since": start + number * width, "until": start + (number + 1) * width}
        for number in range(count)
    )


def count_cells(connections: ibis.Table, cube: Cube) -> ibis.Table:
    """Count connections (connections.TABLE) by the dimensions of the cube (CELLS), unordered.

    Args:
        connections: Some of the connections of the cube.
        cube: Its addresses and periods are used.
    """
    first, length = 0, 1
    if not cube.scale.empty:
        since, until = cube.scale["since"].iloc[0], cube.scale["until"].iloc[0]
        first = int(since.timestamp()) * 1_000_000
        length = (until - since) // timedelta(microseconds=1)

    def period(time: ibis.Value) -> ibis.Value:
        return ((engine.epoch_microseconds(time) - first) // length).cast("int32")

    numbers = cube.addresses.select("number", "address")
    initiators = numbers.rename(initiator="number", initiator_address="address")
    responders = numbers.rename(responder="number", responder_address="address")
    c = connections.rename(initiator_address="initiator", responder_address="responder")
    c = c.join(initiators, "initiator_address").join(responders, "responder_address")
    codes = [(name, code) for code, name in enumerate(DIRECTIONS)]
    c = c.mutate(
        period=period(c.first_seen),
        last_period=period(c.last_seen),
        direction=c.direction.cases(*codes).cast("int32"),
    )
    return (
        c.group_by(_DIMENSIONS)
        .aggregate(
            connections=_.count().cast("int32"),
            bytes_out=_.bytes_out.sum(),
            bytes_in=_.bytes_in.sum(),
            records=_.records.sum().cast("int32"),
        )
        .select(*CELLS.columns)
    )
