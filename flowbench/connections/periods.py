"""Periods of time: the connections of each are in a file of their own.

Records that are loaded later then change the last files only. A period begins with the minute of a
record, and ends before the next minute with a record once it has enough of them. So the periods
before a time depend on nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Periods:
    """Periods without gaps, numbered from 0: the first has what is before it, too."""

    begins: list[int]  # of each the first minute since 1970, in order
    minutes: ibis.Table  # minute (since 1970), part: every minute with a record, and its period

    @property
    def names(self) -> list[str]:
        """Each period in the name of a file, in UTC: 2026-09-01T0510."""
        times = [self.time(number).isoformat() for number in range(len(self.begins))]
        return [time[:16].replace(":", "") for time in times]

    def time(self, number: int) -> datetime:
        """When a period begins."""
        return _EPOCH + timedelta(minutes=self.begins[number])

    def table(self, connection: Backend) -> ibis.Table:
        """The periods as rows: part (the number), and the seconds when it begins and ends."""
        seconds = [60 * minute for minute in self.begins]
        numbers = list(range(len(seconds)))
        columns = {"part": numbers, "begins": seconds, "ends": [*seconds[1:], None]}
        schema = pa.schema([("part", pa.int64()), ("begins", pa.int64()), ("ends", pa.int64())])
        return engine.register(connection, pa.table(columns, schema=schema))


def find_periods(connection: Backend, records: ibis.Table, per_file: int) -> Periods:
    """Divide the time of some records into periods.

    Args:
        connection: Where the minutes are kept.
        records: Records with ``start``.
        per_file: Number of records after which a period ends with its minute.
    """
    counts = records.group_by(minute=start_minute(records)).aggregate(count=_.count())
    rows = counts.order_by("minute").to_pyarrow()
    begins: list[int] = []
    numbers: list[int] = []
    count = per_file
    for minute, more in zip(rows["minute"].to_pylist(), rows["count"].to_pylist(), strict=True):
        if count >= per_file:
            begins.append(minute)
            count = 0
        count += more
        numbers.append(len(begins) - 1)
    minutes = {"minute": rows["minute"], "part": pa.array(numbers, pa.int64())}
    return Periods(begins, engine.register(connection, pa.table(minutes)))


def start_minute(records: ibis.Table) -> ibis.Value:
    """The minute since 1970 in which a record starts."""
    return engine.epoch_seconds(records.start) // 60
