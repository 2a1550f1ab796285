"""The notebooks run from the first to the last cell, and show what their text states."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.conftest import ROOT

WINTERDAY = ROOT / "notebooks" / "cases" / "winterday-crypto-mining.ipynb"


def execute(path: Path, case: Path) -> nbformat.NotebookNode:
    """Run a notebook without a browser, its case in another folder."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('ROOT / "cases" / "winterday"', f"Path({str(case)!r})")
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    return client.execute(cwd=str(path.parent))


def output_text(notebook: nbformat.NotebookNode) -> str:
    """All the text that the cells output; fails on errors and warnings."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            parts.append(str(output.get("text", "")) + str(output.get("data", "")))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def winterday_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[nbformat.NotebookNode, str]:
    notebook = execute(WINTERDAY, tmp_path_factory.mktemp("notebook") / "winterday")
    return notebook, output_text(notebook)


def test_the_cells_show_the_facts_of_the_case(winterday_run, answers) -> None:
    _, text = winterday_run
    user = answers["user"]
    for fact in (
        answers["instance"],
        answers["interface"],
        answers["pool"]["address"],
        answers["tor"]["address"],
        user["arn"],
        user["access_key"],
        answers["run_instances_event"],
        *(label["dst"] for label in answers["labels"] if label["kind"] == "lateral-movement"),
    ):
        assert fact in text


def test_the_notebook_names_no_fact_that_it_should_find(answers) -> None:
    source = WINTERDAY.read_text(encoding="utf-8")
    for fact in (
        answers["address"],
        answers["instance"],
        answers["interface"],
        answers["pool"]["address"],
        answers["tor"]["address"],
        answers["user"]["name"],
    ):
        assert fact not in source


def test_cells_are_short(winterday_run) -> None:
    notebook, _ = winterday_run
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert sum(bool(line.strip()) for line in cell.source.splitlines()) < 10
