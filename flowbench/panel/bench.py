"""The hunting bench: filter, brush and pivot over all connections of a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import ipywidgets
import pandas as pd
import traitlets

from flowbench import case as cases
from flowbench.errors import FlowbenchError
from flowbench.investigate import where
from flowbench.investigate.crossfilter import MEASURES, MOST_ROWS, Selection
from flowbench.investigate.where import FilterError
from flowbench.panel.bench_bookmarks import Bookmark, keep_bookmark, list_bookmarks
from flowbench.panel.bench_content import (
    PAGE,
    activity_content,
    bar_content,
    describe_totals,
    row_content,
)
from flowbench.panel.bench_graph import BenchGraph
from flowbench.panel.bench_state import ROWS, BenchState, History, make_state
from flowbench.panel.bench_values import Completion
from flowbench.panel.bench_view import BenchView
from flowbench.panel.bench_worker import Task, Worker

if TYPE_CHECKING:
    from flowbench.case import Case


class HuntingBench(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A panel with the connections of a case, and what it shows as one value.

    Queries run in a thread on a connection of their own; ``wait`` waits for them.

    Attributes:
        state: What is shown; setting it draws it.
        view: The front end.
        graph: The graph of the hosts that are shown.
        history: The views before and after.
        bookmarks: The views that are kept in the case, oldest first.
    """

    state = traitlets.Instance(BenchState)

    def __init__(self, case: Case, state: BenchState) -> None:
        self.case = case
        self._own = cases.Case.open(case.path)  # the user's may run queries at the same time
        self._worker = Worker(self._own.interrupt)
        self._completion = Completion(case)
        self._hosts: list[str] = []
        self._total: int | None = None  # connections of the view; None until they are counted
        self._periods: list[tuple[pd.Timestamp, pd.Timestamp]] = []
        self.history = History()
        self.view = BenchView()
        self.bookmarks: list[Bookmark] = []
        self.graph = BenchGraph(case, self._read_view, self.pivot)
        super().__init__([self.view, self.graph], state=state)
        self.view.on_msg(self._on_message)
        self.observe(lambda _change: self._draw(), "state")
        self._own.progress = self._show_progress
        self._list_bookmarks()
        self._draw()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the view is complete, at most some seconds."""
        self._worker.wait(timeout)

    def go(self, state: BenchState) -> None:
        """Show another view; ``back`` returns to this one."""
        if state != self.state:
            self.history.leave(self.state)
            self.state = state

    def pivot(self, condition: str) -> None:
        """Add a condition to the filter. Raises FilterError if it cannot be read."""
        self.go(self.state.narrow(condition))

    def back(self) -> None:
        """Show the view before this one."""
        self.state = self.history.back(self.state)

    def forward(self) -> None:
        """Show the view after this one."""
        self.state = self.history.forward(self.state)

    def cancel(self) -> None:
        """Stop the running queries; what they gave so far stays."""
        if self.view.status["busy"]:
            self._worker.stop()
            self._say("Cancelled: the view is not complete.")

    def bookmark(self, note: str) -> None:
        """Keep this view with a note in the case; timeline and report show the note.

        Raises InputError if the note is empty or too long.
        """
        self.wait()
        keep_bookmark(self.case, note, self.state, self.view.activity)
        self._list_bookmarks()

    def _draw(self) -> None:
        """Make the view a function of the state: at once what needs no query, then the rest."""
        state = self.state
        self._worker.stop()
        self._total = None
        with self.view.hold_sync():
            self.view.state = {"filter": state.filter, "measure": state.measure}
            self.view.error = {"text": "", "reason": "", "position": 0, "end": 0}
            self.view.code = state.to_code()
        self.graph.compare(state)
        self._say("Reading …", busy=True)
        self._worker.start(lambda task: self._read(state, task))

    def _read(self, state: BenchState, task: Task) -> None:
        """Compute the view; first what is quickest to see."""
        while not task.is_stopped:
            try:
                with Selection(self._own, state.filter, state.period) as selection:
                    self._fill(selection, state, task)
                self._say("")
            except duckdb.InterruptException:
                continue  # if it was meant for a task that had just ended, read again
            except FlowbenchError as error:
                self._say(f"{error}.")
            except Exception as error:  # noqa: BLE001  # nobody else would see it: it is a thread
                if not task.is_stopped:
                    self._say(f"The view cannot be computed: {type(error).__name__}: {error}.")
            return

    def _fill(self, selection: Selection, state: BenchState, task: Task) -> None:
        tables: dict[str, Any] = {}
        steps: list[tuple[str, Callable[[], None]]] = [
            ("rows", lambda: self._show_rows(selection, state)),
            ("totals", lambda: self._show_totals(selection, state)),
            ("activity", lambda: self._show_activity(selection, state)),
        ]
        for name in ("hosts", "services", "countries"):

            def read(name: str = name) -> None:
                tables[name] = getattr(selection, name)(state.measure)

            steps.append((name, read))
        if selection.is_counted:  # else the rows are there before all is counted
            steps.append(steps.pop(0))
        for number, (name, act) in enumerate(steps):
            task.check()
            self._say(f"Step {number + 1} of {len(steps)}: {name}", busy=True)
            act()
            task.check()
            if len(tables) == 3 and name == "countries":
                self._hosts = tables["hosts"]["address"].tolist()
                self.view.bars = bar_content(tables, state)

    def _show_rows(self, selection: Selection, state: BenchState) -> None:
        offset = state.page * PAGE
        try:
            rows = getattr(selection, state.rows)(offset, PAGE + 1)
        except FlowbenchError as error:  # a field that flow records lack
            self.view.rows = {**self.view.rows, "kind": state.rows, "rows": [], "note": f"{error}."}
            return
        self.view.rows = row_content(rows, state, MOST_ROWS)

    def _show_totals(self, selection: Selection, state: BenchState) -> None:
        totals = selection.totals()
        self._total = totals["connections"]
        self.view.totals = describe_totals(totals, state)

    def _show_activity(self, selection: Selection, state: BenchState) -> None:
        rows = selection.activity()
        self._periods = list(zip(rows["since"], rows["until"], strict=True))
        self.view.activity = activity_content(rows, state)

    def _show_progress(self, done: int, steps: int, text: str) -> None:
        if text:
            self._say(f"Step {done + 1} of {steps}: {text}", busy=True)

    def _read_view(self) -> tuple[BenchState, list[str], int | None]:
        self.wait()
        return self.state, self._hosts, self._total

    def _say(self, text: str, *, busy: bool = False) -> None:
        self.view.status = {
            "text": text,
            "busy": busy,
            "can_go_back": bool(self.history.earlier),
            "can_go_forward": bool(self.history.later),
        }

    def _on_message(self, _view: BenchView, message: Mapping[str, Any], _buffers: object) -> None:
        """Do what the user asked for; the user is told what cannot be done."""
        action = str(message.get("action"))
        actions: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "filter": lambda m: self._set_filter(str(m.get("text", ""))),
            "complete": self._complete,
            "brush": self._brush,
            "pivot": lambda m: self.pivot(str(m.get("condition", ""))),
            "measure": lambda m: self._choose("measure", m.get("measure"), MEASURES),
            "rows": lambda m: self._choose("rows", m.get("kind"), ROWS),
            "page": lambda m: self._turn(1 if m.get("by") == 1 else -1),
            "bookmark": lambda m: self.bookmark(str(m.get("note", ""))),
            "open": self._open_bookmark,
            "back": lambda _m: self.back(),
            "forward": lambda _m: self.forward(),
            "clear": lambda _m: self.go(BenchState(measure=self.state.measure)),
            "cancel": lambda _m: self.cancel(),
        }
        try:
            if action in actions:
                actions[action](message)
        except FlowbenchError as error:
            self._say(f"{error}.", busy=bool(self.view.status["busy"]))

    def _set_filter(self, text: str) -> None:
        try:
            where.parse(text)
        except FilterError as error:
            place = {"position": error.position, "end": error.end}
            self.view.error = {"text": text, "reason": str(error), **place}
            return
        state = replace(self.state, filter=text, page=0)
        if state == self.state:  # perhaps it was cancelled
            self._draw()
        self.go(state)

    def _complete(self, message: Mapping[str, Any]) -> None:
        text = str(message.get("text", ""))
        self.view.completion = self._completion.complete(text, message.get("position"))

    def _brush(self, message: Mapping[str, Any]) -> None:
        first, until = message.get("since"), message.get("until")
        periods = self._periods
        if isinstance(first, int) and isinstance(until, int) and 0 <= first < until <= len(periods):
            since, end = periods[first][0], periods[until - 1][1]
            self.go(replace(self.state, since=since, until=end, page=0))
        elif first is None:
            self.go(replace(self.state, since=None, until=None, page=0))

    def _choose(self, name: str, value: object, known: tuple[str, ...]) -> None:
        if value in known:
            changes: dict[str, Any] = {name: value, "page": 0}
            self.go(replace(self.state, **changes))

    def _turn(self, pages: int) -> None:
        page = self.state.page + pages
        if 0 <= page < MOST_ROWS // PAGE:
            self.state = replace(self.state, page=page)

    def _open_bookmark(self, message: Mapping[str, Any]) -> None:
        number = message.get("number")
        if isinstance(number, int) and 0 <= number < len(self.bookmarks):
            self.go(self.bookmarks[number].state)

    def _list_bookmarks(self) -> None:
        self.case.log.refresh()
        self.bookmarks = list_bookmarks(self.case)
        self.view.bookmarks = [
            {"label": mark.label, "number": n} for n, mark in enumerate(self.bookmarks)
        ]


def bench(
    case: Case,
    filter: str = "",  # noqa: A002  # what it is called everywhere else
    *,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    measure: str = "connections",
    rows: str = "connections",
) -> HuntingBench:
    """Open the hunting bench.

    A filter line, activity with a brush, top talkers, service ports and countries, and the
    connections or flow records by page. A click adds a condition. What the cube (case.cube) answers
    takes a second on 50 million records; other filters show first rows, then count.

    Args:
        case: The case.
        filter: A filter expression (docs/filters.md).
        since: Start of the period, UTC where it has no time zone; with ``until``.
        until: Its end, exclusive.
        measure: What bars and activity show: 'connections', 'bytes' or 'rejected'.
        rows: 'connections' or 'records' (flow log records).

    Returns:
        The panel; its ``state`` is what it shows.

    Raises:
        FilterError: The filter cannot be read.
        InputError: Another argument is none of the values above.
    """
    return HuntingBench(case, make_state(filter, since, until, measure, rows))
