"""The graph of the hosts that the hunting bench shows, and the pivot from its nodes to a filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from flowbench.errors import FlowbenchError
from flowbench.investigate import where
from flowbench.panel.bench_state import BenchState
from flowbench.panel.graph import GraphExplorer
from flowbench.panel.graph_state import GraphState
from flowbench.text import escape_controls, is_address

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_HOSTS = 10  # that the graph begins with


class BenchGraph(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A button that draws the graph of a view, and one that filters by the selected host.

    Attributes:
        explorer: The graph explorer; None until the graph is first drawn.

    Args:
        case: The case.
        read_view: Returns the view and the addresses that it shows, most first.
        pivot: Called with the condition that a host adds to the filter.
    """

    def __init__(
        self,
        case: Case,
        read_view: Callable[[], tuple[BenchState, Sequence[str]]],
        pivot: Callable[[str], None],
    ) -> None:
        self.case = case
        self.explorer: GraphExplorer | None = None
        self._read_view = read_view
        self._draw = self._button("Draw the graph of these hosts", self.draw)
        self._filter = self._button("Filter by the selected host", self._pivot)
        self._filter.disabled = True
        self._on_pivot = pivot
        self._message = ipywidgets.Label()
        line = [self._draw, self._filter, self._message]
        self._line = ipywidgets.HBox(line, layout={"flex_flow": "row wrap"})
        super().__init__([self._line])

    def draw(self) -> None:
        """Draw the graph of the view: hosts that the filter names, else those with the most."""
        self._message.value = ""
        state, shown = self._read_view()
        named = named_hosts(state)
        hosts = tuple(dict.fromkeys([*named, *shown]))[:MOST_HOSTS]
        if not hosts:
            self._message.value = "The view has no host to draw."
            return
        graph = GraphState(named or hosts, named, since=state.since, until=state.until)
        try:
            if self.explorer is None:
                self.explorer = GraphExplorer(self.case, graph, height=480)
                self.explorer.observe(lambda _change: self._show_selected(), "selected")
                self.children = [self._line, self.explorer]
            else:
                self.explorer.state = graph
        except FlowbenchError as error:
            self._message.value = escape_controls(error)

    def _show_selected(self) -> None:
        selected = self.explorer.selected if self.explorer else ""
        is_host = is_address(selected)
        self._filter.disabled = not is_host
        self._filter.description = (
            f"Filter by {selected}" if is_host else "Filter by the selected host"
        )

    def _pivot(self) -> None:
        if self.explorer is not None and is_address(self.explorer.selected):
            self._on_pivot(f"ip = {self.explorer.selected}")

    def _button(self, text: str, act: Callable[[], Any]) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, layout={"width": "auto"})
        button.on_click(lambda _button: act())
        return button


def named_hosts(state: BenchState) -> tuple[str, ...]:
    """Return the addresses that the filter of a view asks for, in its order."""
    wanted = [
        value
        for comparison in where.comparisons(where.parse(state.filter))
        if comparison.field.name in ("src", "dst", "ip") and comparison.operator in ("=", "in")
        for value in comparison.values
        if isinstance(value, str)
    ]
    return tuple(dict.fromkeys(wanted))
