"""Group by group: who spoke with whom, and what the segmentation policy says of it."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from flowbench.plot import theme

_MOST = 40  # groups that can be told apart on one axis
_LONGEST = 28  # characters of a name beside an axis
_LAST = ("internal", "outside")  # who is in no group stands after the groups
# Colour and shape say the same: one of them is enough.
_LOOKS = {
    "allowed": ("allowed", theme.VERDICT["accepted"], "circle"),
    "rejected": ("allowed, but refused", theme.GREY, "circle-open"),
    "attempted": ("forbidden, and refused", theme.VERDICT["rejected"], "triangle-up"),
    "violated": ("forbidden, and not refused", theme.VERDICT["listed"], "x"),
}


def matrix(cells: pd.DataFrame) -> go.Figure:
    """A mark for each two groups with connections: the worst that happened, and how many.

    ``cells`` is a frame of segmentation.CELLS, as Judgement.cells gives it. Rows are those who
    opened, columns those who were called; a mark grows with the logarithm of the connections.
    """
    title = "Group by group against the policy"
    if cells.empty:
        return theme.nothing(title, "No connection has an end in one of the policy's groups.")
    shown, hidden = _shown(cells)
    names = sorted({*shown["source"], *shown["target"]}, key=lambda n: (n in _LAST, n))
    at = {name: place for place, name in enumerate(names)}
    more = f"; {hidden} groups with fewer connections are not shown" if hidden else ""
    plot = theme.figure(
        title,
        f"{theme.when(cells['first_seen'].min(), cells['last_seen'].max())};"
        f" {cells['violations'].sum():,} violations, {cells['attempts'].sum():,} refused attempts"
        f" (who is in several groups counts in each){more}",
        height=230 + 46 * len(names),
    )
    for verdict, (label, colour, symbol) in _LOOKS.items():
        mine = shown[shown["verdict"] == verdict]
        if mine.empty:
            continue
        plot.add_trace(
            go.Scatter(
                x=[at[name] for name in mine["target"]],
                y=[at[name] for name in mine["source"]],
                mode="markers+text",
                name=label,
                text=[_short(count) for count in mine["connections"]],
                textposition="bottom center",
                textfont={"size": 10},
                marker={
                    "size": [10 + 3 * math.log10(max(n, 1)) for n in mine["connections"]],
                    "color": colour,
                    "symbol": symbol,
                    "line": {"width": 1.5, "color": colour},
                },
                customdata=[_hover(row) for row in mine.to_dict("records")],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    ticks = {
        "tickvals": list(at.values()),
        "ticktext": [_label(name) for name in names],
        "gridcolor": "#EEE",
        "zeroline": False,
        "automargin": True,
    }
    plot.update_xaxes(
        title_text="was called", range=[-0.6, len(names) - 0.4], side="bottom", **ticks
    )
    plot.update_yaxes(title_text="opened", range=[len(names) - 0.4, -0.6], **ticks)
    plot.update_layout(legend={"y": -0.25})
    return plot


def _shown(cells: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The cells of the groups that there is room for, and how many groups are left out."""
    weights: dict[str, tuple[int, int]] = {}
    for row in cells.itertuples():
        for name in {row.source, row.target}:
            bad, all_ = weights.get(name, (0, 0))
            weights[name] = bad + row.violations, all_ + row.connections
    ranked = sorted(weights, key=lambda name: (-weights[name][0], -weights[name][1], name))
    kept = set(ranked[:_MOST])
    return cells[cells["source"].isin(kept) & cells["target"].isin(kept)], len(ranked) - len(kept)


def _hover(row: dict) -> str:
    ends = " → ".join(theme.wrapped(row[end]) for end in ("source", "target"))
    return (
        f"<b>{ends}</b><br>{row['connections']:,} connections: {row['violations']:,} forbidden and"
        f" not refused,<br>{row['attempts']:,} forbidden and refused, {row['refused']:,} allowed"
        f" but refused<br>{theme.wrapped(row['ports'])}<br>{row['bytes_out']:,} bytes out,"
        f" {row['bytes_in']:,} in<br>{theme.when(row['first_seen'], row['last_seen'])}"
    )


def _label(name: str) -> str:
    if name in _LAST:
        return f"{name},<br>in no group"
    return theme.safe(name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…")


def _short(count: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= 10 * size:
            return f"{count / size:,.0f}{unit}"
    return f"{count:,}"
