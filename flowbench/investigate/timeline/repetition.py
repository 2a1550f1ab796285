"""Repetition in words: how many times something happened, and at which interval."""

from __future__ import annotations

from flowbench.text import format_duration

_FEWEST = 4  # events that show an interval
_MOST_VARIATION = 0.25  # standard deviation of the intervals over their mean


def describe_repetition(count: int, mean: float | None, deviation: float | None) -> str:
    """State how many times something happened: ``288 times, every 5 min``.

    The interval is stated where it varies by at most a quarter of its mean (the coefficient of
    variation), for four events or more.

    Args:
        count: The number of events.
        mean: The mean of the intervals between them, in seconds; None without intervals.
        deviation: Their standard deviation, in seconds.
    """
    times = "once" if count == 1 else f"{count:,} times"
    if count < _FEWEST or not mean or deviation is None or deviation > _MOST_VARIATION * mean:
        return times
    return f"{times}, every {format_duration(mean)}"
