"""A timeline as swim lanes: one lane per data source, bars for periods, marks for moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from flowbench.plot import theme
from flowbench.text import format_count, format_time, format_utc

# Data source (as in timeline.TABLE), what its events are, and colour.
LANES = {
    "flowbench": ("findings", theme.RED),
    "flow logs": ("events of connections", theme.SKY),
    "GuardDuty": ("GuardDuty findings", theme.BLUE),
    "CloudTrail": ("API events", theme.GREEN),
    "DNS": ("DNS queries", theme.ORANGE),
    "notes": ("notes", theme.GREY),
}
_WITH_PERIODS = ("flowbench", "flow logs", "GuardDuty")
_MOST_MARKS = 2_000  # that can be distinguished in a lane
_MOST_ROWS = 20  # periods of a lane that get a row of their own
_MOST_ACTIVITIES = 12  # of moments that get a row of their own
_LABEL = 42  # characters of a row's label
_FAILED = ": failed"  # in the sentence of an API event
_RANK = {severity: rank for rank, severity in enumerate(theme.SEVERITY)}  # most severe first


def timeline(events: pd.DataFrame) -> go.Figure:
    """Draw a timeline: a lane per data source, bars for periods, marks for moments.

    Each row has a name. Findings and GuardDuty findings have the colour of their severity; the 20
    most severe of each have a row each, and the others share one. Moments have a row for each
    activity, such as an API call; beyond 12 activities the later ones share a row. A lane shows its
    first 2,000 events, and the title counts the others.

    Args:
        events: Rows of timeline.TABLE, as investigate.timeline returns them.
    """
    if events.empty:
        return theme.empty_figure("Timeline", "There are no events to draw.")
    rows, labels, omitted = assign_rows(events)
    first, last = events["time"].min(), events["time"].max()
    if events["end"].notna().any():
        last = max(last, events["end"].max())
    omission = f"; {omitted:,} not drawn" if omitted else ""
    plot = theme.figure(
        "Timeline",
        f"{theme.period(first, last)}; {format_count(len(events), 'event')}{omission}",
        height=175 + 26 * len(labels),
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    )
    for row, group in rows.groupby("row", sort=True):
        _draw_row(plot, row, group)
    _draw_legend(plot, rows)
    margin = (last - first) * 0.02 + pd.Timedelta(minutes=1)
    plot.update_xaxes(
        range=[first - margin, last + margin],
        **theme.TIME_AXIS,
    )
    plot.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[theme.escape(label) for label in labels],
        autorange="reversed",
        automargin=True,
        showgrid=False,
        zeroline=False,
    )
    plot.update_layout(margin={"l": 275, "b": 75})
    return plot


def assign_rows(events: pd.DataFrame) -> tuple[pd.DataFrame, list[str], int]:
    """Give each event a row of the figure.

    Args:
        events: See ``timeline``; at least one.

    Returns:
        The events with a column ``row``, the rows' labels, and how many events were left out.
    """
    parts: list[pd.DataFrame] = []
    labels: list[str] = []
    omitted = 0
    for data_source, (lane_name, _) in LANES.items():
        lane = events[events["data_source"] == data_source]
        omitted += max(0, len(lane) - _MOST_MARKS)
        lane = lane.head(_MOST_MARKS)
        is_period = lane["end"].notna() & (data_source in _WITH_PERIODS)
        rank = lane.loc[is_period, "severity"].map(_RANK).fillna(len(_RANK))
        most_severe = rank.sort_values(kind="stable").index[:_MOST_ROWS]
        for index in most_severe.sort_values():
            event = lane.loc[[index]]
            parts.append(event.assign(row=len(labels)))
            labels.append(_row_label(event["activity"].iloc[0], data_source))
        if len(others := lane[is_period].drop(most_severe)):
            parts.append(others.assign(row=len(labels)))
            labels.append(f"{len(others):,} more {lane_name}")
        for label, moments in _divide_moments(lane[~is_period], data_source):
            parts.append(moments.assign(row=len(labels)))
            labels.append(label)
    return pd.concat(parts), labels, omitted


def _divide_moments(moments: pd.DataFrame, data_source: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Divide the moments of a lane by activity, in order of the first of each."""
    activities = moments["activity"].unique()
    kept = len(activities) if len(activities) <= _MOST_ACTIVITIES else _MOST_ACTIVITIES - 1
    prefix = "API: " if data_source == "CloudTrail" else ""
    for activity in activities[:kept]:
        yield (
            theme.shorten(f"{prefix}{activity}", _LABEL),
            moments[moments["activity"] == activity],
        )
    others = moments[moments["activity"].isin(activities[kept:])]
    if len(others):
        yield f"{len(others):,} more {LANES[data_source][0]}", others


def _row_label(activity: str, data_source: str) -> str:
    """A finding's title; of a GuardDuty type what follows its purpose, which is in the hover."""
    text = activity.partition(":")[2] if data_source == "GuardDuty" else activity
    return theme.shorten(text or activity, _LABEL)


def _draw_row(plot: go.Figure, row: int, events: pd.DataFrame) -> None:
    data_source = events["data_source"].iloc[0]
    _, colour = LANES[data_source]
    hover = [_hover(event) for event in events.itertuples()]
    if data_source in _WITH_PERIODS and events["end"].notna().all():
        _draw_bars(plot, row, events.assign(hover=hover), colour)
        return
    failed = events["detail"].str.contains(_FAILED)
    plot.add_trace(
        go.Scatter(
            x=events["time"],
            y=[row] * len(events),
            mode="markers",
            showlegend=False,
            text=hover,
            marker={
                "size": 9,
                "color": colour,
                "opacity": 0.8,
                "symbol": ["x" if is_failed else "circle" for is_failed in failed],
            },
            hovertemplate="%{text}<extra></extra>",
        )
    )


def _draw_legend(plot: go.Figure, rows: pd.DataFrame) -> None:
    """Explain the colours of severities, and the mark of a call that failed."""
    is_period = rows["end"].notna() & rows["data_source"].isin(_WITH_PERIODS)
    severities = rows.loc[is_period, "severity"]
    entries = [
        (name, theme.SEVERITY[name], "square") for name in _RANK if (severities == name).any()
    ]
    if rows.loc[~is_period, "detail"].str.contains(_FAILED).any():
        entries.append(("failed call", theme.GREEN, "x"))
    for name, colour, symbol in entries:
        marker = {"size": 10, "color": colour, "symbol": symbol}
        plot.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker))


def _hover(event: Any) -> str:
    time = format_utc(event.time, seconds=True)
    if pd.notna(event.end):
        time += f" to {format_time(event.end, seconds=True)}"
    return f"<b>{time}</b><br>{theme.wrap(event.detail)}"


def _draw_bars(plot: go.Figure, row: int, events: pd.DataFrame, colour: str) -> None:
    """Draw all periods of one severity as one trace: thousands of traces would be slow."""
    for severity, group in events.groupby("severity", dropna=False, sort=True):
        shade = theme.SEVERITY.get(str(severity), colour)
        x: list[Any] = []
        text: list[Any] = []
        for event in group.itertuples():
            x += [event.time, event.end, None]
            text += [event.hover, event.hover, None]
        plot.add_trace(
            go.Scatter(
                x=x[:-1],
                y=[row] * (len(x) - 1),
                mode="lines+markers",
                showlegend=False,
                line={"width": 11, "color": shade},
                marker={"size": 9, "symbol": "line-ns-open", "color": shade},
                text=text[:-1],
                hovertemplate="%{text}<extra></extra>",
            )
        )
