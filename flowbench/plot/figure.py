"""The figure that all functions here return: how it is shown, in light pages and in dark ones.

A figure is transparent, and its text takes the colour of the page's text: in JupyterLab's light and
dark themes, in notebooks exported to HTML and in the report, without a style sheet and without
knowing the theme.

Method: plotly has no colour that means "as the page". It does accept a style in the text that it
draws, so each text is put into a span with ``color:currentcolor`` when the figure is shown. Hover
labels have a background of their own and keep the colour of their font.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

# Never offer to upload evidence to plotly's cloud.
CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False}

_START, _END = "<span style='color:currentcolor'>", "</span>"
_SCHEME = '<meta name="color-scheme" content="light dark">'
_PLOTLY = "application/vnd.plotly.v1+json"


class Figure(go.Figure):  # type: ignore[misc]  # plotly is not typed
    """A plotly Figure without plotly's upload button, with text in the colour of the page.

    For a widget of it: ``go.FigureWidget(figure.to_dict())``.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the figure's data, its texts in the colour of the page's text."""
        figure = super().to_dict()
        _inherit_colour(figure)
        return figure

    def show(self, *args: Any, **kwargs: Any) -> Any:
        """Show the figure by a renderer (see plotly), without the upload button."""
        return pio.show(self, *args, **({"config": CONFIG} | kwargs))

    def to_html(self, *args: Any, **kwargs: Any) -> str:
        """Return the figure as HTML (see plotly), without the upload button.

        A page of its own follows the reader's preference of light or dark.
        """
        page: str = super().to_html(*args, **({"config": CONFIG} | kwargs))
        return (
            page.replace("<head>", f"<head>{_SCHEME}", 1) if page.startswith("<!doctype") else page
        )

    def write_html(self, file: str | Path, **kwargs: Any) -> None:
        """Write the figure as HTML (see plotly), without the upload button."""
        Path(file).write_text(self.to_html(**kwargs), encoding="utf-8")

    def _ipython_display_(self) -> None:
        if pio.renderers.render_on_display and pio.renderers.default:
            self.show()
        else:
            print(repr(self))  # as plotly does without a renderer

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(*args, **kwargs)
        if _PLOTLY in bundle:
            bundle[_PLOTLY]["config"] = CONFIG
        return bundle


def _inherit_colour(figure: dict[str, Any]) -> None:
    """Put each text of a figure into a span with the colour of the page's text."""
    layout = figure["layout"]
    _wrap(layout.get("title"), "text")
    for annotation in layout.get("annotations", ()):
        if "bgcolor" not in annotation:  # such a label has a font of its own
            _wrap(annotation, "text")
    for axis in _axes(layout):
        _wrap(axis.get("title"), "text")
        _wrap(axis, "ticktext")
        _set_ticks(axis)
    for trace in figure["data"]:
        _wrap(trace, "name")
        if "text" in str(trace.get("mode")):
            _wrap(trace, "text")
        if trace["type"] == "sankey":
            _wrap(trace["node"], "label")
        bar = trace.get("colorbar") or trace.get("marker", {}).get("colorbar")
        if bar:
            _wrap(bar.get("title"), "text")
            _wrap(bar, "ticktext")
            _set_ticks(bar)


def _axes(layout: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The axes of a layout; plotly draws those that it does not mention too."""
    for name, value in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            yield value


def _wrap(part: dict[str, Any] | None, name: str) -> None:
    """Wrap a text or the texts of a list, where there are any that are not wrapped yet."""
    value = part.get(name) if part else None
    if part is None or value is None:
        return
    part[name] = _inherit(value) if isinstance(value, str) else [_inherit(text) for text in value]


def _inherit(text: Any) -> Any:
    is_text = isinstance(text, str) and text and not text.startswith(_START)
    return f"{_START}{text}{_END}" if is_text else text


def _set_ticks(axis: dict[str, Any]) -> None:
    """Wrap the ticks that plotly writes itself."""
    prefix, suffix = axis.get("tickprefix", ""), axis.get("ticksuffix", "")
    if not prefix.startswith(_START):
        axis["tickprefix"], axis["ticksuffix"] = f"{_START}{prefix}", f"{suffix}{_END}"
