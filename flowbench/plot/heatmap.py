"""Traffic by hour of the day and weekday: the usual hours of a host."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.errors import InputError
from flowbench.plot import tables, theme
from flowbench.plot.figure import Figure
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count

_LEAST_SI = 10  # the largest mean from which the scale has SI prefixes
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EPOCH_DAY = 3  # 1970-01-01 was a Thursday
_COLUMNS = ("first_seen", "last_seen", "rejected", "bytes_out", "bytes_in")
VALUES = ("connections", "rejected", "bytes_out", "bytes_in")


def heatmap(connections: ibis.Table | pd.DataFrame, value: str = "connections") -> Figure:
    """Draw the mean traffic of each hour of the week, in UTC.

    A cell is the mean over all such hours of the period, so that a weekday that occurs once more
    than others does not stand out. Hours outside the period are empty. A connection counts in the
    hour of its start, with all of its bytes.

    Args:
        connections: Rows of connections.TABLE: first_seen, last_seen, rejected, bytes_out,
            bytes_in. Millions are summed in the engine.
        value: 'connections', 'rejected', 'bytes_out' or 'bytes_in'.

    Raises:
        InputError: ``value`` is none of these, or a column is missing.
    """
    if value not in VALUES:
        raise InputError(f"cannot draw {value!r}: choose one of {', '.join(VALUES)}")
    table = tables.to_table(connections, _COLUMNS)
    first, last, count = tables.span(table)
    if first is None or last is None:
        return theme.empty_figure("Hours of the week", "There are no connections to draw.")
    unit = {"bytes_out": "bytes out", "bytes_in": "bytes in"}.get(value, value)
    title = f"{'Rejected connections' if value == 'rejected' else unit.capitalize()}"
    plot = theme.figure(
        f"{title} by hour and weekday",
        f"{theme.period(first, last)}; {format_count(count, 'connection')}; mean per hour (UTC)",
        height=340,
    )
    sums = _sum_hours(table)
    latest = to_frame(table.aggregate(at=_.first_seen.max()).to_pyarrow())["at"].iloc[0]
    hours = _count_hours(first, latest)
    total = np.zeros((7, 24))
    for row in sums.to_dict("records"):
        total[int(row["weekday"]), int(row["hour"])] = row[value]
    mean = np.divide(total, hours, out=np.full((7, 24), np.nan), where=hours > 0)
    top = float(np.nanmax(mean)) or 1.0
    plot.add_trace(
        go.Heatmap(
            x=[f"{hour:02d}" for hour in range(24)],
            y=list(_DAYS),
            z=[[None if np.isnan(cell) else float(cell) for cell in row] for row in mean],
            text=_hover(total, mean, hours, unit),
            hovertemplate="%{text}<extra></extra>",
            colorscale=theme.SCALE,
            zmin=0,  # plotly ignores it without zmax
            zmax=top,
            xgap=1,
            ygap=1,
            # The SI prefix of a half is "milli": 500m.
            colorbar={
                "title": {"text": unit},
                "tickformat": "~s" if top >= _LEAST_SI else "~g",
                "thickness": 12,
            },
        )
    )
    plot.update_xaxes(title_text="hour (UTC)", type="category", showgrid=False)
    plot.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    return plot


def _sum_hours(table: ibis.Table) -> pd.DataFrame:
    seconds = epoch_seconds(table.first_seen)
    rows = table.mutate(
        hour=seconds // 3_600 % 24, weekday=(seconds // 86_400 + _EPOCH_DAY) % len(_DAYS)
    )
    sums = rows.group_by("weekday", "hour").aggregate(
        connections=_.count(),
        rejected=_.rejected.sum(),
        bytes_out=_.bytes_out.sum().cast("int64"),
        bytes_in=_.bytes_in.sum().cast("int64"),
    )
    return to_frame(sums.order_by("weekday", "hour").to_pyarrow())


def _count_hours(first: pd.Timestamp, last: pd.Timestamp) -> np.ndarray:
    """How often each hour of the week occurs in a period, as 7 days of 24 hours."""
    times = pd.date_range(first.floor("h"), last, freq="h")
    counts = np.zeros((7, 24))
    np.add.at(counts, (times.day_of_week, times.hour), 1)
    return counts


def _hover(total: np.ndarray, mean: np.ndarray, hours: np.ndarray, unit: str) -> list[list[str]]:
    def describe(day: int, hour: int) -> str:
        name = f"<b>{_DAYS[day]}, {hour:02d}:00 to {hour:02d}:59 UTC</b>"
        if not hours[day, hour]:
            return f"{name}<br>not in this period"
        in_bytes = unit.startswith("bytes")
        shown = [format_bytes(x) if in_bytes else f"{x:,.1f}" for x in (mean[day, hour],)]
        sums = f"{total[day, hour]:,.0f} {unit} in {format_count(int(hours[day, hour]), 'hour')}"
        return f"{name}<br>mean {shown[0]}{'' if in_bytes else ' ' + unit}<br>{sums}"

    return [[describe(day, hour) for hour in range(24)] for day in range(7)]
