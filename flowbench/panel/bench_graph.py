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
from flowbench.text import escape_controls, format_count, is_address

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
        self._hosts: Sequence[str] = ()  # the busiest, if the filter named none
        self._message = ipywidgets.Label()
        line = [self._draw, self._filter, self._message]
        self._line = ipywidgets.HBox(line, layout={"flex_flow": "row wrap"})
        super().__init__([self._line])

    def draw(self) -> None:
        """Draw what the view selects of the hosts that its filter names, else of the busiest."""
        self._message.value = ""
        state, shown, self._total = self._read_view()
        named = named_hosts(state)
        hosts = named or tuple(shown[:MOST_HOSTS])
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
            self._message.value = escape_controls(error)
            return
        self._drawn = state.condition
        self._hosts = () if named else hosts
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
            shown = explorer.view.elements["connections"]
            self._message.value = describe_share(shown, self._total, len(self._hosts))

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


def describe_share(shown: int, total: int, busiest: int) -> str:
    """Write how much of a view its graph has.

    Args:
        shown: The connections of the graph.
        total: The connections of the view.
        busiest: The number of hosts with the most that the graph began with; 0 if the filter names
            its hosts.
    """
    if shown >= total:
        return f"The graph has all {format_count(total, 'connection')} of the view."
    text = f"The graph has {shown:,} of the {format_count(total, 'connection')} of the view"
    if busiest:
        hosts = format_count(busiest, "host")
        text += f": those of the {hosts} with the most. Expand other nodes for more"
    return f"{text}."


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
