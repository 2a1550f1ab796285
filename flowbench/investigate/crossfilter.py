"""Some connections of a case, summed by time, host, service, country and pair for panels.

Sums come from the cube (case.cube) where it answers the filter, else from the connections that
match, which are counted once like the cube. Method: crossfilter, as of Liu, Jiang and Heer, imMens
(EuroVis 2013): sums over dense aggregates made once, not over rows.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self

import ibis
import pandas as pd
from ibis import _

from flowbench.case.cube import count_cells
from flowbench.connections import TABLE
from flowbench.investigate import where
from flowbench.investigate.where import Expression
from flowbench.schema import Table, record_key, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

MEASURES = ("connections", "bytes", "rejected")
MOST_ROWS = 10_000  # to which rows can be paged: a narrower filter shows others

_SUMS = (
    ("connections", "int64", "number of connections"),
    ("rejected", "int64", "number of them that were rejected"),
    ("bytes", "int64", "bytes in both directions"),
)
ACTIVITY = Table.of(
    "activity",
    ("since", "time", "start of the period"),
    ("until", "time", "its end, exclusive"),
    *_SUMS,
)
HOSTS = Table.of(
    "hosts",
    ("address", "string", "the address"),
    ("name", "string", "its Name tag; untrusted text"),
    ("internal", "bool", "whether it belongs to the monitored network"),
    ("country", "string", "country of its network"),
    ("network_owner", "string", "network owner; untrusted text"),
    ("indicators", "int64", "number of indicators that cover it"),
    *_SUMS,
)
SERVICES = Table.of(
    "services",
    ("service_port", "int32", "service port"),
    ("protocol", "int32", "IANA protocol number"),
    *_SUMS,
)
COUNTRIES = Table.of("countries", ("country", "string", "country of one of the ends"), *_SUMS)
PAIRS = Table.of(
    "pairs",
    ("initiator", "string", "address that opened the connections"),
    ("responder", "string", "address that they were opened to"),
    *_SUMS,
)
_MEASURES = [name for name, _type, _meaning in _SUMS]


@dataclass(frozen=True)
class Period:
    """A period of time, to which activity is not limited: it shows what else could be chosen."""

    since: datetime
    until: datetime  # exclusive


class Selection:
    """The connections that match a filter, in a period or at any time.

    Attributes:
        case: The case.
        where: The filter expression, without the period.
        expression: The filter expression with the period.
        is_counted: Whether the cube answers it. If not, the matching connections are counted when
            a sum is first asked for, which takes longer.
    """

    def __init__(self, case: Case, filter_text: str = "", period: Period | None = None) -> None:
        """Select connections.

        Args:
            case: The case.
            filter_text: A filter expression.
            period: The period in which the connections start.

        Raises:
            FilterError: The filter cannot be read.
        """
        self.case = case
        self.where = where.parse(filter_text)
        self.expression = select_in(self.where, period)
        self._stack = ExitStack()
        self._condition = where.cube_condition(case, self.expression)
        self.is_counted = self._condition is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was counted for this selection."""
        self._stack.close()

    @cached_property
    def cells(self) -> ibis.Table:
        """The cells of the connections (cube.CELLS)."""
        return self._count(self.expression, self._condition)

    def _count(self, expression: Expression, condition: ibis.Value | None) -> ibis.Table:
        if condition is not None:
            return self.case.cube.cells.filter(condition)
        some = where.filter_connections(self.case, expression)
        counted = count_cells(some, self.case.cube)
        return self._stack.enter_context(self.case.materialized(counted))

    def totals(self) -> dict[str, int]:
        """Return the number of connections, of rejected ones, and of bytes, by MEASURES."""
        rows = _summed(self.cells).to_pyarrow().to_pylist()
        return {name: rows[0][name] or 0 for name in _MEASURES}

    def activity(self) -> pd.DataFrame:
        """Return the sums of every period of the cube (ACTIVITY), whatever period is selected."""
        cells = self.cells
        if self.where is not self.expression:
            cells = self._count(self.where, where.cube_condition(self.case, self.where))
        sums = _summed(cells.group_by("period"))
        rows = self.case.cube.periods.left_join(sums, "period").drop("period_right")
        rows = rows.mutate({name: rows[name].fill_null(0).cast("int64") for name in _MEASURES})
        return _frame(ACTIVITY, rows.order_by("period"))

    def hosts(self, measure: str = "connections", most: int = 15) -> pd.DataFrame:
        """Return the hosts with the most connections, bytes or rejected connections (HOSTS)."""
        top = self._by_host.order_by(ibis.desc(measure), "number").limit(most)
        rows = top.inner_join(self.case.cube.addresses, "number")
        return _frame(HOSTS, rows.order_by(ibis.desc(measure), "number"))

    def services(self, measure: str = "connections", most: int = 15) -> pd.DataFrame:
        """Return the services with the most connections, … (SERVICES)."""
        rows = _summed(self.cells.group_by("service_port", "protocol"))
        return _frame(SERVICES, _top(rows, measure, most, "service_port", "protocol"))

    def countries(self, measure: str = "connections", most: int = 15) -> pd.DataFrame:
        """Return the countries with the most connections, … (COUNTRIES)."""
        rows = self._by_host.inner_join(self.case.cube.addresses, "number")
        rows = rows.filter(rows.country.notnull()).group_by("country")
        sums = rows.aggregate(**{name: _[name].sum() for name in _MEASURES})
        return _frame(COUNTRIES, _top(sums, measure, most, "country"))

    def pairs(self, measure: str = "connections", most: int = 60) -> pd.DataFrame:
        """Return the pairs of hosts with the most connections, … (PAIRS)."""
        by_pair = self.cells.group_by("initiator", "responder")
        top = _top(_summed(by_pair), measure, most, "initiator", "responder")
        names = self.case.cube.addresses.select("number", "address")
        top = top.rename(initiator_number="initiator", responder_number="responder")
        for end in ("initiator", "responder"):
            named = names.rename({f"{end}_number": "number", end: "address"})
            top = top.inner_join(named, f"{end}_number")
        order = (ibis.desc(measure), "initiator_number", "responder_number")
        return _frame(PAIRS, top.order_by(order))

    def connections(self, offset: int = 0, limit: int = 25) -> pd.DataFrame:
        """Return some connections by time (connections.TABLE)."""
        rows = where.filter_connections(self.case, self.expression)
        first = ["first_seen", "initiator", "responder", "service_port", "protocol"]
        order = first + [name for name in TABLE.columns if name not in first]
        if self.is_counted:
            rows, offset = self._around(rows, offset, limit)
        else:  # the engine orders one column of many rows much faster than all columns
            times = rows.select("first_seen").order_by("first_seen").limit(offset + limit)
            last = times.aggregate(last=_.first_seen.max()).to_pyarrow()["last"][0].as_py()
            rows = rows.filter(ibis.literal(False) if last is None else rows.first_seen <= last)
        return _frame(TABLE, rows.order_by(order).limit(limit, offset=offset))

    def _around(self, rows: ibis.Table, offset: int, limit: int) -> tuple[ibis.Table, int]:
        """The connections of the periods that have some rows by time, and their offset there."""
        counts = self._by_period.set_index("period")["connections"].sort_index()
        until = counts.cumsum()
        start = until - counts
        wanted = counts[(until > offset) & (start < offset + limit)]
        if wanted.empty:
            return rows.filter(ibis.literal(False)), 0
        scale = self.case.cube.scale.set_index("period")
        since, end = scale["since"][wanted.index[0]], scale["until"][wanted.index[-1]]
        rows = rows.filter(rows.first_seen >= since, rows.first_seen < end)
        return rows, offset - int(start[wanted.index[0]])

    @cached_property
    def _by_period(self) -> pd.DataFrame:
        return to_frame(_summed(self.cells.group_by("period")).to_pyarrow())

    def records(self, offset: int = 0, limit: int = 25) -> pd.DataFrame:
        """Return some flow records that match, by time, with evidence id and line.

        Raises:
            InputError: The filter has a field that flow records lack.
        """
        rows = where.filter_flows(self.case, self.expression)
        order = ["start", *record_key(rows.columns)]
        return to_frame(rows.order_by(order).limit(limit, offset=offset).to_pyarrow())

    @cached_property
    def _by_host(self) -> ibis.Table:
        """The sums of each host, at either end of connections, by its number."""
        ends = [
            _summed(self.cells.group_by(number=end)).select("number", *_MEASURES)
            for end in ("initiator", "responder")
        ]
        both = ends[0].union(ends[1]).group_by("number")
        sums = both.aggregate(**{name: _[name].sum() for name in _MEASURES})
        return self._stack.enter_context(self.case.materialized(sums))


def select_in(expression: Expression, period: Period | None) -> Expression:
    """Add to a filter expression that connections start in a period, if there is one."""
    if period is None:
        return expression
    text = f"start >= {_exact(period.since)} and start < {_exact(period.until)}"
    return where.And((*where.terms_of(expression), *where.terms_of(where.parse(text))))


def _exact(time: datetime) -> str:
    return pd.Timestamp(time).tz_convert("UTC").tz_localize(None).isoformat(timespec="seconds")


def _summed(cells: ibis.Table) -> ibis.Table:
    """Sum cells, grouped or all of them, by MEASURES."""
    return cells.aggregate(
        connections=_.connections.sum(),
        rejected=_.connections.sum(where=_.rejected).fill_null(0),
        bytes=(_.bytes_out.fill_null(0) + _.bytes_in.fill_null(0)).sum(),
    )


def _top(rows: ibis.Table, measure: str, most: int, *key: str) -> ibis.Table:
    return rows.order_by(ibis.desc(measure), *key).limit(most)


def _frame(table: Table, rows: ibis.Table) -> pd.DataFrame:
    return to_frame(rows.select(*table.columns).to_pyarrow().cast(table.arrow))
