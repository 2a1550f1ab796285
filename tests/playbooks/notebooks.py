"""Small notebooks for tests of playbooks."""

from __future__ import annotations

from pathlib import Path

import nbformat

PARAMETERS = 'CASE = "case"\nHOST = None\nPORT = 443\nSHARE = 0.5\nPORTS = [22]\nother = 1'


def make_notebook(path: Path, *cells: str, parameters: str | None = PARAMETERS) -> Path:
    """Write a notebook: a title, the cell with parameters, and code cells under headings."""
    new = nbformat.v4
    nodes = [new.new_markdown_cell("# A title\n\nText.")]
    if parameters is not None:
        nodes.append(new.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    for number, cell in enumerate(cells, 1):
        nodes += [new.new_markdown_cell(f"## Section {number}"), new.new_code_cell(cell)]
    nbformat.write(new.new_notebook(cells=nodes), path)
    return path
