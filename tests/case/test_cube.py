"""The cube: periods, numbers of addresses, and counts that sum to the connections."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.case import Case
from flowbench.case.cube import (
    ADDRESSES,
    CELLS,
    DIRECTIONS,
    MAX_PERIODS,
    PERIODS,
    choose_width,
    count_cells,
)
from tests.traffic import T0, connect, interface, make_case, reject

START = datetime.fromtimestamp(T0, UTC)
A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.9"


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    records = [
        *connect(A, OUT, 443, T0, source_port=40_001),
        *connect(A, OUT, 443, T0 + 30, source_port=40_002),
        *connect(A, B, 22, T0 + 7_200, seconds=3_600, window=600),
        reject(OUT, A, 3389, T0 + 20_000),
    ]
    listed = [interface(A, "a"), interface(B, "b")]
    folder = tmp_path_factory.mktemp("cube")
    return make_case(folder, records, interfaces=listed, indicators=f"indicator\n{OUT}\n")


def test_cells_are_the_connections_counted(case: Case) -> None:
    cube = case.cube
    rows = cube.cells.order_by("period", "service_port").to_pyarrow().cast(CELLS.arrow).to_pylist()
    names = {r["number"]: r["address"] for r in cube.addresses.to_pyarrow().to_pylist()}
    assert [
        (
            row["period"],
            row["last_period"],
            names[row["initiator"]],
            names[row["responder"]],
            row["service_port"],
            DIRECTIONS[row["direction"]],
            row["rejected"],
            row["connections"],
            row["bytes_out"] + row["bytes_in"],
            row["records"],
        )
        for row in rows
    ] == [
        (0, 0, A, OUT, 443, "outbound", False, 2, 7_600, 4),
        (24, 37, A, B, 22, "internal", False, 1, 3_794, 14),
        (66, 66, OUT, A, 3389, "inbound", True, 1, 60, 1),
    ]


def test_addresses_are_numbered_in_order_and_described(case: Case) -> None:
    rows = case.cube.addresses.order_by("number").to_pyarrow().cast(ADDRESSES.arrow).to_pylist()
    assert [
        (r["number"], r["address"], r["name"], r["internal"], r["indicators"]) for r in rows
    ] == [
        (0, A, "a", True, 0),
        (1, B, "b", True, 0),
        (2, OUT, None, False, 1),
    ]


def test_periods_have_equal_lengths_and_no_gaps(case: Case) -> None:
    scale = case.cube.scale
    assert list(scale.columns) == PERIODS.columns
    assert scale["since"].iloc[0] == START
    assert set(scale["until"] - scale["since"]) == {pd.Timedelta(minutes=5)}
    assert scale["since"].tolist()[1:] == scale["until"].tolist()[:-1]
    assert len(scale) == 67


def test_a_time_has_the_number_of_the_period_that_it_starts(case: Case) -> None:
    cube = case.cube
    assert cube.number_of(START) == 0
    assert cube.number_of(START + timedelta(minutes=10)) == 2
    assert cube.number_of(START - timedelta(minutes=5)) == -1
    assert cube.number_of(START + timedelta(days=1)) == 288
    assert cube.number_of(START + timedelta(minutes=1)) is None


def test_some_connections_are_counted_in_the_same_way(case: Case) -> None:
    some = case.connections.filter(case.connections.service_port == 22)
    rows = count_cells(some, case.cube).to_pyarrow().to_pylist()
    assert [(row["period"], row["connections"]) for row in rows] == [(24, 1)]


def test_a_case_without_flow_records(tmp_path) -> None:
    cube = make_case(tmp_path, []).cube
    assert (cube.cells.count().execute(), len(cube.scale), cube.number_of(START)) == (0, 0, 0)


@given(st.timedeltas(timedelta(0), timedelta(days=20_000)))
def test_there_are_few_periods(span: timedelta) -> None:
    width = choose_width(START, START + span)
    assert span / width <= MAX_PERIODS
    assert width % timedelta(seconds=1) == timedelta(0)
