"""Notebooks of training, run in the process of the tests: a kernel of its own takes seconds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat


def read_cells(path: Path, kind: str) -> list[str]:
    """Return the sources of a notebook's cells of one kind, ``code`` or ``markdown``."""
    return [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


def run_cells(path: Path) -> dict[str, Any]:
    """Run a notebook's cells, let what they end with show itself, and return the names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for source in read_cells(path, "code"):
        body = ast.parse(source).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), path.name, "exec"), names)  # our cells
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            if hasattr(shown, "_repr_html_") and not hasattr(shown, "to_plotly_json"):
                assert shown._repr_html_()
    return names
