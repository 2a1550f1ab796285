"""Rebuilding damaged or lost tables from the evidence they were read from.

A part holds rows of every file of its load, so a load is read again as a whole: from the files
given, and the others from where the log says they are. Its entry stays in the custody log; the new
entry supersedes it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from flowbench.case import parts as table_parts
from flowbench.case.custody import CustodyLog
from flowbench.case.custody_entry import Entry, JsonObject, Part
from flowbench.io import atomic
from flowbench.loaders import batch, dispatch


def find_damaged(folder: Path, log: CustodyLog, evidence_ids: set[str]) -> list[Entry]:
    """Return the loads of these evidence files that have missing or changed table parts."""
    return [
        entry
        for entry in log.current_entries
        if evidence_ids & {row["evidence_id"] for row in entry["details"].get("evidence", ())}
        and not is_intact(folder, entry)
    ]


def is_intact(folder: Path, entry: Entry) -> bool:
    """Whether every part of a load is there as it was written."""
    return all(
        atomic.is_intact(folder / "tables" / part["file"], part["sha256"])
        for part in entry["details"].get("parts", ())
    )


def rebuild_load(
    folder: Path,
    log: CustodyLog,
    entry: Entry,
    given: dict[str, Path],
    progress: Callable[[dispatch.Evidence], None],
) -> tuple[list[dispatch.Evidence], list[Part]]:
    """Read a load's evidence again and write its parts; the caller appends to the log.

    Args:
        folder: The case.
        log: Its custody log.
        entry: The load.
        given: Where files are now, by evidence id.
        progress: Called after each file.

    Raises:
        UnreadableError: A file is neither given nor where it was, or has changed.
    """
    details = entry["details"]
    evidence = _find_evidence(folder, details["evidence"], given)
    parts: list[Part] = []
    try:
        table_parts.load_files(
            evidence,
            folder=folder / "tables",
            first_number=table_parts.next_number(log),
            read=partial(
                batch.read,
                kind=details.get("kind"),
                formats=tuple(map(tuple, details.get("formats", ()))),
                list_columns=tuple(map(tuple, details.get("columns", ()))),
            ),
            commit=lambda _, written: parts.extend(written),
            progress=progress,
        )
    finally:
        for file in evidence:
            if file.container is not None:
                file.container.close()
    return evidence, parts


def _find_evidence(
    folder: Path, rows: list[JsonObject], given: dict[str, Path]
) -> list[dispatch.Evidence]:
    """The evidence of a load, in its order, where it is now."""
    found: dict[str, dispatch.Evidence] = {}
    for row in rows:
        if row["evidence_id"] in found:
            continue
        path = given.get(row.get("archive") or row["evidence_id"], folder / row["path"])
        try:
            file = dispatch.Evidence.of(path, row["file"].removesuffix(f"/{row.get('member')}"))
            found |= {m.evidence_id: m for m in dispatch.expand_archive(file, folder)}
            if file.container is not None:
                file.container.close()  # until it is read, or all would be unpacked at once
        except OSError as error:
            reason = f"is needed to rebuild a table: {error.strerror}: {path}"
            raise dispatch.UnreadableError(dispatch.Evidence.from_entry(row), reason) from error
        found.setdefault(file.evidence_id, file)
        if row["evidence_id"] not in found:
            reason = f"is needed to rebuild a table, and {path} no longer holds its bytes"
            raise dispatch.UnreadableError(dispatch.Evidence.from_entry(row), reason)
    for row in rows:  # shown under its recorded name, wherever it is now
        found[row["evidence_id"]].file = row["file"]
    return [found[row["evidence_id"]] for row in rows]
