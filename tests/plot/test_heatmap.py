"""The hours of the week: means, hours outside the period, and UTC."""

from __future__ import annotations

import pytest

from flowbench import plot
from flowbench.errors import InputError
from tests.plot.traffic_rows import frame, row

WEEK = 7 * 24 * 60


def test_means_of_the_hours_of_the_week() -> None:
    """Two Tuesdays: three connections at 00, then one; and one on the Monday between at 23."""
    rows = [row(n) for n in range(3)] + [row(WEEK), row(WEEK - 30, bytes_out=5)]
    figure = plot.heatmap(frame(*rows))
    (cells,) = figure.data
    assert list(cells.y)[:2] == ["Monday", "Tuesday"]
    assert cells.z[1][0] == 2.0
    assert cells.z[0][23] == 1.0
    assert cells.z[2][5] == 0.0
    assert cells.colorbar.tickformat == "~g"  # not 500m for a half
    assert (cells.zmin, cells.zmax) == (0, 2.0)  # hours that hardly differ look alike
    assert "mean 2.0 connections" in cells.text[1][0]
    assert "4 connections in 2 hours" in cells.text[1][0]
    title = figure.layout.title.text
    assert "Connections by hour and weekday" in title
    assert "2026-09-01 00:00 to 2026-09-08 00:00 UTC; 5 connections" in title


def test_hours_outside_the_period_are_empty() -> None:
    cells = plot.heatmap(frame(row(), row(61))).data[0]
    assert [cells.z[1][hour] for hour in (0, 1, 2, 23)] == [1.0, 1.0, None, None]
    assert cells.text[0][0].endswith("not in this period")


@pytest.mark.parametrize(
    ("value", "cell", "text"),
    [
        ("bytes_out", 1_000.0, "mean 1.0 kB"),
        ("bytes_in", 20.0, "mean 20 B"),
        ("rejected", 1.0, "1"),
    ],
)
def test_values(value: str, cell: float, text: str) -> None:
    cells = plot.heatmap(frame(row(rejected=True)), value).data[0]
    assert cells.z[1][0] == cell
    assert text in cells.text[1][0]


def test_an_unknown_value_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="cannot draw 'taste': choose one of connections"):
        plot.heatmap(frame(row()), "taste")


def test_no_connections() -> None:
    assert plot.heatmap(frame()).layout.annotations[0].text == "There are no connections to draw."
