"""The slider for a period: its steps, times between them, and what it reports."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.panel.period_slider import PeriodSlider, period_steps


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("last", "count", "end"),
    [
        ("2026-09-01 01:00", 62, "2026-09-01 01:01"),
        ("2026-09-04 00:00", 74, "2026-09-04 01:00"),
        ("2026-12-01 00:00", 184, "2026-12-01 12:00"),
        ("2036-09-01 00:00", 124, "2036-09-11"),
    ],
)
def test_steps_suit_the_length_of_the_period(last, count, end) -> None:
    steps = period_steps(utc("2026-09-01 00:00:30"), utc(last))
    assert (len(steps), steps[-1]) == (count, utc(end))
    assert steps[0] <= utc("2026-09-01 00:00:30")


def test_a_case_without_records_has_steps() -> None:
    assert len(period_steps(None, None)) == 2


@pytest.fixture
def changes() -> list[dict]:
    return []


@pytest.fixture
def period(changes) -> PeriodSlider:
    shown = PeriodSlider(
        (utc("2026-09-01"), utc("2026-09-04")), lambda **change: changes.append(change)
    )
    shown.show(None, None)
    return shown


def test_a_time_between_steps_is_shown_without_calling_back(period, changes) -> None:
    since = utc("2026-09-02 02:30:14")
    period.show(since, None)
    assert period.slider.value == (since, utc("2026-09-04 01:00"))
    period.show(None, None)
    assert since not in [time for _label, time in period.slider.options]
    assert changes == []


def test_a_choice_is_reported_and_everything_is_none(period, changes) -> None:
    count = len(period.slider.options)
    period.slider.index = (1, count - 1)
    period.slider.index = (0, count - 1)
    assert changes == [
        {"since": utc("2026-09-01 01:00"), "until": utc("2026-09-04 01:00")},
        {"since": None, "until": None},
    ]
