"""The activity figure: bytes add up, and a beat is a line."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from flowbench import plot
from flowbench.connections import TABLE

AT = pd.Timestamp("2026-09-01 00:00Z")


def connections(*rows: tuple[float, float, int, int, bool]) -> pd.DataFrame:
    """Rows of start and length in minutes, bytes out and in, refused."""
    return TABLE.frame(
        {
            "initiator": "10.0.0.5",
            "initiator_port": 40_000 + n,
            "responder": "203.0.113.5",
            "service_port": 443,
            "protocol": 6,
            "first_seen": AT + pd.Timedelta(minutes=start),
            "last_seen": AT + pd.Timedelta(minutes=start + length),
            "bytes_out": out,
            "bytes_in": back,
            "rejected": refused,
        }
        for n, (start, length, out, back, refused) in enumerate(rows)
    )


def test_bytes_each_way_add_up() -> None:
    figure = plot.activity(
        connections((0, 60, 6_000, 900, False), (30, 10, 1_000, 100, False), (90, 0, 50, 0, False))
    )
    out, back = figure.data[0], figure.data[1]
    assert (out.name, back.name) == ("bytes out", "bytes in")
    assert math.isclose(sum(out.y), 7_050, rel_tol=1e-9)
    assert math.isclose(sum(back.customdata), 1_000, rel_tol=1e-9)
    assert max(back.y) <= 0  # drawn below


def test_a_long_connection_is_spread_evenly_over_its_life() -> None:
    out = plot.activity(connections((0, 60, 6_000, 0, False))).data[0]
    assert np.allclose(out.y[:60], 100)


def test_a_beat_is_a_line() -> None:
    figure = plot.activity(connections(*((5 * n, 0.5, 100, 100, n == 3) for n in range(20))))
    starts = {trace.name: trace for trace in figure.data[2:]}
    assert set(starts["connection start"].y) == {5.0}
    assert list(starts["refused start"].y) == [5.0]
    assert len(starts["connection start"].x) == 18  # the first has none before it
    assert starts["refused start"].marker.symbol == "x"


def test_the_title_says_what_and_when() -> None:
    title = plot.activity(connections((0, 1, 1, 1, False), (60, 1, 1, 1, False))).layout.title.text
    assert "10.0.0.5 to 203.0.113.5 on port 443" in title
    assert "2026-09-01 00:00 to 2026-09-01 01:01 UTC; 2 connections; bytes per minute" in title


@pytest.mark.parametrize("rows", [[(0, 0, 0, 0, False)], [(0, 5, 10, 10, True)]])
def test_a_single_connection(rows: list[tuple[float, float, int, int, bool]]) -> None:
    assert len(plot.activity(connections(*rows)).data) == 2


def test_nothing_to_draw_is_said() -> None:
    figure = plot.activity(connections())
    assert figure.layout.annotations[0].text == "There are no connections to draw."
