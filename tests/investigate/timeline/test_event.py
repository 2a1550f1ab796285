"""Which rows of the timeline filters keep."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.investigate.filters import Filters
from flowbench.investigate.timeline.event import ORDER, TABLE, Event


def at(hour: int) -> pd.Timestamp:
    return pd.Timestamp("2026-09-01", tz="UTC") + pd.Timedelta(hours=hour)


EVENT = Event(
    at(1), "flow logs", "Connections", "…", actor="10.0.0.5", object="192.0.2.1", end=at(3),
    peers=("pool.example",), ports=(22,),
)  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        (Filters(), True),
        (Filters(since=at(2)), True),
        (Filters(since=at(4)), False),
        (Filters(until=at(1)), False),
        (Filters(peer="10.0.0.5"), True),
        (Filters(peer="192.0.2.1"), True),
        (Filters(peer="pool.example"), True),
        (Filters(peer="192.0.2.10"), False),
        (Filters(ports=(443, 22)), True),
        (Filters(ports=(443,)), False),
        (Filters(rejected=True), False),
    ],
)
def test_filters(filters: Filters, matches: bool) -> None:
    assert EVENT.matches(filters) is matches


def test_the_table_has_every_column_of_the_order_and_of_events() -> None:
    assert set(ORDER) < set(TABLE.columns) < set(vars(EVENT))
