"""Tests of flowbench findings."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.detect import Findings, history
from tests.cli.running import run
from tests.detect.examples import example_finding

FIRST = example_finding(subject="10.0.0.5", severity="high")
SECOND = replace(example_finding(subject="10.0.0.6", severity="low"), detector="scan")


@pytest.fixture
def kept(case: Path) -> Path:
    """A case with two runs: the second found less, and something else."""
    opened = Case.open(case)
    history.keep(opened, Findings([FIRST]))
    history.keep(opened, Findings([example_finding(subject="10.0.0.5", connections=99), SECOND]))
    return case


def rows(case: Path, *options: object) -> list[dict[str, object]]:
    result = run("findings", case, *options, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_findings_of_the_last_run(kept: Path) -> None:
    assert {row["subject"] for row in rows(kept)} == {"10.0.0.5", "10.0.0.6"}
    shown = run("findings", kept)
    assert shown.stdout.split()[:3] == ["severity", "finding_id", "summary"]
    assert shown.stderr.startswith("findings of the run of 20")


@pytest.mark.parametrize(
    ("options", "subjects"),
    [
        ((SECOND.finding_id,), ["10.0.0.6"]),
        (("--detector", "scan"), ["10.0.0.6"]),
        (("--severity", "low"), 2),
        (("--severity", "critical"), []),
        (("--until", "2020-01-01"), []),
        (("--peer", "192.0.2.250"), []),
    ],
)
def test_filters(kept: Path, options, subjects: list[str] | int) -> None:
    found = [row["subject"] for row in rows(kept, *options)]
    assert found == subjects or len(found) == subjects


def test_the_history(kept: Path) -> None:
    changes = [(row["run"], row["change"], row["subject"]) for row in rows(kept, "--history")]
    assert changes == [(1, "new", "10.0.0.5"), (2, "new", "10.0.0.6"), (2, "changed", "10.0.0.5")]
    shown = run("findings", kept, "--history").stdout
    assert "connections 3 -> 99" in shown
    assert SECOND.summary[:20] in shown
    assert [row["run"] for row in rows(kept, FIRST.finding_id, "--history")] == [1, 2]


def test_the_runs(kept: Path) -> None:
    counts = [(row["findings"], row["new"], row["changed"]) for row in rows(kept, "--runs")]
    assert counts == [(1, 1, 0), (2, 1, 1)]


def test_a_case_without_a_run(case: Path) -> None:
    assert rows(case) == rows(case, "--history") == rows(case, "--runs") == []
    assert "the case has no findings: run `flowbench detect" in run("findings", case).stderr


@pytest.mark.parametrize("damage", ["content", "fifo"])
def test_damaged_runs_are_named_and_an_error(kept: Path, damage: str) -> None:
    for path in (kept / "findings").glob("*.parquet"):
        if damage == "content":
            path.write_bytes(b"PAR1")
        else:
            path.unlink()
            os.mkfifo(path)
    for options in ([], ["--history"]):
        result = run("findings", kept, *options)
        assert result.exit_code == 2
        assert result.stderr.count("warning: the findings of the run of") == 2
        assert "no run that the case keeps can be read" in result.stderr
    assert run("findings", kept, "--runs").exit_code == 0


def test_an_unknown_detector(kept: Path) -> None:
    wrong = run("findings", kept, "--detector", "magic")
    assert (wrong.exit_code, "no detector is called magic" in wrong.stderr) == (2, True)
