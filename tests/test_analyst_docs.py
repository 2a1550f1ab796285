"""The examples in the pages for analysts (PAGES) run as they are printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import flowbench
from flowbench import detect
from flowbench.case import Case
from tests.cli.running import run
from tests.incident_case import make_incident_case

DOCS = Path(__file__).parents[1] / "docs"
DATA = {"csv", "json"}  # languages of blocks that are no examples
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [
    "notes-and-decisions.md",
    "corroboration.md",
    "exports.md",
    "attribution.md",
    "reachability.md",
    "coverage.md",
    "figures.md",
    "graph-and-timeline.md",
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("docs") / "incident")


@pytest.mark.usefixtures("few_detectors")
@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run(case: Case, page: str) -> None:
    findings = detect.run(case)
    finding_id = findings[0].finding_id
    blocks = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    assert {language for language, _ in blocks} - DATA == {"", "python"}
    for language, text in blocks:
        if language in DATA:
            continue
        if language:
            exec(compile(text, page, "exec"), {"case": case, "findings": findings, "fb": flowbench})
            continue
        for line in (
            text.replace("CASE", str(case.path)).replace("FINDING", finding_id).splitlines()
        ):
            program, *arguments = shlex.split(line, comments=True)
            assert program == "flowbench"
            result = run(*arguments)
            assert result.exit_code == 0, (line, result.stderr)
    assert len(case.log.check()) == 0
