"""The notebooks run from the first to the last cell, and show what their text states."""

from __future__ import annotations

import html
from pathlib import Path

import nbclient
import nbformat
import pytest

from flowbench import playbooks
from flowbench.case import Case
from tests.conftest import ROOT
from tests.incident_case import make_incident_case

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


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """A case with every kind of evidence, and one without any."""
    folder = tmp_path_factory.mktemp("cases")
    return {"incident": make_incident_case(folder / "1"), "empty": Case.create(folder / "2")}


FACTS = {  # what a playbook states of the case with every kind of evidence
    "beaconing": "The following sections examine",
    "crypto-mining": "The following sections examine 10.0.0.5 and 203.0.113.50.",
    "exfiltration": "The following sections examine 10.0.0.5.",
    "guardduty-triage": "confirmed",
    "iam-abuse": "The following sections examine",
    "lateral-movement": "The following sections examine 10.0.0.5.",
    "remote-access": "ends here: no connection from an external address to an administrative port",
}


@pytest.mark.parametrize("playbook", playbooks.list_playbooks(), ids=lambda playbook: playbook.name)
def test_playbooks_run_on_any_case(
    tmp_path: Path, cases: dict[str, Case], playbook: playbooks.Playbook
) -> None:
    outcome = playbooks.run(playbook.path, cases["incident"].path, tmp_path / "out.html")
    page = html.unescape(outcome.path.read_text(encoding="utf-8"))
    assert FACTS[playbook.name] in page
    assert (outcome.ended is None) == (playbook.name != "remote-access")


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("crypto-mining", "VPC flow logs"),
        ("iam-abuse", "CloudTrail events"),
        ("guardduty-triage", "GuardDuty findings"),
    ],
)
def test_playbooks_end_where_evidence_is_missing(
    tmp_path: Path, cases: dict[str, Case], name: str, missing: str
) -> None:
    path = playbooks.find_playbook(name)
    outcome = playbooks.run(path, cases["empty"].path, tmp_path / "out.html")
    assert outcome.ended == f"the case has no {missing}. Load them with `flowbench ingest`."
