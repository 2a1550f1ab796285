"""The code that makes a panel's view, with a button that copies it."""

from __future__ import annotations

import anywidget
import traitlets

from flowbench.panel.graph_view import STATIC


class CodeView(anywidget.AnyWidget):
    """Shows code on request, and copies it."""

    _esm = STATIC / "code.js"
    _css = STATIC / "panel.css"

    code = traitlets.Unicode("").tag(sync=True)
    """The code; shown as text."""
