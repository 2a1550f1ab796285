"""Lessons: questions that are checked at once, with hints, explanations and progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.text import escape_controls, format_count, list_some
from flowbench.training import answers, evidence, grading, lesson_files, replies
from flowbench.training.grading import Grade
from flowbench.training.lesson_files import LessonFile, Question
from flowbench.training.progress import POINTS, Attempts, Progress
from flowbench.training.replies import Reply


def open_lesson(name: str | int, folder: str | Path | None = None) -> Lesson:
    """Open a lesson.

    Args:
        name: The name or number of a lesson of flowbench, or the path of a lesson file.
        folder: The work folder for cases and progress. Without it, ``cases/training`` beside the
            data of the notebooks, or in the current folder.

    Raises:
        InputError: There is no such lesson, or its file cannot be read.
    """
    content = lesson_files.read_lesson(lesson_files.find_lesson(str(name)))
    return Lesson(content, Path(folder) if folder is not None else evidence.find_work_folder())


class Lesson:
    """A lesson that is being worked through; made by ``open_lesson``.

    Attributes:
        name: Its name.
        title: Its title.
        folder: The work folder.
    """

    def __init__(self, content: LessonFile, folder: Path) -> None:
        self.name, self.title, self.folder = content.name, content.title, folder
        self._content = content
        self._progress = Progress(folder)

    def case(self) -> Case:
        """Return the lesson's case, made at the first use: lessons share cases.

        Raises:
            InputError: The evidence cannot be written.
            CaseError: The case cannot be opened or made.
        """
        return evidence.open_case(self._content.evidence, self.folder)

    def check(self, question: str, answer: Any = ...) -> Reply:
        """Check an answer at once.

        Args:
            question: The id of a question of this lesson.
            answer: The answer. Addresses may be spelled in any way, numbers with or without
                separators; times are UTC; upper and lower case are the same; the order of several
                values does not matter. Results of queries need not be converted.

        Returns:
            Whether it is right, with the reason; for a typical wrong answer, what it would answer.
            An answer of another kind, or none (``...``), does not count as wrong.

        Raises:
            InputError: The lesson has no such question.
        """
        asked = self._find(question)
        if answer is ...:
            return replies.ask(asked)
        try:
            given = _spell_all(asked, answer)
        except InputError as error:
            return replies.refuse(asked, str(error))
        result = _compare(self.name, asked, given)
        kept = self._progress.update(
            self.name, asked.id, lambda before: _count(before, asked, result.right)
        )
        points = kept.points if result.right else None
        return replies.answer(asked, result.right, result.texts, points, self._note())

    def hint(self, question: str) -> Reply:
        """Give the next hint for a question. Each costs a point, but the last point stays.

        Raises:
            InputError: The lesson has no such question.
        """
        asked = self._find(question)
        most = len(asked.hints)

        def take(before: Attempts) -> Attempts:
            return before if before.solved else replace(before, hints=min(before.hints + 1, most))

        kept = self._progress.update(self.name, asked.id, take)
        shown = asked.hints if kept.solved else asked.hints[: kept.hints]
        return replies.hints(asked, shown, kept, self._note())

    def grade(self, folder: str | Path) -> Grade:
        """Compare a timeline and indicators with the answer key of the lesson's evidence.

        Args:
            folder: A CSV file, or a folder of them (see ``grading.read_answers``).

        Raises:
            InputError: The files cannot be read, or the evidence of this lesson has no key.
        """
        key = evidence.simulate_key(self._content.evidence)
        return grading.grade(key, grading.read_answers(Path(folder)))

    def progress(self) -> Reply:
        """Return the state and points of each question."""
        kept = self._progress.read().get(self.name, {})
        rows = {name: kept.get(name, Attempts()) for name in self._content.questions}
        return replies.progress(self.title, rows, self._note())

    def __repr__(self) -> str:
        return f"<Lesson {self.name}, {format_count(len(self._content.questions), 'question')}>"

    def _repr_html_(self) -> str:
        return self.progress()._repr_html_()

    def _find(self, question: str) -> Question:
        questions = self._content.questions
        if question not in questions:
            raise InputError(
                f"{question!r} is not a question of this lesson: {list_some(questions, 20)}"
            )
        return questions[question]

    def _note(self) -> str:
        return self._progress.warning


class _Result:
    """How an answer compares with a question: whether it is right, and what explains it."""

    def __init__(self, right: bool, texts: Sequence[str]) -> None:
        self.right, self.texts = right, texts


def _spell_all(question: Question, answer: Any) -> list[list[str]]:
    """Return for each value of an answer the spellings of which one has to be right.

    Raises:
        InputError: A value is not of the question's kind, or there are too many.
    """
    if hasattr(answer, "to_pyarrow"):  # a query that has not run
        answer = answer.to_pyarrow()
    if isinstance(answer, pa.Table):
        answer = answer.to_pandas()
    if isinstance(answer, pd.DataFrame) and answer.shape[1] == 1:
        answer = answer.iloc[:, 0]
    if hasattr(answer, "to_pylist"):
        answer = answer.to_pylist()
    elif hasattr(answer, "as_py"):
        answer = answer.as_py()
    values = answers.to_values(answer) if question.several or _is_column(answer) else [answer]
    if not question.several and len(values) > 1:
        raise InputError(f"one value is asked for, not {len(values):,}")
    if not values or len(values) > answers.MOST_VALUES:
        raise InputError(f"1 to {answers.MOST_VALUES} values are asked for, not {len(values):,}")
    spelled = {
        tuple(answers.spell_near(question.kind, value, question.unit)): None for value in values
    }
    if question.options and not {each[0] for each in spelled} <= set(question.options):
        raise InputError(f"answer with one of {', '.join(question.options)}")
    return [list(each) for each in spelled]


def _is_column(answer: Any) -> bool:
    return (hasattr(answer, "tolist") and getattr(answer, "ndim", 0) == 1) or isinstance(
        answer, list
    )


def _compare(lesson: str, question: Question, given: Sequence[Sequence[str]]) -> _Result:
    """Compare digests of an answer with those of a question."""
    texts: list[str] = []
    right = 0
    wanted = set(question.digests)
    accepted = wanted | set(question.also)
    for spellings in given:
        digests = [answers.digest(lesson, question.id, spelled) for spelled in spellings]
        if not accepted.isdisjoint(digests):
            right += 1
        elif explained := next((question.wrong[d] for d in digests if d in question.wrong), None):
            texts.append(explained)
    if right == len(given) == len(wanted):
        shown = escape_controls(", ".join(spellings[0] for spellings in given))
        return _Result(True, [question.because.replace("{answer}", shown)])
    if question.several and right:
        texts.insert(0, _count_right(right, len(given), len(wanted)))
    return _Result(False, list(dict.fromkeys(texts)))


def _count_right(right: int, given: int, wanted: int) -> str:
    missing = wanted - right
    text = f"{right} of your {format_count(given, 'value')} {'is' if right == 1 else 'are'} right"
    return (
        f"{text}; {missing} {'is' if missing == 1 else 'are'} missing." if missing else f"{text}."
    )


def _count(before: Attempts, question: Question, right: bool) -> Attempts:
    """What is kept after an answer; nothing changes after the right one."""
    if before.solved:
        return before
    if right:
        return replace(before, solved=True)
    penalty = 1 if question.kind == "choice" else 0
    return replace(before, wrong=before.wrong + 1, penalties=before.penalties + penalty)


def progress(folder: str | Path | None = None) -> Reply:
    """Return the state of all lessons of a work folder (see ``open_lesson``)."""
    kept_in = Progress(Path(folder) if folder is not None else evidence.find_work_folder())
    kept = kept_in.read()
    rows: dict[str, tuple[Mapping[str, Attempts], int]] = {}
    for name in lesson_files.list_lessons():
        content = lesson_files.read_lesson(lesson_files.find_lesson(name))
        attempts = kept.get(content.name, {})
        known = {each: attempts[each] for each in content.questions if each in attempts}
        rows[content.title] = (known, len(content.questions) * POINTS)
    return replies.course(rows, kept_in.warning)
