"""What analysts write into a case: notes, marks (stars and tags) and decisions about findings.

All are entries of the custody log, with their author and time. Nothing is edited: a later entry
supersedes an earlier one, which stays in the log. Their text is data: what prints it escapes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from flowbench.case import provenance
from flowbench.case.custody import CustodyLog
from flowbench.case.custody_entry import JsonObject
from flowbench.errors import InputError
from flowbench.schema import Table
from flowbench.text import replace_unstorable

NOTES = Table.of(
    "notes",
    ("entry", "int64", "number of the entry in the custody log"),
    ("written", "time", "when it was written"),
    ("by", "string", "the user who wrote it"),
    ("kind", "string", "note, mark (stars and tags) or decision"),
    ("about", "string", "id of a finding, API event or alert; host or principal; null: the case"),
    ("about_kind", "string", "what this is: finding, API event, alert, address, principal, …"),
    ("at", "time", "the time that a note is about"),
    ("text", "string", "the note, or the reason of a decision; untrusted text"),
    ("tags", "strings", "tags of the note, or tags that a mark adds"),
    ("removed_tags", "strings", "tags that a mark removes"),
    ("starred", "bool", "whether a mark stars it or takes the star off; null: neither"),
    ("decision", "string", "confirmed, dismissed or reopened; of a decision"),
)

DECISIONS = ("confirmed", "dismissed", "reopened")
MOST_CHARACTERS = 10_000  # of a note or a reason: a longer text belongs into a file
MOST_TAG_CHARACTERS = 64
MOST_TAGS = 20  # of one entry
_ACTIONS = ("note", "mark", "decision")


class CaseNotes:
    """The notes, marks and decisions of a case; ``Case`` inherits them.

    Attributes:
        path: The folder of the case.
        log: Its custody log.
    """

    path: Path
    log: CustodyLog

    def note(
        self,
        text: str,
        *,
        at: datetime | None = None,
        about: str | None = None,
        about_kind: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        """Append an analyst's note to the custody log.

        Args:
            text: The note, at most MOST_CHARACTERS.
            at: The time that it is about, with a time zone: the timeline shows it there.
            about: What it is about: the id of a finding, API event or alert, a host or a principal.
            about_kind: What ``about`` is; see investigate.note_subjects, which finds out.
            tags: Words to find it by.

        Raises:
            InputError: The text is empty or too long, ``at`` has no time zone, or a tag is wrong.
            CaseError: The log cannot be written.
        """
        if at is not None and pd.Timestamp(at).tzinfo is None:
            raise InputError(f"the time of the note has no time zone: {at}; times are UTC")
        self.log.append(
            "note",
            text=_check_text(text, "note"),
            at=None if at is None else pd.Timestamp(at).tz_convert("UTC").isoformat(),
            about=None if about is None else replace_unstorable(about),
            about_kind=about_kind,
            tags=_check_tags(tags),
        )

    def mark(
        self,
        about: str,
        *,
        starred: bool | None = None,
        tags: Sequence[str] = (),
        removed_tags: Sequence[str] = (),
        about_kind: str | None = None,
    ) -> None:
        """Star or tag a finding, API event, alert, host or principal; see ``note``.

        Args:
            about: What is marked.
            starred: Whether it has a star from now on; None leaves it as it is.
            tags: Tags that it gets.
            removed_tags: Tags that it loses.
            about_kind: What ``about`` is.

        Raises:
            InputError: There is nothing to mark it with, or a tag is wrong.
            CaseError: The log cannot be written.
        """
        added, removed = _check_tags(tags), _check_tags(removed_tags)
        if starred is None and not added and not removed:
            raise InputError(f"nothing to mark {about} with: give a star or a tag")
        self.log.append(
            "mark",
            about=replace_unstorable(about),
            about_kind=about_kind,
            starred=starred,
            tags=added,
            removed_tags=removed,
        )

    def decide(self, finding: object, decision: str, reason: str | None = None) -> None:
        """Append a decision about a finding to the custody log; the latest one counts.

        A dismissed finding is suppressed until it grows beyond what was dismissed; see
        detect.decisions. The entry keeps its severity, period and number of peers for this.

        Args:
            finding: A finding, a row of a table of findings, or the id of a finding in a run that
                the case keeps.
            decision: One of DECISIONS; 'reopened' withdraws an earlier decision.
            reason: Why, at most MOST_CHARACTERS; required to dismiss.

        Raises:
            InputError: ``finding`` or ``decision`` is none of these, or the reason is missing.
            CaseError: The log cannot be written, or the kept findings are damaged.
        """
        if decision not in DECISIONS:
            raise InputError(f"no decision is called {decision}; there are: {', '.join(DECISIONS)}")
        if reason is not None or decision == "dismissed":
            reason = _check_text(reason or "", "reason of a decision")
        state = provenance.describe_finding(self.path, self.log, finding)
        self.log.append("decision", decision=decision, reason=reason, **state)

    @property
    def notes(self) -> list[JsonObject]:
        """The notes, oldest first: text, at, about, about_kind, tags, written (time), by (user)."""
        empty: JsonObject = {"text": "", "about": None, "about_kind": None, "tags": []}
        return [
            empty | details | {"at": details.get("at") if _to_time(details.get("at")) else None}
            for details in self._written("note")
        ]

    @property
    def decisions(self) -> list[JsonObject]:
        """All decisions, oldest first.

        Each has decision, reason, finding_id, and of the finding at that time severity, first_seen,
        last_seen, peers (their number); written (time) and by (user). An entry that lacks one of
        these, as the log of a changed case may have, is no decision.
        """
        return [details for details in self._written("decision") if _is_decision(details)]

    @property
    def marks(self) -> dict[str, JsonObject]:
        """What has a star or tags now: its kind, whether it is starred, and its tags."""
        marks: dict[str, JsonObject] = {}
        for entry in self.log.entries:
            about = entry["details"].get("about")
            if entry["action"] not in ("note", "mark") or about is None:
                continue
            mark = marks.setdefault(about, {"about_kind": None, "starred": False, "tags": []})
            details = entry["details"]
            mark["about_kind"] = details.get("about_kind") or mark["about_kind"]
            if details.get("starred") is not None:
                mark["starred"] = details["starred"]
            removed = details.get("removed_tags") or ()
            tags = dict.fromkeys([*mark["tags"], *(details.get("tags") or ())])
            mark["tags"] = [tag for tag in tags if tag not in removed]
        return {about: mark for about, mark in marks.items() if mark["starred"] or mark["tags"]}

    def list_notes(self) -> pd.DataFrame:
        """Return the notes, marks and decisions (NOTES), oldest first."""
        return NOTES.frame(
            details
            | {
                "entry": entry["seq"],
                "written": _to_time(entry["time"]),
                "by": entry["by"],
                "kind": entry["action"],
                "at": _to_time(details.get("at")),
                "text": details.get("text") or details.get("reason"),
                "about": details.get("about") or details.get("finding_id"),
                "about_kind": "finding" if "finding_id" in details else details.get("about_kind"),
            }
            for entry in self.log.entries
            if entry["action"] in _ACTIONS
            for details in [entry["details"]]
        )

    def _written(self, action: str) -> Iterator[JsonObject]:
        for entry in self.log.entries_of(action):
            yield entry["details"] | {"written": entry["time"], "by": entry["by"]}


def _to_time(text: str | None) -> pd.Timestamp | None:
    """Return the time in an entry; None for a text that is no time."""
    time = pd.to_datetime(text, utc=True, errors="coerce")
    return None if pd.isna(time) else time


def _is_decision(details: JsonObject) -> bool:
    times = [_to_time(details.get(name)) for name in ("first_seen", "last_seen", "written")]
    return (
        details.get("decision") in DECISIONS
        and all(details.get(name) is not None for name in ("finding_id", "severity", "peers"))
        and None not in times
    )


def _check_text(text: str, name: str) -> str:
    text = replace_unstorable(text)
    if not text.strip():
        raise InputError(f"the {name} is empty: give its text")
    if len(text) > MOST_CHARACTERS:
        raise InputError(
            f"the {name} has {len(text):,} characters, at most {MOST_CHARACTERS:,} are kept: put a"
            " longer text into a file and name the file"
        )
    return text


def _check_tags(tags: Iterable[str]) -> list[str]:
    """Return tags without surrounding blanks, each once."""
    names = list(dict.fromkeys(replace_unstorable(tag).strip() for tag in tags))
    if len(names) > MOST_TAGS:
        raise InputError(f"{len(names)} tags: at most {MOST_TAGS} are kept in one entry")
    for name in names:
        if not 0 < len(name) <= MOST_TAG_CHARACTERS or not name.isprintable():
            raise InputError(
                f"{name[:MOST_TAG_CHARACTERS]!r} is no tag: a tag has 1 to {MOST_TAG_CHARACTERS}"
                " printable characters"
            )
    return names
