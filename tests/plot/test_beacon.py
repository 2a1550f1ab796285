"""Check-ins: intervals, bursts, phase, and quantiles of many."""

from __future__ import annotations

import importlib

import pandas as pd
import pytest

from flowbench import plot
from tests.plot.traffic_rows import AT, HOST, PEER, frame, row


def series(figure, name: str):
    return next(trace for trace in figure.data if trace.name == name)


def test_intervals_sizes_and_phase() -> None:
    figure = plot.beacon(frame(row(), row(5), row(10), row(17.5)))
    assert list(series(figure, "interval").y)[1:] == [5.0, 5.0, 7.5]
    assert list(series(figure, "bytes out").y) == [1_000] * 4
    assert list(series(figure, "bytes in").y) == [20] * 4
    assert list(series(figure, "phase").y) == pytest.approx([0, 0, 0, 0.5])
    title = figure.layout.title.text
    assert f"Check-ins from {HOST} to {PEER}" in title
    assert "4 check-ins of 4 connections; median interval 5.0 min, 80\u00a0% of" in title
    assert "5.0 min to 7.0 min; median 1,000 bytes out" in title
    assert "5.0 min after the previous one" in series(figure, "interval").customdata[1]
    assert pd.Timestamp(series(figure, "phase").x[0], tz="UTC") == AT


def test_connections_of_a_burst_are_one_check_in() -> None:
    figure = plot.beacon(frame(row(), row(0.4), row(0.8), row(5)))
    assert list(series(figure, "bytes out").y) == [3_000, 1_000]
    assert "3 connections" in series(figure, "bytes out").customdata[0]


def test_a_single_check_in_has_no_interval() -> None:
    figure = plot.beacon(frame(row()))
    assert "one check-in has no interval" in figure.layout.title.text
    assert list(series(figure, "bytes out").y) == [1_000]


def test_many_check_ins_are_drawn_as_quantiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("flowbench.plot.beacon"), "_MOST_MARKS", 10)
    figure = plot.beacon(frame(*(row(n, bytes_out=n) for n in range(1, 101))))
    sizes = series(figure, "bytes out (median)")
    assert all(trace.mode == "lines" for trace in figure.data)
    assert max(sizes.y) == 100
    assert "1 check-in in 1.0 min<br>median bytes out 1.00" in sizes.customdata[0]


def test_several_pairs_are_named_as_such() -> None:
    title = plot.beacon(frame(row(), row(5, responder="192.0.2.1"))).layout.title.text
    assert "192.0.2.1 and 1 or more others" in title


def test_no_connections() -> None:
    assert plot.beacon(frame()).layout.annotations[0].text == "There are no connections to draw."
