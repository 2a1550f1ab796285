"""Lesson files: plain answers become digests; what is no lesson is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flowbench.errors import InputError
from flowbench.training.answers import digest
from flowbench.training.lesson_files import (
    find_lesson,
    list_lessons,
    read_content,
    read_lesson,
    replace_answers,
)
from tests import documentation
from tests.conftest import ROOT

PLAIN = """
lesson: first-look
title: A first look
evidence: {scenario: winterday}
questions:
- {id: host, kind: address, answer: 10.0.0.5, hints: [Look.], because: It is.,
   wrong: [{answer: 10.0.0.6, why: Its neighbour.}]}
- {id: hosts, kind: address, several: true, answer: [10.0.0.6, 10.0.0.5]}
- {id: at, kind: time, unit: 60, answer: 2026-09-01 12:30:10}
- {id: name, kind: name, answer: web, also: [web-1]}
"""


def test_plain_answers_become_digests(tmp_path: Path) -> None:
    path = tmp_path / "lesson.yaml"
    path.write_text(replace_answers(yaml.safe_load(PLAIN)), encoding="utf-8")
    assert "10.0.0" not in path.read_text(encoding="utf-8")
    lesson = read_lesson(path)
    assert (lesson.name, lesson.title) == ("first-look", "A first look")
    host, hosts, at, name = lesson.questions.values()
    assert host.digests == [digest("first-look", "host", "10.0.0.5")]
    assert host.wrong == {digest("first-look", "host", "10.0.0.6"): "Its neighbour."}
    assert hosts.digests == sorted(digest("first-look", "hosts", f"10.0.0.{n}") for n in (5, 6))
    assert at.digests == [digest("first-look", "at", str(1788265800 // 60))]
    assert name.also == [digest("first-look", "name", "web-1")]
    again = replace_answers(read_content(path))  # digests stay
    assert again == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"id": "a", "kind": "address", "answer": "x"}, "a: 'x' is not an address"),
        ({"id": "a", "kind": "colour", "answer": "x"}, "no kind of answer is 'colour'"),
        ({"id": "a", "kind": "name"}, "a: the question has no answer"),
        ({"kind": "name"}, "this is not a lesson"),
        (5, "this is not a lesson"),
    ],
)
def test_questions_that_cannot_be_answered_are_refused(question: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace_answers({"lesson": "l", "title": "t", "evidence": {}, "questions": [question]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "it has no questions"),
        ("a: [", "is not YAML"),
        ("a: &a [*a]", "is not a lesson file: KeyError"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
        (PLAIN, "plain answers; write it with `flowbench lesson`"),
        ("questions: [{id: a, kind: name, digests: [], colour: red}]", "unknown: colour"),
        ("questions: [{id: a, kind: x, digests: []}]", "no kind of answer is 'x'"),
        ("questions: 7", "is not a lesson file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_lesson(tmp_path / "x.yaml")


def test_lessons_are_found_by_name_and_number(tmp_path: Path) -> None:
    assert len(list_lessons()) == 12
    assert find_lesson("one-record") == find_lesson("1") == find_lesson("01-one-record")
    assert find_lesson("12").stem == "12-capstone"
    with pytest.raises(InputError, match=r"'\.\./x' is not a lesson; there are 01-one-record"):
        find_lesson("../x")
    with pytest.raises(InputError, match="cannot read"):
        read_lesson(tmp_path / "none.yaml")


def test_the_lesson_in_the_documentation_is_one() -> None:
    blocks = documentation.blocks(ROOT / "docs" / "training.md")
    (text,) = [text for language, text in blocks if language == "yaml"]
    written = yaml.safe_load(replace_answers(yaml.safe_load(text)))
    (question,) = written["questions"]
    assert question["digests"] == [digest("first-look", "receiver", "192.0.2.7")]
