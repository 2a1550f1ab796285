"""The controls of the graph explorer: period, filter, what colours the graph, when to group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
from ibis import _

from flowbench.investigate.graph import tag_values
from flowbench.investigate.neighbour_scope import MOST_NODES
from flowbench.panel.graph_state import MOST, TAG, GraphState
from flowbench.panel.period_slider import PeriodSlider
from flowbench.text import escape_controls

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST_TAGS = 50  # keys of tags that can be chosen as a colour
_SIZES = (50, MOST, MOST_NODES)


class GraphControls(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Shows a state, and calls back with what the user changes of it.

    Args:
        case: The case.
        on_change: Called with the names and values of a GraphState that change.
    """

    def __init__(self, case: Case, on_change: Callable[..., None]) -> None:
        self._colors = color_options(case)
        self._on_change = on_change
        self._is_showing = False
        self.period = PeriodSlider(case.span, on_change)
        self.color = ipywidgets.Dropdown(options=self._colors, description="Colour")
        wide = {"description_width": "initial"}
        self.most = ipywidgets.Dropdown(options=_SIZES, description="Group above", style=wide)
        self.where = ipywidgets.Text(
            description="Filter",
            placeholder="dport = 22 and bytes > 1MB",
            continuous_update=False,  # when Enter is pressed or the field is left
            layout={"flex": "1 1 320px", "min_width": "240px"},
        )
        self._names = {self.color: "color", self.most: "most", self.where: "where"}
        super().__init__([self.period, *self._names], layout={"flex_flow": "row wrap"})
        for control in self._names:
            control.observe(self._report, "value")

    def show(self, state: GraphState) -> None:
        """Show a state, also one with values that the user could not choose."""
        self.period.show(state.since, state.until)
        colors = {value: label for label, value in self._colors}
        colors.setdefault(state.color, f"tag {escape_controls(state.color.removeprefix(TAG))}")
        self._is_showing = True
        try:
            self.color.options = [(label, value) for value, label in colors.items()]
            self.color.value = state.color
            sizes = sorted({*_SIZES, state.most})
            self.most.options = [(f"{size:,} nodes", size) for size in sizes]
            self.most.value = state.most
            self.where.value = state.where
        finally:
            self._is_showing = False

    def _report(self, change: dict[str, Any]) -> None:
        if not self._is_showing:
            self._on_change(**{self._names[change["owner"]]: change["new"]})


def color_options(case: Case) -> list[tuple[str, str]]:
    """List what may colour the graph: the verdict, bytes, and each key of tags in the inventory."""
    keys = case.addresses.select(key=_.tags.keys().unnest()).distinct()
    rows = keys.filter(_.key.notnull()).order_by("key").limit(_MOST_TAGS).to_pyarrow()
    tags = [(f"tag {escape_controls(key)}", TAG + key) for key in rows["key"].to_pylist()]
    return [("verdict", "verdict"), ("bytes", "bytes"), *tags]


def read_tags(case: Case, color: str, nodes: Sequence[str]) -> dict[str, str]:
    """Read the value of the tag that colours the graph, by address."""
    return tag_values(case, color.removeprefix(TAG), nodes) if color.startswith(TAG) else {}
