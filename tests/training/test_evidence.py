"""The evidence of lessons: found or generated, whole or not there, and never with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbench import scenario
from flowbench.errors import InputError
from flowbench.scenario import exercises
from flowbench.training import evidence

QUIET = {"scenario": "nothing-happened", "seed": 1, "difficulty": "easy", "days": 1}


def test_the_work_folder_is_beside_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = tmp_path / "notebooks" / "training"
    notebooks.mkdir(parents=True)
    monkeypatch.chdir(notebooks)
    assert evidence.find_work_folder() == notebooks / "cases" / "training"
    (tmp_path / "data" / "winterday" / "evidence").mkdir(parents=True)
    assert evidence.find_work_folder() == tmp_path / "cases" / "training"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenario": "../x"}, "is not the evidence of a lesson"),
        ({"scenario": "winterday", "name": "/tmp"}, "is not the evidence of a lesson"),
        ({}, "is not the evidence of a lesson"),
        ({"scenario": "riddle", "seed": 1}, "no scenario is 'riddle'"),
        ({"scenario": "insider"}, "not the arguments of a scenario"),
        ({"scenario": "insider", "seed": 1, "colour": "red"}, "not the arguments of a scenario"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evidence.open_case(settings, tmp_path)
    assert not list(tmp_path.rglob("*.gz"))


def test_winterday_is_generated_where_it_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(name: str, out: Path) -> None:
        exercises.write("nothing-happened", out / "evidence", out / "key.json", 1, days=1)
        assert name == "winterday"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scenario, "write", write)  # the real one takes seconds
    case = evidence.open_case({"scenario": "winterday"}, tmp_path / "work")
    assert case.has("flows")
    assert not list(tmp_path.rglob("key.json"))


def test_a_load_that_was_stopped_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(evidence.Case, "ingest", lambda *_: None)
        assert not evidence.open_case(QUIET | {"name": "x1"}, tmp_path).has("flows")
    assert evidence.open_case(QUIET | {"name": "x1"}, tmp_path).has("flows")


def test_exercises_alone_have_a_key() -> None:
    assert evidence.simulate_key(QUIET).scenario == "nothing-happened"
    with pytest.raises(InputError, match="winterday has no answer key"):
        evidence.simulate_key({"scenario": "winterday"})
