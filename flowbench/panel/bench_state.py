"""What the hunting bench shows: one value, from which every view of it is made, and its history."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from datetime import datetime

import pandas as pd

from flowbench.errors import InputError
from flowbench.investigate import where
from flowbench.investigate.crossfilter import MEASURES, Period, select_in
from flowbench.panel.graph_state import to_utc

ROWS = ("connections", "records")
_CALL = "fb.panel.bench("


@dataclass(frozen=True)
class BenchState:
    """What is shown, and how.

    Attributes:
        filter: A filter expression; '' for everything.
        since: Start of the brushed period, UTC; None for the whole case.
        until: Its end, exclusive.
        measure: What bars and activity show, and order by: one of MEASURES.
        rows: Which rows are listed: one of ROWS.
        page: The page of rows, from 0.
    """

    filter: str = ""
    since: pd.Timestamp | None = None
    until: pd.Timestamp | None = None
    measure: str = "connections"
    rows: str = "connections"
    page: int = 0

    @property
    def period(self) -> Period | None:
        """The brushed period."""
        if self.since is None or self.until is None:
            return None
        return Period(self.since, self.until)

    @property
    def condition(self) -> str:
        """The filter with the brushed period, as one filter expression."""
        return where.format_filter(select_in(where.parse(self.filter), self.period))

    def narrow(self, condition: str) -> BenchState:
        """Add a condition to the filter, unless it has it.

        Raises:
            FilterError: The condition cannot be read.
        """
        terms, more = (where.terms_of(where.parse(text)) for text in (self.filter, condition))
        both = where.And((*terms, *(term for term in more if term not in terms)))
        only = both.terms[0] if len(both.terms) == 1 else both
        return replace(self, filter=where.format_filter(only), page=0)

    def to_code(self) -> str:
        """Return the call that makes the same view."""
        arguments = ["case"]
        if self.filter:
            arguments.append(repr(self.filter))
        if self.since is not None and self.until is not None:
            arguments.append(f"since={self.since.isoformat()!r}, until={self.until.isoformat()!r}")
        arguments += [
            f"{name}={getattr(self, name)!r}"
            for name in ("measure", "rows")
            if getattr(self, name) != "connections"
        ]
        return f"{_CALL}{', '.join(arguments)})"


def make_state(
    filter_text: str = "",
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    measure: str = "connections",
    rows: str = "connections",
) -> BenchState:
    """Check what a view is made of.

    Raises:
        FilterError: The filter cannot be read.
        InputError: A value is none of those that are allowed, or the period is empty.
    """
    where.parse(filter_text)
    for name, value, known in (("measure", measure, MEASURES), ("rows", rows, ROWS)):
        if value not in known:
            raise InputError(f"no {name} is called {value}; there are: {', '.join(known)}")
    try:
        start, end = to_utc(since), to_utc(until)
    except ValueError as error:
        raise InputError(f"{since} to {until}: invalid time; write 2026-09-01T12:00") from error
    if (start is None) != (end is None) or (start is not None and end is not None and start >= end):
        raise InputError("a period has a start before its end: give both since and until")
    return BenchState(filter_text, start, end, measure, rows)


def read_code(text: str) -> BenchState | None:
    """Return the view that ``to_code`` wrote; None for any other text, which is never run."""
    try:
        call = ast.parse(text, mode="eval").body
        if not text.startswith(_CALL) or not isinstance(call, ast.Call):
            return None
        values = [ast.literal_eval(argument) for argument in call.args[1:]]
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        return make_state(*values, **named)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, InputError):
        return None


@dataclass
class History:
    """The views before and after the one that is shown."""

    earlier: list[BenchState] = field(default_factory=list)
    later: list[BenchState] = field(default_factory=list)

    def leave(self, state: BenchState) -> None:
        """Remember a view that another one takes the place of; what was ahead is forgotten."""
        self.earlier.append(state)
        self.later.clear()

    def back(self, state: BenchState) -> BenchState:
        """Return the view before one; itself if there is none."""
        if not self.earlier:
            return state
        self.later.append(state)
        return self.earlier.pop()

    def forward(self, state: BenchState) -> BenchState:
        """Return the view after one; itself if there is none."""
        if not self.later:
            return state
        self.earlier.append(state)
        return self.later.pop()
