"""Hours in which an amount is far above that of similar hours."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

_DAY, _WEEK = 24, 168  # hours


class Hour(NamedTuple):
    """An hour in which a host's amount is an outlier."""

    hour: int  # hours since the first of the series
    amount: float
    score: float  # modified z-score
    median: float  # of the baseline
    baseline: str  # the hours that it was compared with, in words


def find_outliers(series: np.ndarray, floor: float, least: float, factor: float) -> list[Hour]:
    """Return the hours whose amount is an outlier.

    Args:
        series: Amounts, one an hour, without gaps.
        floor: Least amount that counts.
        least: Least modified z-score.
        factor: How many times the median the amount must be.
    """
    outliers = []
    for hour in np.flatnonzero(series >= floor):
        x = series[hour]
        others = np.delete(np.arange(len(series)), hour)
        # Difference of the times of day in hours, whatever the day.
        offset = np.abs((others - hour + _DAY // 2) % _DAY - _DAY // 2)
        if (series[others[(offset <= 1) & (np.abs(others - hour) > 2)]] >= x / 2).any():
            continue
        weekly, daily = others[(others - hour) % _WEEK == 0], others[offset == 0]
        if len(weekly) >= 3:
            similar, baseline = weekly, "the same hour of other weeks"
        elif len(daily) >= 4:
            similar, baseline = daily, "the same hour of other days"
        else:  # without the neighbouring hours: a spike may last
            similar, baseline = others[np.abs(others - hour) > 2], "its other hours"
        median = float(np.median(series[similar]))
        mad = float(np.median(np.abs(series[similar] - median)))
        score = 0.6745 * (x - median) / max(mad, median / 10, floor / 50)
        if score >= least and x >= factor * median:
            outliers.append(Hour(int(hour), float(x), float(score), median, baseline))
    return outliers


def count_runs(hours: Collection[int]) -> int:
    """Count the runs of consecutive hours."""
    return sum(hour - 1 not in hours for hour in hours)
