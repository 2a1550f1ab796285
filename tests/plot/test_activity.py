"""The traffic figure: bytes add up, and periodic connections form a line."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pandas as pd
import pytest

from flowbench import plot
from flowbench.connections import TABLE
from tests.plot.traffic_rows import frame as traffic_frame
from tests.plot.traffic_rows import row

AT = pd.Timestamp("2026-09-01 00:00Z")


def connections(*rows: tuple[float, float, int, int, bool]) -> pd.DataFrame:
    """Rows of start and duration in minutes, bytes out and in, rejected."""
    return TABLE.frame(
        {
            "initiator": "10.0.0.5",
            "initiator_port": 40_000 + n,
            "responder": "203.0.113.5",
            "service_port": 443,
            "protocol": 6,
            "first_seen": AT + pd.Timedelta(minutes=start),
            "last_seen": AT + pd.Timedelta(minutes=start + duration),
            "bytes_out": bytes_out,
            "bytes_in": bytes_in,
            "rejected": rejected,
        }
        for n, (start, duration, bytes_out, bytes_in, rejected) in enumerate(rows)
    )


def test_one_connection_has_no_panel_of_intervals() -> None:
    figure = plot.activity(connections((0, 1, 6_000, 900, False)))
    assert [trace.name for trace in figure.data] == ["bytes of initiators", "bytes of responders"]
    assert "yaxis2" not in figure.to_plotly_json()["layout"]
    assert figure.layout.xaxis.showticklabels is not False  # the times stand below the bytes
    # One bin is drawn to its end: a line of one point would not be seen.
    assert [list(trace.y) for trace in figure.data] == [[6_000] * 2, [-900] * 2]
    assert list(pd.DatetimeIndex(figure.data[0].x) - AT) == [pd.Timedelta(0), pd.Timedelta("1min")]


def test_bytes_each_way_add_up() -> None:
    figure = plot.activity(
        connections((0, 60, 6_000, 900, False), (30, 10, 1_000, 100, False), (90, 0, 50, 0, False))
    )
    bytes_out, bytes_in = figure.data[:2]
    assert (bytes_out.name, bytes_in.name) == ("bytes of initiators", "bytes of responders")
    assert math.isclose(sum(bytes_out.y[:-1]), 7_050, rel_tol=1e-9)
    assert math.isclose(sum(bytes_in.customdata[:-1]), 1_000, rel_tol=1e-9)
    assert max(bytes_in.y) <= 0  # drawn below the axis


def test_bytes_are_spread_evenly_over_the_duration() -> None:
    bytes_out = plot.activity(connections((0, 60, 6_000, 0, False))).data[0]
    assert np.allclose(bytes_out.y[:60], 100)


def test_periodic_connections_are_at_one_interval() -> None:
    figure = plot.activity(connections(*((5 * n, 0.5, 100, 100, n == 3) for n in range(20))))
    starts = {trace.name: trace for trace in figure.data[2:]}
    assert set(starts["connection"].y) == {5.0}
    assert list(starts["rejected connection"].y) == [5.0]
    assert len(starts["connection"].x) == 18  # the first has no interval
    assert starts["rejected connection"].marker.symbol == "x"


def test_the_title_names_hosts_port_and_period() -> None:
    title = plot.activity(connections((0, 1, 1, 1, False), (60, 1, 1, 1, False))).layout.title.text
    assert "Traffic from 10.0.0.5 to 203.0.113.5, port 443" in title
    assert "2026-09-01 00:00 to 2026-09-01 01:01 UTC; 2 connections; bytes per minute" in title


@pytest.mark.parametrize("rows", [[(0, 0, 0, 0, False)], [(0, 5, 10, 10, True)]])
def test_a_single_connection(rows: list[tuple[float, float, int, int, bool]]) -> None:
    assert len(plot.activity(connections(*rows)).data) == 2


def test_an_empty_table_states_the_reason() -> None:
    figure = plot.activity(connections())
    assert figure.layout.annotations[0].text == "There are no connections to draw."


def test_several_hosts_and_ports_are_counted() -> None:
    rows = connections((0, 1, 1, 1, False), (5, 1, 1, 1, False))
    rows["responder"] = ["203.0.113.5", "203.0.113.6"]
    rows["service_port"] = [443, 80]
    title = plot.activity(rows).layout.title.text
    assert "Traffic from 10.0.0.5 to 2 addresses, 2 ports" in title


def test_intervals_beyond_the_axis_are_counted() -> None:
    starts = [*range(0, 300, 5), 3_000]
    figure = plot.activity(connections(*((start, 0.5, 1, 1, False) for start in starts)))
    assert figure.layout.yaxis2.title.text.endswith("(1 longer)")


def test_many_connections_are_sums_of_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of a connection of two hours are spread; starts count where they are."""
    module = importlib.import_module("flowbench.plot.activity")
    monkeypatch.setattr(module, "_MOST_STARTS", 3)
    rows = [row(n, bytes_out=60, rejected=n == 2) for n in range(4)]
    rows += [row(10, responder="192.0.2.1", bytes_out=1_200, last_seen=AT + pd.Timedelta(hours=2))]
    figure = plot.activity(traffic_frame(*rows))
    out, back, others, rejected = figure.data
    assert (out.name, back.name, others.name, rejected.name) == (
        "bytes of initiators", "bytes of responders", "not rejected", "rejected",
    )  # fmt: skip
    assert sum(out.y[:-1]) == pytest.approx(4 * 60 + 1_200)
    assert sum(back.y[:-1]) == pytest.approx(-5 * 20)
    assert list(out.y)[:4] == pytest.approx([60, 60, 60, 60])
    assert list(out.y)[20] == pytest.approx(1_200 / 111)
    assert (list(others.y)[:4], list(rejected.y)[:4]) == ([1, 1, 0, 1], [0, 0, 1, 0])
    title = figure.layout.title.text
    assert "Traffic from 10.0.0.5 to 2 addresses" in title
    assert "5 connections; sums per 1.0 min" in title
