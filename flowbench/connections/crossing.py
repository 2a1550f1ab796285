"""Records whose connection goes on in a later period: they are moved to the period of its end.

Records of the same two ends between which no time longer than the idle timeout passes are a block;
no connection is in two blocks. All of a block is in the period in which its last record ends. So
records that are loaded later change no block that ended longer than the timeout before them.

Only ends with records near the edges of periods are examined: few.
"""

from __future__ import annotations

from pathlib import Path

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.staging import ENDS, RECORD, Staged


class Moves:
    """The records of each period, with those that were moved to it, without those moved away."""

    def __init__(
        self, connection: Backend, staged: Staged, idle_timeout: int, folder: Path
    ) -> None:
        """Find the blocks that cross an edge, and write their records to the period of their end.

        Args:
            connection: Where the blocks are kept.
            staged: The records.
            idle_timeout: Seconds without a record after which another block begins.
            folder: Where the moved records are written.
        """
        self._connection = connection
        self._staged = staged
        self._folder = folder
        self._blocks: ibis.Table | None = None
        if len(staged.parts) > 1:
            rows = engine.read_parquet(connection, list(staged.parts.values()))
            self._blocks = engine.materialize(
                connection, _find_blocks(connection, rows, staged, idle_timeout)
            )
            moved = rows.inner_join(self._blocks, _in_block(rows, self._blocks))
            moved = moved.filter(moved.part < moved.target).drop("part")
            moved = moved.select(*RECORD, part="target")
            engine.write_partitions(connection, moved, folder, "part")

    def records(self, number: int) -> ibis.Table:
        """Return the records of a period."""
        staged = self._staged.parts[number]
        rows = engine.read_parquet(self._connection, staged).select(*RECORD)
        if self._blocks is None:
            return rows
        away = self._blocks.filter(_.target > number, _.origin <= number)
        rows = rows.anti_join(away, _in_block(rows, away))
        moved = self._folder / staged.name
        if moved.exists():
            rows = rows.union(engine.read_parquet(self._connection, moved).select(*RECORD))
        return rows


def _in_block(records: ibis.Table, blocks: ibis.Table) -> list[object]:
    return [*ENDS, records.start >= blocks["first"], records.start <= blocks["last"]]


def _find_blocks(
    connection: Backend, records: ibis.Table, staged: Staged, idle_timeout: int
) -> ibis.Table:
    """The blocks that cross an edge: ENDS, first and last start, first period, target."""
    periods = staged.periods.table(connection)
    rows = records.semi_join(_near_edges(records, periods, idle_timeout), ENDS)
    slots = rows.group_by([*ENDS, "start"]).aggregate(end=_["end"].max(), part=_.part.min())
    begins, ends = engine.epoch_seconds(slots.start), engine.epoch_seconds(slots["end"])
    slots = slots.mutate(begins=begins, until=ibis.greatest(begins, ends))
    earlier = ibis.window(group_by=ENDS, order_by="start", preceding=(None, 1), following=None)
    slots = slots.mutate(gap=_.begins - _.until.max().over(earlier))
    slots = slots.mutate(starts=(slots.gap > idle_timeout).fill_null(False).cast("int64"))
    so_far = ibis.cumulative_window(group_by=ENDS, order_by="start")
    slots = slots.mutate(block=slots.starts.sum().over(so_far))
    blocks = slots.group_by([*ENDS, "block"]).aggregate(
        first=_.start.min(), last=_.start.max(), until=_.until.max(), origin=_.part.min()
    )
    edges = periods.select(target="part", edge="begins")
    blocks = blocks.asof_join(edges, blocks.until >= edges.edge)
    blocks = blocks.filter(blocks.target > blocks.origin)
    return blocks.select(*ENDS, "first", "last", "origin", "target")


def _near_edges(records: ibis.Table, periods: ibis.Table, idle_timeout: int) -> ibis.Table:
    """The ends (ENDS) that may have a block on both sides of an edge."""
    r = records.select(
        *ENDS,
        "part",
        starts_at=engine.epoch_seconds(records.start),
        ends_at=engine.epoch_seconds(records["end"]),
    ).join(periods, "part")
    sides = r.select(
        *ENDS,
        goes_on=(r.ends_at >= r.ends).fill_null(False),
        is_before=(r.ends - r.ends_at <= idle_timeout).fill_null(False),
        is_after=r.starts_at - r.begins <= idle_timeout,
    )
    sides = sides.filter(sides.is_before | sides.is_after).group_by(ENDS)
    # On any edges: a period may be shorter than the timeout.
    near = sides.aggregate(any_goes_on=_.goes_on.any(), both=_.is_before.any() & _.is_after.any())
    return near.filter(near.any_goes_on | near.both).select(ENDS)
