"""Notebooks of an exercise: they run, tell trainees nothing, and show the trainer everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.scenario import exercises
from flowbench.scenario.exercises import organisation
from flowbench.scenario.exercises.facts import AnswerKey
from flowbench.scenario.writer import format_time
from flowbench.training import exercise_notebooks
from tests.training.notebooks import run_cells


@pytest.mark.usefixtures("few_detectors")
def test_trainee_and_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = replace(organisation.DIFFICULTIES["easy"], load=0.1)
    monkeypatch.setitem(organisation.DIFFICULTIES, "easy", tiny)
    evidence, apart = tmp_path / "it's evidence", tmp_path / "apart"
    key = apart / "insider-key.json"
    answers = exercises.write("insider", evidence, key, 2, difficulty="easy", days=1)
    trainee, trainer = exercise_notebooks.write_notebooks(evidence, key)
    assert trainee == tmp_path / "it's evidence-exercise.ipynb"
    assert trainer == apart / "insider-instructor.ipynb"
    text = trainee.read_text(encoding="utf-8")
    assert "insider" not in text
    assert not [fact for fact in answers.facts if fact.object and fact.object in text]

    monkeypatch.chdir(tmp_path)
    run_cells(trainee)
    assert "0 events and 0 indicators are in answers/your-name." in capsys.readouterr().out
    for name, share in (("ann", 1), ("ben", 0.5)):
        write_answers(tmp_path / "answers" / name, answers, share)
    monkeypatch.chdir(apart)
    names = run_cells(trainer)
    scores = dict(zip(names["scores"]["answers"], names["scores"]["score"], strict=True))
    assert scores["ann"] == 100
    assert 45 <= scores["ben"] <= 55
    assert scores["your-name"] == 0
    sheets = capsys.readouterr().out
    assert f"insider: {answers.summary}" in sheets
    assert "flowbench: " in sheets
    with pytest.raises(InputError, match=r"exercise\.ipynb exists"):
        exercise_notebooks.write_notebooks(evidence, key)


def write_answers(folder: Path, key: AnswerKey, share: float) -> None:
    """Write the first facts and indicators of a key as a trainee would."""
    folder.mkdir(parents=True)
    facts = key.facts[: round(share * len(key.facts))]
    lines = [
        f"{format_time(fact.time)},{fact.actor},{fact.activity},{fact.object or ''}\n"
        for fact in facts
    ]
    (folder / "timeline.csv").write_text("time,actor,activity,object\n" + "".join(lines))
    indicators = key.indicators[: round(share * len(key.indicators))]
    values = "".join(f"{each.value}\n" for each in indicators)
    (folder / "indicators.csv").write_text("indicator\n" + values)
