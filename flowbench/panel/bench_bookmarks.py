"""Bookmarks of the hunting bench: notes of the case that end with the call that makes the view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.errors import InputError
from flowbench.panel.bench_state import BenchState, read_code
from flowbench.plot import theme
from flowbench.text import escape_controls, format_utc

if TYPE_CHECKING:
    from flowbench.case import Case

TAG = "bookmark"
_LABEL = 200  # characters of a note in the list; the timeline has all


@dataclass(frozen=True)
class Bookmark:
    """A view that is kept, and what it is called."""

    label: str
    state: BenchState


def keep_bookmark(
    case: Case, note: str, state: BenchState, activity: Mapping[str, Any] | None = None
) -> None:
    """Append a note with the view to the custody log; timeline and report show it.

    Args:
        case: The case.
        note: What the analyst writes.
        state: The view.
        activity: What it shows (bench_content.activity_content): the note is about the start of
            the period, else of the first activity.

    Raises:
        InputError: The note is empty or too long.
        CaseError: The log cannot be written.
    """
    if not note.strip():
        raise InputError("the note is empty: write what the view shows")
    busy = [row["label"] for row in (activity or {}).get("rows", ()) if row["value"]]
    at = state.since or (pd.Timestamp(busy[0], tz="UTC") if busy else None)
    case.note(f"{note.strip()}\n{state.to_code()}", at=at, tags=[TAG])


def list_bookmarks(case: Case) -> list[Bookmark]:
    """Return the views that are kept in a case, oldest first."""
    found = []
    for note in case.notes:
        text, _line, code = note["text"].rpartition("\n")
        state = read_code(code) if TAG in note["tags"] else None
        if state is not None:
            written = format_utc(pd.Timestamp(note["written"]))
            shown = theme.shorten(text, _LABEL)
            found.append(Bookmark(escape_controls(f"{shown} ({note['by']}, {written})"), state))
    return found
