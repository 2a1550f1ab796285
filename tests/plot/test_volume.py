"""Outbound volume: who sent, baselines by hour, outliers, silent hours."""

from __future__ import annotations

from flowbench import plot
from flowbench.plot import theme
from tests.plot.traffic_rows import HOST, PEER, frame, row

HOUR, DAY = 60, 24 * 60
MEGABYTE = 1_000_000


def bars(figure) -> dict[str, dict[str, int]]:
    return {
        trace.name: {f"{x:%d %H}": y for x, y in zip(trace.x, trace.y, strict=True)}
        for trace in figure.data
        if trace.type == "bar"
    }


def test_a_nightly_transfer_is_usual_and_another_is_not() -> None:
    nightly = [row(day * DAY + 2 * HOUR, bytes_out=50 * MEGABYTE) for day in range(4)]
    other = row(2 * DAY + 14 * HOUR, bytes_out=30 * MEGABYTE)
    figure = plot.volume(frame(*nightly, other, row(4 * DAY - 30)))
    drawn = bars(figure)
    assert drawn["far above the baseline"] == {"03 14": 30 * MEGABYTE}
    assert drawn["bytes sent"]["02 02"] == 50 * MEGABYTE
    assert drawn["bytes sent"]["02 03"] == 0
    assert "1 far above the baseline" in figure.layout.title.text
    assert f"by {HOST}" in figure.layout.title.text
    assert f"{figure.layout.xaxis.range[0]:%d %H}" == "01 02"  # nothing before the period
    baseline = figure.data[-1]
    assert max(baseline.y) == 50 * MEGABYTE
    above = next(trace for trace in figure.data if trace.name == "far above the baseline")
    assert above.marker.color == theme.RED
    assert above.customdata[0] == "30,000,000 bytes sent<br>baseline 0"


def test_what_an_internal_responder_returns_is_sent_too() -> None:
    inbound = row(initiator=PEER, responder=HOST, direction="inbound", bytes_out=1, bytes_in=700)
    figure = plot.volume(frame(inbound, row(bytes_out=50), row(direction="internal")))
    assert bars(figure)["bytes sent"] == {"01 00": 750}
    assert "2 connections" in figure.layout.title.text


def test_long_periods_are_drawn_by_day() -> None:
    figure = plot.volume(frame(row(), row(100 * DAY)))
    assert figure.layout.yaxis.title.text == "bytes per day"
    assert len(bars(figure)["bytes sent"]) == 31  # names repeat after a month
    assert "(" not in figure.layout.yaxis.title.text


def test_no_external_traffic() -> None:
    figure = plot.volume(frame(row(direction="internal")))
    assert "no connections with external addresses" in figure.layout.annotations[0].text
