"""What the flow logs of each interface cover, hour by hour."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from flowbench.plot import theme
from flowbench.text import format_count, format_utc

_MOST_ROWS = 40  # that can be distinguished on one axis
_MOST_COLUMNS = 240
_LABEL = 38  # characters beside the axis: a subnet id and the number of its interfaces
# Number, name and colour of each state; of several in one cell the highest number is drawn.
_STATES = (
    (1, "no traffic (NODATA)", theme.GREY),
    (2, "traffic", theme.SKY),
    (3, "records lost (SKIPDATA)", theme.RED),
)
_UNKNOWN_SUBNET = "no known subnet"


def coverage(cells: pd.DataFrame, interfaces: pd.DataFrame) -> go.Figure:
    """Draw a heat map of interfaces and hours; a cell without a record is white.

    More than 40 interfaces are grouped by subnet, and more than 40 subnets into 39 and the rest;
    each label states the number of interfaces. More than 240 hours share cells.

    Args:
        cells: Rows of coverage_by.CELLS.
        interfaces: Rows of coverage_by.INTERFACES; those without records are drawn as empty rows.
    """
    title = "Coverage of interfaces"
    if cells.empty:
        return theme.empty_figure(title, "There are no records of interfaces to draw.")
    labels, what = _label_rows(interfaces)
    hours = (cells["hour"].max() - cells["hour"].min()) / pd.Timedelta(hours=1) + 1
    width = math.ceil(hours / _MOST_COLUMNS)
    start = cells["hour"].min()
    step = pd.Timedelta(hours=width)
    drawn = cells.assign(
        row=cells["interface_id"].map(labels), column=(cells["hour"] - start) // step
    )
    drawn["state"] = 2 - (drawn["records"] == drawn["nodata"] + drawn["skipdata"]).astype("int64")
    drawn.loc[drawn["skipdata"] > 0, "state"] = 3
    names = list(dict.fromkeys(labels.values()))
    sums = drawn.groupby(["row", "column"]).agg(
        state=("state", "max"),
        interfaces=("interface_id", "nunique"),
        **{name: (name, "sum") for name in ("records", "nodata", "skipdata")},
    )
    unit = "hour" if width == 1 else f"{width} hours"
    silent = int((interfaces["records"] == 0).sum())
    plot = theme.figure(
        title,
        f"{theme.period(start, cells['hour'].max() + pd.Timedelta(hours=1))}; {what} per {unit};"
        f" {format_count(silent, 'interface')} without a record",
        height=200 + 18 * len(names),
    )
    # Edges: a cell is drawn from its hour to the next, also if it is the only one.
    times = [start + number * step for number in range(int(drawn["column"].max()) + 2)]
    plot.add_trace(_heat_map(sums, names, times))
    for _, name, colour in _STATES:
        plot.add_trace(_legend_entry(name, colour, times[0]))
    ticks = [theme.escape(theme.shorten(name, _LABEL)) for name in names]
    plot.update_xaxes(**theme.TIME_AXIS | {"showgrid": False})
    plot.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=ticks,
        range=[len(names) - 0.5, -0.5],
        zeroline=False,
        showgrid=False,
        automargin=True,
    )
    plot.update_layout(legend={"y": -60 / (74 + 18 * len(names))})
    return plot


def _label_rows(interfaces: pd.DataFrame) -> tuple[dict[str, str], str]:
    """Return the label of each interface's row, in the order of the rows, and what a row is."""
    rows = interfaces.sort_values("interface_id", kind="stable")
    ids = rows["interface_id"].tolist()
    if len(ids) <= _MOST_ROWS:
        return {name: name for name in ids}, "interface"
    subnets = rows["subnet_id"].fillna(_UNKNOWN_SUBNET)
    counts = subnets.value_counts()
    ranked = sorted(counts.index, key=lambda name: (-counts[name], name))
    kept = ranked if len(ranked) <= _MOST_ROWS else ranked[: _MOST_ROWS - 1]
    rest = f"{len(ranked) - len(kept):,} other subnets ({counts[ranked[len(kept) :]].sum():,})"
    names = {name: f"{theme.shorten(name, _LABEL - 12)} ({counts[name]:,})" for name in kept}
    # Two long names may be cut to the same label: the rank tells them apart.
    if len(set(names.values())) < len(names):
        names = {name: f"{rank}. {names[name]}" for rank, name in enumerate(kept, 1)}
    order = {name: rank for rank, name in enumerate(ranked)}
    pairs = sorted(zip(ids, subnets, strict=True), key=lambda pair: (order[pair[1]], pair[0]))
    return {name: names.get(subnet, rest) for name, subnet in pairs}, "interfaces of a subnet"


def _heat_map(sums: pd.DataFrame, names: list[str], times: list[pd.Timestamp]) -> go.Heatmap:
    """The cells between times, with the number of their state; None without a record."""
    hours = [format_utc(time) for time in times[:-1]]
    position = {name: number for number, name in enumerate(names)}
    states: list[list[int | None]] = [[None] * len(hours) for _ in names]
    hover = [["no record"] * len(hours) for _ in names]
    by_number = {number: name for number, name, _ in _STATES}
    for (name, column), cell in zip(sums.index, sums.to_dict("records"), strict=True):
        row = position[name]
        states[row][int(column)] = int(cell["state"])
        hover[row][int(column)] = (
            f"{by_number[int(cell['state'])]}<br>{format_count(cell['records'], 'record')} of"
            f" {format_count(cell['interfaces'], 'interface')}, {cell['nodata']:,} NODATA,"
            f" {cell['skipdata']:,} SKIPDATA"
        )
    labels = [theme.wrap(name) for name in names]
    text = [
        [f"<b>{label}</b><br>{what}<br>{hour}" for what, hour in zip(row, hours, strict=True)]
        for label, row in zip(labels, hover, strict=True)
    ]
    edges = [(n - 1) / len(_STATES) for n in range(1, len(_STATES) + 2)]
    scale = [
        [edge, colour]
        for (number, _, colour) in _STATES
        for edge in (edges[number - 1], edges[number])
    ]
    return go.Heatmap(
        x=times,
        y=list(range(len(names))),
        z=states,
        text=text,
        hovertemplate="%{text}<extra></extra>",
        colorscale=scale,
        zmin=0.5,
        zmax=len(_STATES) + 0.5,
        xgap=1,
        ygap=1,
        showscale=False,
        hoverongaps=True,
    )


def _legend_entry(name: str, colour: str, time: pd.Timestamp) -> go.Scatter:
    """A trace without a mark in the plot: a heat map has no legend of its own."""
    marker = {"size": 11, "symbol": "square", "color": colour}
    return go.Scatter(x=[time], y=[None], mode="markers", name=name, marker=marker)
