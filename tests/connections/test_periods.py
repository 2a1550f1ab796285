"""Periods: when they begin, and that later records change the last ones only."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from flowbench import engine
from flowbench.connections.periods import Periods, find_periods
from tests.traffic import T0


def periods(*times: int) -> Periods:
    connection = engine.connect()
    starts = pa.array([time * 1_000_000 for time in times], pa.timestamp("us", "UTC"))
    return find_periods(connection, engine.register(connection, pa.table({"start": starts})), 3)


def test_a_period_ends_with_the_minute_that_has_enough_records() -> None:
    found = periods(T0, T0 + 59, T0 + 60, T0 + 119, T0 + 300, T0 + 86_400 * 7)
    assert found.names == ["2026-09-01T0000", "2026-09-01T0005"]
    assert found.time(1) == datetime(2026, 9, 1, 0, 5, tzinfo=UTC)
    assert found.minutes.order_by("minute").to_pyarrow()["part"].to_pylist() == [0, 0, 1, 1]
    rows = found.table(found.minutes.get_backend()).order_by("part").to_pyarrow().to_pylist()
    assert rows == [
        {"part": 0, "begins": T0, "ends": T0 + 300},
        {"part": 1, "begins": T0 + 300, "ends": None},
    ]


def test_later_records_change_no_earlier_period_and_none_make_none() -> None:
    times = [T0 + 60 * n for n in range(10)]
    before, after = periods(*times), periods(*times, *(T0 + 600 + n for n in range(9)))
    assert after.names[: len(before.names)] == before.names
    assert periods().names == []


def test_years_of_four_digits_keep_the_order() -> None:
    assert periods(-61_000_000_000).names[0].startswith("0036-")
