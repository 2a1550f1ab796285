"""Lesson files: questions with hints, digests of the right answers, and what explains wrong ones.

A lesson file is YAML. A trainer writes it with plain answers, and ``replace_answers`` writes the
file for trainees, with digests:

    lesson: first-look
    title: A first look
    evidence: {scenario: exfiltration, seed: 3, difficulty: easy, days: 1}
    questions:
    - id: receiver
      kind: address
      answer: 192.0.2.7
      hints: [Order the connections by bytes_out., "case.connections.order_by(...)"]
      because: Nothing else received as much.
      wrong:
      - answer: 10.0.0.5
        why: This host sent the data.

Kinds of answers are those of ``answers.EXPECTED``. ``unit`` rounds numbers and times, and one unit
more or less is right too. ``several: true`` asks for a set. ``options`` lists those of a choice;
``also`` lists other right answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flowbench.errors import InputError
from flowbench.text import list_some
from flowbench.training import answers

_FOLDER = Path(__file__).resolve().parent / "lessons"
_MOST_BYTES = 1_000_000
_KEYS = {"id", "kind", "unit", "several", "options", "hints", "because", "digests", "also", "wrong"}


@dataclass(frozen=True)
class Question:
    """A question of a lesson; its text is in the notebook.

    Attributes:
        id: Its name in the notebook.
        kind: The kind of answer, one of ``answers.EXPECTED``.
        digests: Of the answer; of each value if several are asked for.
        also: Digests of other right answers.
        wrong: By digest, what explains a typical wrong answer.
        hints: In the order in which they are given.
        because: Why the answer is right, shown afterwards.
        unit: Of numbers and times (seconds).
        several: Whether a set is asked for.
        options: Of a choice.
    """

    id: str
    kind: str
    digests: Sequence[str]
    also: Sequence[str]
    wrong: Mapping[str, str]
    hints: Sequence[str]
    because: str
    unit: float | None = None
    several: bool = False
    options: Sequence[str] = ()


@dataclass(frozen=True)
class LessonFile:
    """A lesson as its file has it.

    Attributes:
        name: Its name.
        title: Its title.
        evidence: What its case has: ``scenario`` and the arguments that generate it.
        questions: By id, in order.
    """

    name: str
    title: str
    evidence: Mapping[str, Any]
    questions: Mapping[str, Question]


def list_lessons() -> list[str]:
    """Return the names of the lessons that come with flowbench, in the order of the course."""
    return [path.stem for path in sorted(_FOLDER.glob("*.yaml"))]


def find_lesson(name: str) -> Path:
    """Return the file of a lesson that comes with flowbench, or that a trainer wrote.

    Args:
        name: The name or number of a lesson, or the path of a lesson file.

    Raises:
        InputError: There is neither.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    for known in list_lessons():
        if name in (known, known[3:]) or name.zfill(2) == known[:2]:
            return _FOLDER / f"{known}.yaml"
    raise InputError(f"{name!r} is not a lesson; there are {list_some(list_lessons(), 20)}")


def read_lesson(path: Path) -> LessonFile:
    """Read a lesson file with digests.

    Raises:
        InputError: The file cannot be read or is not a lesson, or has plain answers.
    """
    content = read_content(path)
    try:
        questions = [_to_question(dict(each)) for each in content["questions"]]
        evidence = dict(content["evidence"])
        name, title = str(content["lesson"]), str(content["title"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a lesson file: {error!r}") from error
    return LessonFile(name, title, evidence, {question.id: question for question in questions})


def read_content(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises InputError where there is none."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} has more than {_MOST_BYTES // 1_000_000} MB: shorten it")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a lesson file: it has no questions")
    return content


def replace_answers(content: Mapping[str, Any]) -> str:
    """Return a lesson file with digests in place of the plain answers.

    Questions that have digests already keep them.

    Raises:
        InputError: A question lacks an answer, or an answer is not of the question's kind.
    """
    try:
        lesson = str(content["lesson"])
        questions = [dict(_replace(lesson, dict(each))) for each in content["questions"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"this is not a lesson: {error!r}") from error
    return yaml.safe_dump(
        {**content, "questions": questions}, sort_keys=False, width=100, allow_unicode=True
    )


def _replace(lesson: str, question: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    name, kind, unit = question["id"], question["kind"], question.get("unit")
    if kind not in answers.EXPECTED:
        raise InputError(f"{name}: no kind of answer is {kind!r}: {list_some(answers.EXPECTED)}")

    def to_digest(value: Any) -> str:
        try:
            spelled = answers.spell(kind, value, unit)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        return answers.digest(lesson, name, spelled)

    for key, value in question.items():
        if key == "answer":
            values = answers.to_values(value) if question.get("several") else [value]
            yield "digests", sorted(map(to_digest, values))  # in an order that tells nothing
        elif key == "also":
            yield key, [value if _is_digest(value) else to_digest(value) for value in value]
        elif key == "wrong":
            yield key, [_replace_wrong(each, to_digest) for each in value]
        else:
            yield key, value
    if "answer" not in question and "digests" not in question:
        raise InputError(f"{name}: the question has no answer")


def _replace_wrong(wrong: Mapping[str, Any], to_digest: Any) -> dict[str, Any]:
    if "answer" not in wrong:
        return dict(wrong)
    return {"digest": to_digest(wrong["answer"]), "why": wrong["why"]}


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 32 and set(value) <= set("0123456789abcdef")


def _to_question(content: dict[str, Any]) -> Question:
    if "answer" in content:
        raise ValueError(f"{content.get('id')}: plain answers; write it with `flowbench lesson`")
    if unknown := content.keys() - _KEYS:
        raise ValueError(f"unknown: {list_some(sorted(unknown))}")
    wrong = {each["digest"]: str(each["why"]) for each in content.pop("wrong", ())}
    if content["kind"] not in answers.EXPECTED:
        raise ValueError(f"no kind of answer is {content['kind']!r}")
    return Question(**{"also": (), "hints": (), "because": "", **content}, wrong=wrong)
