"""A slider for the period that a panel shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import ipywidgets
import pandas as pd

from flowbench.text import format_period, format_time

_STEPS = ("1min", "5min", "15min", "1h", "3h", "6h", "12h", "1D", "7D", "30D")
_MOST_STEPS = 200
_NOTHING = pd.Timestamp(0, tz="UTC")  # of a case without records


class PeriodSlider(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Shows a period within another, and calls back with what the user chooses.

    Attributes:
        slider: The slider; its options are times.

    Args:
        span: The whole period, UTC.
        on_change: Called with ``since`` and ``until``: two times, or two Nones for everything.
    """

    def __init__(
        self,
        span: tuple[pd.Timestamp | None, pd.Timestamp | None],
        on_change: Callable[..., None],
    ) -> None:
        self._times = period_steps(*span)
        self._on_change = on_change
        self._is_showing = False
        self.slider = ipywidgets.SelectionRangeSlider(
            options=self._times,
            description="Seen (UTC)",
            continuous_update=False,
            readout=False,  # too narrow for two times
            layout={"width": "420px", "max_width": "100%"},
        )
        self._shown = ipywidgets.Label(layout={"margin": "2px 12px"})  # clear of the handle
        super().__init__([self.slider, self._shown], layout={"flex_flow": "row wrap"})
        self.slider.observe(self._report, "value")

    def show(self, since: datetime | None, until: datetime | None) -> None:
        """Show a period, also one that begins or ends between the slider's steps."""
        chosen = (since or self._times[0], until or self._times[-1])
        times = sorted({*self._times, *chosen})
        self._is_showing = True
        try:
            self.slider.options = [(format_time(time), time) for time in times]
            self.slider.index = (times.index(chosen[0]), times.index(chosen[1]))
            self._shown.value = format_period(*chosen)
        finally:
            self._is_showing = False

    def _report(self, change: dict[str, Any]) -> None:
        if self._is_showing:
            return
        since, until = change["new"]
        everything = since <= self._times[0] and until >= self._times[-1]
        self._on_change(since=None if everything else since, until=None if everything else until)


def period_steps(first: pd.Timestamp | None, last: pd.Timestamp | None) -> list[pd.Timestamp]:
    """Divide a period into steps of a minute to a month, at most 200 of them, for a slider."""
    first, last = first or _NOTHING, last or _NOTHING
    step = next((s for s in _STEPS if (last - first) / pd.Timedelta(s) < _MOST_STEPS), _STEPS[-1])
    end = last.floor(step) + pd.Timedelta(step)
    return list(pd.date_range(first.floor(step), end, freq=step))
