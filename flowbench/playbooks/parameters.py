"""The parameters of a playbook: constants in the cell with the tag ``parameters``."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from flowbench.errors import InputError

TAG = "parameters"
_FILES = ("LISTS", "POLICY", "PRICES")  # a notebook runs in its own folder, not the user's


def read_parameters(notebook: NotebookNode) -> dict[str, object]:
    """Return the parameters of a notebook with their defaults, in order.

    Raises:
        InputError: No cell has the tag, or a default is no literal.
    """
    tree = ast.parse(notebook.cells[_cell_index(notebook)].source)
    defaults: dict[str, object] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.isupper():
                try:
                    defaults[name] = ast.literal_eval(value)
                except ValueError as error:
                    raise InputError(f"the default of {name} is not a literal") from error
    return defaults


def set_parameters(notebook: NotebookNode, values: Mapping[str, str]) -> None:
    """Add a cell that gives parameters other values, after the cell with their defaults.

    Args:
        notebook: The notebook, which is changed.
        values: Text by name; names in any case, with - or _. A text becomes what the default is: a
            number, a list, yes or no; it stays text where the default is text or None. The files
            of LISTS, POLICY and PRICES are relative to the current folder.

    Raises:
        InputError: The notebook has no such parameter, or a text is not what the default is.
    """
    defaults = read_parameters(notebook)
    lines = []
    for given, text in values.items():
        name = given.upper().replace("-", "_")
        if name not in defaults:
            names = [known.lower() for known in defaults]
            nearest = difflib.get_close_matches(given.lower(), names, 1) or names
            raise InputError(
                f"{given}: no such parameter; {'the nearest' if len(nearest) == 1 else 'known'}:"
                f" {', '.join(nearest)}"
            )
        value = _convert(given, text, defaults[name])
        value = _locate(value) if name in _FILES else value
        lines.append(f"{name} = {value!r}")
    if lines:
        cell = nbformat.v4.new_code_cell("\n".join(lines), id="given-parameters")
        notebook.cells.insert(_cell_index(notebook) + 1, cell)


def _convert(name: str, text: str, default: object) -> object:
    if default is None or isinstance(default, str):
        return text
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{name}={text}: write it like {default!r}") from error
    if isinstance(default, float) and isinstance(value, int):
        return float(value)
    if type(value) is not type(default):
        raise InputError(f"{name}={text}: write it like {default!r}")
    return value


def _locate(value: object) -> object:
    """Return paths as absolute ones: the user gave them relative to the current folder."""
    if isinstance(value, list):
        return [str(Path(str(each)).absolute()) for each in value]
    return str(Path(str(value)).absolute())


def _cell_index(notebook: NotebookNode) -> int:
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and TAG in cell.metadata.get("tags", ()):
            return index
    raise InputError(f"this notebook takes no parameters: no cell has the tag '{TAG}'")
