"""Traffic between two sets of hosts over time: bytes each way, and connection intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from flowbench.plot import theme
from flowbench.text import format_count

_MOST_BINS = 240
_MOST_STARTS = 5_000  # drawn marks


def activity(connections: pd.DataFrame) -> go.Figure:
    """Draw bytes out and in per bin, and below them the interval before each connection.

    The bytes of a connection are spread evenly over its duration: flow logs do not show how traffic
    was distributed within it. In the lower panel each connection is drawn at the interval since the
    previous one, so that periodic check-ins form a horizontal line.

    Args:
        connections: Rows of connections.TABLE, as Case.connections_of returns them.
    """
    if connections.empty:
        return theme.empty_figure("Traffic", "There are no connections to draw.")
    rows = connections.sort_values(["first_seen", "initiator_port"], kind="stable")
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
    times = pd.to_datetime(edges[:-1], unit="s", utc=True)
    plot.add_trace(_bytes_trace("bytes out", times, bytes_out, theme.BLUE), row=1, col=1)
    plot.add_trace(_bytes_trace("bytes in", times, -bytes_in, theme.ORANGE), row=1, col=1)
    if len(rows) > 1:
        _draw_intervals(plot, rows)
    else:
        plot.update_layout(legend={"y": -0.25})
    plot.update_xaxes(
        range=[first, last], gridcolor=theme.GRID, tickformat="%H:%M\n%d %b", zeroline=False
    )
    plot.update_yaxes(gridcolor=theme.GRID, zerolinecolor=theme.ZERO)
    plot.update_yaxes(title_text="bytes (in: below 0)", row=1, col=1, tickformat="~s")
    return plot


def _bytes_trace(name: str, times: pd.DatetimeIndex, values: np.ndarray, colour: str) -> go.Scatter:
    return go.Scatter(
        x=times,
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
    drawn = rows.iloc[1:].head(_MOST_STARTS)
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


def _title(rows: pd.DataFrame) -> str:
    hosts = []
    for end in ("initiator", "responder"):
        addresses = rows[end].unique()
        hosts.append(addresses[0] if len(addresses) == 1 else f"{len(addresses)} addresses")
    ports = rows["service_port"].dropna().unique()
    title = f"Traffic from {hosts[0]} to {hosts[1]}"
    return f"{title}, port {ports[0]}" if len(ports) == 1 else f"{title}, {len(ports)} ports"
