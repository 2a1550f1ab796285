"""Attempts over time: responders by first attempt, ports in order, outcomes, shared rows."""

from __future__ import annotations

from flowbench import plot
from tests.plot.traffic_rows import HOST, frame, row


def traces(figure, axis: str) -> dict[str, list[int]]:
    """The rows of the marks of each outcome, of the panel with an axis."""
    return {trace.name: list(trace.y) for trace in figure.data if trace.yaxis == axis}


def test_hosts_and_ports_by_outcome() -> None:
    figure = plot.scan(
        frame(
            row(0, responder="10.0.0.9", service_port=445, rejected=True, answered=False),
            row(1, responder="10.0.0.7", service_port=22, answered=False),
            row(2, responder="10.0.0.8", service_port=3306),
            row(2, responder="10.0.0.8", service_port=3306),
        )
    )
    assert list(figure.layout.yaxis.ticktext) == ["10.0.0.9", "10.0.0.7", "10.0.0.8"]
    assert list(figure.layout.yaxis2.ticktext) == ["22", "445", "3306"]
    assert traces(figure, "y") == {"rejected": [0], "unanswered": [1], "answered": [2]}
    assert traces(figure, "y2") == {"rejected": [1], "unanswered": [0], "answered": [2]}
    answered = next(trace for trace in figure.data if trace.name == "answered")
    assert "2 connections, answered<br>1 address: 10.0.0.8" in answered.customdata[0]
    title = figure.layout.title.text
    assert f"Connection attempts of {HOST}" in title
    assert "4 connections to 3 addresses and 3 ports" in title


def test_many_ports_share_rows() -> None:
    rows = [row(port / 100, service_port=port, rejected=True) for port in range(1, 1_001)]
    figure = plot.scan(frame(*rows))
    lower = [trace for trace in figure.data if trace.yaxis == "y2"]
    assert max(max(trace.y) for trace in lower) == 49
    assert len(figure.layout.yaxis2.ticktext) <= 24
    assert figure.layout.yaxis2.ticktext[0] == "from 1"
    assert "1 to " in lower[0].customdata[0]
    assert "1,000 connections to 1 address and 1,000 ports" in figure.layout.title.text


def test_no_connections() -> None:
    assert plot.scan(frame()).layout.annotations[0].text == "There are no connections to draw."
