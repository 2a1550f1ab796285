"""flowbench note: notes, tags, stars, and decisions about findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.errors import InputError
from flowbench.text import escape_controls

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.investigate.filters import Filters
    from flowbench.investigate.note_subjects import NoteSubject

_COLUMNS = "written by kind about text decision tags at starred".split()


@click.command()
@common.case_argument
@click.argument("text", required=False)
@click.option("--about", metavar="WHAT", help="A finding, API event, alert, host or principal.")
@click.option("--at", metavar="TIME", help="The time that the note is about, UTC.")
@click.option("--tag", "tags", multiple=True, metavar="T", help="Add this tag (repeatable).")
@click.option("--untag", "removed_tags", multiple=True, metavar="T", help="Remove this tag.")
@click.option("--star/--unstar", "starred", default=None, help="Star WHAT, or remove the star.")
@click.option("--confirm", is_flag=True, help="Confirm the finding; TEXT is the reason.")
@click.option("--dismiss", metavar="REASON", help="Dismiss the finding: it is suppressed.")
@click.option("--reopen", is_flag=True, help="Withdraw a decision; TEXT is the reason.")
@filter_options()
@common.limit_option
@common.output_options
def note(  # noqa: PLR0913  # each is an option
    case: Path,
    text: str | None,
    about: str | None,
    at: str | None,
    tags: tuple[str, ...],
    removed_tags: tuple[str, ...],
    starred: bool | None,
    confirm: bool,
    dismiss: str | None,
    reopen: bool,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """Write or list the notes and decisions of CASE.

    Without TEXT, tags, star or decision they are listed, with --about those about WHAT: the id of
    a finding (or its start), an API event or an alert, a host or a principal. Everything is
    appended to the custody log with its author and time; a later entry supersedes an earlier one.

    A dismissed finding is suppressed by `detect` until its severity rises, its period grows or it
    has more peers; a confirmed one is marked wherever it is shown.
    """
    decisions = {"confirmed": confirm, "dismissed": dismiss is not None, "reopened": reopen}
    chosen = [name for name, is_chosen in decisions.items() if is_chosen]
    _check_options(text, about, at, dismiss, chosen)
    opened = common.open_case(case)
    subject = _resolve(opened, about)
    mark_tags = tags if chosen or not text else ()  # else they are those of the note
    is_mark = starred is not None or bool(mark_tags or removed_tags)
    if is_mark and subject is None:
        raise InputError("what is to be marked? Give --about WHAT")
    if chosen:
        assert subject is not None  # _check_options
        if subject.kind != "finding":
            raise InputError(f"{about} is no finding, but {subject.kind}: decide about a finding")
        opened.decide(subject.about, chosen[0], dismiss or text)
    elif text:
        _write_note(opened, text, subject, at, tags)
    if is_mark and subject is not None:
        opened.mark(
            subject.about,
            starred=starred,
            tags=mark_tags,
            removed_tags=removed_tags,
            about_kind=subject.kind,
        )
    if not (chosen or text or is_mark):
        _list(opened, subject, filters, limit, out)


def _check_options(
    text: str | None, about: str | None, at: str | None, dismiss: str | None, chosen: list[str]
) -> None:
    if len(chosen) > 1:
        raise InputError("give one of --confirm, --dismiss and --reopen")
    if chosen and about is None:
        raise InputError(f"which finding is {chosen[0]}? Give its id after --about")
    if dismiss is not None and text:
        raise InputError(
            "the reason follows --dismiss: omit TEXT, or write it as a note of its own"
        )
    if at is not None and (chosen or not text):
        raise InputError("--at is the time of a note: give its TEXT, and no decision")


def _resolve(case: Case, about: str | None) -> NoteSubject | None:
    from flowbench.investigate.note_subjects import resolve_note_subject

    return None if about is None else resolve_note_subject(case, about)


def _write_note(
    case: Case, text: str, subject: NoteSubject | None, at: str | None, tags: tuple[str, ...]
) -> None:
    from flowbench.fetch.bucket_layout import parse_time

    case.note(
        text,
        at=parse_time(at) if at else None,
        about=subject.about if subject else None,
        about_kind=subject.kind if subject else None,
        tags=tags,
    )


def _list(
    case: Case,
    subject: NoteSubject | None,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    from flowbench.investigate.filters import filter_frame

    rows = case.list_notes()
    if subject is not None:
        rows = rows[rows["about"] == subject.about]
    when = rows["at"].fillna(rows["written"])
    rows = filter_frame(rows.assign(when=when), filters, "when", "when").drop(columns="when")
    out.write_frame(rows, _COLUMNS, limit)
    if out.is_terminal:
        starred = [about for about, mark in case.marks.items() if mark["starred"]]
        if starred:
            common.note(f"starred: {', '.join(map(escape_controls, starred))}")
