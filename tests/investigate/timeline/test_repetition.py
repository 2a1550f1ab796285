"""Repetition in words."""

from __future__ import annotations

import pytest

from flowbench.investigate.timeline.repetition import describe_repetition


@pytest.mark.parametrize(
    ("count", "mean", "deviation", "text"),
    [
        (1, None, None, "once"),
        (3, 300.0, 0.0, "3 times"),  # too few to show an interval
        (288, 300.0, 9.0, "288 times, every 5.0 min"),
        (288, 300.0, 75.0, "288 times, every 5.0 min"),
        (288, 300.0, 76.0, "288 times"),
        (1_288, 0.0, 0.0, "1,288 times"),  # all in one second
        (10, 300.0, None, "10 times"),
    ],
)
def test_times_and_interval(count: int, mean, deviation, text: str) -> None:
    assert describe_repetition(count, mean, deviation) == text
