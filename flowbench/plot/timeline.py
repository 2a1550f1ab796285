"""The timeline as swim lanes: what kind of thing happened, when, and for how long."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from flowbench.plot import theme

_LANES = {
    "finding": ("findings", theme.INK),
    "alert": ("alerts", theme.BLUE),
    "api": ("API calls", theme.GREEN),
    "dns": ("DNS", theme.ORANGE),
    "note": ("notes", theme.GREY),
}
_DRAWN = 2_000  # marks a lane; more cannot be told apart
_OWN_ROW = 20  # spans of a lane that get a row of their own
_LABEL = 42  # characters of a row's label
_RANK = {name: rank for rank, name in enumerate(theme.SEVERITY)}  # the gravest first


def timeline(events: pd.DataFrame) -> go.Figure:
    """A figure of a timeline (timeline.TABLE): a lane a kind, bars for spans, marks for moments.

    Findings and alerts take the colour of their severity, and the gravest of them a row each; the
    others of a lane share one. A lane with more than 2,000 marks shows the first 2,000 and says so.
    """
    if events.empty:
        return theme.nothing("Timeline", "There are no events to draw.")
    rows, labels, hidden = _rows(events)
    first = events["time"].min()
    last = max(
        events["time"].max(), events["until"].max() if events["until"].notna().any() else first
    )
    said = f"; {hidden:,} marks not drawn" if hidden else ""
    plot = theme.figure(
        "What happened",
        f"{theme.when(first, last)}; {len(events):,} events{said}",
        height=150 + 26 * len(labels),
        showlegend=False,
    )
    for row, group in rows.groupby("row", sort=True):
        _draw(plot, row, group)
    margin = (last - first) * 0.02 + pd.Timedelta(minutes=1)
    plot.update_xaxes(
        range=[first - margin, last + margin],
        gridcolor="#EEE",
        tickformat="%H:%M\n%d %b",
        zeroline=False,
    )
    plot.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[theme.safe(label) for label in labels],
        autorange="reversed",
        showgrid=False,
        zeroline=False,
    )
    plot.update_layout(margin={"l": 275, "r": 20, "t": 76, "b": 50})
    return plot


def _rows(events: pd.DataFrame) -> tuple[pd.DataFrame, list[str], int]:
    """Each event with its row; the rows' labels; how many events were left out."""
    parts: list[pd.DataFrame] = []
    labels: list[str] = []
    hidden = 0
    for kind, (name, _) in _LANES.items():
        mine = events[events["kind"] == kind]
        hidden += max(0, len(mine) - _DRAWN)
        mine = mine.head(_DRAWN)
        if mine.empty:
            continue
        spans = mine["until"].notna() & (kind in ("finding", "alert"))
        moments = mine[~spans]
        if len(moments):
            parts.append(moments.assign(row=len(labels)))
            labels.append(name)
        rank = mine.loc[spans, "severity"].map(_RANK).fillna(len(_RANK))
        grave = rank.sort_values(kind="stable").index[:_OWN_ROW]
        for place in grave.sort_values():
            one = mine.loc[[place]]
            parts.append(one.assign(row=len(labels)))
            labels.append(_short(one["what"].iloc[0], name))
        if len(rest := mine[spans].drop(grave)):
            parts.append(rest.assign(row=len(labels)))
            labels.append(f"{len(rest):,} more {name}")
    return pd.concat(parts), labels, hidden


def _short(what: str, lane: str) -> str:
    """What a row's label has room for: the part before the colon that ends the title."""
    head, _, tail = what.partition(": ")
    text = tail.split(" with ")[0].split(", ")[0].partition(":")[2] if lane == "alerts" else head
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"


def _draw(plot: go.Figure, row: int, group: pd.DataFrame) -> None:
    kind = group["kind"].iloc[0]
    _, colour = _LANES[kind]
    hover = [
        f"<b>{one.time:%Y-%m-%d %H:%M:%S} UTC</b>"
        + (f" to {one.until:%Y-%m-%d %H:%M:%S}" if pd.notna(one.until) else "")
        + f"<br>{theme.wrapped(one.what)}"
        for one in group.itertuples()
    ]
    if kind in ("finding", "alert") and group["until"].notna().all():
        _bars(plot, row, group.assign(hover=hover), colour)
        return
    refused = group["what"].str.contains(": refused")
    plot.add_trace(
        go.Scatter(
            x=group["time"],
            y=[row] * len(group),
            mode="markers",
            text=hover,
            marker={
                "size": 9,
                "color": colour,
                "opacity": 0.8,
                "symbol": ["x" if one else "circle" for one in refused],
            },
            hovertemplate="%{text}<extra></extra>",
        )
    )


def _bars(plot: go.Figure, row: int, group: pd.DataFrame, colour: str) -> None:
    """One trace for all spans of a severity: thousands of traces would be slow."""
    for severity, mine in group.groupby("severity", dropna=False, sort=True):
        shade = theme.SEVERITY.get(str(severity), colour)
        x: list[Any] = []
        text: list[Any] = []
        for one in mine.itertuples():
            x += [one.time, one.until, None]
            text += [one.hover, one.hover, None]
        plot.add_trace(
            go.Scatter(
                x=x[:-1],
                y=[row] * (len(x) - 1),
                mode="lines+markers",
                line={"width": 11, "color": shade},
                marker={"size": 9, "symbol": "line-ns-open", "color": shade},
                text=text[:-1],
                hovertemplate="%{text}<extra></extra>",
            )
        )
