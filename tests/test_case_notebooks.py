"""The told cases: their evidence shows what they ask about, and they run on any other case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from flowbench.case import Case
from flowbench.playbooks.needs import EndOfPlaybook
from tests.conftest import ROOT
from tests.incident_case import make_incident_case
from tests.traffic import T0, connect, make_case

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


@pytest.fixture(scope="module")
def one_record(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("one")
    return make_case(folder, list(connect("10.0.0.5", "203.0.113.7", 443, T0))[:1])


@pytest.mark.usefixtures("few_detectors")
def test_they_state_what_is_missing(one_record: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ransomware", one_record.path)["host"] is None
    text = capsys.readouterr().out
    assert "Not in the case: CloudTrail events, GuardDuty findings, DNS query logs" in text
    assert "No connection between hosts of known groups violates the policy." in text
    assert "No host stands out." in text
    assert run("slow-exfiltration", one_record.path)["peer"] == "203.0.113.7"
    text = capsys.readouterr().out
    assert "No use of a role's credentials from an unexpected address was found." in text
    assert "The following sections examine all hosts: no finding names one." in text
    with pytest.raises(EndOfPlaybook, match="there is no finding 0 among 0"):
        run("false-alarm", one_record.path)


def test_cells_are_short_and_without_outputs() -> None:
    for name in NAMES:
        for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells:
            if cell.cell_type == "code":
                assert cell.outputs == []
                lines = re.sub('(?s)""".*?"""', "", cell.source).splitlines()
                assert sum(bool(line.strip()) for line in lines) < 13
