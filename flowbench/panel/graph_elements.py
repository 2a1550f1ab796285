"""What the graph explorer's front end draws: nodes, edges, tables and a legend, as JSON.

Colours, shapes and sizes are decided here; the front end knows none of their meanings. All text is
shown as text there; characters that hide or reorder text are codes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import networkx as nx

from flowbench.investigate.neighbours import GROUP
from flowbench.panel.graph_facts import (
    EDGE_COLUMNS,
    NODE_COLUMNS,
    edge_cells,
    edge_facts,
    is_group,
    node_cells,
    node_facts,
)
from flowbench.panel.graph_state import TAG, GraphState
from flowbench.plot import theme
from flowbench.text import escape_controls, format_count, format_period

Json = dict[str, Any]

_LABEL = 28  # characters of a line in the graph; tables and hover have the whole
_STORES = ("efs", "elasticache", "rds")
_NO_TAG = "without this tag"
_OTHER_TAGS = "other values"
_VOLUMES = (
    ("under 1 kB", theme.GREY, 1),
    ("kilobytes", theme.SKY, 2),
    ("megabytes", theme.BLUE, 3.5),
    ("gigabytes or more", theme.ORANGE, 6),
)
_VERDICTS = {  # colour, line and width: they differ without their colours too
    "accepted": (theme.VERDICT["accepted"], "solid", 1.6),
    "rejected": (theme.VERDICT["rejected"], "dotted", 1.6),
    "indicator match": (theme.VERDICT["indicator match"], "solid", 3.5),
}
_KINDS = {  # of a node: colour and shape
    "internal": (theme.BLUE, "ellipse"),
    "internal store": (theme.BLUE, "rectangle"),
    "external": (theme.GREY, "diamond"),
    "indicator match": (theme.RED, "triangle"),
    "group of addresses": (theme.GREY, "octagon"),
}


def to_elements(graph: nx.DiGraph, state: GraphState, tags: Mapping[str, str]) -> Json:
    """Convert a neighbourhood to what the front end draws.

    Args:
        graph: What neighbours.build_neighbourhood returns.
        state: What is shown.
        tags: The value of the state's tag by address; empty if it has none.

    Returns:
        title, message, connections (the number that the edges stand for), intermediate (those of
        intermediate devices, which have no edge), nodes, edges, node_columns, edge_columns and
        legend.
    """
    nodes, edges = sorted(graph.nodes(data=True)), sorted(graph.edges(data=True))
    colours = _tag_colours(tags, [node for node, _attributes in nodes])
    shown = [_node(graph, node, state, tags.get(node), colours) for node, _attributes in nodes]
    drawn = [_edge(graph, source, target, state.color) for source, target, _edge_data in edges]
    return {
        "title": _title(state),
        "message": _message(graph),
        "connections": _connections(graph),
        "intermediate": graph.graph.get("intermediate", 0),
        "nodes": shown,
        "edges": drawn,
        "node_columns": list(NODE_COLUMNS),
        "edge_columns": list(EDGE_COLUMNS),
        "legend": _legend(shown, drawn),
    }


def edge_id(source: str, target: str) -> str:
    """Return the id of the edge between two nodes."""
    return f"{source} > {target}"


def _title(state: GraphState) -> str:
    hosts = ", ".join(state.hosts[:3])
    more = f" and {len(state.hosts) - 3:,} more" if len(state.hosts) > 3 else ""
    if not hosts:
        return "No host to show"
    condition = f" where {escape_controls(state.where)}" if state.where.strip() else ""
    return f"Communication of {escape_controls(hosts)}{more}{condition}"


def _connections(graph: nx.DiGraph) -> int:
    return sum(edge["connections"] for *_, edge in graph.edges(data=True))


def _message(graph: nx.DiGraph) -> str:
    parts = [
        format_count(len(graph), "node"),
        format_count(_connections(graph), "connection"),
    ]
    times = [e[name] for *_, e in graph.edges(data=True) for name in ("first_seen", "last_seen")]
    if times:
        parts.append(format_period(min(times), max(times)))
    if grouped := graph.graph.get("grouped"):
        parts.append(f"{format_count(grouped, 'address', 'addresses')} in groups")
    if left_out := graph.graph.get("edges_left_out"):
        parts.append(f"{format_count(left_out, 'line')} between neighbours not drawn")
    if relayed := graph.graph.get("intermediate"):
        number = format_count(relayed, "connection")
        parts.append(f"{number} of intermediate devices (NAT gateway, load balancer, …) not drawn")
    return "; ".join(parts) + "."


def _node(
    graph: nx.DiGraph, node: str, state: GraphState, tag: str | None, colours: Mapping[str, str]
) -> Json:
    attributes = graph.nodes[node]
    kind = _kind(attributes)
    colour, shape = _KINDS[kind]
    category = kind
    if state.color.startswith(TAG) and not node.startswith(GROUP):
        category = _NO_TAG if tag is None else tag if tag in colours else _OTHER_TAGS
        colour = colours.get(category, theme.GREY)
    is_suspect = node == (state.hosts or ("",))[0]
    return {
        "id": node,
        "label": _label(node, attributes),
        "color": colour,
        "shape": shape,
        "category": escape_controls(category),
        "size": 36 if is_suspect else 22 if attributes["internal"] else 18,
        "suspect": is_suspect,
        "expanded": node in state.expanded,
        "members": attributes["members"] if is_group(attributes) else 0,
        "facts": node_facts(graph, node, tag),
        "cells": node_cells(graph, node, kind),
    }


def _kind(attributes: Mapping[str, Any]) -> str:
    if is_group(attributes):
        return "group of addresses"
    if attributes["indicator_kinds"]:
        return "indicator match"
    if attributes["internal"]:
        return "internal store" if attributes["service"] in _STORES else "internal"
    return "external"


def _label(node: str, attributes: Mapping[str, Any]) -> str:
    """The address first, then its name or what an indicator says of it."""
    if is_group(attributes):
        count = format_count(attributes["members"], "address", "addresses")
        lines = [count, attributes["label"]]
    else:
        kinds = attributes["indicator_kinds"]
        lines = [node, attributes["name"], f"({kinds})" if kinds else ""]
    return "\n".join(theme.shorten(escape_controls(line), _LABEL) for line in lines if line)


def _edge(graph: nx.DiGraph, source: str, target: str, color: str) -> Json:
    edge = graph.edges[source, target]
    volume = edge["bytes_out"] + edge["bytes_in"]
    if color == "bytes":
        category, colour, width = _VOLUMES[min(int(math.log10(max(volume, 1)) // 3), 3)]
        dash = "dotted" if edge["verdict"] == "rejected" else "solid"
    else:
        category = edge["verdict"]
        colour, dash, width = _VERDICTS[category]
    return {
        "id": edge_id(source, target),
        "source": source,
        "target": target,
        "color": colour,
        "dash": dash,
        "width": width,
        "category": category,
        "facts": edge_facts(graph, source, target),
        "cells": edge_cells(graph, source, target),
    }


def _tag_colours(tags: Mapping[str, str], nodes: list[str]) -> dict[str, str]:
    """A colour for each of the most frequent values of a tag, ties in order of the value."""
    counts = Counter(tags[node] for node in nodes if node in tags)
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    return dict(zip(ranked, theme.GROUPS, strict=False))


def _legend(nodes: list[Json], edges: list[Json]) -> list[Json]:
    """One item for each kind of node, then for each kind of edge."""
    items = {}
    for node in nodes:  # a value of a tag has a colour, not a shape
        shape = node["shape"] if node["category"] in _KINDS else "ellipse"
        item = {"label": node["category"], "color": node["color"], "shape": shape}
        items[node["category"], shape] = item
    lines = {
        (edge["category"], edge["dash"]): {
            "label": edge["category"]
            + (", rejected" if edge["dash"] == "dotted" and edge["category"] != "rejected" else ""),
            "color": edge["color"],
            "dash": edge["dash"],
        }
        for edge in edges
    }
    return [entries[key] for entries in (items, lines) for key in sorted(entries)]
