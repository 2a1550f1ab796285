"""Tests of flowbench scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.cli.scenario import scenario
from flowbench.scenario import exercises
from flowbench.scenario.exercises.facts import read_key
from tests.cli.running import run

NAME = "logging-switched-off"


def test_the_key_lies_beside_the_evidence(tmp_path: Path) -> None:
    out = tmp_path / "evidence"
    result = run("scenario", NAME, "--seed", 4, "--difficulty", "easy", "--out", out)
    assert result.exit_code == 0, result.output
    key = read_key(tmp_path / f"{NAME}-key.json")
    assert f"{NAME}-key.json: answer key with {len(key.facts)} facts and " in result.output
    assert not list(out.rglob("*key*"))
    again = run("scenario", NAME, "--difficulty", "easy", "--out", out)
    assert again.exit_code == 2
    assert "evidence-exercise.ipynb exists: move it, or choose another folder" in again.output
    (tmp_path / "evidence-exercise.ipynb").unlink()
    (tmp_path / f"{NAME}-instructor.ipynb").unlink()
    again = run("scenario", NAME, "--difficulty", "easy", "--out", out)
    assert "is not an empty folder" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unknown"], "no scenario is 'unknown'; choose one of crypto-mining"),
        ([NAME, "--version", 6], "no version of VPC flow logs is 6"),
        ([NAME, "--window", 5], "no aggregation interval is 5"),
    ],
)
def test_wrong_choices_are_refused(tmp_path: Path, arguments: list[object], message: str) -> None:
    result = run("scenario", *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_the_help_names_all_scenarios() -> None:
    assert scenario.help is not None
    assert all(name in scenario.help for name in exercises.NAMES)
