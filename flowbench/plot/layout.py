"""Where the nodes of a graph stand: always the same for the same graph, and each with its reason.

Inside hosts stand in one ring a VPC, outside ones around them all, near those they spoke with.
"""

from __future__ import annotations

import math

import networkx as nx

Place = tuple[float, float]

_WHEEL = 40  # nodes that fit in one ring around another
# Rings are ovals: names run sideways, so that nodes need more room above each other than beside.
_APART = 1.15  # how far from the middle the VPCs' rings stand, where there are several
_INNER = (0.55, 0.95)  # half the width and height of such a ring
_ONLY = (1.1, 1.1)  # of the one ring, where there is but one VPC
_SIDE = math.radians(72)  # how far up and down a ring's sides reach
_OUTER = (2.6, 1.9)  # of the ring of outside nodes


def places(graph: nx.DiGraph, about: str | None) -> tuple[dict[str, Place], dict[str, Place]]:
    """Where each node stands, and in which direction from its ring's middle.

    If every node spoke with ``about``, that one stands in the middle of the others.
    """
    if about in graph and len(graph) <= _WHEEL:
        near = {about, *graph.successors(about), *graph.predecessors(about)}
        if near == set(graph):
            return _wheel(graph, str(about))
    return _rings(graph)


def captions(graph: nx.DiGraph, at: dict[str, Place]) -> dict[str, Place]:
    """Where the name of each VPC stands: above the ring of its nodes, if they are several."""
    found: dict[str, list[Place]] = {}
    for node, known in sorted(graph.nodes(data=True)):
        if known["internal"] and known["vpc"]:
            found.setdefault(known["vpc"], []).append(at[node])
    return {
        vpc: (_mean(nodes)[0], max(y for _, y in nodes) + 0.25)
        for vpc, nodes in sorted(found.items())
        if len(nodes) > 1
    }


def _wheel(graph: nx.DiGraph, about: str) -> tuple[dict[str, Place], dict[str, Place]]:
    others = sorted(set(graph) - {about}, key=lambda n: (graph.nodes[n]["internal"], n))
    ring = {node: _on_circle(i + 0.5, len(others)) for i, node in enumerate(others)}
    return {about: (0.0, 0.0)} | ring, {about: (0.0, 1.0)} | ring


def _rings(graph: nx.DiGraph) -> tuple[dict[str, Place], dict[str, Place]]:
    inside = sorted(node for node, known in graph.nodes(data=True) if known["internal"])
    by_vpc: dict[str, list[str]] = {}
    for node in inside:
        by_vpc.setdefault(graph.nodes[node]["vpc"], []).append(node)
    at: dict[str, Place] = {}
    towards: dict[str, Place] = {}
    alone = len(by_vpc) == 1
    wide, high = _ONLY if alone else _INNER
    for number, (_, nodes) in enumerate(sorted(by_vpc.items())):
        x, y = (0.0, 0.0) if alone else _on_circle(number, len(by_vpc), turn=math.pi)
        for i, node in enumerate(nodes):
            way = _beside(i, len(nodes))
            at[node] = x * _APART + way[0] * wide, y * _APART + way[1] * high
            towards[node] = way if len(nodes) > 1 else (0.0, 1.0)
    outside = sorted(set(graph) - set(inside))
    wish = {node: _wish(graph, node, at) for node in outside}
    outside.sort(key=lambda node: (wish[node], node))
    for i, node in enumerate(outside):
        towards[node] = _on_circle(i + 0.5, len(outside), turn=math.pi)
        at[node] = towards[node][0] * _OUTER[0], towards[node][1] * _OUTER[1]
    return at, towards


def _wish(graph: nx.DiGraph, node: str, at: dict[str, Place]) -> float:
    """The angle at which an outside node's partners stand, from -pi to pi."""
    near = [at[other] for other in sorted(set(nx.all_neighbors(graph, node))) if other in at]
    x, y = _mean(near)
    return math.atan2(y, x)


def _beside(step: int, steps: int) -> Place:
    """A point at one side of the unit circle: at its top and bottom names run over each other."""
    if steps == 1:
        return 0.0, 0.0
    right = (steps + 1) // 2
    on_right = step < right
    place, places = (step, right) if on_right else (step - right, steps - right)
    angle = _SIDE * (1 - 2 * (place + 0.5) / places)
    x, y = round(math.cos(angle), 6), round(math.sin(angle), 6)
    return (x, y) if on_right else (-x, -y)


def _on_circle(step: float, steps: int, turn: float = 0.0) -> Place:
    """A point on the unit circle, ``steps`` of which go round, from ``turn`` on."""
    angle = 2 * math.pi * step / max(steps, 1) + turn
    return round(math.cos(angle), 6), round(math.sin(angle), 6)


def _mean(points: list[Place]) -> Place:
    if not points:
        return 0.0, 0.0
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
