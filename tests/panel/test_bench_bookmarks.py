"""Bookmarks: notes of the case that make their view again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import timeline
from flowbench.panel.bench_bookmarks import keep_bookmark, list_bookmarks
from flowbench.panel.bench_state import BenchState

SINCE, UNTIL = (pd.Timestamp(f"2026-09-02T{hour:02}", tz="UTC") for hour in (3, 9))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case")


def test_a_bookmark_is_a_note_of_the_case(case: Case) -> None:
    state = BenchState("dport = 22", SINCE, UNTIL)
    keep_bookmark(case, " <b>odd</b>\u202e ", state)
    case.note("another note", tags=["bookmark"])
    case.note(f"not marked\n{state.to_code()}")
    again = Case.open(case.path)
    (bookmark,) = list_bookmarks(again)
    assert bookmark.state == state
    assert bookmark.label.startswith("<b>odd</b>\\u202e (")
    rows = timeline.build(again)
    (shown,) = rows.loc[rows["time"] == SINCE, "detail"]
    assert "<b>odd</b>" in shown


def test_without_a_period_it_is_about_the_first_activity(case: Case) -> None:
    rows = [{"label": "2026-09-01 00:00", "value": 0}, {"label": "2026-09-01 01:00", "value": 2}]
    keep_bookmark(case, "x", BenchState(), {"rows": rows})
    keep_bookmark(case, "y", BenchState())
    assert [note["at"] for note in case.notes] == ["2026-09-01T01:00:00+00:00", None]


def test_a_long_note_is_cut_in_the_list(case: Case) -> None:
    keep_bookmark(case, "A" * 1_900, BenchState())
    (bookmark,) = list_bookmarks(case)
    assert bookmark.label.startswith("A" * 199 + "… (")


def test_an_empty_note_is_refused(case: Case) -> None:
    with pytest.raises(InputError, match="the note is empty"):
        keep_bookmark(case, " ", BenchState())
