"""What AWS's APIs answer, kept as they answered it, times as ISO 8601.

Answers without an end are one a line, packed; those of describe calls are one JSON document, their
pages put together, as the AWS CLI prints them. A question is one unit on the shelf: it is there
whole, in one file or in several, or not at all.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.fetch import aws, task_queue
from flowbench.fetch.bucket_layout import Period
from flowbench.fetch.download_cache import Arrived, Shelf
from flowbench.fetch.outcome import Done

if TYPE_CHECKING:
    from flowbench.case import Case

LARGEST = 128 << 20  # bytes of text in one file: a JSON file is held whole when it is loaded

_LEFT_OUT = ("ResponseMetadata", "nextToken", "NextToken")  # about the transport, not the answer


@dataclass(frozen=True)
class Question:
    """One thing to ask an API, and where its answers go."""

    unit: str  # what it is known by: asked once, unless it says when it was asked
    what: str  # for people
    action: str  # the IAM action that it needs
    names: list[str]  # folders and name of the file, without an ending
    answers: Callable[[], Iterable[dict[str, Any]]]
    document: str | None = None  # the list in the answers, where they make one document
    details: dict[str, Any] = field(default_factory=dict)  # for the index


@dataclass
class Questions:
    """What is about to be asked of AWS's APIs."""

    account: aws.Account
    source: str
    period: Period | None
    questions: list[Question] = field(default_factory=list)
    workers: int = 4  # FilterLogEvents has some ten requests a second, for all of an account
    said: list[str] = field(default_factory=list)

    def summary(self, case: Case) -> pd.DataFrame:
        """A row per question: what is asked, region, here (whether it was answered before)."""
        shelf = Shelf(case.path)
        rows = [(q.what, q.details["region"], shelf.has(q.unit)) for q in self.questions]
        return pd.DataFrame(rows, columns=["what", "region", "here"])

    def details(self) -> dict[str, Any]:
        """What the custody log holds of it besides."""
        return {"regions": sorted({q.details["region"] for q in self.questions})}

    def notes(self) -> list[str]:
        """What the user should know about it, in sentences."""
        return self.said

    def bring(
        self, shelf: Shelf, done: Done, progress: Callable[[int, int, str], None] = lambda *_: None
    ) -> None:
        """Ask what was not answered yet and keep the answers; called in ``record.recorded``.

        ``progress`` is called with (questions answered, of questions, ""). Raises Refused.
        """
        todo = [question for question in self.questions if not shelf.has(question.unit)]
        done.here = len(self.questions) - len(todo)
        tasks = [(question.what, partial(_answer, question, shelf)) for question in todo]
        task_queue.run(
            tasks, done, workers=self.workers, tick=lambda count: progress(count, len(todo), "")
        )


def slices(period: Period, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """The spans of one length, counted from 1970, that a period touches: always the same ones."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    at = start + (period.since - start) // length * length
    while at < period.until:
        yield at, at + length
        at += length


def settled(until: datetime, late: timedelta) -> bool:
    """Whether nothing more is to be expected of what happened before ``until``."""
    return until + late <= datetime.now(UTC)


def _answer(question: Question, shelf: Shelf, stop: threading.Event) -> int:
    files: list[Arrived] = []
    asides: list[Path] = []
    write = _document if question.document else _lines
    try:
        with aws.asking(question.action, question.what):
            for aside, ending in write(question, shelf, stop, asides):
                number = f"-{len(files) + 1}" if files else ""
                names = [*question.names[:-1], f"{question.names[-1]}{number}{ending}"]
                with aside.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                    files.append(
                        Arrived(aside, shelf.place(names, question.unit), file.tell(), sha256)
                    )
        shelf.keep(question.unit, files, source=question.what, **question.details)
    finally:
        for aside in asides:
            aside.unlink(missing_ok=True)
    return sum(file.size for file in files)


def _lines(
    question: Question, shelf: Shelf, stop: threading.Event, asides: list[Path]
) -> Iterator[tuple[Path, str]]:
    """The answers in files of no more than ``LARGEST`` and one answer; the same bytes each time."""
    answers = iter(question.answers())
    answer = next(answers, None)
    while answer is not None:
        asides.append(shelf.aside())
        size = 0
        with (
            asides[-1].open("xb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file,
        ):
            while answer is not None and size < LARGEST:
                if stop.is_set():
                    raise task_queue.Stopped
                size += file.write(_json(_content(answer)) + b"\n")
                answer = next(answers, None)
        yield asides[-1], ".jsonl.gz"


def _document(
    question: Question, shelf: Shelf, stop: threading.Event, asides: list[Path]
) -> Iterator[tuple[Path, str]]:
    """The answers as one document: the loader looks for formats of flow logs in plain ones."""
    name = question.document or ""
    asides.append(shelf.aside())
    with asides[-1].open("xb") as file:
        file.write(b"{" + _json(name) + b": [")
        before = b"\n"
        for answer in question.answers():
            for item in answer[name]:
                if stop.is_set():
                    raise task_queue.Stopped
                file.write(before + _json(item))
                before = b",\n"
        file.write(b"\n]}\n")
    yield asides[-1], ".json"


def _content(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in _LEFT_OUT}


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, default=_iso)
    return text.encode("utf-8", "backslashreplace")


def _iso(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
