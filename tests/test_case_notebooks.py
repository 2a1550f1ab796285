"""The told cases: their evidence shows what they ask about, and they run on any other case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from flowbench.case import Case
from tests.conftest import ROOT
from tests.incident_case import make_incident_case

FOLDER = ROOT / "notebooks" / "cases"
NAMES = ["false-alarm", "ransomware", "slow-exfiltration"]


def run(name: str, case: Path) -> dict[str, Any]:
    """Run the cells in this process, with another case; return the names that they set."""
    names: dict[str, Any] = {}
    for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            source = re.sub("(?m)^CASE = .*", f"CASE = Path({str(case)!r})", cell.source)
            source = re.sub("(?m)^EVIDENCE = .*", "EVIDENCE = CASE.parent", source)
            exec(compile(source, f"{name}: {cell.id}", "exec"), names)  # our own
    return names


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("notebooks"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("few_detectors")
def test_they_run_on_any_case(incident: Case, name: str) -> None:
    names = run(name, incident.path)
    assert names["case"].path == incident.path
    assert len(names["findings"]) > 0


def test_cells_are_short_and_without_outputs() -> None:
    for name in NAMES:
        for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells:
            if cell.cell_type == "code":
                assert cell.outputs == []
                lines = re.sub('(?s)""".*?"""', "", cell.source).splitlines()
                assert sum(bool(line.strip()) for line in lines) < 13
