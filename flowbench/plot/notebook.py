"""Figures in notebooks: drawn by JupyterLab, kept by ``nbconvert --to html``, never uploaded.

Plotly shows figures in JupyterLab as its own type of data, which an exported notebook cannot draw.
Its renderer for exports puts plotly.js into the first output of a kernel, where it is lost when
that cell runs again, and loads MathJax from the internet. The one here puts plotly.js into the
first cell with a figure, also when that cell runs again, and loads nothing.
"""

from __future__ import annotations

import sys
from typing import Any

import plotly.io as pio
from plotly.io.base_renderers import MimetypeRenderer

from flowbench.plot.figure import CONFIG

NAME = "flowbench"  # of the renderer
_OF_JUPYTER = "plotly_mimetype"  # plotly's choice in a kernel, unless the user has another
_HEIGHT = 450  # pixels, of a figure without a height: that of plotly.js


class ExportRenderer(MimetypeRenderer):  # type: ignore[misc]  # plotly is not typed
    """Renders a figure as HTML, in the first cell that shows one with plotly.js."""

    def __init__(self) -> None:
        # The cell whose output has plotly.js, and its run that wrote it; plotly copies renderers.
        self._carrier: dict[str, str] = {}

    def to_mimebundle(self, figure: dict[str, Any]) -> dict[str, str]:
        """Return a figure, as plotly gives it to renderers, as HTML for a notebook's output."""
        cell, run = _running_cell()
        is_carrier = self._carrier.setdefault("cell", cell) == cell
        has_plotly = is_carrier and self._carrier.get("run") != run
        if has_plotly:
            self._carrier["run"] = run
        page = pio.to_html(
            {name: figure[name] for name in ("data", "layout")},
            config=CONFIG,
            include_plotlyjs=has_plotly,
            include_mathjax=False,
            full_html=False,
            default_width="100%",
            default_height=_HEIGHT,
            validate=False,
        )
        return {"text/html": page}


def prepare() -> None:
    """Have figures shown in a notebook without an upload, and kept when it is exported.

    Nothing changes outside a notebook, or where the user has chosen a renderer.
    """
    pio.renderers[_OF_JUPYTER].config.update(CONFIG)
    if pio.renderers.default == _OF_JUPYTER:
        pio.renderers[NAME] = ExportRenderer()
        pio.renderers.default = f"{_OF_JUPYTER}+{NAME}"


def _running_cell() -> tuple[str, str]:
    """Return the id of the cell that runs, and of this run; a cell without an id runs once."""
    parent = sys.modules["IPython"].get_ipython().get_parent()  # plotly has found a kernel
    run = parent["header"]["msg_id"]
    return parent["metadata"].get("cellId") or run, run
