"""The playbooks that come with flowbench."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from flowbench import playbooks
from flowbench.cli import main
from flowbench.errors import InputError
from flowbench.playbooks.parameters import read_parameters
from tests.playbooks.notebooks import make_notebook

HEADINGS = (
    "What the logs can and cannot show",
    "Data needed",
    "What else could explain it",
    "What to do next",
    "Evidence",
    "What to report",
)


@pytest.mark.parametrize("playbook", playbooks.list_playbooks(), ids=lambda playbook: playbook.name)
def test_each_asks_a_question_of_any_case(playbook: playbooks.Playbook) -> None:
    node = nbformat.read(playbook.path, as_version=4)
    assert playbook.title.endswith("?")
    assert read_parameters(node)["CASE"] == "../../cases/winterday"
    lines = [line for cell in node.cells for line in cell.source.splitlines()]
    for heading in HEADINGS:
        assert f"## {heading}" in lines


@pytest.mark.parametrize("playbook", playbooks.list_playbooks(), ids=lambda playbook: playbook.name)
def test_the_commands_that_it_names_exist(playbook: playbooks.Playbook) -> None:
    node = nbformat.read(playbook.path, as_version=4)
    text = "\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    for name, rest in re.findall(r"`flowbench (\S+)([^`]*)`", text):
        options = {option for parameter in main.commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--\S+", rest)) <= options
    names = {known.name for known in playbooks.list_playbooks()}
    assert set(re.findall(r"[Pp]laybook `([\w-]+)`", text)) <= names


def test_a_playbook_is_found_by_name_or_path(tmp_path: Path) -> None:
    assert playbooks.find_playbook("crypto-mining").name == "crypto-mining.ipynb"
    assert playbooks.find_playbook("hunt").parent.name == "notebooks"
    own = make_notebook(tmp_path / "own.ipynb", "1")
    assert playbooks.find_playbook(str(own)) == own


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mining", "mining: no such playbook; the nearest is crypto-mining; there are beaconing, "),
        ("x", "x: no such playbook; there are beaconing, coverage-and-cost, "),
        ("x.ipynb", "no such file"),
        ("../cases/winterday-crypto-mining", "no such playbook"),
    ],
)
def test_another_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        playbooks.find_playbook(name)
