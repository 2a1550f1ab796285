"""Linked finding groups from left to right in order of time, with the times on the links."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from flowbench.enrich.ports import label as port_label
from flowbench.plot import theme
from flowbench.text import format_count, format_utc

_COLUMNS = 5  # that are readable at 800 pixels; what follows stays in the last one
_ROW = 110  # pixels
_WIDTH, _SIDE = 760, 85  # pixels: of the least figure, and what labels need at its sides
_SHIFT = 0.25  # rows by which every other column is lower: long arrows pass between its groups
_MARKER = 26  # pixels of a group's mark
_CHARACTER, _LINE = 6.2, 14  # pixels of a character and a line beside an arrow
_LABEL = 20  # characters drawn of a name; the hover label has the whole
_MOST_LINES = 2  # links between the same two groups that are named on the arrow
_SHARES = (0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2)  # of an arrow's length, where its label may be
_STYLES = {  # relation: colour and dash, since colours alone do not tell all readers apart
    "administrative session": (theme.BLUE, "solid"),
    "common external peer": (theme.ORANGE, "dash"),
    "same creator": (theme.GREEN, "dot"),
    "role credentials": (theme.PURPLE, "dashdot"),
}


class _Point(NamedTuple):
    x: float
    y: float


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


def paths(links: pd.DataFrame, groups: pd.DataFrame | None = None, *, most: int = 20) -> go.Figure:
    """Draw the links between finding groups.

    A group stands to the right of those that were linked to it earlier; an arrow has the port and
    the time (UTC) of the first session, contact, creation or call.

    Args:
        links: Rows of detect.LINKS, as detect.link_groups returns them.
        groups: Rows of detect.FINDING_GROUPS: a group has the colour of its severity.
        most: The number of groups that are drawn, those of the earliest links first; the title
            counts the others.
    """
    title = "Linked finding groups"
    if links.empty:
        return theme.empty_figure(title, "No finding groups are linked.")
    drawn, omitted = _reduce(links.sort_values("first_seen", kind="stable"), most)
    position = _place(drawn)
    parts = [theme.period(drawn["first_seen"].min(), drawn["last_seen"].max()), "times in UTC"]
    if omitted:
        parts.append(f"{format_count(omitted, 'group')} not drawn")
    rows = 1 + max(point.y for point in position.values())
    plot = theme.figure(
        title,
        "; ".join(parts),
        height=int(180 + _ROW * rows),
        xaxis={"visible": False},
        yaxis={"visible": False},
    )
    _draw_links(plot, drawn, position)
    _draw_groups(plot, position, groups)
    width = max(point.x for point in position.values())
    side = _SIDE / _column_width(position)
    plot.update_xaxes(range=[-side, width + side])
    plot.update_yaxes(range=[rows - 0.3, -0.6])
    plot.update_layout(legend={"y": -0.02}, margin={"l": 20, "r": 20, "b": 60})
    return plot


def _reduce(links: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Return the links between the first groups, and how many groups are left out."""
    names: dict[str, None] = {}
    for pair in links[["from_group", "to_group"]].itertuples(index=False):
        if len(names.keys() | set(pair)) <= max(most, 2):
            names |= dict.fromkeys(pair)
    total = len({*links["from_group"], *links["to_group"]})
    is_drawn = links["from_group"].isin(list(names)) & links["to_group"].isin(list(names))
    return links[is_drawn], total - len(names)


def _place(links: pd.DataFrame) -> dict[str, _Point]:
    """Place each group in the column after the first group that is linked to it."""
    column: dict[str, int] = {}
    for source, target in links[["from_group", "to_group"]].itertuples(index=False):
        column.setdefault(source, 0)
        column.setdefault(target, min(column[source] + 1, _COLUMNS - 1))
    position: dict[str, _Point] = {}
    count: dict[int, int] = {}
    for name, x in column.items():
        row = count.get(x, 0)
        count[x] = row + 1
        position[name] = _Point(x, row + (x % 2) * _SHIFT)
    return position


def _draw_links(plot: go.Figure, links: pd.DataFrame, position: Mapping[str, _Point]) -> None:
    for relation, (colour, dash) in _STYLES.items():
        rows = links[links["relation"] == relation]
        if rows.empty:
            continue
        x: list[float | None] = []
        y: list[float | None] = []
        for source, target in rows[["from_group", "to_group"]].itertuples(index=False):
            start, end = position[source], position[target]
            x += [start.x, end.x, None]
            y += [start.y, end.y, None]
        plot.add_trace(
            go.Scatter(
                x=x[:-1],
                y=y[:-1],
                mode="lines+markers",
                name=relation,
                line={"color": colour, "width": 2, "dash": dash},
                marker={
                    "symbol": "arrow",
                    "angleref": "previous",
                    "size": ([0, 14, 0] * len(rows))[:-1],
                    "standoff": 13,
                    "color": colour,
                },
                hoverinfo="skip",
            )
        )
    _label_links(plot, links, position)


def _label_links(plot: go.Figure, links: pd.DataFrame, position: Mapping[str, _Point]) -> None:
    """Write what links two groups beside the arrow; a hover label has all of it."""
    boxes = [box for name, point in position.items() for box in _node_boxes(name, point, position)]
    pairs = list(links.groupby(["from_group", "to_group"], sort=False))
    # Labels of short arrows have less room, so they are placed first.
    pairs.sort(key=lambda pair: math.dist(position[pair[0][0]], position[pair[0][1]]))
    for (source, target), rows in pairs:
        lines = _link_lines(rows)
        size = max(map(len, lines)) * _CHARACTER, len(lines) * _LINE
        start, end = position[source], position[target]
        candidates = [_between(start, end, share) for share in _SHARES]
        taken = [_overlap(_box(point, size, position), boxes) for point in candidates]
        point = candidates[taken.index(min(taken))]  # the first of those with the least overlap
        boxes.append(_box(point, size, position))
        plot.add_annotation(
            x=point.x,
            y=point.y,
            text="<br>".join(map(theme.escape, lines)),
            hovertext="<br>".join(theme.wrap(_describe(row)) for row in rows.itertuples()),
            showarrow=False,
            bgcolor=theme.PAPER,
            opacity=0.9,
            font={"size": 11, "color": theme.INK},
        )


def _link_lines(rows: pd.DataFrame) -> list[str]:
    """The lines beside an arrow: each relation and port once, with the first time.

    The colour of the arrow has the relation.
    """
    lines = []
    for (_relation, _port), same in rows.groupby(["relation", "service_port"], dropna=False):
        first = same.loc[same["first_seen"].idxmin()]
        lines.append((first["first_seen"], _name(first)))
    lines.sort()
    shown = []
    for time, name in lines[:_MOST_LINES]:
        shown += [*([name] if name else ()), f"{time:%m-%d %H:%M}"]
    return shown + ([f"and {len(lines) - _MOST_LINES:,} more"] if len(lines) > _MOST_LINES else [])


def _between(start: _Point, end: _Point, share: float) -> _Point:
    return _Point(start.x + (end.x - start.x) * share, start.y + (end.y - start.y) * share)


def _column_width(position: Mapping[str, _Point]) -> float:
    """The distance of two columns in pixels, in a figure of the least width."""
    return (_WIDTH - 2 * _SIDE) / max(1, *(point.x for point in position.values()))


def _box(
    point: _Point, size: tuple[float, float], position: Mapping[str, _Point], down: float = 0
) -> _Box:
    """The rectangle of a text of some size (pixels) around a point, ``down`` pixels below it."""
    x, y = point.x * _column_width(position), point.y * _ROW + down
    return _Box(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)


def _node_boxes(name: str, point: _Point, position: Mapping[str, _Point]) -> list[_Box]:
    size = min(len(name), _LABEL) * _CHARACTER * 1.2, 18
    return [_box(point, (_MARKER, _MARKER), position), _box(point, size, position, down=21)]


def _overlap(box: _Box, others: Sequence[_Box]) -> float:
    """The area that a rectangle has in common with others."""
    return sum(
        max(0, min(box.right, other.right) - max(box.left, other.left))
        * max(0, min(box.bottom, other.bottom) - max(box.top, other.top))
        for other in others
    )


def _name(row: Any) -> str:
    return port_label(int(row.service_port), 6) if pd.notna(row.service_port) else ""


def _describe(row: Any) -> str:
    via = f" {row.via}" if isinstance(row.via, str) else ""
    port = f" on {port_label(int(row.service_port), 6)}" if pd.notna(row.service_port) else ""
    return (
        f"{row.from_group} to {row.to_group}: {row.relation}{via}{port}, {row.connections:,}x,"
        f" from {format_utc(row.first_seen)}"
    )


def _draw_groups(
    plot: go.Figure, position: Mapping[str, _Point], groups: pd.DataFrame | None
) -> None:
    rows = {} if groups is None else {row["subject"]: row for row in groups.to_dict("records")}
    colours, hover = [], []
    for name in position:
        row = rows.get(name)
        colours.append(theme.SEVERITY[row["severity"]] if row else theme.GREY)
        text = f"<b>{theme.wrap(name)}</b>"
        if row:
            text += f"<br>{format_count(row['findings'], 'finding')}, {row['severity']}"
            text += f"<br>{theme.period(row['first_seen'], row['last_seen'])}"
        hover.append(text)
    plot.add_trace(
        go.Scatter(
            x=[point.x for point in position.values()],
            y=[point.y for point in position.values()],
            mode="markers+text",
            marker={"size": 22, "color": colours, "line": {"color": theme.GREY, "width": 1}},
            text=[f"<b>{theme.escape(theme.shorten(name, _LABEL))}</b>" for name in position],
            textposition="bottom center",
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    )
