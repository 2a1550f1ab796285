"""The history of findings over kept runs: new, changed and gone."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from flowbench.detect import Findings, history
from flowbench.detect.finding_history import FINDING_HISTORY, RUNS, list_history
from tests.detect.examples import example_finding


@pytest.fixture
def case(tmp_path) -> Case:
    return Case.create(tmp_path / "case")


def test_each_run_is_compared_with_the_one_before(case: Case) -> None:
    first, second = example_finding(subject="10.0.0.5"), example_finding(subject="10.0.0.6")
    more = example_finding(subject="10.0.0.5", connections=99)
    for findings in ([first], [first, second], [more]):
        history.keep(case, Findings(findings))
    runs, changes = list_history(case)
    assert (list(runs.columns), list(changes.columns)) == (RUNS.columns, FINDING_HISTORY.columns)
    assert runs[["run", "findings", "new", "changed", "gone"]].to_numpy().tolist() == [
        [1, 1, 1, 0, 0],
        [2, 2, 1, 0, 0],
        [3, 1, 0, 1, 1],
    ]
    assert runs["run_time"].is_monotonic_increasing
    assert runs["note"].isna().all()
    assert changes[["run", "change", "subject"]].to_numpy().tolist() == [
        [1, "new", "10.0.0.5"],
        [2, "new", "10.0.0.6"],
        [3, "changed", "10.0.0.5"],
        [3, "gone", "10.0.0.6"],
    ]
    assert "connections" in changes["changed"].iloc[2]


def test_a_case_without_runs(case: Case) -> None:
    runs, changes = list_history(case)
    assert (len(runs), len(changes)) == (0, 0)
    assert (list(runs.columns), list(changes.columns)) == (RUNS.columns, FINDING_HISTORY.columns)


def test_a_damaged_run_has_a_note_and_is_passed_over(case: Case) -> None:
    kept = [example_finding(subject=f"10.0.0.{n}") for n in range(5, 8)]
    for count in (1, 2, 3):
        history.keep(case, Findings(kept[:count]))
    entry = history.kept_runs(case)[1]
    (case.path / history.FOLDER / entry["details"]["runs"][0]["file"]).write_bytes(b"PAR1")
    runs, changes = list_history(case)
    assert runs["note"].str.contains("were changed since").fillna(False).tolist() == [
        False,
        True,
        False,
    ]
    assert runs["new"].tolist()[::2] == [1, 2]
    assert changes["run"].tolist() == [1, 3, 3]
