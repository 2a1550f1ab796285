"""Files that commands write: the option that names one, and pages with a figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowbench.errors import InputError

if TYPE_CHECKING:
    import plotly.graph_objects as go


def output_file_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --output, one file; ``text`` is its help."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=text,
    )


def write_figure(figure: go.Figure, path: Path, div_id: str) -> None:
    """Write a figure as a page that needs no network. Raises InputError if it cannot be written."""
    page = figure.to_html(include_plotlyjs=True, div_id=div_id, config={"showSendToCloud": False})
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
