"""Hours that are compared with similar hours."""

from __future__ import annotations

import numpy as np
import pytest

from flowbench.detect.hourly_outliers import count_runs, find_outliers


def test_what_an_hour_is_held_against() -> None:
    rng = np.random.default_rng(7)
    day = np.array([10] * 8 + [200] * 10 + [10] * 6) * 1e6
    week = np.concatenate([np.tile(day, 5), np.full(48, 10e6)])
    four = np.tile(week, 4) * rng.uniform(0.8, 1.2, 672)
    assert find_outliers(four, 100e6, 10, 5) == []
    four[504 + 130] = 900e6  # Saturday morning of the last week
    (one,) = find_outliers(four, 100e6, 10, 5)
    assert (one.hour, one.baseline) == (634, "the same hour of other weeks")
    ten = np.tile(day, 10) * rng.uniform(0.8, 1.2, 240)
    ten[100] = 900e6
    (one,) = find_outliers(ten, 100e6, 3, 3)
    assert (one.hour, one.baseline) == (100, "the same hour of other days")
    assert find_outliers(np.zeros(100), 100e6, 10, 5) == []


@pytest.mark.parametrize(("hours", "runs"), [([], 0), ([3, 4, 5], 1), ([3, 5, 6, 9], 3)])
def test_consecutive_hours_are_one_run(hours: list[int], runs: int) -> None:
    assert count_runs(hours) == runs
