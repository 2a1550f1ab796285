"""The baseline period: its length by the length of the logs."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.detect.baseline import find_baseline

BEGIN = pd.Timestamp("2026-09-01", tz="UTC")


@pytest.mark.parametrize(
    ("days", "baseline"), [(1.5, 1.0), (2, 1.0), (3, 1.5), (14, 7.0), (60, 7.0)]
)
def test_half_of_the_logs_but_a_day_at_least_and_a_week_at_most(
    days: float, baseline: float
) -> None:
    found = find_baseline(BEGIN, BEGIN + pd.Timedelta(days=days))
    assert found is not None
    assert found.end == BEGIN + pd.Timedelta(days=baseline)
    assert found.middle == BEGIN + pd.Timedelta(days=baseline / 2)
    assert found.seconds == baseline * 86_400
    assert found.seconds_after == pytest.approx((days - baseline) * 86_400)
    assert found.scale == pytest.approx((days - baseline) / (baseline / 2))


@pytest.mark.parametrize("end", [None, BEGIN, BEGIN + pd.Timedelta(days=1.49), pd.NaT])
def test_short_or_no_logs_have_none(end: pd.Timestamp | None) -> None:
    assert find_baseline(BEGIN, end) is None
    assert find_baseline(None, end) is None
