"""The blast radius: how many nodes could be reached, by hop and hour."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from flowbench.plot import theme
from flowbench.text import format_count, list_some

_HOP_COLOURS = (theme.RED, theme.ORANGE, theme.SKY, theme.BLUE)  # hops 1 to 3, and all further ones
_MOST_NAMES = 8
_MOST_TICKS = 8
_HOUR = 3_600_000  # milliseconds


def blast_radius(radius: pd.DataFrame) -> go.Figure:
    """Draw how many nodes could be reached: by hour and hop, and so far.

    A node counts in the hour of the earliest possible arrival, with the least number of hops. That
    a path existed does not mean that it was used.

    Args:
        radius: Rows of BLAST_RADIUS, as graph.blast_radius returns them.
    """
    title = "Nodes that could be reached, by hop"
    if radius.empty:
        return theme.empty_figure(title, "No node could be reached.")
    first, last = radius["hour"].min(), radius["hour"].max()
    nodes, internal = int(radius["nodes"].sum()), int(radius["internal"].sum())
    figure = theme.figure(
        title,
        f"{theme.period(first, last + pd.Timedelta('1h'))}; {format_count(nodes, 'node')},"
        f" {internal:,} internal; hops: {int(radius['hop'].max())} at most",
        height=420,
        barmode="stack",
        legend={
            "orientation": "h",
            "x": 0.01,
            "y": -0.12,
            "yanchor": "top",
            "traceorder": "normal",
        },
        bargap=0.05,
    )
    rows = radius.assign(hop=radius["hop"].clip(upper=len(_HOP_COLOURS)))
    for hop, group in rows.groupby("hop", sort=True):
        figure.add_trace(_bars(int(hop), group))
    so_far = radius.groupby("hour", sort=True)["reached_so_far"].max()
    figure.add_trace(
        go.Scatter(
            x=[*so_far.index, last + pd.Timedelta("1h")],
            y=[*so_far, so_far.iloc[-1]],  # to the end of the last hour
            mode="lines",
            name="reached so far",
            line={"color": theme.GREY, "width": 1.5, "shape": "hv"},
            hovertemplate="<b>%{x|%Y-%m-%d %H:%M} UTC</b><br>%{y:,} nodes so far<extra></extra>",
        )
    )
    margin = pd.Timedelta("1h")
    figure.update_xaxes(range=[first - margin, last + 2 * margin], **theme.TIME_AXIS)
    few = {"dtick": 1} if nodes <= _MOST_TICKS else {}  # no half nodes
    figure.update_yaxes(title_text="nodes", rangemode="tozero", tickformat=",", **few)
    return figure


def _bars(hop: int, group: pd.DataFrame) -> go.Bar:
    """The bars of a hop, those of further hops in one."""
    is_last = hop == len(_HOP_COLOURS)
    names = group.explode("names").groupby("hour", sort=True)["names"].agg(list)
    sums = group.groupby("hour", sort=True)[["nodes", "internal"]].sum().assign(names=names)
    hover = [
        f"{format_count(row.nodes, 'node')} at hop {hop}{' or further' if is_last else ''},"
        f" {row.internal:,} internal<br>{theme.wrap(list_some(row.names, _MOST_NAMES))}"
        for row in sums.itertuples()
    ]
    return go.Bar(
        x=sums.index,
        y=sums["nodes"],
        width=_HOUR,
        offset=0,
        name=f"hop {hop}{' or further' if is_last else ''}",
        marker={"color": _HOP_COLOURS[hop - 1], "line": {"width": 0}},
        customdata=hover,
        hovertemplate="<b>%{x|%Y-%m-%d %H:%M} UTC</b><br>%{customdata}<extra></extra>",
    )
