"""Connections between the groups of a segmentation policy, with the worst outcome of each pair."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from flowbench.plot import theme
from flowbench.text import format_count

_MOST_GROUPS = 40  # that can be distinguished on one axis
_LABEL = 28  # characters beside an axis
_UNGROUPED = ("internal", "external")  # addresses in no group: after the groups
# Legend, colour and marker of each verdict: colour or shape alone is enough to read it.
_MARKERS = {
    "allowed": ("allowed", theme.VERDICT["accepted"], "circle"),
    "rejected": ("allowed, but rejected", theme.GREY, "circle-open"),
    "attempted": ("denied, and rejected", theme.VERDICT["rejected"], "triangle-up"),
    "violated": ("denied, and not rejected", theme.VERDICT["indicator match"], "x"),
}


def matrix(cells: pd.DataFrame) -> go.Figure:
    """Draw a mark for each pair of groups with connections: the worst outcome, and their number.

    Args:
        cells: Rows of segmentation.results.CELLS, as Evaluation.cells returns them. Initiators
            are rows, responders columns; the size of a mark grows with the logarithm of the number
            of connections. At most 40 groups are drawn, and the title counts the others.
    """
    title = "Connections between groups"
    if cells.empty:
        return theme.empty_figure(title, "No connection has an end in a group of the policy.")
    drawn, omitted = _select_groups(cells)
    names = sorted(
        {*drawn["initiator_group"], *drawn["responder_group"]},
        key=lambda name: (name in _UNGROUPED, name),
    )
    position = {name: number for number, name in enumerate(names)}
    omission = f"; {omitted} groups with fewer connections not drawn" if omitted else ""
    plot = theme.figure(
        title,
        f"{theme.period(cells['first_seen'].min(), cells['last_seen'].max())};"
        f" {format_count(cells['violations'].sum(), 'violation')},"
        f" {format_count(cells['attempts'].sum(), 'rejected attempt')}"
        f" (an address in several groups counts in each){omission}",
        height=230 + 46 * len(names),
    )
    for verdict in _MARKERS:
        if len(rows := drawn[drawn["verdict"] == verdict]):
            plot.add_trace(_marks(verdict, rows, position))
    ticks = {
        "tickvals": list(position.values()),
        "ticktext": [_tick_label(name) for name in names],
        "gridcolor": theme.GRID,
        "zeroline": False,
        "automargin": True,
    }
    plot.update_xaxes(
        title_text="responder", range=[-0.6, len(names) - 0.4], side="bottom", **ticks
    )
    plot.update_yaxes(title_text="initiator", range=[len(names) - 0.4, -0.6], **ticks)
    plot.update_layout(legend={"y": -0.25})
    return plot


def _marks(verdict: str, rows: pd.DataFrame, position: dict[str, int]) -> go.Scatter:
    """The marks of all pairs of groups with one verdict."""
    label, colour, symbol = _MARKERS[verdict]
    return go.Scatter(
        x=[position[name] for name in rows["responder_group"]],
        y=[position[name] for name in rows["initiator_group"]],
        mode="markers+text",
        name=label,
        text=[_short_count(count) for count in rows["connections"]],
        textposition="bottom center",
        textfont={"size": 10},
        marker={
            "size": [10 + 3 * math.log10(max(n, 1)) for n in rows["connections"]],
            "color": colour,
            "symbol": symbol,
            "line": {"width": 1.5, "color": colour},
        },
        customdata=[_hover(row) for row in rows.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _select_groups(cells: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Keep the cells of the groups with most violations and connections; count the others."""
    totals: dict[str, tuple[int, int]] = {}
    for row in cells.itertuples():
        for name in {row.initiator_group, row.responder_group}:
            violations, connections = totals.get(name, (0, 0))
            totals[name] = violations + row.violations, connections + row.connections
    ranked = sorted(totals, key=lambda name: (-totals[name][0], -totals[name][1], name))
    kept = ranked[:_MOST_GROUPS]
    selected = cells["initiator_group"].isin(kept) & cells["responder_group"].isin(kept)
    return cells[selected], len(ranked) - len(kept)


def _hover(row: dict) -> str:
    groups = " → ".join(theme.wrap(row[f"{end}_group"]) for end in ("initiator", "responder"))
    return (
        f"<b>{groups}</b><br>{format_count(row['connections'], 'connection')}:"
        f" {row['violations']:,} denied and not rejected,<br>{row['attempts']:,} denied and"
        f" rejected, {row['rejected']:,} allowed but rejected<br>{theme.wrap(row['ports'])}<br>"
        f"{row['bytes_out']:,} bytes out, {row['bytes_in']:,} in<br>"
        f"{theme.period(row['first_seen'], row['last_seen'])}"
    )


def _tick_label(name: str) -> str:
    if name in _UNGROUPED:
        return f"{name},<br>in no group"
    return theme.escape(theme.shorten(name, _LABEL))


def _short_count(count: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= 10 * size:
            return f"{count / size:,.0f}{unit}"
    return f"{count:,}"
