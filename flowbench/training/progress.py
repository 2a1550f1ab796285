"""Progress: what a trainee has answered, kept in a file of the work folder.

The file outlives kernels. What is in it is checked like any other data: where it cannot be used, it
is renamed, and the trainee starts anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flowbench.errors import FlowbenchError
from flowbench.io import atomic

FILE = "progress.json"
POINTS = 4  # for a question
_MOST_BYTES = 1_000_000
_MOST = 1_000_000  # attempts at a question


@dataclass(frozen=True)
class Attempts:
    """What a trainee has done with a question, until it was solved.

    Attributes:
        wrong: The number of wrong answers.
        hints: The number of hints taken.
        penalties: The number of wrong answers to a choice, each of which costs a point.
        solved: Whether the right answer was given.
    """

    wrong: int = 0
    hints: int = 0
    penalties: int = 0
    solved: bool = False

    @property
    def points(self) -> int:
        """The points that the question has earned, or can still earn: at least one."""
        return max(1, POINTS - self.hints - self.penalties)


Kept = dict[str, dict[str, Attempts]]  # by lesson and question


class Progress:
    """The progress file of a work folder.

    Attributes:
        path: The file.
        warning: What is wrong with the file, or ''.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.warning = ""
        self._unwritten: Kept = {}

    def read(self) -> Kept:
        """Return what is kept; nothing without a file. One that cannot be used is renamed."""
        try:
            with atomic.open_regular(self.path) as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise ValueError("it is too long")
            return self._merge(_check(json.loads(data)))
        except FileNotFoundError:
            return self._merge({})
        except (OSError, ValueError, RecursionError):
            self._set_aside()
            return self._merge({})

    def update(
        self, lesson: str, question: str, change: Callable[[Attempts], Attempts]
    ) -> Attempts:
        """Change what is kept of a question, and return it. Two notebooks may do so at once.

        Where the file cannot be written, progress lasts as long as this object, and ``warning``
        says so.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic.lock(self.path.with_suffix(".lock"), "progress is being kept", timeout=5):
                kept = self.read()
                attempts = change(kept.get(lesson, {}).get(question, Attempts()))
                kept.setdefault(lesson, {})[question] = attempts
                atomic.write_bytes(self.path, _to_json(kept))
                self._unwritten = {}
        except (OSError, FlowbenchError) as error:
            attempts = change(self.read().get(lesson, {}).get(question, Attempts()))
            reason = getattr(error, "strerror", None) or error
            self.warning = f"Progress cannot be kept in {self.path}: {reason}."
            self._unwritten.setdefault(lesson, {})[question] = attempts
        return attempts

    def _merge(self, kept: Kept) -> Kept:
        """What could not be written is later than what the file has."""
        for lesson, questions in self._unwritten.items():
            kept[lesson] = kept.get(lesson, {}) | questions
        return kept

    def _set_aside(self) -> None:
        aside = self.path.with_name("progress-unreadable.json")
        self.warning = f"{self.path} cannot be read: progress starts anew"
        try:
            self.path.replace(aside)
            self.warning += f", and the file is now {aside.name}."
        except OSError:
            self.warning += "."


def _to_json(kept: Kept) -> bytes:
    content = {
        lesson: {question: asdict(attempts) for question, attempts in questions.items()}
        for lesson, questions in kept.items()
    }
    return json.dumps({"format": 1, "lessons": content}, indent=1).encode()


def _check(content: object) -> Kept:
    """Return the attempts in JSON of unknown origin, or raise ValueError."""
    if not isinstance(content, Mapping) or content.get("format") != 1:
        raise ValueError("it is not a progress file")
    return {
        lesson: {question: _check_attempts(each) for question, each in _mapping(questions).items()}
        for lesson, questions in _mapping(content.get("lessons")).items()
    }


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("it is not a progress file")
    return value


def _check_attempts(content: object) -> Attempts:
    counts: dict[str, Any] = {}
    for name in ("wrong", "hints", "penalties"):
        count = _mapping(content).get(name, 0)
        if type(count) is not int or not 0 <= count <= _MOST:
            raise ValueError(f"{name} is not a number of attempts")
        counts[name] = count
    return Attempts(**counts, solved=_mapping(content).get("solved") is True)
