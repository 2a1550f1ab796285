"""What a lesson shows: replies to answers, hints and progress, as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowbench.text import escape_controls, format_count
from flowbench.training.answers import EXPECTED
from flowbench.training.lesson_files import Question
from flowbench.training.progress import POINTS, Attempts

_BOX = "border-left: 4px solid {colour}; padding: 4px 12px; margin: 4px 0; max-width: 46em"
_CELL = "padding: 2px 16px 2px 0; text-align: left; border: none; background: none"
_RIGHT, _WRONG, _PLAIN = "#0072b2", "#d55e00", "#888888"  # as in figures; the words tell it too


@dataclass(frozen=True, repr=False)
class Reply:
    """A reply, shown by a notebook.

    Attributes:
        right: Whether an answer is right; None where none was checked.
        lines: The paragraphs, the first of which is its title.
        rows: A table below it, the first row of which has its titles.
    """

    right: bool | None
    lines: Sequence[str]
    rows: Sequence[Sequence[str]] = ()

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in self.rows
        ]
        return "\n".join([*map(escape_controls, self.lines), *table])

    def _repr_html_(self) -> str:
        colour = {True: _RIGHT, False: _WRONG, None: _PLAIN}[self.right]
        first, *others = [_mark_code(line) for line in self.lines]
        body = "".join(f'<p style="margin: 4px 0">{line}</p>' for line in others)
        if self.rows:
            head, *rows = [
                [html.escape(escape_controls(cell)) for cell in row] for row in self.rows
            ]
            body += '<table style="border-collapse: collapse"><thead><tr>'
            body += "".join(f'<th scope="col" style="{_CELL}">{cell}</th>' for cell in head)
            body += "</tr></thead><tbody>"
            for row in rows:
                body += (
                    "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>"
                )
            body += "</tbody></table>"
        box = _BOX.format(colour=colour)
        return f'<div class="flowbench-reply" style="{box}"><b>{first}</b>{body}</div>'


def ask(question: Question) -> Reply:
    """Return what is shown before there is an answer."""
    options = f": {', '.join(question.options)}" if question.options else ""
    expected = EXPECTED[question.kind] + options
    if question.several:
        expected = f"a list, each value {expected}"
    hints = f" `lesson.hint({question.id!r})` gives a hint for a point." if question.hints else ""
    return Reply(
        None, ["No answer yet.", f"Put your answer in place of the three dots: {expected}.{hints}"]
    )


def refuse(question: Question, reason: str) -> Reply:
    """Return what is shown for an answer of another kind."""
    text = reason[:1].upper() + reason[1:]
    return Reply(None, [f"{text}.", f"{question.id}: this does not count as a wrong answer."])


def answer(
    question: Question, right: bool, texts: Sequence[str], points: int | None, note: str
) -> Reply:
    """Return what is shown for an answer that was checked.

    Args:
        question: The question.
        right: Whether the answer is right.
        texts: What explains it; empty for a wrong answer that is not typical.
        points: What a right answer has earned.
        note: A warning about progress, or ''.
    """
    if right:
        title = f"Right. {format_count(points or 0, 'point')} of {POINTS}."
    else:
        title = "Not right yet."
        if question.options:
            title += " A wrong choice takes a point; the last one stays."
        if not texts:
            texts = ["Look at the question again: what does it ask for, of whom, in which period?"]
        if question.hints:
            texts = [*texts, f"`lesson.hint({question.id!r})` gives a hint for a point."]
    return Reply(right, [title, *filter(None, [*texts, note])])


def hints(question: Question, shown: Sequence[str], kept: Attempts, note: str) -> Reply:
    """Return the hints that were taken, and what they cost."""
    if not question.hints:
        return Reply(None, [f"{question.id} has no hints."])
    title = f"{len(shown)} of {format_count(len(question.hints), 'hint')}"
    if not kept.solved:
        title += f"; the question is now worth {format_count(kept.points, 'point')} of {POINTS}"
    numbered = [f"{number}. {text}" for number, text in enumerate(shown, 1)]
    return Reply(None, [f"{title}.", *numbered, *filter(None, [note])])


def progress(title: str, attempts: Mapping[str, Attempts], note: str) -> Reply:
    """Return the state of each question of a lesson."""
    rows = [["Question", "State", "Wrong answers", "Hints", "Points"]]
    for name, each in attempts.items():
        state = "solved" if each.solved else "open"
        points = f"{each.points if each.solved else 0} of {POINTS}"
        rows.append([name, state, str(each.wrong), str(each.hints), points])
    solved = [each for each in attempts.values() if each.solved]
    earned = sum(each.points for each in solved)
    first = (
        f"{title}: {len(solved)} of {format_count(len(attempts), 'question')} solved,"
        f" {earned} of {len(attempts) * POINTS} points."
    )
    return Reply(None, [first, *filter(None, [note])], rows)


def course(lessons: Mapping[str, tuple[Mapping[str, Attempts], int]], note: str) -> Reply:
    """Return the points of each lesson, by title: its attempts, and the points there are."""
    rows = [["Lesson", "Solved", "Points"]]
    earned = 0
    for title, (attempts, most) in lessons.items():
        solved = [each for each in attempts.values() if each.solved]
        points = sum(each.points for each in solved)
        earned += points
        rows.append([title, f"{len(solved)} of {most // POINTS}", f"{points} of {most}"])
    total = sum(most for _, most in lessons.values())
    return Reply(None, [f"{earned} of {total} points.", *filter(None, [note])], rows)


def _mark_code(line: str) -> str:
    """Escape a paragraph, and show what is between backticks as code."""
    parts = html.escape(escape_controls(line)).split("`")
    if len(parts) % 2 == 0:  # a backtick of its own
        return "`".join(parts)
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
