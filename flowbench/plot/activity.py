"""Traffic between two sets of hosts over time: bytes each way, and connection intervals."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ibis import _
from plotly.subplots import make_subplots

from flowbench.engine import epoch_seconds
from flowbench.plot import tables, theme
from flowbench.plot.figure import Figure
from flowbench.schema import to_frame
from flowbench.text import format_count, format_duration

_COLUMNS = (
    *("first_seen", "initiator_port", "last_seen", "initiator", "responder", "service_port"),
    *("bytes_out", "bytes_in", "rejected"),
)
_MOST_BINS = 240
_OUT, _IN = "bytes of initiators", "bytes of responders"
_MOST_STARTS = 5_000  # marks that can be distinguished


def activity(connections: ibis.Table | pd.DataFrame) -> Figure:
    """Draw bytes out and in per bin, and below them the connections.

    The bytes of a connection are spread evenly over its duration: flow logs do not show how traffic
    was distributed within it. In the lower panel each connection is drawn at the interval since the
    previous one, so that periodic check-ins form a horizontal line. Of more than 5,000 connections
    the lower panel has the number that began in each bin, rejected ones apart.

    Args:
        connections: Rows of connections.TABLE, of two hosts (``case.connections_of``), of one, or
            of all (``case.connections``): initiator, initiator_port, responder, service_port,
            first_seen, last_seen, bytes_out, bytes_in, rejected. Millions are summed in the engine.
    """
    table = tables.to_table(connections, _COLUMNS)
    first, last, count = tables.span(table)
    if first is None or last is None:
        return theme.empty_figure("Traffic", "There are no connections to draw.")
    if count > _MOST_STARTS:
        return _draw_sums(table, first, last, count)
    return _draw_each(to_frame(table.select(*_COLUMNS).to_pyarrow()))


def _draw_each(connections: pd.DataFrame) -> Figure:
    """Draw connections that are few enough for a mark each."""
    rows = connections.sort_values(list(_COLUMNS), kind="stable")
    first, last = rows["first_seen"].min(), rows["last_seen"].max()
    edges, bytes_out, bytes_in = _bin_bytes(rows)
    minutes = float(edges[1] - edges[0]) / 60
    bin_name = "minute" if minutes == 1 else f"{minutes:.0f} minutes"
    base = theme.figure(
        _title(rows),
        f"{theme.period(first, last)}; {format_count(len(rows), 'connection')}; bytes per"
        f" {bin_name}",
        height=460 if len(rows) > 1 else 300,
    )
    heights = [0.6, 0.4] if len(rows) > 1 else [1.0]  # one connection has no interval
    plot = make_subplots(
        rows=len(heights),
        cols=1,
        shared_xaxes=True,
        row_heights=heights,
        vertical_spacing=0.09,
        figure=base,
    )
    times = pd.to_datetime(edges, unit="s", utc=True)
    plot.add_trace(_bytes_trace(_OUT, times, bytes_out, theme.BLUE), row=1, col=1)
    plot.add_trace(_bytes_trace(_IN, times, -bytes_in, theme.ORANGE), row=1, col=1)
    if len(rows) > 1:
        _draw_intervals(plot, rows)
    else:
        plot.update_layout(legend={"y": -0.25})
    plot.update_xaxes(range=[first, last], **theme.TIME_AXIS)
    plot.update_yaxes(gridcolor=theme.GRID, zerolinecolor=theme.ZERO)
    plot.update_yaxes(title_text="bytes", row=1, col=1, tickformat="~s")
    return plot


def _bytes_trace(name: str, edges: pd.DatetimeIndex, sums: np.ndarray, colour: str) -> go.Scatter:
    """The bytes of each bin as steps, to the end of the last bin."""
    values = np.append(sums, sums[-1:])
    return go.Scatter(
        x=edges,
        y=values,
        name=name,
        mode="lines",
        line={"width": 1, "color": colour, "shape": "hv"},
        fill="tozeroy",
        fillcolor=theme.rgba(colour, 0.35),
        customdata=np.abs(values),
        hovertemplate="%{x|%Y-%m-%d %H:%M} UTC<br>%{customdata:,.0f} " + name + "<extra></extra>",
    )


def _draw_intervals(plot: go.Figure, rows: pd.DataFrame) -> None:
    """Draw each connection but the first at its interval in minutes since the previous start."""
    drawn = rows.iloc[1:]
    intervals = rows["first_seen"].diff().dt.total_seconds().div(60).loc[drawn.index]
    rejected = drawn["rejected"].astype(bool)
    for name, selected, colour, symbol in (
        ("connection", ~rejected, theme.GREEN, "circle"),
        ("rejected connection", rejected, theme.PURPLE, "x"),
    ):
        if not selected.any():
            continue
        plot.add_trace(
            go.Scatter(
                x=drawn.loc[selected, "first_seen"],
                y=intervals[selected],
                mode="markers",
                name=name,
                marker={"size": 4, "color": colour, "opacity": 0.75, "symbol": symbol},
                hovertemplate="%{x|%Y-%m-%d %H:%M:%S} UTC<br>"
                "%{y:.1f} min since the previous start<extra></extra>",
            ),
            row=2,
            col=1,
        )
    top = float(np.quantile(intervals, 0.98)) * 1.25
    longer = int((intervals > top).sum())
    plot.update_yaxes(
        title_text="min since the<br>previous start" + (f"<br>({longer} longer)" if longer else ""),
        rangemode="tozero",
        range=[0, max(top, 0.1)],
        row=2,
        col=1,
    )


def _bin_bytes(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spread bytes evenly over each connection's duration and sum them by bin.

    Returns:
        Bin edges (n + 1 epoch seconds), bytes out and bytes in (n each).
    """
    starts = rows["first_seen"].map(pd.Timestamp.timestamp).to_numpy(float)
    ends = np.maximum(rows["last_seen"].map(pd.Timestamp.timestamp).to_numpy(float), starts + 1)
    lowest, highest = starts.min(), ends.max()
    width = max(60.0, np.ceil((highest - lowest) / _MOST_BINS / 60) * 60)
    edges = lowest + width * np.arange(np.ceil((highest - lowest) / width) + 1)
    sums = []
    for name in ("bytes_out", "bytes_in"):
        rate = rows[name].to_numpy(float) / (ends - starts)
        # The cumulated bytes at each edge; their differences are the bytes of each bin.
        cumulated = np.array(
            [(rate * np.clip(edge - starts, 0, ends - starts)).sum() for edge in edges]
        )
        sums.append(np.diff(cumulated))
    return edges, sums[0], sums[1]


def _draw_sums(table: ibis.Table, first: pd.Timestamp, last: pd.Timestamp, count: int) -> Figure:
    """Draw connections that are too many for marks: sums of bins, computed in the engine."""
    width = max(60, tables.bin_width((last - first).total_seconds(), _MOST_BINS))
    sums = _sum_bins(table, int(first.timestamp()), width)
    edges = int(first.timestamp()) + np.arange(len(sums) + 1) * width
    times = pd.to_datetime(edges, unit="s", utc=True)
    title = f"Traffic from {_name(table, 'initiator')} to {_name(table, 'responder')}"
    base = theme.figure(
        title,
        f"{theme.period(first, last)}; {format_count(count, 'connection')}; sums per"
        f" {format_duration(width)}",
        height=460,
        barmode="stack",
        bargap=0,
    )
    plot: Figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.6, 0.4],
        vertical_spacing=0.09,
        figure=base,
    )
    plot.add_trace(
        _bytes_trace(_OUT, times, sums["bytes_out"].to_numpy(), theme.BLUE), row=1, col=1
    )
    plot.add_trace(
        _bytes_trace(_IN, times, -sums["bytes_in"].to_numpy(), theme.ORANGE), row=1, col=1
    )
    for name, label, colour in (
        ("others", "not rejected", theme.GREEN),
        ("rejected", "rejected", theme.PURPLE),
    ):
        plot.add_trace(
            go.Bar(
                x=times[:-1],
                y=sums[name],
                name=label,
                marker={"color": colour, "line": {"width": 0}},
                customdata=[format_count(int(n), "connection") for n in sums[name]],
                hovertemplate="%{x|%Y-%m-%d %H:%M} UTC<br>%{customdata}, "
                + label
                + "<extra></extra>",
            ),
            row=2,
            col=1,
        )
    plot.update_xaxes(**theme.TIME_AXIS)
    plot.update_yaxes(gridcolor=theme.GRID, zerolinecolor=theme.ZERO, tickformat="~s")
    plot.update_yaxes(title_text="bytes", row=1, col=1)
    plot.update_yaxes(title_text="connections", row=2, col=1)
    return plot


def _sum_bins(table: ibis.Table, begin: int, width: int) -> pd.DataFrame:
    """Sum bytes, spread evenly over the bins of each connection, and count starts by bin."""
    start, stop = epoch_seconds(table.first_seen), epoch_seconds(table["last_seen"])
    spans = table.group_by(first=(start - begin) // width, last=(stop - begin) // width)
    sums = spans.aggregate(
        bytes_out=_.bytes_out.sum().cast("int64"),
        bytes_in=_.bytes_in.sum().cast("int64"),
        rejected=_.rejected.sum().cast("int64"),
        n=_.count(),
    )
    rows = to_frame(sums.order_by("first", "last").to_pyarrow()).astype("int64")
    size = int(rows["last"].max()) + 1
    bins = pd.DataFrame(index=np.arange(size))
    for name in ("bytes_out", "bytes_in"):
        # What each bin has more than the one before it; its cumulated sum is what it has.
        steps = np.zeros(size + 1)
        share = rows[name] / (rows["last"] - rows["first"] + 1)
        np.add.at(steps, rows["first"], share)
        np.add.at(steps, rows["last"] + 1, -share)
        bins[name] = np.cumsum(steps)[:-1]
    rows["others"] = rows["n"] - rows["rejected"]
    starts = rows.groupby("first")[["rejected", "others"]].sum()
    return bins.join(starts).fillna(0)


def _name(table: ibis.Table, end: str) -> str:
    names, total = tables.ranked(table, end, _.count(), 1)
    return names[0] if total == 1 else f"{total:,} addresses"


def _title(rows: pd.DataFrame) -> str:
    hosts = []
    for end in ("initiator", "responder"):
        addresses = rows[end].unique()
        hosts.append(addresses[0] if len(addresses) == 1 else f"{len(addresses)} addresses")
    ports = rows["service_port"].dropna().unique()
    title = f"Traffic from {hosts[0]} to {hosts[1]}"
    return f"{title}, port {ports[0]}" if len(ports) == 1 else f"{title}, {len(ports)} ports"
