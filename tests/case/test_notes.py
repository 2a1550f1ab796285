"""Notes, marks and decisions: entries of the custody log, of which the latest counts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.case.notes import MOST_CHARACTERS, NOTES
from flowbench.errors import InputError
from tests.detect.examples import example_finding

HOSTILE = "=cmd()|\x1b[31m<script>alert(1)</script>\0\ud800"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case")


def test_a_note_has_author_time_subject_and_tags(case: Case) -> None:
    at = pd.Timestamp("2026-09-01T06:00+02:00")
    case.note(
        "called the owner", at=at, about="10.0.0.5", about_kind="address", tags=[" c2 ", "c2"]
    )
    (note,) = Case.open(case.path).notes
    assert (note["text"], note["at"]) == ("called the owner", "2026-09-01T04:00:00+00:00")
    assert (note["about"], note["about_kind"], note["tags"]) == ("10.0.0.5", "address", ["c2"])
    assert note["by"] == case.log.entries[-1]["by"]
    assert pd.Timestamp(note["written"]).tzinfo is not None


def test_notes_of_an_earlier_version_are_read(case: Case) -> None:
    case.log.append("note", text="old", at=None, about=None)
    (note,) = case.notes
    assert (note["text"], note["about_kind"], note["tags"]) == ("old", None, [])
    assert case.list_notes()["text"].tolist() == ["old"]


@pytest.mark.parametrize(
    ("text", "more", "error"),
    [
        ("", {}, "the note is empty"),
        (" \n", {}, "the note is empty"),
        ("x" * (MOST_CHARACTERS + 1), {}, "10,001 characters, at most 10,000"),
        ("x", {"at": pd.Timestamp("2026-09-01")}, "no time zone"),
        ("x", {"tags": [""]}, "is no tag"),
        ("x", {"tags": ["a\nb"]}, "is no tag"),
        ("x", {"tags": ["t" * 65]}, "is no tag"),
        ("x", {"tags": [str(n) for n in range(21)]}, "21 tags"),
    ],
)
def test_what_is_no_note_is_refused(case: Case, text: str, more: dict, error: str) -> None:
    with pytest.raises(InputError, match=error):
        case.note(text, **more)
    assert case.notes == []


def test_entries_of_a_changed_log_are_no_decisions(case: Case) -> None:
    whole = {"finding_id": "contact-1", "decision": "dismissed", "reason": "x", "severity": "low"}
    whole |= {"first_seen": "2026-09-01T00:00:00+00:00", "last_seen": "2026-09-01T00:00:00Z"}
    case.log.append("decision", **whole, peers=1)
    for changes in ({"decision": "deleted"}, {"first_seen": "noon"}, {"peers": None}):
        case.log.append("decision", **whole | {"peers": 1} | changes)
    case.log.append("note", at="noon")
    assert len(case.decisions) == 1
    assert [(note["text"], note["at"]) for note in case.notes] == [("", None)]
    assert len(case.list_notes()) == 5


def test_hostile_text_is_kept_as_text(case: Case) -> None:
    case.note(HOSTILE, about=HOSTILE)
    (note,) = Case.open(case.path).notes
    assert note["text"] == HOSTILE.replace("\0", "\ufffd").replace("\ud800", "\ufffd")
    note["text"].encode()
    assert case.log.check() == []


def test_the_latest_mark_counts_and_earlier_ones_stay(case: Case) -> None:
    case.mark("10.0.0.5", starred=True, tags=["c2", "owner"], about_kind="address")
    case.mark("i-1", starred=True)
    case.note("seen", about="10.0.0.5", tags=["tor"])
    case.mark("10.0.0.5", starred=False, removed_tags=["c2"])
    case.mark("i-1", starred=False)
    assert case.marks == {
        "10.0.0.5": {"about_kind": "address", "starred": False, "tags": ["owner", "tor"]}
    }
    assert len(case.list_notes()) == 5
    with pytest.raises(InputError, match="nothing to mark"):
        case.mark("10.0.0.5")


def test_a_decision_keeps_what_was_decided_about(case: Case) -> None:
    finding = example_finding(["203.0.113.5", "203.0.113.6"])
    case.decide(finding, "dismissed", "the backup")
    case.decide(finding.to_row(), "confirmed")
    first, second = case.decisions
    assert (first["decision"], first["reason"]) == ("dismissed", "the backup")
    assert (first["finding_id"], first["severity"]) == (finding.finding_id, "high")
    assert (first["peers"], second["reason"]) == (2, None)
    assert pd.Timestamp(first["last_seen"]) == finding.last_seen
    assert second["decision"] == "confirmed"
    rows = case.list_notes()
    assert list(rows.columns) == NOTES.columns
    assert rows["about"].tolist() == [finding.finding_id] * 2
    assert rows["about_kind"].tolist() == ["finding"] * 2
    assert rows["text"].fillna("").tolist() == ["the backup", ""]


def test_what_is_no_decision_is_refused(case: Case) -> None:
    finding = example_finding()
    for decision, reason, error in (
        ("deleted", "x", "no decision is called deleted"),
        ("dismissed", None, "the reason of a decision is empty"),
        ("confirmed", "x" * 10_001, "10,001 characters"),
    ):
        with pytest.raises(InputError, match=error):
            case.decide(finding, decision, reason)
    for what in ({"finding_id": "x"}, 7, "contact-0123456789"):
        with pytest.raises(InputError, match="not a finding"):
            case.decide(what, "confirmed")
    assert case.decisions == []


def test_a_decision_changes_what_a_report_cites(case: Case) -> None:
    before = case.log.content_entry
    case.decide(example_finding(), "confirmed")
    assert case.log.content_entry != before
    assert case.log.content_entry["action"] == "decision"
    case.log.append("seal")
    assert case.log.content_entry["action"] == "decision"
