"""Swim lanes: a lane per pair and port, bars as long as connections, merged where too many."""

from __future__ import annotations

import importlib

import pandas as pd
import pytest

from flowbench import plot
from tests.plot.traffic_rows import AT, HOST, PEER, frame, row

HOUR = pd.Timedelta(hours=1)


def test_lanes_in_order_of_their_first_connection() -> None:
    figure = plot.lanes(
        frame(
            row(30, last_seen=AT + HOUR),
            row(5, responder="10.0.0.9", service_port=22, rejected=True),
            row(90),
        )
    )
    assert list(figure.layout.yaxis.ticktext) == [
        f"{HOST} → 10.0.0.9 22/tcp (ssh)", f"{HOST} → {PEER} 443/tcp (https)",
    ]  # fmt: skip
    bars, rejected = figure.data
    assert [pd.Timestamp(x, tz="UTC") for x in bars.base] == [
        AT + pd.Timedelta(minutes=minutes) for minutes in (30, 90)
    ]
    assert list(bars.x) == [30 * 60_000, 10_000]
    assert (list(bars.y), list(rejected.y)) == ([1, 1], [0])
    assert rejected.name == "rejected"
    assert "1 connection, accepted or unanswered; 30.0 min" in bars.customdata[0]
    assert "1,000 bytes out, 20 in" in bars.customdata[0]


def test_lanes_with_fewest_bytes_share_one() -> None:
    rows = [row(n, responder=f"192.0.2.{n}", bytes_out=n) for n in range(30)]
    figure = plot.lanes(frame(*rows), most=5)
    labels = list(figure.layout.yaxis.ticktext)
    assert len(labels) == 5
    assert labels[0] == "26 other pairs and ports"
    assert "192.0.2.29" in labels[-1]


def test_many_connections_are_merged_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("flowbench.plot.lanes"), "_MOST_BARS", 10)
    figure = plot.lanes(frame(*(row(n / 2) for n in range(1_000))))
    (bars,) = figure.data
    assert len(bars.x) < 200
    assert "connections of 5.0 min are one bar" in figure.layout.title.text
    assert "10 connections" in bars.customdata[0]


def test_unknown_ports_and_protocols() -> None:
    figure = plot.lanes(frame(row(service_port=None, protocol=None)))
    assert figure.layout.yaxis.ticktext[0].strip() == f"{HOST} → {PEER}"
    assert len(figure.data[0].x) == 1


def test_no_connections() -> None:
    assert plot.lanes(frame()).layout.annotations[0].text == "There are no connections to draw."
