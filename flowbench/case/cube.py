"""The cube: connections counted by period, ends, service and outcome, for panels.

Histograms, top hosts and ports of millions of connections are sums over its cells, which are fewer
and narrower than connections: addresses are numbers, times are numbers of periods of equal length.
What the cube has no dimension for (bytes of a single connection, source ports, exact times) is
asked of the connections.

The cells of each file of connections are in a file of their own, and addresses are numbered by the
first file that has them. So a file of cells depends on nothing after it: when records are loaded,
those of old periods are kept, as those of the connections are (cube_build).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import ibis
import pandas as pd
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
DIMENSIONS = CELLS.columns[: CELLS.columns.index("connections")]


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


def read_cube(connection: Backend, folder: Path, inventory_folder: Path) -> Cube:
    """Read the cube that cube_build wrote, its cells into memory."""
    cells = engine.read_parquet(connection, sorted(folder.glob("cube-*.parquet")))
    addresses = engine.read_parquet(connection, inventory_folder / f"{ADDRESSES.name}.parquet")
    periods = engine.read_parquet(connection, folder / f"{PERIODS.name}.parquet")
    return Cube(engine.materialize(connection, cells), addresses, periods)


def count_cells(connections: ibis.Table, cube: Cube, *more: str) -> ibis.Table:
    """Count connections (connections.TABLE) by the dimensions of the cube (CELLS), unordered.

    Args:
        connections: Some of the connections of the cube.
        cube: Its addresses and periods are used.
        more: Columns of ``connections`` by which they are counted, too.
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
        c.group_by([*DIMENSIONS, *more])
        .aggregate(
            connections=_.count().cast("int32"),
            bytes_out=_.bytes_out.sum(),
            bytes_in=_.bytes_in.sum(),
            records=_.records.sum().cast("int32"),
        )
        .select(*CELLS.columns, *more)
    )
