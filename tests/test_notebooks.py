"""The notebooks run from first cell to last, and show what their text says they show."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.conftest import ROOT

STORY = ROOT / "notebooks" / "cases" / "winterday-crypto-mining.ipynb"


def executed(path: Path, case: Path) -> nbformat.NotebookNode:
    """A notebook run headless, its case put into another folder."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.evidence_id = cell.evidence_id.replace(
            'ROOT / "cases" / "winterday"', f"Path({str(case)!r})"
        )
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    return client.execute(cwd=str(path.parent))


def shown(notebook: nbformat.NotebookNode) -> str:
    """All the text that the cells put out."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            parts.append(str(output.get("text", "")) + str(output.get("data", "")))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[nbformat.NotebookNode, str]:
    notebook = executed(STORY, tmp_path_factory.mktemp("notebook") / "winterday")
    return notebook, shown(notebook)


def test_the_story_computes_what_it_says(told, answers) -> None:
    _, text = told
    user = answers["user"]
    for fact in (
        answers["instance"],
        answers["interface"],
        answers["pool"]["address"],
        answers["tor"]["address"],
        f"one every {answers['tor']['period_minutes']:.1f} min",
        user["arn"],
        user["access_key"],
        answers["run_instances_event"],
        *(door["address"] for door in answers["rejected"]["doors"]),
    ):
        assert fact in text


def test_the_story_names_nothing_that_it_should_find(answers) -> None:
    source = STORY.read_text(encoding="utf-8")
    for fact in (
        answers["address"],
        answers["instance"],
        answers["interface"],
        answers["pool"]["address"],
        answers["tor"]["address"],
        answers["user"]["name"],
    ):
        assert fact not in source


def test_cells_are_short(told) -> None:
    notebook, _ = told
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert sum(bool(line.strip()) for line in cell.evidence_id.splitlines()) < 10
