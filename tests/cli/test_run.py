"""flowbench run: the list of playbooks, and a run to its default place."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flowbench.case import Case
from flowbench.cli import main
from tests.playbooks.notebooks import make_notebook


def test_without_a_name_the_playbooks_are_listed() -> None:
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 0
    assert "crypto-mining         Crypto-mining: does a host communicate" in result.stdout


def test_a_run_is_written_to_the_case(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    notebook = make_notebook(
        tmp_path / "own.ipynb", "import flowbench as fb; fb.playbooks.end('no.')"
    )
    words = ["run", str(notebook), "--case", str(case.path), "--param", "host=10.0.0.5=x"]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stderr) == (0, "the playbook ended early: no.\n")
    written = case.path / "playbooks" / "own.html"
    assert result.stdout == f"{written}\n"
    assert "10.0.0.5=x" in written.read_text(encoding="utf-8")
    assert case.verify()["ok"].all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["crypto-mining"], "no case: add --case FOLDER"),
        (
            ["crypto-mining", "--case", "{case}", "--param", "host"],
            "--param host: write NAME=VALUE",
        ),
        (["nothing", "--case", "{case}"], "nothing: no such playbook"),
        (["crypto-mining", "--case", "{case}/none"], "none"),
    ],
)
def test_input_that_cannot_be_used(tmp_path: Path, words: list[str], message: str) -> None:
    case = Case.create(tmp_path / "case")
    result = CliRunner().invoke(main, ["run", *(w.format(case=case.path) for w in words)])
    assert result.exit_code == 2
    assert message in result.stderr
