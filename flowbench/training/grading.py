"""Grading: a trainee's timeline and indicators, compared with the answer key of a scenario.

A fact of the key is stated if a row of the timeline agrees with it (``matching``). An indicator is
found if the list has its value. A benign host or principal in the list is a false positive.

    score = 100 * (facts stated + indicators found - false positives) / (facts + indicators)

and at least 0. Where the key has neither facts nor indicators, since nothing happened, the score is
100 without a false positive, else 0. Indicators that are not in the key are counted, and do
not change the score. The rule is this project's.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from flowbench.errors import InputError
from flowbench.scenario.exercises.facts import AnswerKey, Fact, Indicator
from flowbench.schema import Table
from flowbench.text import canonical_address, escape_controls, format_count, format_utc
from flowbench.training.matching import Names, match_facts

GRADES = Table.of(
    "grades",
    ("answers", "string", "name of the folder or file with the answers"),
    ("scenario", "string", "name of the scenario"),
    ("score", "float64", "0 to 100"),
    ("facts", "int64", "number of facts in the key"),
    ("facts_stated", "int64", "number of them that a row of the timeline states"),
    ("indicators", "int64", "number of indicators in the key"),
    ("indicators_found", "int64", "number of them that the list has"),
    ("indicators_unknown", "int64", "number in the list that the key does not know"),
    ("accusations", "int64", "number of benign hosts and principals in the list"),
    ("rows", "int64", "number of rows of the timeline that were read"),
    ("rejected", "int64", "number of lines or files that could not be read"),
)

_TIMELINE = ("time", "actor", "activity")
_INDICATOR = ("indicator", "value")  # either name of the column
_MOST_BYTES = 50_000_000  # of a file: a timeline of a whole case has a few megabytes
_MOST_SHOWN = 20  # rejected lines on a sheet


@dataclass
class Answers:
    """What a trainee handed in: rows of a timeline, indicators, and lines that were rejected."""

    name: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    indicators: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Grade:
    """How answers compare with a key.

    Attributes:
        answers: Their name.
        key: The answer key.
        rows: The number of rows of the timeline.
        stated: Whether each fact of the key is stated.
        found: Whether each indicator of the key is found.
        unknown: Indicators that the key does not know.
        accused: Benign hosts and principals among the indicators, with what explains them.
        rejected: Lines that could not be read, with the reason.
        is_unread: Whether the answers could not be read at all.
    """

    answers: str
    key: AnswerKey
    rows: int
    stated: Sequence[bool]
    found: Sequence[bool]
    unknown: Sequence[str]
    accused: Sequence[str]
    rejected: Sequence[str]
    is_unread: bool = False

    @property
    def score(self) -> float:
        """The score, 0 to 100, with one decimal."""
        possible = len(self.stated) + len(self.found)
        if self.is_unread:
            return 0.0
        if not possible:
            return 0.0 if self.accused else 100.0
        points = sum(self.stated) + sum(self.found) - len(self.accused)
        return round(100 * max(points, 0) / possible, 1)

    def to_row(self) -> dict[str, Any]:
        """Return a row of GRADES."""
        return {
            "answers": self.answers,
            "scenario": self.key.scenario,
            "score": self.score,
            "facts": len(self.stated),
            "facts_stated": sum(self.stated),
            "indicators": len(self.found),
            "indicators_found": sum(self.found),
            "indicators_unknown": len(self.unknown),
            "accusations": len(self.accused),
            "rows": self.rows,
            "rejected": len(self.rejected),
        }

    def to_text(self) -> str:
        """Return the score sheet."""
        key = self.key
        lines = [
            f"{escape_controls(self.answers)}: {self.score:g} of 100",
            f"Scenario {key.scenario}. {key.summary}",
            "",
            f"Facts stated: {sum(self.stated)} of {len(self.stated)}"
            f" ({format_count(self.rows, 'row')} in the timeline).",
            *_mark(self.stated, map(_describe_fact, key.facts)),
            "",
            f"Indicators found: {sum(self.found)} of {len(self.found)}.",
            *_mark(self.found, map(_describe_indicator, key.indicators)),
        ]
        for title, items in (
            ("Benign, but in the list (one point off for each)", self.accused),
            ("In the list, not in the key", self.unknown),
            ("Lines or files that could not be read", self.rejected),
        ):
            if items:
                shown = map(escape_controls, items[:_MOST_SHOWN])
                lines += ["", f"{title}: {len(items)}.", *(f"  {item}" for item in shown)]
            if len(items) > _MOST_SHOWN:
                lines.append(f"  and {len(items) - _MOST_SHOWN:,} more")
        return "\n".join(lines)


def grade(key: AnswerKey, answers: Answers) -> Grade:
    """Compare answers with a key; the module states the rule."""
    names = Names(key.aliases)
    listed = {name: names.of(_normalize(name)) for name in dict.fromkeys(answers.indicators)}
    given = frozenset().union(*listed.values()) if listed else frozenset()
    wanted = {value: names.of(value) for value in (i.value for i in key.indicators)}
    known = frozenset().union(*wanted.values(), *(names.of(name) for name in key.involved))
    benign = {name: names.of(name) - known for name in key.benign}
    accused = [
        f"{name}: {key.benign[name]}" for name in benign if not benign[name].isdisjoint(given)
    ]
    of_benign = frozenset().union(*benign.values()) if benign else frozenset()
    columns = ["time", "end", "actor", "activity", "object", "detail"]
    rows = pd.DataFrame(answers.rows, columns=columns)
    return Grade(
        answers.name,
        key,
        len(rows),
        [row is not None for row in match_facts(key, rows)],
        [not wanted[indicator.value].isdisjoint(given) for indicator in key.indicators],
        [name for name, same in listed.items() if same.isdisjoint(known | of_benign)],
        accused,
        answers.rejected,
    )


def grade_class(key: AnswerKey, paths: Iterable[Path]) -> list[Grade]:
    """Grade the answers of several trainees, each a CSV file or a folder, in the given order.

    Answers that cannot be read have no points, and the reason in ``rejected``: one trainee's broken
    file leaves the others' grades.
    """
    grades = []
    for path in paths:
        try:
            grades.append(grade(key, read_answers(path)))
        except InputError as error:
            none = Answers(_name_answers(path), rejected=[str(error)])
            grades.append(replace(grade(key, none), is_unread=True))
    return grades


def to_frame(grades: Iterable[Grade]) -> pd.DataFrame:
    """Return the grades of a class (GRADES), in the given order."""
    return GRADES.frame(each.to_row() for each in grades)


def read_answers(path: Path) -> Answers:
    """Read a CSV file, or the CSV files in a folder, in order of their names.

    A timeline has the columns time, actor and activity, and may have end, object and detail; a list
    of indicators has the column indicator or value. Times without a zone are UTC. Lines without a
    time or value are rejected.

    Raises:
        InputError: A file cannot be read or is neither, or the folder has no CSV file.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} has no CSV file: put a timeline or a list of indicators there")
    answers = Answers(_name_answers(path))
    for file in files:
        _read_file(file, answers)
    return answers


def _name_answers(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _read_file(path: Path, answers: Answers) -> None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} has more than {_MOST_BYTES // 1_000_000} MB: shorten it")
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            columns = [(name or "").strip().casefold() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            if set(_TIMELINE) <= set(columns):
                read = _read_timeline
            elif set(_INDICATOR) & set(columns):
                read = _read_indicators
            else:
                raise InputError(
                    f"{path}, line 1: neither the columns {', '.join(_TIMELINE)} of a timeline nor"
                    " the column indicator: name the columns on the first line"
                )
            for row in reader:
                if reason := read(row, answers):
                    answers.rejected.append(f"{path.name}, line {reader.line_num}: {reason}")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8: {error}") from error


def _read_timeline(row: dict[str, Any], answers: Answers) -> str | None:
    """Keep a row of a timeline, or return why it is rejected."""
    time = pd.to_datetime(row["time"], utc=True, errors="coerce")
    if pd.isna(time):
        return f"{row['time']!r} is not a time"
    end = pd.to_datetime(row.get("end"), utc=True, errors="coerce")
    answers.rows.append({**row, "time": time, "end": end})
    return None


def _read_indicators(row: dict[str, Any], answers: Answers) -> str | None:
    """Keep an indicator, or return why the line is rejected."""
    value = (row.get("indicator") or row.get("value") or "").strip()
    if not value:
        return "the indicator is empty"
    answers.indicators.append(value)
    return None


def _normalize(indicator: str) -> str:
    """Return an indicator as keys have it: without brackets around dots, in canonical spelling."""
    text = indicator.replace("[.]", ".").replace("hxxp", "http").rstrip(".")
    return canonical_address(text)


def _mark(done: Sequence[bool], items: Iterable[str]) -> Iterator[str]:
    for is_done, item in zip(done, items, strict=True):
        yield f"  {'yes' if is_done else 'no '}  {item}"


def _describe_fact(fact: Fact) -> str:
    time = format_utc(pd.Timestamp(fact.time, unit="s", tz="UTC"), seconds=True)
    target = f" - {fact.object}" if fact.object else ""
    return f"{time}  {fact.actor} - {fact.activity}{target}"


def _describe_indicator(indicator: Indicator) -> str:
    return f"{indicator.type} {indicator.value}: {indicator.meaning}"
