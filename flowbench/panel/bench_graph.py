"""The graph of the hosts that the hunting bench shows, and the pivot from its nodes to a filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from flowbench.errors import FlowbenchError
from flowbench.investigate import where
from flowbench.panel.bench_state import BenchState
from flowbench.panel.finding_details import escape
from flowbench.panel.graph import GraphExplorer
from flowbench.panel.graph_state import GraphState
from flowbench.text import format_count, is_address

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_HOSTS = 10  # that the graph begins with


class BenchGraph(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A button that draws the graph of a view, and one that filters by the selected host.

    Attributes:
        explorer: The graph explorer; None until the graph is first drawn.

    Args:
        case: The case.
        read_view: Returns the view, the addresses that it shows, most first, and the number of its
            connections; None while it is not known.
        pivot: Called with the condition that a host adds to the filter.
    """

    def __init__(
        self,
        case: Case,
        read_view: Callable[[], tuple[BenchState, Sequence[str], int | None]],
        pivot: Callable[[str], None],
    ) -> None:
        self.case = case
        self.explorer: GraphExplorer | None = None
        self._read_view = read_view
        self._draw = self._button("Draw the graph of these connections", self.draw)
        self._filter = self._button("Filter by the selected host", self._pivot)
        self._filter.disabled = True
        self._on_pivot = pivot
        self._drawn = ""
        self._total: int | None = None
        self._message = ipywidgets.HTML()  # a Label would cut a sentence at the edge
        line = [self._draw, self._filter, self._message]
        self._line = ipywidgets.HBox(line, layout={"flex_flow": "row wrap"})
        super().__init__([self._line])

    def draw(self) -> None:
        """Draw what the view selects of the hosts that its filter names, else of the busiest."""
        self._message.value = ""
        state, shown, self._total = self._read_view()
        hosts = named_hosts(state) or tuple(shown[:MOST_HOSTS])
        if not hosts:
            self._message.value = "The view has no host to draw."
            return
        graph = GraphState(hosts, hosts, where=state.condition)
        try:
            if self.explorer is None:
                self.explorer = GraphExplorer(self.case, graph, height=480)
                self.explorer.observe(lambda _change: self._show_selected(), "selected")
                self.explorer.view.observe(lambda _change: self._tell_share(), "elements")
                self.children = [self._line, self.explorer]
            else:
                self.explorer.state = graph
        except FlowbenchError as error:
            self._message.value = escape(error)
            return
        self._drawn = state.condition
        self._tell_share()

    def compare(self, state: BenchState) -> None:
        """Tell the user if the graph is that of a view with another filter or period."""
        is_other = self.explorer is not None and state.condition != self._drawn
        if is_other:
            self._message.value = "The graph is of an earlier view: draw it again."
        else:
            self._tell_share()

    def _tell_share(self) -> None:
        """Tell how many of the view's connections the graph has, while it has the view's filter."""
        explorer = self.explorer
        is_same = explorer is not None and explorer.state.where == self._drawn
        self._message.value = ""
        if explorer is not None and is_same and self._total is not None:
            elements = explorer.view.elements
            shown, relayed = elements["connections"], elements["intermediate"]
            self._message.value = describe_share(shown, relayed, self._total)

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


def describe_share(shown: int, intermediate: int, total: int) -> str:
    """Write how much of a view its graph has.

    Args:
        shown: The connections of the graph.
        intermediate: Those of intermediate devices, which a graph never has.
        total: The connections of the view.
    """
    count = format_count(total, "connection")
    if shown >= total:
        return f"The graph has all {count} of the view."
    parts = [f"The graph has {shown:,} of the {count} of the view"]
    if intermediate:
        parts.append(f"{intermediate:,} of intermediate devices are not drawn")
    if (others := total - shown - intermediate) > 0:
        parts.append(f"{others:,} are of hosts that are not expanded")
    return f"{'; '.join(parts)}."


def named_hosts(state: BenchState) -> tuple[str, ...]:
    """Return the addresses of which each connection of a view has one, in the filter's order.

    These are the values of conditions on addresses that all connections must meet.
    """
    wanted: list[str] = []
    for term in where.terms_of(where.parse(state.filter)):
        if isinstance(term, where.Comparison) and _names_hosts(term):
            wanted += map(str, term.values)
    return tuple(dict.fromkeys(wanted))


def _names_hosts(term: where.Comparison) -> bool:
    is_address = term.field.name in ("src", "dst", "ip") and term.operator in ("=", "in")
    return is_address and all(isinstance(value, str) for value in term.values)
