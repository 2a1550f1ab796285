"""The graph explorer's widget: draws what its traits say, and reports what the user does.

The front end is ``static/graph.js``, built from ``js/``; it loads nothing from anywhere else.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"


class GraphView(anywidget.AnyWidget):
    """A graph that can be looked at, clicked, and walked through by the keyboard.

    Messages from it, each ``{"action": …}``: ``expand``, ``collapse`` and ``show`` with ``node``;
    ``moved`` with ``positions``.
    """

    _esm = STATIC / "graph.js"
    _css = STATIC / "panel.css"

    elements = traitlets.Dict().tag(sync=True)
    """What is drawn; see graph_elements.to_elements."""
    positions = traitlets.Dict().tag(sync=True)
    """[x, y, pinned] of nodes by id; the front end places those that have none."""
    selected = traitlets.Unicode("").tag(sync=True)
    """The id of a node or an edge (graph_elements.edge_id); '' if nothing is selected."""
    members = traitlets.Dict().tag(sync=True)
    """``group``, ``items`` (id and text of each) and ``more`` of the selected group."""
    code = traitlets.Unicode("").tag(sync=True)
    """The call that makes the same view."""
    height = traitlets.Int(560).tag(sync=True)
    """Of the drawing, in pixels."""
