"""A map of the countries that internal hosts communicated with.

The outlines are in countries.json (docs/make_countries.py): plotly's own maps would be fetched from
the network.
"""

from __future__ import annotations

import functools
import json
import math
from importlib import resources
from typing import Any, NamedTuple

import networkx as nx
import plotly.graph_objects as go

from flowbench.errors import InputError
from flowbench.plot import theme
from flowbench.plot.figure import Figure
from flowbench.text import format_bytes, format_count, list_some

VALUES = ("bytes", "connections")
_EMPTY = "rgba(128,128,128,0.16)"
_RIM = {"width": 0.6, "color": "rgba(128,128,128,0.7)"}
_NAMED = 8  # hosts that a hover label names
_LINE = 90  # characters of the line below the map in a figure of 800 pixels


class Country(NamedTuple):
    """An outline: rings of longitudes and latitudes in turn, none for small countries."""

    code: str | None
    name: str
    at: list[float]
    rings: list[list[float]]


def countries(graph: nx.DiGraph, value: str = "bytes") -> Figure:
    """Draw the countries of external addresses, by bytes or connections with internal hosts.

    A country is where an address is registered or used according to the case's database, or else
    the regional registries: see enrich.geography for what that is worth.

    Args:
        graph: As ``fb.graph.communication`` returns it, at any level; of millions of addresses with
            ``outsiders="country"``. The attribute ``country`` of its external nodes counts.
        value: 'bytes' (both directions) or 'connections', on a logarithmic scale.

    Raises:
        InputError: ``value`` is none of these.
    """
    if value not in VALUES:
        raise InputError(f"cannot draw {value!r}: choose one of {', '.join(VALUES)}")
    sums, unknown = _sum_countries(graph)
    title = f"Countries by {value}"
    if not sums:
        return theme.empty_figure(title, "No external address has a known country.")
    first = min(row["first_seen"] for row in sums.values())
    last = max(row["last_seen"] for row in sums.values())
    note = f"; {format_count(unknown, 'connection')} without a known country" if unknown else ""
    plot = theme.figure(
        title,
        f"{theme.period(first, last)}; {format_count(len(sums), 'country', 'countries')}{note}",
        height=470,
        showlegend=False,
    )
    top = max(row[value] for row in sums.values())
    outlines = read_outlines()
    rest = [country for country in outlines if country.code not in sums]
    plot.add_trace(_outline(rest, _EMPTY, hoverinfo="skip"))
    for country in outlines:
        if country.code in sums:
            row = sums[country.code]
            plot.add_traces(_draw_country(country, row, _share(row[value], top)))
    plot.add_trace(_scale(top, value))
    missing = sorted(set(sums) - {country.code for country in outlines})
    if missing:
        text = f"Not on the map: {list_some(missing, 12)}"
        plot.add_annotation(
            text=theme.escape(theme.shorten(text, _LINE)),
            x=0,
            y=0,
            xref="paper",
            yref="paper",
            showarrow=False,
        )
    plot.update_xaxes(visible=False, range=[-172, 190])
    plot.update_yaxes(visible=False, range=[-58, 85], scaleanchor="x", scaleratio=1.25)
    plot.update_layout(margin={"l": 10, "r": 10, "b": 10})
    return plot


@functools.cache
def read_outlines() -> tuple[Country, ...]:
    """Read the outlines of all countries, in the order of their names."""
    text = resources.files("flowbench.plot").joinpath("countries.json").read_text(encoding="utf-8")
    return tuple(Country(**row) for row in json.loads(text)["countries"])


def _sum_countries(graph: nx.DiGraph) -> tuple[dict[str, dict[str, Any]], int]:
    """Sum the edges with external nodes by country; count the connections of those without one."""
    sums: dict[str, dict[str, Any]] = {}
    unknown = 0
    for source, target, edge in sorted(graph.edges(data=True), key=lambda edge: edge[:2]):
        for node, other, to, back in (
            (target, source, "bytes_out", "bytes_in"),
            (source, target, "bytes_in", "bytes_out"),
        ):
            attributes = graph.nodes[node]
            if attributes["internal"]:
                continue
            if not attributes["country"]:
                unknown += edge["connections"]
                continue
            row = sums.setdefault(attributes["country"], _new_row(edge))
            row["sent"] += edge[to]
            row["received"] += edge[back]
            row["bytes"] += edge[to] + edge[back]
            row["connections"] += edge["connections"]
            row["rejected"] += edge["rejected"]
            row["first_seen"] = min(row["first_seen"], edge["first_seen"])
            row["last_seen"] = max(row["last_seen"], edge["last_seen"])
            row["hosts"].setdefault(other)
    return sums, unknown


def _new_row(edge: dict[str, Any]) -> dict[str, Any]:
    names = ("sent", "received", "bytes", "connections", "rejected")
    times = {name: edge[name] for name in ("first_seen", "last_seen")}
    return dict.fromkeys(names, 0) | times | {"hosts": {}}


def _share(amount: int, top: int) -> float:
    """A place on the logarithmic scale, 0 to 1."""
    return math.log10(amount + 1) / math.log10(top + 1) if top else 0.0


def _outline(shown: list[Country], colour: str, **more: Any) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for country in shown:
        for ring in country.rings:
            x += [*ring[::2], None]
            y += [*ring[1::2], None]
    return go.Scatter(
        x=x, y=y, mode="lines", fill="toself", fillcolor=colour, line=_RIM, hoveron="fills", **more
    )


def _draw_country(country: Country, row: dict[str, Any], share: float) -> list[go.Scatter]:
    colour = theme.rgba(theme.BLUE, round(0.15 + 0.85 * share, 3))
    text = _hover(country, row)
    if country.rings:
        return [_outline([country], colour, name=country.name, text=text, hoverinfo="text")]
    point = {"size": 8, "color": colour, "line": {"width": 1, "color": theme.BLUE}}
    return [
        go.Scatter(
            x=country.at[:1],
            y=country.at[1:],
            mode="markers",
            name=country.name,
            marker=point,
            hovertext=[text],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    ]


def _hover(country: Country, row: dict[str, Any]) -> str:
    nodes = list(row["hosts"])
    return (
        f"<b>{theme.escape(country.name)} ({theme.escape(country.code)})</b><br>"
        f"{format_count(row['connections'], 'connection')}, {row['rejected']:,} rejected<br>"
        f"{row['sent']:,} bytes sent there, {row['received']:,} received<br>"
        f"{theme.period(row['first_seen'], row['last_seen'])}<br>"
        f"with {theme.wrap(list_some(nodes, _NAMED))}"
    )


def _scale(top: int, value: str) -> go.Scatter:
    """A trace without a mark in the plot, for the scale of colours."""
    ticks = list(range(0, int(math.log10(top + 1)) + 1, 2 if top > 10**6 else 1))
    shown = [format_bytes(10**n) if value == "bytes" else f"{10**n:,}" for n in ticks]
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        hoverinfo="skip",
        marker={
            "color": [0],
            "cmin": 0,
            "cmax": math.log10(top + 1) or 1,
            "colorscale": [
                [0, theme.rgba(theme.BLUE, 0.15)],
                [1, theme.rgba(theme.BLUE, 1.0)],
            ],
            "colorbar": {
                "title": value,
                "tickvals": ticks,
                "ticktext": shown,
                "thickness": 12,
                "len": 0.7,
            },
        },
    )
