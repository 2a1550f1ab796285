"""A lesson: answers are checked at once, hints cost, and wrong answers are explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from flowbench.errors import InputError
from flowbench.training import lesson_files, open_lesson, progress
from flowbench.training.lesson import Lesson
from flowbench.training.progress import FILE

LESSON = """
lesson: first-look
title: A first look
evidence: {scenario: nothing-happened, seed: 1, difficulty: easy, days: 1}
questions:
- {id: host, kind: address, answer: 10.0.0.5, hints: [Look., At `host`.],
   because: "{answer} is it.", wrong: [{answer: 10.0.0.6, why: This is its neighbour.}]}
- {id: hosts, kind: address, several: true, answer: [10.0.0.5, 10.0.0.6],
   wrong: [{answer: 10.0.0.7, why: This is a printer.}]}
- {id: size, kind: number, unit: 1, answer: 125.27, wrong: [{answer: 3758, why: This is the sum.}]}
- {id: choice, kind: choice, options: [a, b], answer: a}
- {id: name, kind: name, answer: web, also: [web-1]}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lesson") / "first.yaml"
    path.write_text(lesson_files.replace_answers(yaml.safe_load(LESSON)), encoding="utf-8")
    return path


@pytest.fixture
def lesson(path: Path, tmp_path: Path) -> Lesson:
    return open_lesson(str(path), tmp_path / "work")


def state(lesson: Lesson, question: str) -> list[str]:
    """State, wrong answers, hints and points of a question, as they are shown."""
    return next(list(row[1:]) for row in lesson.progress().rows if row[0] == question)


def test_wrong_then_right(lesson: Lesson) -> None:
    wrong = lesson.check("host", "10.0.0.6")
    assert wrong.right is False
    assert list(wrong.lines) == [
        "Not right yet.",
        "This is its neighbour.",
        "`lesson.hint('host')` gives a hint for a point.",
    ]
    assert lesson.check("host", "192.0.2.1").lines[1].startswith("Look at the question again")
    assert state(lesson, "host") == ["open", "2", "0", "0 of 4"]
    right = lesson.check("host", " 10.0.0.5 ")
    assert right.right is True
    assert list(right.lines) == ["Right. 4 points of 4.", "10.0.0.5 is it."]
    assert lesson.check("host", "10.0.0.6").right is False  # later answers change nothing
    assert state(lesson, "host") == ["solved", "2", "0", "4 of 4"]


def test_hints_come_in_steps_and_cost_points(lesson: Lesson) -> None:
    assert list(lesson.hint("host").lines) == [
        "1 of 2 hints; the question is now worth 3 points of 4.",
        "1. Look.",
    ]
    assert lesson.hint("host").lines[2] == "2. At `host`."
    assert "worth 2 points" in lesson.hint("host").lines[0]  # there are no more
    assert "<code>host</code>" in lesson.hint("host")._repr_html_()
    assert lesson.check("host", "10.0.0.5").lines[0] == "Right. 2 points of 4."
    assert lesson.hint("host").lines[0] == "2 of 2 hints."
    assert list(lesson.hint("size").lines) == ["size has no hints."]


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        ("hosts", ["10.0.0.6", "10.0.0.5", "10.0.0.5"], True),
        ("hosts", "10.0.0.6, 10.0.0.5", True),
        ("hosts", {"10.0.0.6", "10.0.0.5"}, True),
        ("hosts", pd.Series(["10.0.0.6", "10.0.0.5"]), True),
        ("hosts", pa.array(["10.0.0.6", "10.0.0.5"]), True),
        ("hosts", ["10.0.0.5"], False),
        ("host", pd.Series(["10.0.0.5"]), True),
        ("host", ["10.0.0.5"], True),
        ("host", pa.scalar("10.0.0.5"), True),
        ("size", "126", True),
        ("size", np.float64(124.6), True),
        ("size", ibis.literal(125), True),
        ("size", ibis.memtable({"a": [125]}), True),
        ("size", pd.DataFrame({"a": [125]}), True),
        ("size", 127, False),
        ("choice", "A", True),
        ("name", "Web-1", True),
        ("name", "web-2", False),
    ],
)
def test_spellings_and_kinds_of_values(
    lesson: Lesson, question: str, answer: Any, right: bool
) -> None:
    assert lesson.check(question, answer).right is right


def test_a_set_is_marked_by_value(lesson: Lesson) -> None:
    reply = lesson.check("hosts", ["10.0.0.5", "10.0.0.7"])
    assert list(reply.lines[1:]) == [
        "1 of your 2 values is right; 1 is missing.",
        "This is a printer.",
    ]
    reply = lesson.check("hosts", ["10.0.0.5", "10.0.0.6", "10.0.0.8"])
    assert list(reply.lines[1:]) == ["2 of your 3 values are right."]


@pytest.mark.parametrize(
    ("question", "answer", "text"),
    [
        ("host", ..., "No answer yet."),
        ("host", "dev-1", "'dev-1' is not an address, such as 10.0.0.5."),
        ("host", ["10.0.0.5", "10.0.0.6"], "One value is asked for, not 2."),
        ("host", {"a": 1}, "{'a': 1} is not an address"),
        ("hosts", [f"10.0.1.{n}" for n in range(51)], "1 to 50 values are asked for, not 51."),
        ("hosts", [], "1 to 50 values are asked for, not 0."),
        ("choice", "c", "Answer with one of a, b."),
        ("host", pd.DataFrame({"a": [1], "b": [2]}), "   a  b\\x0a0  1  2 is not an address"),
    ],
)
def test_what_is_no_answer_does_not_count(
    lesson: Lesson, question: str, answer: Any, text: str
) -> None:
    reply = lesson.check(question, answer)
    assert reply.right is None
    assert reply.lines[0].startswith(text)
    assert state(lesson, question) == ["open", "0", "0", "0 of 4"]


def test_guessing_among_options_costs_points(lesson: Lesson) -> None:
    assert lesson.check("choice", "b").right is False
    assert lesson.check("choice", "a").lines[0] == "Right. 3 points of 4."


def test_progress_survives_and_is_shown(lesson: Lesson, path: Path) -> None:
    lesson.check("host", "10.0.0.5")
    again = open_lesson(str(path), lesson.folder)
    assert state(again, "host") == ["solved", "0", "0", "4 of 4"]
    assert again.progress().lines[0] == "A first look: 1 of 5 questions solved, 4 of 20 points."
    assert repr(again.progress()).splitlines()[1:3] == [
        "Question  State   Wrong answers  Hints  Points",
        "host      solved  0              0      4 of 4",
    ]
    assert "<td" in again._repr_html_()
    assert repr(again) == "<Lesson first-look, 5 questions>"
    course = progress(lesson.folder)
    assert course.lines[0].startswith("0 of ")  # a trainer's lesson is not in the course
    assert [row[0][:2] for row in course.rows[1:4]] == ["1.", "2.", "3."]
    (lesson.folder / FILE).write_text("<script>")
    assert "progress starts anew" in again.check("host", "10.0.0.5").lines[-1]


def test_hostile_answers_are_shown_as_text(lesson: Lesson) -> None:
    shown = lesson.check("host", "<script>\x1b[2J")._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "\x1b" not in shown + repr(lesson.check("host", "\x1b[2J"))


def test_a_lesson_is_opened_by_number(tmp_path: Path) -> None:
    assert open_lesson(7, tmp_path).name == "beacons"


def test_another_question_is_refused(lesson: Lesson) -> None:
    with pytest.raises(InputError, match="'hots' is not a question of this lesson: host, hosts"):
        lesson.check("hots", 1)
    with pytest.raises(InputError, match="is not a question"):
        lesson.hint("<b>")


def test_the_case_is_made_once_and_answers_are_graded(lesson: Lesson, tmp_path: Path) -> None:
    case = lesson.case()
    assert case.has("flows")
    assert case.path.parent == lesson.folder
    assert not list(lesson.folder.rglob("*key*"))
    assert lesson.case().custody == case.custody
    answers = tmp_path / "indicators.csv"
    answers.write_text("indicator\n192.0.2.1\n")
    assert lesson.grade(answers).score == 100
