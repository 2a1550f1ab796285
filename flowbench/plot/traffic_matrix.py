"""Who communicated with whom: a communication graph as a matrix of initiators and responders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import networkx as nx
import plotly.graph_objects as go

from flowbench.errors import InputError
from flowbench.plot import theme
from flowbench.plot.figure import Figure
from flowbench.text import format_bytes, format_count, list_some

VALUES = ("bytes", "connections", "rejected")
_LABEL = 30  # characters beside an axis
_NAMED = 8  # members of a group that its hover label names
_SUMS = ("connections", "rejected", "bytes_out", "bytes_in")


def traffic_matrix(graph: nx.DiGraph, value: str = "bytes", *, most: int = 30) -> Figure:
    """Draw who communicated with whom: initiators are rows, responders columns.

    Args:
        graph: As a function of ``fb.graph`` returns it.
        value: What colours the cells, on a logarithmic scale: 'bytes' (both directions),
            'connections' or 'rejected' (connections).
        most: The number of rows, and of columns. Of more, those with the largest values are drawn
            and the others are one row or column, which states their number and names some.

    Raises:
        InputError: ``value`` is none of these.
    """
    if value not in VALUES:
        raise InputError(f"cannot draw {value!r}: choose one of {', '.join(VALUES)}")
    title = f"Who communicated with whom: {value}"
    if not graph.number_of_edges():
        return theme.empty_figure(title, "There are no connections to draw.")
    edges = sorted(graph.edges(data=True), key=lambda edge: edge[:2])
    rows = _select([(a, _value(edge, value)) for a, _, edge in edges], most)
    columns = _select([(b, _value(edge, value)) for _, b, edge in edges], most)
    cells = _sum_cells(edges, rows, columns)
    first = min(edge["first_seen"] for *_, edge in edges)
    last = max(edge["last_seen"] for *_, edge in edges)
    names = list(dict.fromkeys(rows.values())), list(dict.fromkeys(columns.values()))
    initiators, responders = len(rows), len(columns)
    plot = theme.figure(
        title,
        f"{theme.period(first, last)}; {format_count(initiators, 'initiator')},"
        f" {format_count(responders, 'responder')}",
        height=230 + 20 * max(len(names[0]), 10),
    )
    plot.add_trace(_heat_map(cells, names, value, graph, (rows, columns)))
    for axis, side in ((plot.update_xaxes, names[1]), (plot.update_yaxes, names[0])):
        axis(
            tickvals=list(range(len(side))),
            ticktext=[theme.escape(theme.shorten(_label(graph, name), _LABEL)) for name in side],
            showgrid=False,
            zeroline=False,
            automargin=True,
        )
    plot.update_xaxes(
        title={"text": "responder", "standoff": 10},
        tickangle=-60,
        range=[-0.5, len(names[1]) - 0.5],
    )
    plot.update_yaxes(
        title={"text": "initiator", "standoff": 10}, range=[len(names[0]) - 0.5, -0.5]
    )
    return plot


def _select(values: list[tuple[str, int]], most: int) -> dict[str, str]:
    """Return the row of each node: itself, or that of all others, the largest first."""
    sums: dict[str, int] = {}
    for node, value in values:
        sums[node] = sums.get(node, 0) + value
    ranked = sorted(sums, key=lambda node: (-sums[node], node))
    kept = ranked if len(ranked) <= most else ranked[: most - 1]
    others = f"{len(ranked) - len(kept):,} others"
    return {node: node if rank < len(kept) else others for rank, node in enumerate(ranked)}


def _value(edge: Mapping[str, Any], value: str) -> int:
    return int(edge["bytes_out"] + edge["bytes_in"] if value == "bytes" else edge[value])


def _sum_cells(
    edges: list[tuple[str, str, dict[str, Any]]], rows: dict[str, str], columns: dict[str, str]
) -> dict[tuple[str, str], dict[str, Any]]:
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for source, target, edge in edges:
        key = rows[source], columns[target]
        cell = cells.setdefault(
            key,
            dict.fromkeys(_SUMS, 0) | {name: edge[name] for name in ("first_seen", "last_seen")},
        )
        for name in _SUMS:
            cell[name] += edge[name]
        cell["first_seen"] = min(cell["first_seen"], edge["first_seen"])
        cell["last_seen"] = max(cell["last_seen"], edge["last_seen"])
    return cells


def _heat_map(
    cells: Mapping[tuple[str, str], Mapping[str, Any]],
    names: tuple[list[str], list[str]],
    value: str,
    graph: nx.DiGraph,
    members: tuple[Mapping[str, str], Mapping[str, str]],
) -> go.Heatmap:
    z: list[list[float | None]] = [[None] * len(names[1]) for _ in names[0]]
    text = [["no connection"] * len(names[1]) for _ in names[0]]
    described = [
        {name: _describe(graph, name, side) for name in shown}
        for shown, side in zip(names, members, strict=True)
    ]
    at = [{name: number for number, name in enumerate(side)} for side in names]
    for (source, target), cell in cells.items():
        row, column = at[0][source], at[1][target]
        amount = _value(cell, value)
        z[row][column] = math.log10(amount) if amount else None
        text[row][column] = (
            f"<b>{described[0][source]} → {described[1][target]}</b><br>"
            f"{format_count(cell['connections'], 'connection')}, {cell['rejected']:,} rejected<br>"
            f"{cell['bytes_out']:,} bytes out, {cell['bytes_in']:,} in<br>"
            f"{theme.period(cell['first_seen'], cell['last_seen'])}"
        )
    amounts = [x for line in z for x in line if x is not None]
    low, top = math.floor(min(amounts, default=0)), max(amounts, default=1.0)
    ticks = list(range(low, math.ceil(top) + 1))
    shown = [format_bytes(10**n) if value == "bytes" else f"{10**n:,}" for n in ticks]
    return go.Heatmap(
        x=list(range(len(names[1]))),
        y=list(range(len(names[0]))),
        z=z,
        zmin=low,
        zmax=max(top, low + 1),
        text=text,
        hovertemplate="%{text}<extra></extra>",
        hoverongaps=True,
        colorscale=theme.SCALE,
        xgap=1,
        ygap=1,
        colorbar={"title": value, "tickvals": ticks, "ticktext": shown, "thickness": 12},
    )


def _label(graph: nx.DiGraph, name: str) -> str:
    return graph.nodes[name]["label"] if name in graph else name


def _describe(graph: nx.DiGraph, name: str, members: Mapping[str, str]) -> str:
    """A node's id and name; of a group its members."""
    if name in graph:
        label = graph.nodes[name]["label"]
        return theme.wrap(name if label == name else f"{name} ({label})")
    others = [node for node, row in members.items() if row == name]
    return theme.wrap(f"{name}: {list_some(others, _NAMED)}")
