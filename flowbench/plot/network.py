"""The communication graph as a readable picture: what is too much is grouped, and that is said."""

from __future__ import annotations

import math
from typing import Any

import networkx as nx
import pandas as pd
import plotly.graph_objects as go

from flowbench.errors import InputError
from flowbench.plot import layout, theme

_SYMBOLS = {"ec2": "circle", "rds": "square", "efs": "square", "elasticache": "square"}
_COLOURS = ("verdict", "bytes")
_LABEL = 26  # characters of a name that are drawn; the hover shows it all
_GRAVEST = ("listed", "accepted", "rejected")


def network(graph: nx.DiGraph, color: str = "verdict", *, most: int = 60) -> go.Figure:
    """A figure of a communication graph (see investigate.graph).

    ``color`` is what edges are coloured by: 'verdict' (listed, refused, accepted) or 'bytes'.
    At most about ``most`` nodes are drawn: outside addresses that spoke with the same nodes, and
    are on no list or were refused, are drawn as one; then the least busy are left out, and the
    title says how many.
    The layout is the same for the same graph. Raises InputError for another ``color``.
    """
    if color not in _COLOURS:
        raise InputError(f"cannot colour by {color!r}: choose one of {', '.join(_COLOURS)}")
    if not graph:
        return theme.nothing("Who spoke with whom", "There are no connections to draw.")
    drawn, grouped, left_out = _readable(graph, most)
    first = min((e["first_seen"] for *_, e in graph.edges(data=True)), default=None)
    last = max((e["last_seen"] for *_, e in graph.edges(data=True)), default=None)
    hidden = [f"{grouped:,} outside addresses drawn as groups"] if grouped else []
    hidden += [f"{left_out:,} nodes not drawn"] if left_out else []
    about = graph.graph.get("about")
    plot = theme.figure(
        f"Who spoke with {about}" if about else "Who spoke with whom",
        "; ".join([theme.when(first, last), *hidden]),
        height=720,
        xaxis={"visible": False},
        yaxis={"visible": False},
    )
    places, towards = layout.places(drawn, about)
    _draw_edges(plot, drawn, places, color)
    _draw_nodes(plot, drawn, places, towards, about)
    if about is None:
        for vpc, (x, y) in layout.captions(drawn, places).items():
            text = f"<b>{theme.safe(vpc)}</b>"
            plot.add_annotation(
                x=x, y=y, text=text, showarrow=False, bgcolor="white", font={"color": theme.GREY}
            )
    wide = max(abs(x) for x, _ in places.values()) or 1.0
    plot.update_xaxes(range=[-wide * 1.35, wide * 1.35])  # room for the names at the sides
    plot.update_layout(legend={"y": -0.02}, margin={"l": 20, "r": 20, "t": 76, "b": 40})
    return plot


def _readable(graph: nx.DiGraph, most: int) -> tuple[nx.DiGraph, int, int]:
    """A graph of a size that can be drawn; how many nodes went into groups, how many were left."""
    if len(graph) <= most:
        return graph, 0, 0
    small, groups = nx.DiGraph(), dict[tuple[Any, ...], list[str]]()
    about = graph.graph.get("about")
    for node, known in graph.nodes(data=True):
        near = frozenset(nx.all_neighbors(graph, node))
        refused = all(
            graph.edges[e]["verdict"] == "rejected"
            for e in [*graph.in_edges(node), *graph.out_edges(node)]
        )
        telling = (known["kinds"] or known["lapsed"]) and not refused
        if known["internal"] or telling or node == about:
            small.add_node(node, **known)
        else:
            groups.setdefault((*sorted(near), refused), []).append(node)
    place = {node: node for node in small}
    grouped = 0
    for (*near_by, refused), nodes in sorted(groups.items(), key=lambda group: min(group[1])):
        first = min(nodes)
        if len(nodes) == 1:
            small.add_node(first, **graph.nodes[first])
            place[first] = first
            continue
        name = f"{len(nodes):,} outside" + (", refused" if refused else "")
        key = f"{name} at {', '.join(near_by)}"
        small.add_node(key, **graph.nodes[first] | {"label": name, "service": "group", "kinds": ""})
        place |= dict.fromkeys(nodes, key)
        grouped += len(nodes)
    for source, target, edge in graph.edges(data=True):
        _merge(small, place[source], place[target], edge)
    weight = dict(small.degree(weight="connections"))

    def rank(node: str) -> tuple[Any, ...]:
        known = small.nodes[node]
        return node != about, not known["kinds"], known["service"] == "group", -weight[node], node

    keep = sorted(small, key=rank)[:most]
    return nx.DiGraph(small.subgraph(sorted(keep))), grouped, len(small) - len(keep)


def _merge(graph: nx.DiGraph, source: str, target: str, edge: dict[str, Any]) -> None:
    if not graph.has_edge(source, target):
        graph.add_edge(source, target, **edge)
        return
    known = graph.edges[source, target]
    for name in ("connections", "rejected", "answered", "bytes_out", "bytes_in"):
        known[name] += edge[name]
    known["first_seen"] = min(known["first_seen"], edge["first_seen"])
    known["last_seen"] = max(known["last_seen"], edge["last_seen"])
    if known["ports"] != edge["ports"]:
        known["ports"] = "several"
    known["verdict"] = min(known["verdict"], edge["verdict"], key=_GRAVEST.index)


def _draw_edges(
    plot: go.Figure, graph: nx.DiGraph, places: dict[str, tuple[float, float]], color: str
) -> None:
    by_look: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for source, target, edge in sorted(graph.edges(data=True), key=lambda e: e[:2]):
        if color == "verdict":
            look = (edge["verdict"], theme.VERDICT[edge["verdict"]])
        else:
            size = int(math.log10(max(edge["bytes_out"] + edge["bytes_in"], 1)) // 3)
            shades = [
                ("under 1 kB", theme.GREY),
                ("kilobytes", theme.SKY),
                ("megabytes", theme.BLUE),
                ("gigabytes or more", theme.ORANGE),
            ]
            look = shades[min(size, 3)]
        by_look.setdefault(look, []).append((source, target))
    for (name, colour), edges in sorted(by_look.items()):
        xs, ys, mid_x, mid_y, hover = [], [], [], [], []
        for source, target in edges:
            (x0, y0), (x1, y1) = places[source], places[target]
            xs += [x0, x1, None]
            ys += [y0, y1, None]
            mid_x.append(x0 * 0.4 + x1 * 0.6)
            mid_y.append(y0 * 0.4 + y1 * 0.6)
            hover.append(_edge_text(graph, source, target))
        dash = "dot" if name == "rejected" else "solid"
        plot.add_trace(
            go.Scatter(
                x=xs,
                y=ys,
                mode="lines",
                name=name,
                hoverinfo="skip",
                legendgroup=name,
                line={"width": 2.5 if name == "listed" else 1.4, "color": colour, "dash": dash},
            )
        )
        # Lines have no hover of their own: a small mark nearer the responder carries it.
        plot.add_trace(
            go.Scatter(
                x=mid_x,
                y=mid_y,
                mode="markers",
                showlegend=False,
                legendgroup=name,
                text=hover,
                marker={"size": 6, "color": colour, "symbol": "diamond"},
                hovertemplate="%{text}<extra></extra>",
            )
        )


def _edge_text(graph: nx.DiGraph, source: str, target: str) -> str:
    e = graph.edges[source, target]
    names = [theme.safe(graph.nodes[n]["label"]) for n in (source, target)]
    return (
        f"<b>{names[0]} → {names[1]}</b><br>port {theme.safe(e['ports'])};"
        f" {e['connections']:,} connections, {e['refused']:,} refused<br>"
        f"{e['bytes_out']:,} bytes out, {e['bytes_in']:,} in"
        f"<br>{theme.when(e['first_seen'], e['last_seen'])}"
    )


def _draw_nodes(
    plot: go.Figure,
    graph: nx.DiGraph,
    places: dict[str, tuple[float, float]],
    towards: dict[str, tuple[float, float]],
    about: str | None,
) -> None:
    nodes = sorted(graph)
    known = [graph.nodes[node] for node in nodes]
    colours = [
        theme.INK
        if node == about
        else theme.RED
        if k["kinds"]
        else theme.BLUE
        if k["internal"]
        else theme.GREY
        for node, k in zip(nodes, known, strict=True)
    ]
    sizes = [
        20 if node == about else 13 if k["kinds"] or k["internal"] else 10
        for node, k in zip(nodes, known, strict=True)
    ]
    plot.add_trace(
        go.Scatter(
            x=[places[node][0] for node in nodes],
            y=[places[node][1] for node in nodes],
            mode="markers+text",
            showlegend=False,
            text=[theme.safe(_label(k)) for k in known],
            textposition=[_side(*towards[node]) for node in nodes],
            textfont={"size": 10},
            marker={
                "size": sizes,
                "color": colours,
                "line": {"width": 1.5, "color": "white"},
                "symbol": [_SYMBOLS.get(k["service"], "circle") for k in known],
            },
            customdata=[_node_text(node, k) for node, k in zip(nodes, known, strict=True)],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )


def _side(x: float, y: float) -> str:
    """Where a name stands that must not run into the ring its node is on."""
    if abs(x) > 0.35:
        return "middle right" if x > 0 else "middle left"
    return "top center" if y > 0 else "bottom center"


def _label(known: dict[str, Any]) -> str:
    text = known["label"]
    text = text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"
    return f"{text} ({known['kinds']})" if known["kinds"] else text


def _node_text(node: str, known: dict[str, Any]) -> str:
    facts = [f"<b>{theme.safe(node)}</b>"]
    facts += [
        f"{name}: {theme.wrapped(str(known[name]))}"
        for name in ("name", "service", "vpc", "kinds", "lapsed")
        if known.get(name)
    ]
    arrival = known.get("arrival")
    if arrival is not None and not pd.isna(arrival):
        facts.append(f"reachable from {arrival:%Y-%m-%d %H:%M} UTC")
    return "<br>".join(facts)
