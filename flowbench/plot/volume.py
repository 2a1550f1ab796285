"""Bytes sent to external addresses over time, with the baseline of the same hour on other days."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.plot import tables, theme
from flowbench.plot.figure import Figure
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count

_COLUMNS = (
    *("initiator", "responder", "direction", "first_seen", "last_seen"),
    *("bytes_out", "bytes_in"),
)
_HOUR, _DAY = 3_600, 86_400
_MOST_HOURS = 24 * 62  # drawn by hour; longer periods by day
_LEAST_DAYS = 3  # for a baseline by hour
# The modified z-score above which Iglewicz and Hoaglin (1993) call a value an outlier.
_OUTLIER = 3.5
_MAD = 0.6745  # the median absolute deviation of a normal distribution, in standard deviations
_LEAST_BYTES = 1_000_000  # below, no bar is coloured


def volume(connections: ibis.Table | pd.DataFrame) -> Figure:
    """Draw the bytes that internal hosts sent to external addresses, and their baseline.

    The baseline of an hour is the median of the same hour of the day on all days of the period;
    with fewer than three days, the median of all hours. A bar is coloured where it exceeds 1 MB and
    its modified z-score exceeds 3.5 (Iglewicz and Hoaglin, 1993). Periods of more than 62 days are
    drawn by day.

    Limitations: a connection counts in the hour of its start, with all of its bytes.

    Args:
        connections: Rows of connections.TABLE, of one host or of all: initiator, responder,
            direction, first_seen, last_seen, bytes_out, bytes_in. What an internal responder
            returned to an external initiator counts too. Millions are summed in the engine.
    """
    table = tables.to_table(connections, _COLUMNS)
    table = table.filter(table.direction.isin(["outbound", "inbound"]))
    first, last, count = tables.span(table)
    title = "Bytes sent to external addresses"
    if first is None or last is None:
        return theme.empty_figure(title, "There are no connections with external addresses.")
    outbound = table.direction == "outbound"
    table = table.mutate(
        host=outbound.ifelse(table.initiator, table.responder),
        sent=outbound.ifelse(table.bytes_out, table.bytes_in),
    )
    host = tables.name_most(table, "host", _.sent.sum(), "other hosts")
    width = _HOUR if (last - first).total_seconds() / _HOUR <= _MOST_HOURS else _DAY
    sums = _sum_bins(table, first, last, width)
    middle, limit = _baseline(sums, width)
    above = (sums > limit) & (sums > _LEAST_BYTES)
    unit = "hour" if width == _HOUR else "day"
    plot = theme.figure(
        f"{title} by {host}",
        f"{theme.period(first, last)}; {format_count(count, 'connection')};"
        f" {format_bytes(float(sums.sum()))} by {unit}; {int(above.sum())} far above the baseline",
        height=380,
        barmode="overlay",
        bargap=0.05,
    )
    for name, selected, colour in (
        ("bytes sent", ~above, theme.BLUE),
        ("far above the baseline", above, theme.RED),
    ):
        if selected.any():
            plot.add_trace(_bars(name, sums[selected], middle[selected], width, colour))
    plot.add_trace(
        go.Scatter(
            x=[*sums.index, sums.index[-1] + pd.Timedelta(seconds=width)],
            y=[*middle, middle.iloc[-1]],  # to the end of the last bar
            mode="lines",
            name="baseline (median)",
            line={"color": theme.ORANGE, "width": 1.5, "shape": "hv"},
            hoverinfo="skip",
        )
    )
    # Where a trace has few bars, plotly would begin the axis hours before the period.
    end = sums.index[-1] + pd.Timedelta(seconds=width)
    plot.update_xaxes(range=[sums.index[0], end], **theme.TIME_AXIS)
    plot.update_yaxes(title_text=f"bytes per {unit}", rangemode="tozero", tickformat="~s")
    return plot


def _sum_bins(table: ibis.Table, first: pd.Timestamp, last: pd.Timestamp, width: int) -> pd.Series:
    """The bytes of each hour or day of a period; 0 without a connection."""
    bins = table.group_by(bin=epoch_seconds(table.first_seen) // width * width)
    rows = to_frame(bins.aggregate(sent=_.sent.sum().cast("int64")).order_by("bin").to_pyarrow())
    times = pd.to_datetime(rows["bin"].astype("int64"), unit="s", utc=True)
    unit = "h" if width == _HOUR else "D"
    every = pd.date_range(first.floor(unit), last.floor(unit), freq=unit, unit=times.dt.unit)
    sent = pd.Series(rows["sent"].to_numpy("int64"), index=pd.DatetimeIndex(times))
    return sent.reindex(every, fill_value=0)


def _baseline(sums: pd.Series, width: int) -> tuple[pd.Series, pd.Series]:
    """The median of each bin's hour of the day, and the limit above which a bar is an outlier."""
    by_hour = width == _HOUR and len(sums) >= 24 * _LEAST_DAYS
    keys = sums.index.hour if by_hour else np.zeros(len(sums), dtype="int64")
    middle = sums.groupby(keys).transform("median")
    deviation = (sums - middle).abs().groupby(keys).transform("median")
    return middle, middle + _OUTLIER * deviation / _MAD


def _bars(name: str, sums: pd.Series, middle: pd.Series, width: int, colour: str) -> go.Bar:
    hover = [
        f"{amount:,} bytes sent<br>baseline {usual:,.0f}"
        for amount, usual in zip(sums, middle, strict=True)
    ]
    return go.Bar(
        x=sums.index,
        y=sums,
        width=width * 950,  # milliseconds
        offset=0,
        name=name,
        marker={"color": colour, "line": {"width": 0}},
        customdata=hover,
        hovertemplate="<b>%{x|%Y-%m-%d %H:%M} UTC</b><br>%{customdata}<extra></extra>",
    )
