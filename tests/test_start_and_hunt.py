"""The notebooks start-here and hunt, on cases with everything, with default logs, with nothing.

Their cells run in this process: a kernel for each would take longer than they do.
"""

from __future__ import annotations

import html
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from plotly.graph_objects import Figure

from flowbench.case import Case
from flowbench.cli import main
from tests.conftest import ROOT
from tests.investigate.hunting_case import LATE, MARKUP, POOL, REASSIGNED, make_hunting_case
from tests.traffic import T0, connect, make_case

NAMES = ("start-here", "hunt")
V2 = (
    "version account_id interface_id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log_status"
).split()


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell as that of a kernel."""
    monkeypatch.chdir(ROOT / "notebooks")
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def run(shell: InteractiveShell, name: str, **parameters: object) -> tuple[str, Exception | None]:
    """Run a notebook with other parameters; return its outputs as text, and what ended it."""
    parts: list[str] = []
    shown = shell.display_formatter.formatters["text/html"]

    def show(value: object) -> tuple[dict[str, str], dict[str, str]]:
        is_figure = isinstance(value, Figure)
        parts.append(value.layout.title.text if is_figure else shown(value) or repr(value))
        return {"text/plain": ""}, {}

    shell.displayhook.compute_format_data = show
    for cell in read(name).cells:
        if cell.cell_type != "code":
            continue
        is_first = "parameters" in cell.metadata.get("tags", ())
        given = [f"{key} = {value!r}" for key, value in parameters.items() if is_first]
        with capture_output() as captured:
            result = shell.run_cell("\n".join([cell.source, *given]))
        assert not captured.stderr
        parts.append(captured.stdout)
        if error := result.error_before_exec or result.error_in_exec:
            return "\n".join(parts), error
    return "\n".join(parts), None


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_hunting_case(tmp_path_factory.mktemp("notebooks"))


@pytest.mark.usefixtures("few_detectors")
def test_start_here_ends_with_a_finding_its_records_and_a_report(shell, case) -> None:
    text, error = run(shell, "start-here", CASE=str(case.path))
    assert error is None
    assert "Every line of every file was read." in text
    assert "Indicator match (mining)" in text
    shown = re.search(r"(\d+) records of all logs support .*\n(zcat -f .*)\n", text)
    assert shown is not None
    assert int(shown[1]) > 0
    line = subprocess.run(["bash", "-c", shown[2]], capture_output=True, text=True, check=True)
    assert POOL in line.stdout.split()
    assert (case.path / "report.html").is_file()
    assert "of the case were compared.\nChanged or missing: none" in text
    assert POOL in (case.path / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("few_detectors")
def test_start_here_makes_the_case_and_may_find_nothing(shell, tmp_path) -> None:
    records = connect("10.0.0.5", "203.0.113.7", 443, T0, window=600, version=2)
    make_case(tmp_path, records, fields=V2)
    new = tmp_path / "new"
    evidence = tmp_path / "evidence"
    text, error = run(shell, "start-here", CASE=str(new), EVIDENCE=str(evidence))
    assert error is None
    assert "2 records are 1 connections, without hops" in text
    assert "0 findings, the most severe first:" in text
    assert "No finding rests on records" in text
    assert "records support" not in text


def test_hunt_answers_twenty_questions(shell, case) -> None:
    text, error = run(shell, "hunt", CASE=str(case.path), SINCE="2026-09-02")
    assert error is None
    assert "Host: 10.0.0.5. New is what was not seen before 2026-09-02 00:00 UTC." in text
    for fact in ("long session", "discovery", "indicator", LATE, REASSIGNED):
        assert fact in text
    assert MARKUP not in text
    assert html.escape(MARKUP) in text


def test_hunt_runs_on_default_logs_alone(shell, tmp_path) -> None:
    records = connect("2001:db8::5", "2001:db9::1", 443, T0, window=600, version=2)
    case = make_case(tmp_path, records, fields=V2)
    text, error = run(shell, "hunt", CASE=str(case.path))
    assert error is None
    assert "2001:db9::1" in text


def test_start_here_makes_no_case_without_evidence(shell, tmp_path) -> None:
    new = tmp_path / "new"
    _text, error = run(shell, "start-here", CASE=str(new), EVIDENCE="no\x1bwhere")
    assert str(error) == r"there is no 'no\x1bwhere': write where your log files are."
    assert not new.exists()


@pytest.mark.parametrize("name", NAMES)
def test_without_traffic_they_end_with_a_sentence(shell, tmp_path, name) -> None:
    case = Case.create(tmp_path / "case")
    _text, error = run(shell, name, CASE=str(case.path))
    assert str(error) == "the case has no VPC flow logs. Load them with `flowbench ingest`."
    nodata = tmp_path / "nodata.log"
    header = " ".join(column.replace("_", "-") for column in V2)
    none = f"2 111122223333 eni-a - - - - - - - {T0} {T0 + 59} - NODATA"
    nodata.write_text(f"{header}\n{none}\n", encoding="utf-8")
    case.ingest(nodata)
    _text, error = run(shell, name, CASE=str(case.path))
    assert str(error) == "the flow logs have no traffic."


def test_questions_take_three_lines_at_most() -> None:
    cells, questions = read("hunt").cells, 0
    for cell, answer in itertools.pairwise(cells):
        if re.search(r"^### \d+\. .*\?$", cell.source, re.MULTILINE):
            questions += 1
            assert f"### {questions}. " in cell.source
            assert "Shows " in cell.source
            assert len(answer.source.splitlines()) <= 3
    assert questions == 20


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_and_notebooks_that_they_name_exist(name: str) -> None:
    text = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    for command, rest in re.findall(r"`flowbench ([\w-]+)([^`]*)`", text):
        options = {o for parameter in main.commands[command].params for o in parameter.opts}
        assert set(re.findall(r"--\S+", rest)) <= options
    for path in re.findall(r"notebook `([\w/-]+)`", text):
        assert Path(ROOT / "notebooks" / f"{path}.ipynb").is_file()
