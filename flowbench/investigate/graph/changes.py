"""What appeared and disappeared between two communication graphs."""

from __future__ import annotations

from typing import Any

import networkx as nx

_SUMS = ("connections", "rejected", "bytes_out", "bytes_in")


def changes(before: nx.DiGraph, after: nx.DiGraph) -> nx.DiGraph:
    """Compare two graphs of the same level, usually of two periods.

    Args:
        before: As ``communication`` returns it, with ``until``.
        after: The same of a later period, with ``since``.

    Returns:
        The nodes and edges of both. Attributes are those of ``after``, or of ``before`` where it
        alone has the node or edge. ``change`` is 'new', 'gone' or 'kept'; an edge has its sums
        before (connections_before, …), 0 where it was not there.
    """
    both = nx.DiGraph(**after.graph)
    for node in sorted({*before, *after}):
        kept = (after if node in after else before).nodes[node]
        both.add_node(node, **kept, change=_compare(node in before, node in after))
    for ends in sorted({*before.edges, *after.edges}):
        was: dict[str, Any] = before.get_edge_data(*ends, {})
        edge = after.get_edge_data(*ends, was)
        sums = {f"{name}_before": was.get(name, 0) for name in _SUMS}
        both.add_edge(
            *ends, **edge, **sums, change=_compare(before.has_edge(*ends), after.has_edge(*ends))
        )
    return both


def _compare(was: bool, is_now: bool) -> str:
    if was and is_now:
        return "kept"
    return "new" if is_now else "gone"
