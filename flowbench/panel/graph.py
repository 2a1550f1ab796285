"""The graph explorer: the hosts of a case's findings, and their neighbours step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import ipywidgets
import traitlets

from flowbench.case.positions import check_positions, read_positions, write_positions
from flowbench.detect.grouping import findings_by_group
from flowbench.errors import FlowbenchError, InputError
from flowbench.investigate import where as filters
from flowbench.investigate.neighbour_scope import MOST_NODES
from flowbench.investigate.neighbours import (
    build_neighbourhood,
    find_protected,
    list_members,
)
from flowbench.investigate.pivot import resolve
from flowbench.panel.graph_controls import GraphControls, read_tags
from flowbench.panel.graph_elements import to_elements
from flowbench.panel.graph_state import COLORS, MOST, TAG, GraphState, to_utc
from flowbench.panel.graph_view import GraphView
from flowbench.panel.kept_findings import kept_findings
from flowbench.text import escape_controls, format_count, is_address

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST_HOSTS = 12  # of finding groups, to begin with
_MOST_EXPANDED = 5  # hosts that a pivot may stand for to be expanded at once


class GraphExplorer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A panel with the graph, and what it shows as one value.

    Attributes:
        state: What is shown; setting it draws it.
        selected: The id of the selected node or edge; '' without one.
        view: The graph itself.
        controls: What the user sets.
    """

    state = traitlets.Instance(GraphState)
    selected = traitlets.Unicode("")

    def __init__(self, case: Case, state: GraphState, *, height: int = 560) -> None:
        self.case = case
        self.view = GraphView(height=height)
        self._protected = find_protected(case)
        self._positions = read_positions(case.path)
        self._error = ipywidgets.Label(layout={"display": "none"})
        self.controls = GraphControls(case, self._set)
        super().__init__([self.controls, self._error, self.view], state=state)
        traitlets.link((self, "selected"), (self.view, "selected"))
        self.view.on_msg(self._on_message)
        self.view.observe(self._show_members, "selected")
        self.observe(lambda _change: self._draw(), "state")
        self._draw()

    def expand(self, node: str) -> None:
        """Show the neighbours of a node."""
        self.state = self.state.expand(node)

    def collapse(self, node: str) -> None:
        """Hide the neighbours of a node, except those that another one has."""
        self.state = self.state.collapse(node)

    def show(self, address: str) -> None:
        """Show an address by itself, although it belongs to a group, and select it."""
        self.state = self.state.show(address)
        self.selected = address

    def _set(self, **values: Any) -> None:
        self._tell("")
        try:
            filters.parse(values.get("where", ""))
        except FlowbenchError as error:
            self._tell(error)
        else:
            self.state = replace(self.state, **values)

    def _draw(self) -> None:
        """Make the view a function of the state."""
        state = self.state
        graph = build_neighbourhood(self.case, state.scope, self._protected)
        elements = to_elements(graph, state, read_tags(self.case, state.color, list(graph)))
        ids = {element["id"] for kind in ("nodes", "edges") for element in elements[kind]}
        known = {node: self._positions[node] for node in graph if node in self._positions}
        with self.view.hold_sync():
            self.view.positions = {node: list(place) for node, place in known.items()}
            self.view.elements = elements
            self.view.code = state.to_code()
            if self.view.selected not in ids:
                self.view.selected = ""
        self.controls.show(state)
        self._show_members()

    def _show_members(self, _change: object = None) -> None:
        """List the members of the selected group."""
        group = self.view.selected
        count = self._nodes().get(group, {}).get("members", 0)
        if not count:
            self.view.members = {}
            return
        rows = list_members(self.case, self.state.scope, self._protected, group)
        items = [
            {"id": row.address, "text": f"{row.address} ({row.connections:,})"}
            for row in rows.itertuples()
        ]
        left = count - len(items)
        more = f"{format_count(left, 'more address', 'more addresses')}." if left else ""
        self.view.members = {"group": group, "items": items, "more": more}

    def _on_message(self, _view: GraphView, message: dict[str, Any], _buffers: object) -> None:
        """Do what the user asked for; the user is told what cannot be done."""
        node, action = str(message.get("node", "")), message.get("action")
        self._tell("")
        try:
            if action == "moved":
                self._move(message.get("positions"))
            elif action == "show" and is_address(node):
                self.show(node)
            elif action in ("expand", "collapse") and node in self._nodes():
                getattr(self, action)(node)
        except (FlowbenchError, OSError, duckdb.Error) as error:  # the case may be gone
            self._tell(error)

    def _tell(self, text: object) -> None:
        """Show what cannot be done; without it there is no line for it."""
        self._error.value = escape_controls(text)
        self._error.layout.display = None if self._error.value else "none"

    def _nodes(self) -> dict[str, dict[str, Any]]:
        return {node["id"]: node for node in self.view.elements["nodes"]}

    def _move(self, content: object) -> None:
        """Keep where nodes were placed or moved to."""
        nodes = self._nodes()
        moved = {n: place for n, place in check_positions(content).items() if n in nodes}
        self._positions |= moved
        lists = {node: list(place) for node, place in moved.items()}
        self.view.positions = {**self.view.positions, **lists}
        write_positions(self.case.path, self._positions)


def graph(
    case: Case,
    around: str | Sequence[str] | None = None,
    *,
    expanded: Sequence[str] | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    where: str = "",
    color: str = "verdict",
    most: int = MOST,
    height: int = 560,
) -> GraphExplorer:
    """Open the graph explorer.

    A click selects a node and shows its facts, a double click or Enter shows its neighbours. Too
    many neighbours are grouped; a group lists its members. Where nodes are drawn is kept in the
    case.

    Args:
        case: The case.
        around: Where to begin: what ``fb.pivot.resolve`` takes, one or several. Without it, the
            hosts of the finding groups of the last run that the case keeps.
        expanded: Addresses whose neighbours are shown; by default the first host, or all that
            ``around`` stands for, if these are few.
        since: Only connections seen since then; UTC where it has no time zone.
        until: Only connections that began before then.
        where: Only connections that match this filter expression (docs/filters.md).
        color: 'verdict', 'bytes', or 'tag:' and the key of a tag.
        most: The number of nodes above which neighbours are grouped, at most 1,000.
        height: Of the drawing, in pixels.

    Returns:
        The panel; its ``state`` is what it shows, ``selected`` the selected node or edge.

    Raises:
        InputError: ``around`` is nothing in this case, there are no findings to begin with, or
            an argument is none of the values above.
        FilterError: ``where`` cannot be read.
    """
    if color not in COLORS and not color.startswith(TAG):
        raise InputError(f"cannot colour by {color!r}: choose verdict, bytes or tag:KEY")
    if not 0 < most <= MOST_NODES:
        raise InputError(f"cannot show {most:,} nodes: choose 1 to {MOST_NODES:,}")
    filters.parse(where)
    if around is None:
        hosts = _finding_hosts(case)
        first = hosts[:1]
    else:
        texts = [around] if isinstance(around, str) else around
        found = [address for text in texts for address in resolve(case, text).addresses]
        hosts = tuple(dict.fromkeys(found))
        first = hosts if len(hosts) <= _MOST_EXPANDED else ()
    named = [address for text in expanded or () for address in resolve(case, text).addresses]
    state = GraphState(
        hosts=hosts,
        expanded=first if expanded is None else tuple(dict.fromkeys(named)),
        since=to_utc(since),
        until=to_utc(until),
        color=color,
        most=most,
        where=where,
    )
    return GraphExplorer(case, state, height=height)


def _finding_hosts(case: Case) -> tuple[str, ...]:
    """The hosts of the finding groups, those of the most severe group first."""
    kept = kept_findings(case)
    remedy = "give `around`: an address, an instance, a name, …"
    if kept is None:
        raise InputError(f"the case keeps no findings: run fb.detect.run(case) first, or {remedy}")
    groups = findings_by_group(kept)
    subjects = [
        subject
        for group, findings in groups.items()
        for subject in (group, *(finding.subject for finding in findings))
    ]
    hosts = tuple(dict.fromkeys(filter(is_address, subjects)))[:_MOST_HOSTS]
    if not hosts:
        raise InputError(f"no finding of the case is about a host: {remedy}")
    return hosts
