"""Where a panel drew the nodes of a graph, so that the graph looks the same the next time.

The file is no evidence and no finding: it may be deleted, ``verify`` does not check it, and a
packed case does not have it. What another wrote there is data: numbers are checked, the rest is
left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from flowbench.io import atomic

FILE = "graph-positions.json"
MOST_NODES = 20_000  # whose positions are kept: those that were placed last
_MOST_BYTES = 5_000_000
_FARTHEST = 1_000_000  # from the origin, in pixels


class Position(NamedTuple):
    """Where a node is, in pixels, and whether it stays there when the graph is arranged anew."""

    x: float
    y: float
    pinned: bool = False


def read_positions(case: Path) -> dict[str, Position]:
    """Return the kept position of each node; none where there is no such file, or it is damaged."""
    try:
        with atomic.open_regular(case / FILE) as file:
            content = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return check_positions(content)


def check_positions(content: object) -> dict[str, Position]:
    """Return the positions in JSON of unknown origin: ``{node: [x, y, pinned]}``."""
    if not isinstance(content, Mapping):
        return {}
    positions = {}
    for node, place in content.items():
        if isinstance(node, str) and isinstance(place, list) and len(place) in (2, 3):
            x, y, pinned = [*place, False][:3]
            if all(type(n) in (int, float) and _is_near(n) for n in (x, y)):
                positions[node] = Position(x, y, bool(pinned))
    return positions


def write_positions(case: Path, positions: Mapping[str, Position]) -> None:
    """Keep positions in a case; on a case that cannot be written, they last as long as the panel.

    Of more than MOST_NODES, the last are kept.
    """
    kept = list(positions.items())[-MOST_NODES:]
    lists = {node: [place.x, place.y, int(place.pinned)] for node, place in kept}
    with suppress(OSError):
        atomic.write_bytes(case / FILE, json.dumps(lists, separators=(",", ":")).encode())


def _is_near(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= _FARTHEST
