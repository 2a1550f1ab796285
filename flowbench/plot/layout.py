"""Positions of a graph's nodes: computed without randomness, so that equal graphs look equal.

Internal hosts form one ring per VPC. External addresses form a ring around all of these, each near
the internal hosts that it communicated with.
"""

from __future__ import annotations

import math

import networkx as nx

Point = tuple[float, float]

_MOST_AROUND = 40  # nodes that fit in one ring around another
# Rings are ovals: labels are horizontal, so that nodes need more room above than beside each other.
_VPC_DISTANCE = 1.15  # of the VPCs' rings from the centre, if there are several
_VPC_RADII = (0.55, 0.95)  # half the width and height of such a ring
_SINGLE_VPC_RADII = (1.1, 1.1)
_SIDE_ANGLE = math.radians(72)  # extent of a ring's sides, up and down
_EXTERNAL_RADII = (2.6, 1.9)


def positions(graph: nx.DiGraph, center: str | None) -> tuple[dict[str, Point], dict[str, Point]]:
    """Compute each node's position, and its direction from the centre of its ring.

    If ``center`` is a node that has an edge with all others, it is placed in the middle of them.
    """
    if center in graph and len(graph) <= _MOST_AROUND:
        neighbours = {center, *graph.successors(center), *graph.predecessors(center)}
        if neighbours == set(graph):
            return _place_around(graph, str(center))
    return _place_rings(graph)


def vpc_labels(graph: nx.DiGraph, position: dict[str, Point]) -> dict[str, Point]:
    """Compute where each VPC's label goes: above its ring, if the VPC has several nodes."""
    points: dict[str, list[Point]] = {}
    for node, attributes in sorted(graph.nodes(data=True)):
        if attributes["internal"] and attributes["vpc"]:
            points.setdefault(attributes["vpc"], []).append(position[node])
    return {
        vpc: (_mean(ring)[0], max(y for _, y in ring) + 0.25)
        for vpc, ring in sorted(points.items())
        if len(ring) > 1
    }


def _place_around(graph: nx.DiGraph, center: str) -> tuple[dict[str, Point], dict[str, Point]]:
    others = sorted(set(graph) - {center}, key=lambda node: (graph.nodes[node]["internal"], node))
    ring = {node: _on_circle(i + 0.5, len(others)) for i, node in enumerate(others)}
    return {center: (0.0, 0.0)} | ring, {center: (0.0, 1.0)} | ring


def _place_rings(graph: nx.DiGraph) -> tuple[dict[str, Point], dict[str, Point]]:
    internal = sorted(node for node, attributes in graph.nodes(data=True) if attributes["internal"])
    by_vpc: dict[str, list[str]] = {}
    for node in internal:
        by_vpc.setdefault(graph.nodes[node]["vpc"], []).append(node)
    position: dict[str, Point] = {}
    direction: dict[str, Point] = {}
    single = len(by_vpc) == 1
    width, height = _SINGLE_VPC_RADII if single else _VPC_RADII
    for number, (_, nodes) in enumerate(sorted(by_vpc.items())):
        x, y = (0.0, 0.0) if single else _on_circle(number, len(by_vpc), start=math.pi)
        for i, node in enumerate(nodes):
            dx, dy = _on_side(i, len(nodes))
            position[node] = x * _VPC_DISTANCE + dx * width, y * _VPC_DISTANCE + dy * height
            direction[node] = (dx, dy) if len(nodes) > 1 else (0.0, 1.0)
    angle = {
        node: _angle_of_neighbours(graph, node, position) for node in set(graph) - set(internal)
    }
    external = sorted(angle, key=lambda node: (angle[node], node))
    for i, node in enumerate(external):
        x, y = direction[node] = _on_circle(i + 0.5, len(external), start=math.pi)
        position[node] = x * _EXTERNAL_RADII[0], y * _EXTERNAL_RADII[1]
    return position, direction


def _angle_of_neighbours(graph: nx.DiGraph, node: str, position: dict[str, Point]) -> float:
    """The mean direction of a node's placed neighbours, from -pi to pi."""
    neighbours = sorted(set(nx.all_neighbors(graph, node)))
    x, y = _mean([position[other] for other in neighbours if other in position])
    return math.atan2(y, x)


def _on_side(step: int, steps: int) -> Point:
    """A point at one side of the unit circle: labels overlap at its top and bottom."""
    if steps == 1:
        return 0.0, 0.0
    right = (steps + 1) // 2
    on_right = step < right
    number, count = (step, right) if on_right else (step - right, steps - right)
    angle = _SIDE_ANGLE * (1 - 2 * (number + 0.5) / count)
    x, y = round(math.cos(angle), 6), round(math.sin(angle), 6)
    return (x, y) if on_right else (-x, -y)


def _on_circle(step: float, steps: int, start: float = 0.0) -> Point:
    """A point on the unit circle, divided into ``steps`` from the angle ``start`` on."""
    angle = 2 * math.pi * step / max(steps, 1) + start
    return round(math.cos(angle), 6), round(math.sin(angle), 6)


def _mean(points: list[Point]) -> Point:
    if not points:
        return 0.0, 0.0
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
