"""The lessons: notebooks run, questions are those of the files, and answers are what cases say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from flowbench.case import Case
from flowbench.training import evidence, lesson_files
from flowbench.training.lesson import Lesson
from tests.conftest import ROOT
from tests.training.lesson_answers import ALSO, ANSWERS, OFFICE
from tests.training.notebooks import read_cells, run_cells

NOTEBOOKS = sorted((ROOT / "notebooks" / "training").glob("*.ipynb"))


@pytest.fixture(scope="module")
def work(winterday: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder that has the Winterday case already."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "winterday").symlink_to(winterday.path)
    return folder


def test_there_is_a_notebook_for_each_lesson() -> None:
    assert [path.stem for path in NOTEBOOKS] == lesson_files.list_lessons()
    assert set(ANSWERS) == {
        lesson_files.read_lesson(lesson_files.find_lesson(name)).name
        for name in lesson_files.list_lessons()
    }


@pytest.mark.usefixtures("few_detectors")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_lessons_run_and_know_their_answers(
    path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "find_work_folder", lambda: work)
    names = run_cells(path)
    lesson, case = names["lesson"], names["case"]
    for shown in ("record", "connection"):  # that questions are about
        if shown in names:
            assert str(names[shown].to_dict().values()).count(OFFICE), shown
    asked = re.findall(r'lesson\.check\("([\w-]+)", \.\.\.\)', "\n".join(read_cells(path, "code")))
    answers = ANSWERS[lesson.name](case)
    content = lesson_files.read_lesson(lesson_files.find_lesson(path.stem))
    assert asked == list(answers) == list(content.questions)
    for question, (right, wrong) in answers.items():
        check_question(lesson, content.questions[question], right, wrong)
    assert not find_told(path, content, answers)
    assert f"{len(asked)} of {len(asked)} questions solved" in lesson.progress().lines[0]


def find_told(
    path: Path, content: lesson_files.LessonFile, answers: dict[str, tuple[Any, Any]]
) -> list[str]:
    """The answers that notebook or file tells, but for choices and short numbers."""
    text = "".join(read_cells(path, "code") + read_cells(path, "markdown"))
    text += lesson_files.find_lesson(path.stem).read_text(encoding="utf-8")
    told = []
    for question, (right, _) in answers.items():
        for each in right if isinstance(right, list) else [right]:
            if content.questions[question].kind != "choice" and len(str(each)) > 2:
                told += [question] * (str(each) in text)
    return told


def check_question(
    lesson: Lesson, question: lesson_files.Question, right: Any, wrong: list[Any]
) -> None:
    """The typical wrong answers get their explanation, in the file's order; the right one is."""
    for answer, why in zip(wrong, question.wrong.values(), strict=True):
        reply = lesson.check(question.id, answer)
        assert (reply.right, reply.lines[1]) == (False, why), question.id
    for answer in (right, *ALSO.get((lesson.name, question.id), ())):
        assert lesson.check(question.id, answer).right is True, question.id
    assert question.because
    assert question.hints or question.id == "parts"
