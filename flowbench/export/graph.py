"""The communication graph as GraphML and GEXF."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import networkx as nx

from flowbench.investigate import graph
from flowbench.text import escape_controls, replace_unstorable

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Findings


def to_graphml(case: Case, findings: Findings) -> bytes:  # noqa: ARG001  # as every format
    """Return the communication graph as GraphML."""
    return graphml(graph.communication(case))


def to_gexf(case: Case, findings: Findings) -> bytes:  # noqa: ARG001  # as every format
    """Return the communication graph as GEXF 1.2, without the date of writing."""
    return gexf(graph.communication(case))


def graphml(communication: nx.DiGraph) -> bytes:
    """Return a graph as GraphML, at any level: Gephi, yEd and Cytoscape read it.

    Args:
        communication: As a function of ``fb.graph`` returns it. Times become text in ISO 8601.
    """
    sink = io.BytesIO()
    nx.write_graphml(_plain(communication), sink, infer_numeric_types=True)
    return sink.getvalue()


def gexf(communication: nx.DiGraph) -> bytes:
    """Return a graph as GEXF 1.2, without the date of writing: Gephi reads it.

    Args:
        communication: As a function of ``fb.graph`` returns it. Times become text in ISO 8601.
    """
    lines = "\n".join(nx.generate_gexf(_plain(communication)))
    return (re.sub(r' lastmodifieddate="[^"]*"', "", lines) + "\n").encode()


def _plain(communication: nx.DiGraph) -> nx.DiGraph:
    """A graph with texts and numbers only, which XML can hold."""
    plain = nx.DiGraph()
    plain.graph.update({name: _text(value) for name, value in communication.graph.items()})
    for node, attributes in communication.nodes(data=True):
        plain.add_node(_text(node), **_attributes(attributes))
    for source, target, attributes in communication.edges(data=True):
        plain.add_edge(_text(source), _text(target), **_attributes(attributes))
    return plain


def _attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, bool | int | float):
            found[name] = value
        elif isinstance(value, datetime):
            found[name] = value.isoformat()
        elif isinstance(value, list | tuple | set | frozenset):
            found[name] = ", ".join(_text(each) for each in value)
        elif value is not None:
            found[name] = _text(value)
    return found


def _text(value: object) -> str:
    return replace_unstorable(escape_controls(value))
