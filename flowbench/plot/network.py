"""A communication graph as a network diagram; what is too much to draw is grouped and counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx
import pandas as pd
import plotly.graph_objects as go

from flowbench.errors import InputError
from flowbench.plot import layout, theme
from flowbench.plot.reduction import reduce_graph
from flowbench.text import format_count, format_utc

_SYMBOLS = {"ec2": "circle", "rds": "square", "efs": "square", "elasticache": "square"}
_COLOUR_KEYS = ("verdict", "bytes", "change")
_LABEL = 26  # characters drawn of a name; the hover label has the whole
_ADDRESS = 39  # characters drawn of an address: IPv6
_LINE = 17  # characters of a line at the border of a figure of 800 pixels
_VOLUMES = (
    ("under 1 kB", theme.GREY),
    ("kilobytes", theme.SKY),
    ("megabytes", theme.BLUE),
    ("gigabytes or more", theme.ORANGE),
)
_KINDS = {  # of nodes
    "asked about": theme.ORANGE,
    "internal": theme.BLUE,
    "external": theme.GREY,
    "on an indicator list": theme.RED,
}
_CHANGES = {"new": theme.RED, "gone": theme.PURPLE, "kept": theme.GREY}
_NODE_FACTS = {
    "name": "name",
    "service": "service",
    "vpc": "VPC",
    "indicator_kinds": "indicator",
    "expired_kinds": "indicator, outside its period",
    "sessions": "administrative sessions",
    "principals": "called the AWS API",
    "member_names": "members",
}


def network(
    graph: nx.DiGraph,
    color: str = "verdict",
    *,
    most: int = 60,
    groups: Mapping[str, object] | None = None,
) -> go.Figure:
    """Draw a communication graph.

    Args:
        graph: As investigate.graph returns it.
        color: What colours the edges: 'verdict' (indicator match, accepted, rejected), 'bytes', or
            'change' (new, gone, kept) of what graph.changes returns.
        most: The number of nodes above which external addresses with the same neighbours are drawn
            as one group. Addresses that an accepted connection makes an indicator match, that held
            an administrative session, or from which the AWS API was called, are drawn alone up to
            half of ``most``; those beyond are in groups of their own. Of what then remains,
            ``most`` nodes are drawn, these first, then those with most connections; the title
            counts the others.
        groups: What colours the nodes, by node: the value of a tag (graph.tag_values), a community.
            The most frequent six have a colour each. By default the colour is that of the kind:
            internal, external, indicator match.

    Returns:
        A figure whose layout is the same for the same graph.

    Raises:
        InputError: ``color`` is none of these, or 'change' without changes.
    """
    if color not in _COLOUR_KEYS:
        raise InputError(f"cannot colour by {color!r}: choose one of {', '.join(_COLOUR_KEYS)}")
    if color == "change" and not all("change" in edge for *_, edge in graph.edges(data=True)):
        raise InputError("this graph has no changes: give what fb.graph.changes returns")
    center = graph.graph.get("center")
    title = f"Communication of {center}" if center else "Communication graph"
    title = f"What changed: {title[:1].lower()}{title[1:]}" if color == "change" else title
    if not graph:
        return theme.empty_figure(title, "There are no connections to draw.")
    drawn, grouped, omitted = reduce_graph(graph, most)
    first = min((e["first_seen"] for *_, e in graph.edges(data=True)), default=None)
    last = max((e["last_seen"] for *_, e in graph.edges(data=True)), default=None)
    subtitle = [theme.period(first, last)]
    if grouped:
        subtitle.append(f"{grouped:,} external addresses drawn as groups")
    if omitted:
        subtitle.append(f"{format_count(omitted, 'node')} not drawn")
    plot = theme.figure(
        title, "; ".join(subtitle), height=720, xaxis={"visible": False}, yaxis={"visible": False}
    )
    position, direction = layout.positions(drawn, center)
    _draw_edges(plot, drawn, position, color)
    _draw_nodes(plot, drawn, position, direction, groups)
    if center is None:
        for vpc, (x, y) in layout.vpc_labels(drawn, position).items():
            text = f"<b>{theme.escape(vpc)}</b>"
            plot.add_annotation(x=x, y=y, text=text, showarrow=False)
    width = max(abs(x) for x, _ in position.values()) or 1.0
    plot.update_xaxes(range=[-width * 1.5, width * 1.5])  # leaves room for the labels
    plot.update_layout(legend={"y": -0.02}, margin={"l": 20, "b": 40})
    return plot


def _draw_edges(
    plot: go.Figure, graph: nx.DiGraph, position: dict[str, layout.Point], color: str
) -> None:
    by_style: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for source, target, edge in sorted(graph.edges(data=True), key=lambda e: e[:2]):
        if color in ("verdict", "change"):
            style = (edge[color], (theme.VERDICT | _CHANGES)[edge[color]])
        else:
            thousands = math.log10(max(edge["bytes_out"] + edge["bytes_in"], 1)) // 3
            style = _VOLUMES[min(int(thousands), 3)]
        by_style.setdefault(style, []).append((source, target))
    for (name, colour), edges in sorted(by_style.items()):
        xs, ys, hover = [], [], []
        for source, target in edges:
            (x0, y0), (x1, y1) = position[source], position[target]
            xs += [x0, x0 * 0.4 + x1 * 0.6, x1, None]
            ys += [y0, y0 * 0.4 + y1 * 0.6, y1, None]
            hover.append(_edge_hover(graph, source, target))
        dash = "dot" if name in ("rejected", "gone") else "solid"
        width = 2.5 if name in ("indicator match", "new") else 1.4
        arrows = {"symbol": "arrow", "angleref": "previous", "size": [0, 10, 0, 0] * len(edges)}
        plot.add_trace(
            go.Scatter(
                x=xs,
                y=ys,
                mode="lines+markers",
                name=name,
                hoverinfo="skip",
                legendgroup=name,
                line={"width": width, "color": colour, "dash": dash},
                marker=arrows | {"color": colour, "opacity": 1, "line": {"width": 0}},
            )
        )
        # Lines have no hover label of their own: a mark under the arrow carries it.
        plot.add_trace(
            go.Scatter(
                x=xs[1::4],
                y=ys[1::4],
                mode="markers",
                showlegend=False,
                legendgroup=name,
                text=hover,
                marker={"size": 12, "opacity": 0},
                hoverlabel={"bordercolor": colour},
                hovertemplate="%{text}<extra></extra>",
            )
        )


def _edge_hover(graph: nx.DiGraph, source: str, target: str) -> str:
    edge = graph.edges[source, target]
    ends = " → ".join(theme.escape(graph.nodes[node]["label"]) for node in (source, target))
    change = ""
    if "change" in edge:
        before = format_count(edge["connections_before"], "connection")
        known = {"new": "new", "gone": "gone: none afterwards", "kept": f"kept: {before} before"}
        change = f"<br>{known[edge['change']]}"
    return (
        f"<b>{ends}</b><br>port {theme.escape(edge['ports'])};"
        f" {format_count(edge['connections'], 'connection')}, {edge['rejected']:,} rejected<br>"
        f"{edge['bytes_out']:,} bytes out, {edge['bytes_in']:,} in"
        f"<br>{theme.period(edge['first_seen'], edge['last_seen'])}{change}"
    )


def _draw_nodes(
    plot: go.Figure,
    graph: nx.DiGraph,
    position: dict[str, layout.Point],
    direction: dict[str, layout.Point],
    groups: Mapping[str, object] | None,
) -> None:
    nodes, center = sorted(graph), graph.graph.get("center")
    attributes = [graph.nodes[node] for node in nodes]
    styles = [_node_style(graph.nodes[node], is_center=node == center) for node in nodes]
    kinds, sizes = zip(*styles, strict=True)
    if groups is None:
        colours = [_KINDS[kind] for kind in kinds]
        _draw_legend(plot, {kind: colour for kind, colour in _KINDS.items() if kind in kinds})
    else:
        values = ["" if pd.isna(groups.get(node)) else str(groups[node]) for node in nodes]
        of_value = _rank_groups(values)
        colours = [of_value.get(value, theme.GREY) for value in values]
        others = {"others": theme.GREY} if set(values) - of_value.keys() else {}
        _draw_legend(plot, of_value | others)
    plot.add_trace(
        go.Scatter(
            x=[position[node][0] for node in nodes],
            y=[position[node][1] for node in nodes],
            mode="markers+text",
            showlegend=False,
            text=[_label(node, graph.nodes[node], is_center=node == center) for node in nodes],
            textposition=[_text_position(*direction[node]) for node in nodes],
            textfont={"size": 10},
            marker={
                "size": sizes,
                "color": colours,
                "opacity": 1,  # by default marks of several sizes are transparent
                "line": {"width": 1, "color": theme.PAPER},
                "symbol": [_SYMBOLS.get(known["service"], "circle") for known in attributes],
            },
            customdata=[_node_hover(graph, node) for node in nodes],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )


def _rank_groups(values: Sequence[str]) -> dict[str, str]:
    """Choose the colours of the most frequent values, the most frequent first."""
    counts = Counter(value for value in values if value)
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    return dict(zip(ranked, theme.GROUPS, strict=False))


def _draw_legend(plot: go.Figure, colours: Mapping[str, str]) -> None:
    """Explain the colours of nodes."""
    for value, colour in colours.items():
        name = theme.escape(theme.shorten(value, _LABEL))
        marker = {"size": 11, "color": colour}
        plot.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker))


def _node_style(attributes: Mapping[str, Any], *, is_center: bool) -> tuple[str, int]:
    """The kind of a node, and the size of its mark."""
    if is_center:
        return "asked about", 20
    if attributes["indicator_kinds"]:
        return "on an indicator list", 13
    return ("internal", 13) if attributes["internal"] else ("external", 10)


def _text_position(x: float, y: float) -> str:
    """Where a label goes so that it does not cross the ring of its node."""
    if abs(x) > 0.35:
        return "middle right" if x > 0 else "middle left"
    return "top center" if y > 0 else "bottom center"


def _label(node: str, attributes: Mapping[str, Any], *, is_center: bool) -> str:
    """A node's name, or its address; of the one that is asked about the address first."""
    is_group = attributes["service"] == "group"  # whose label is written here, not in the evidence
    text = attributes["label"] if is_group else theme.shorten(attributes["label"], _LABEL)
    kinds = theme.shorten(attributes["indicator_kinds"], _LABEL)
    if is_center and text != node:
        text = f"{theme.shorten(node, _ADDRESS)} ({text})"
    text = f"{text} ({kinds})" if kinds else text
    # External nodes are at the border of the figure, where long labels would be cut.
    return theme.escape(text) if attributes["internal"] else theme.wrap(text, _LINE)


def _node_hover(graph: nx.DiGraph, node: str) -> str:
    attributes = graph.nodes[node]
    facts = [f"<b>{theme.wrap(node)}</b>", *_traffic(graph, node)]
    facts += [
        f"{label}: {theme.wrap(str(attributes[name]))}"
        for name, label in _NODE_FACTS.items()
        if attributes.get(name)
    ]
    arrival = attributes.get("arrival")
    if arrival is not None and not pd.isna(arrival):
        facts.append(f"reachable from {format_utc(arrival)} on")
    departure = attributes.get("departure")
    if departure is not None and not pd.isna(departure):
        facts.append(f"latest departure of a path {format_utc(departure)}")
    return "<br>".join(facts)


def _traffic(graph: nx.DiGraph, node: str) -> list[str]:
    """The lines of a hover label with what a node exchanged with all that is drawn."""
    sent = [edge for *_, edge in graph.out_edges(node, data=True)]
    received = [edge for other, _, edge in graph.in_edges(node, data=True) if other != node]
    both = [*sent, *received]
    if not both:
        return ["no connections"]
    connections, rejected = (sum(e[name] for e in both) for name in ("connections", "rejected"))
    out = sum(e["bytes_out"] for e in sent) + sum(e["bytes_in"] for e in received)
    back = sum(e["bytes_in"] for e in sent) + sum(e["bytes_out"] for e in received)
    return [
        f"{format_count(connections, 'connection')}, {rejected:,} rejected",
        f"{out:,} bytes sent, {back:,} received",
        theme.period(min(e["first_seen"] for e in both), max(e["last_seen"] for e in both)),
    ]
