"""Check-ins of a pair: their intervals, their sizes and their phase."""

from __future__ import annotations

from typing import NamedTuple

import ibis
import pandas as pd
import plotly.graph_objects as go
from ibis import _
from plotly.subplots import make_subplots

from flowbench.engine import epoch_seconds
from flowbench.plot import tables, theme
from flowbench.plot.figure import Figure
from flowbench.schema import to_frame
from flowbench.text import format_count, format_duration, list_some

BURST = 30  # seconds: connections that start closer together are one check-in, as for the detector
_COLUMNS = ("initiator", "responder", "first_seen", "last_seen", "bytes_out", "bytes_in")
_MOST_MARKS = 5_000  # that can be distinguished; more are drawn as quantiles
_PANELS = ("interval (min)", "bytes", "phase")


class _Series(NamedTuple):
    column: str
    name: str
    row: int
    colour: str


_SERIES = (
    _Series("minutes", "interval", 1, theme.GREEN),
    _Series("bytes_out", "bytes out", 2, theme.BLUE),
    _Series("bytes_in", "bytes in", 2, theme.ORANGE),
    _Series("phase", "phase", 3, theme.PURPLE),
)


def beacon(connections: ibis.Table | pd.DataFrame) -> Figure:
    """Draw interval, sizes and phase of each check-in of a pair, in order of time.

    Check-ins at a regular interval form level lines; a user's connections do not. The phase is the
    time since the first check-in, in intervals, without its whole part: a schedule kept by the
    clock stays level, and one that waits after each call drifts. Connections that start within 30
    seconds of the previous one belong to its check-in, with their bytes.

    Limitations: the start of a connection is known to the capture window.

    Args:
        connections: Rows of connections.TABLE of one initiator and one responder: initiator,
            responder, first_seen, last_seen, bytes_out, bytes_in. Of more than 5,000 check-ins the
            median and the range of the middle 80 % are drawn.
    """
    table = tables.to_table(connections, _COLUMNS)
    first, last, count = tables.span(table)
    if first is None or last is None:
        return theme.empty_figure("Check-ins", "There are no connections to draw.")
    check_ins = _find_check_ins(table)
    facts = _measure(check_ins)
    seconds = 0.0 if pd.isna(facts["interval"]) else float(facts["interval"])
    plot = _make_panels(
        f"Check-ins from {_name(table, 'initiator')} to {_name(table, 'responder')}",
        f"{theme.period(first, last)}; {format_count(int(facts['n']), 'check-in')} of"
        f" {format_count(count, 'connection')}; {_describe(facts)}",
    )
    phase = ((_.at - int(facts["begin"])) / seconds) % 1 if seconds else ibis.null("float64")
    check_ins = check_ins.mutate(minutes=_.gap / 60, phase=phase)
    if facts["n"] > _MOST_MARKS:
        _draw_quantiles(plot, check_ins, (last - first).total_seconds())
    else:
        _draw_marks(plot, to_frame(check_ins.order_by("at").to_pyarrow()))
    if seconds:
        plot.add_hline(y=seconds / 60, line={"color": theme.GREY, "dash": "dot"}, row=1, col=1)
    return plot


def _find_check_ins(table: ibis.Table) -> ibis.Table:
    """Rows of check-ins: at (epoch seconds), gap (seconds since the previous one), bytes."""
    order = ["at", "last_seen", "bytes_out", "bytes_in"]  # of those in the same second, by size
    starts = table.mutate(at=epoch_seconds(table.first_seen))
    starts = starts.mutate(before=starts["at"].lag().over(ibis.window(order_by=order)))
    begins = starts.before.isnull() | (starts["at"] - starts.before >= BURST)
    starts = starts.mutate(begins=begins.cast("int64"))
    numbered = starts.mutate(
        number=starts.begins.sum().over(ibis.cumulative_window(order_by=order))
    )
    rows = numbered.group_by("number").aggregate(
        at=_["at"].min(),
        bytes_out=_.bytes_out.sum().cast("int64"),
        bytes_in=_.bytes_in.sum().cast("int64"),
        connections=_.count(),
    )
    return rows.mutate(gap=_["at"] - _["at"].lag().over(ibis.window(order_by="at")))


def _measure(check_ins: ibis.Table) -> pd.Series:
    sums = check_ins.aggregate(
        n=_.count(),
        begin=_["at"].min(),
        interval=_.gap.median(),
        low=_.gap.quantile(0.1),
        high=_.gap.quantile(0.9),
        size=_.bytes_out.median(),
    )
    return to_frame(sums.to_pyarrow()).iloc[0]


def _describe(facts: pd.Series) -> str:
    if pd.isna(facts["interval"]):
        return "one check-in has no interval"
    low, middle, high = (format_duration(facts[name]) for name in ("low", "interval", "high"))
    return (
        f"median interval {middle}, 80\u00a0% of them {low} to {high}; median {facts['size']:,.0f}"
        " bytes out"
    )


def _name(table: ibis.Table, end: str) -> str:
    names = table.select(end).distinct().order_by(end).limit(3).to_pyarrow()[end].to_pylist()
    return list_some(names, 1, rest="or more others")


def _make_panels(title: str, subtitle: str) -> Figure:
    plot: Figure = make_subplots(
        rows=3,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.42, 0.33, 0.25],
        vertical_spacing=0.07,
        figure=theme.figure(title, subtitle, height=560),
    )
    plot.update_xaxes(**theme.TIME_AXIS)
    for row, name in enumerate(_PANELS, 1):
        plot.update_yaxes(
            title_text=name, gridcolor=theme.GRID, rangemode="tozero", zeroline=False, row=row
        )
    plot.update_yaxes(tickformat="~s", row=2)
    plot.update_yaxes(range=[-0.06, 1.06], dtick=0.5, row=3)
    return plot


def _draw_marks(plot: Figure, rows: pd.DataFrame) -> None:
    times = pd.to_datetime(rows["at"].astype("int64"), unit="s", utc=True)
    hover = [
        f"{format_count(int(row.connections), 'connection')},<br>{row.bytes_out:,} bytes out,"
        f" {row.bytes_in:,} in"
        + (f"<br>{format_duration(row.gap)} after the previous one" if pd.notna(row.gap) else "")
        for row in rows.itertuples()
    ]
    for series in _SERIES:
        plot.add_trace(
            go.Scatter(
                x=times,
                y=rows[series.column].astype("float64"),
                mode="markers",
                cliponaxis=False,
                name=series.name,
                marker={"size": 5, "color": series.colour},
                customdata=hover,
                hovertemplate="<b>%{x|%Y-%m-%d %H:%M:%S} UTC</b><br>%{customdata}<extra></extra>",
            ),
            row=series.row,
            col=1,
        )


def _draw_quantiles(plot: Figure, check_ins: ibis.Table, seconds: float) -> None:
    width = tables.bin_width(seconds)
    bins = check_ins.group_by(bin=_["at"] // width * width)
    sums = bins.aggregate(
        n=_.count(),
        **{
            f"{series.column}_{share}": _[series.column].quantile(share / 100)
            for series in _SERIES
            for share in (10, 50, 90)
        },
    )
    rows = to_frame(sums.order_by("bin").to_pyarrow())
    times = pd.to_datetime(rows["bin"].astype("int64"), unit="s", utc=True)
    for series in _SERIES:
        low, middle, high = (rows[f"{series.column}_{share}"] for share in (10, 50, 90))
        line = {"color": series.colour, "width": 1.5}
        edge = {"x": times, "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
        edge["line"] = {"width": 0}
        fill = {"fill": "tonexty", "fillcolor": theme.rgba(series.colour, 0.25)}
        hover = [
            f"{format_count(int(n), 'check-in')} in {format_duration(width)}<br>median"
            f" {series.name} {at:,.2f}, middle 80 % {down:,.2f} to {up:,.2f}"
            for n, down, at, up in zip(rows["n"], low, middle, high, strict=True)
        ]
        plot.add_trace(go.Scatter(y=low, **edge), row=series.row, col=1)
        plot.add_trace(go.Scatter(y=high, **edge, **fill), row=series.row, col=1)
        plot.add_trace(
            go.Scatter(
                x=times,
                y=middle,
                mode="lines",
                name=f"{series.name} (median)",
                line=line,
                customdata=hover,
                hovertemplate="<b>%{x|%Y-%m-%d %H:%M} UTC</b><br>%{customdata}<extra></extra>",
            ),
            row=series.row,
            col=1,
        )
