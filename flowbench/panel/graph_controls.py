"""The controls of the graph explorer: the period, what colours the graph, and when to group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import pandas as pd
from ibis import _

from flowbench.investigate.neighbours import MOST_NODES
from flowbench.panel.graph_state import MOST, TAG, GraphState
from flowbench.text import escape_controls, format_period, format_time

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST_TAGS = 50  # keys of tags that can be chosen as a colour
_SIZES = (50, MOST, MOST_NODES)
_STEPS = ("1min", "5min", "15min", "1h", "3h", "6h", "12h", "1D", "7D", "30D")
_MOST_STEPS = 200  # of the time slider


class GraphControls(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Shows a state, and calls back with what the user changes of it.

    Args:
        case: The case.
        on_change: Called with the names and values of a GraphState that change.
    """

    def __init__(self, case: Case, on_change: Callable[..., None]) -> None:
        self._times = period_steps(*case.span)
        self._colors = color_options(case)
        self._on_change = on_change
        self._is_showing = False
        self.period = ipywidgets.SelectionRangeSlider(
            options=self._times,
            description="Seen (UTC)",
            continuous_update=False,
            readout=False,  # too narrow for two times
            layout={"width": "420px", "max_width": "100%"},
        )
        self._shown_period = ipywidgets.Label()
        self.color = ipywidgets.Dropdown(options=self._colors, description="Colour")
        wide = {"description_width": "initial"}
        self.most = ipywidgets.Dropdown(options=_SIZES, description="Group above", style=wide)
        controls = [self.period, self._shown_period, self.color, self.most]
        super().__init__(controls, layout={"flex_flow": "row wrap"})
        for control in (self.period, self.color, self.most):
            control.observe(self._report, "value")

    def show(self, state: GraphState) -> None:
        """Show a state, also one with values that the user could not choose."""
        first, last = self._times[0], self._times[-1]
        chosen = (state.since or first, state.until or last)
        times = sorted({*self._times, *chosen})
        colors = {value: label for label, value in self._colors}
        colors.setdefault(state.color, f"tag {escape_controls(state.color.removeprefix(TAG))}")
        self._is_showing = True
        try:
            self.period.options = [(format_time(time), time) for time in times]
            self.period.index = (times.index(chosen[0]), times.index(chosen[1]))
            self._shown_period.value = format_period(*chosen)
            self.color.options = [(label, value) for value, label in colors.items()]
            self.color.value = state.color
            sizes = sorted({*_SIZES, state.most})
            self.most.options = [(f"{size:,} nodes", size) for size in sizes]
            self.most.value = state.most
        finally:
            self._is_showing = False

    def _report(self, change: dict[str, Any]) -> None:
        if self._is_showing:
            return
        if change["owner"] is not self.period:
            name = "color" if change["owner"] is self.color else "most"
            self._on_change(**{name: change["new"]})
            return
        since, until = change["new"]
        everything = since <= self._times[0] and until >= self._times[-1]
        self._on_change(since=None if everything else since, until=None if everything else until)


def period_steps(first: pd.Timestamp | None, last: pd.Timestamp | None) -> list[pd.Timestamp]:
    """Divide a period into steps of a minute to a month, at most 200 of them, for a slider."""
    nothing = pd.Timestamp(0, tz="UTC")
    first, last = first or nothing, last or nothing
    step = next((s for s in _STEPS if (last - first) / pd.Timedelta(s) < _MOST_STEPS), _STEPS[-1])
    end = last.floor(step) + pd.Timedelta(step)
    return list(pd.date_range(first.floor(step), end, freq=step))


def color_options(case: Case) -> list[tuple[str, str]]:
    """List what may colour the graph: the verdict, bytes, and each key of tags in the inventory."""
    keys = case.addresses.select(key=_.tags.keys().unnest()).distinct()
    rows = keys.filter(_.key.notnull()).order_by("key").limit(_MOST_TAGS).to_pyarrow()
    tags = [(f"tag {escape_controls(key)}", TAG + key) for key in rows["key"].to_pylist()]
    return [("verdict", "verdict"), ("bytes", "bytes"), *tags]


def read_tags(case: Case, color: str, nodes: Sequence[str]) -> dict[str, str]:
    """Read the value of the tag that colours the graph, by address; of several the last one."""
    if not color.startswith(TAG):
        return {}
    rows = case.addresses.filter(_.address.isin(list(nodes)))
    rows = rows.select("address", "valid_from", tag=rows.tags.get(color.removeprefix(TAG)))
    rows = rows.filter(rows.tag.notnull()).order_by("address", "valid_from", "tag")
    return {row["address"]: row["tag"] for row in rows.to_pyarrow().to_pylist()}
