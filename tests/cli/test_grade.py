"""Tests of flowbench grade."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.training.test_grading import KEY, TIMELINE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    KEY.write(tmp_path / "key.json")
    (tmp_path / "ann.csv").write_text(TIMELINE)
    (tmp_path / "=ben").mkdir()
    (tmp_path / "=ben" / "i.csv").write_text("indicator\npool.example\n\x1b[31m\n")
    return tmp_path


def test_one_trainee_has_a_sheet(folder: Path) -> None:
    result = run("grade", folder / "key.json", folder / "ann.csv")
    assert result.exit_code == 0
    assert result.stdout.startswith("ann: 50 of 100\nScenario crypto-mining. A host mined.\n")
    hostile = run("grade", folder / "key.json", folder / "=ben")
    assert "\x1b" not in hostile.stdout
    assert "\\x1b[31m" in hostile.stdout


def test_several_are_one_table(folder: Path) -> None:
    paths = [folder / "ann.csv", folder / "=ben"]
    result = run("grade", folder / "key.json", *paths, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["answers"], row["score"]) for row in rows] == [("ann", "50.0"), ("'=ben", "25.0")]
    assert "ann" in run("grade", folder / "key.json", *paths).stdout


def test_answers_that_cannot_be_read_leave_the_others_grades(folder: Path) -> None:
    (folder / "cy").mkdir()
    paths = [folder / "cy", folder / "ann.csv"]
    result = run("grade", folder / "key.json", *paths, "--format", "csv")
    assert result.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["answers"], row["score"], row["rejected"]) for row in rows] == [
        ("cy", "0.0", "1"),
        ("ann", "50.0", "0"),
    ]
    assert "not graded: " in result.stderr
    assert "cy has no CSV file" in result.stderr


def test_what_is_no_key_is_refused(folder: Path) -> None:
    result = run("grade", folder / "ann.csv", folder / "ann.csv")
    assert result.exit_code == 2
    assert "is not an answer key" in result.output
