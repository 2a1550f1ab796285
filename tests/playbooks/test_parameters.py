"""Parameters: their defaults, and the cell that gives them other values."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode

from flowbench.errors import InputError
from flowbench.playbooks.parameters import read_parameters, set_parameters
from tests.playbooks.notebooks import PARAMETERS, make_notebook


def notebook(parameters: str = PARAMETERS) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    return nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("print(HOST)")])


def run_cell(node: NotebookNode) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(node.cells[1].source, names)
    del names["__builtins__"]
    return names


def test_parameters_are_constants_with_their_defaults() -> None:
    assert read_parameters(notebook()) == {
        "CASE": "case", "HOST": None, "PORT": 443, "SHARE": 0.5, "PORTS": [22],
    }  # fmt: skip


def test_a_text_becomes_what_the_default_is() -> None:
    node = notebook()
    given = {"case": "12", "host": "10.0.0.5", "Port": "8443", "share": "1", "PORTS": "[1, 2]"}
    set_parameters(node, given)
    values = run_cell(node)
    assert values == {"CASE": "12", "HOST": "10.0.0.5", "PORT": 8443, "SHARE": 1.0, "PORTS": [1, 2]}
    assert type(values["SHARE"]) is float
    assert [cell.source for cell in node.cells][::2] == [PARAMETERS, "print(HOST)"]


def test_files_are_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    node = notebook("POLICY = None\nLISTS = []\nHOST = None")
    set_parameters(node, {"policy": "p.yaml", "lists": "['a.csv', '/b.csv']", "host": "p.yaml"})
    values = run_cell(node)
    assert values == {
        "POLICY": str(tmp_path / "p.yaml"),
        "LISTS": [str(tmp_path / "a.csv"), "/b.csv"],
        "HOST": "p.yaml",
    }


def test_without_values_no_cell_is_added() -> None:
    node = notebook()
    set_parameters(node, {})
    assert len(node.cells) == 2


@given(st.text())
def test_a_text_never_becomes_code(text: str) -> None:
    node = notebook()
    set_parameters(node, {"host": text})
    assert run_cell(node) == {"HOST": text}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hots": "1"}, "hots: no such parameter; the nearest: host"),
        ({"x": "1"}, "x: no such parameter; known: case, host, port, share, ports"),
        ({"port": "https"}, "port=https: write it like 443"),
        ({"port": "__import__('os')"}, "write it like 443"),
        ({"port": "(" * 500}, "write it like 443"),
        ({"ports": "22"}, "ports=22: write it like [22]"),
    ],
)
def test_what_cannot_be_used_is_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        set_parameters(notebook(), values)
    assert message in str(error.value)


def test_a_notebook_without_the_tag_takes_none(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "n.ipynb", "1", parameters=None)
    with pytest.raises(InputError, match="no cell has the tag 'parameters'"):
        read_parameters(nbformat.read(path, as_version=4))


def test_a_default_that_is_computed_is_refused() -> None:
    with pytest.raises(InputError, match="the default of HOST is not a literal"):
        read_parameters(notebook("HOST = open('x')"))
