"""What passed between two ends over time: bytes each way, and when connections began."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from flowbench.plot import theme

_BINS = 240
_STARTS_DRAWN = 5_000


def activity(connections: pd.DataFrame) -> go.Figure:
    """Bytes out and in per interval, and below the start of every connection and the gaps.

    ``connections`` is a frame of connections.TABLE, as Case.connections_of gives it. A long
    connection's bytes are spread evenly over its life: what happened inside it the figure cannot
    show. The lower row shows each start at its gap from the one before, so that a beat is a line.
    """
    if connections.empty:
        return theme.nothing("Activity", "There are no connections to draw.")
    c = connections.sort_values(["first_seen", "initiator_port"], kind="stable")
    first, last = c["first_seen"].min(), c["last_seen"].max()
    edges, out, back = _spread(c)
    step = pd.Timedelta(seconds=float(edges[1] - edges[0]))
    base = theme.figure(
        _title(c),
        f"{theme.when(first, last)}; {len(c):,} connections; bytes per {_words(step)}",
        height=460,
    )
    plot = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.6, 0.4],
        vertical_spacing=0.09,
        figure=base,
    )
    moments = pd.to_datetime(edges[:-1], unit="s", utc=True)
    for name, values, colour in (("bytes out", out, theme.BLUE), ("bytes in", -back, theme.ORANGE)):
        plot.add_trace(
            go.Scatter(
                x=moments,
                y=values,
                name=name,
                mode="lines",
                line={"width": 1, "color": colour, "shape": "hv"},
                fill="tozeroy",
                fillcolor=theme.rgba(colour, 0.35),
                customdata=np.abs(values),
                hovertemplate="%{x|%Y-%m-%d %H:%M} UTC<br>%{customdata:,.0f} "
                + name
                + "<extra></extra>",
            ),
            row=1,
            col=1,
        )
    _starts(plot, c)
    plot.update_xaxes(
        range=[first, last], gridcolor="#EEE", tickformat="%H:%M\n%d %b", zeroline=False
    )
    plot.update_yaxes(gridcolor="#EEE", zerolinecolor="#AAA")
    plot.update_yaxes(title_text="bytes (in below 0)", row=1, col=1, tickformat="~s")
    return plot


def _starts(plot: go.Figure, c: pd.DataFrame) -> None:
    shown = c.tail(len(c) - 1).head(_STARTS_DRAWN)
    gaps = c["first_seen"].diff().dt.total_seconds().div(60).loc[shown.index]
    for refused, name, colour in (
        (False, "connection", theme.GREEN),
        (True, "rejected", theme.PURPLE),
    ):
        mine = shown["rejected"].astype(bool) == refused
        if not mine.any():
            continue
        plot.add_trace(
            go.Scatter(
                x=shown.loc[mine, "first_seen"],
                y=gaps[mine],
                mode="markers",
                name=f"{name} start",
                marker={
                    "size": 4,
                    "color": colour,
                    "opacity": 0.75,
                    "symbol": "x" if refused else "circle",
                },
                hovertemplate="%{x|%Y-%m-%d %H:%M:%S} UTC<br>"
                "%{y:.1f} min after the one before<extra></extra>",
            ),
            row=2,
            col=1,
        )
    top = float(np.quantile(gaps, 0.98)) * 1.25 if len(gaps) else 1.0
    hidden = int((gaps > top).sum())
    more = f", {hidden} longer not shown" if hidden else ""
    plot.update_yaxes(
        title_text=f"min since the<br>start before{more}",
        rangemode="tozero",
        range=[0, max(top, 0.1)],
        row=2,
        col=1,
    )


def _spread(
    c: pd.DataFrame,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bytes per bin each way, every connection's spread evenly over its life."""
    starts = c["first_seen"].map(pd.Timestamp.timestamp).to_numpy(float)
    ends = np.maximum(c["last_seen"].map(pd.Timestamp.timestamp).to_numpy(float), starts + 1)
    lowest, highest = starts.min(), ends.max()
    width = max(60.0, np.ceil((highest - lowest) / _BINS / 60) * 60)
    edges = lowest + width * np.arange(np.ceil((highest - lowest) / width) + 1)
    sums = []
    for name in ("bytes_out", "bytes_in"):
        rate = c[name].to_numpy(float) / (ends - starts)
        # What had passed by each edge; differences are what passed in each bin.
        passed = np.array(
            [(rate * np.clip(edge - starts, 0, ends - starts)).sum() for edge in edges]
        )
        sums.append(np.diff(passed))
    return edges, sums[0], sums[1]


def _title(c: pd.DataFrame) -> str:
    ends = [sorted(set(c["initiator"])), sorted(set(c["responder"]))]
    names = [one[0] if len(one) == 1 else f"{len(one)} addresses" for one in ends]
    ports = sorted({int(port) for port in c["service_port"]})
    on = f" on port {ports[0]}" if len(ports) == 1 else f" on {len(ports)} ports"
    return f"{names[0]} to {names[1]}{on}"


def _words(step: pd.Timedelta) -> str:
    minutes = step.total_seconds() / 60
    return "minute" if minutes == 1 else f"{minutes:.0f} minutes"
