"""Tables that were damaged or lost, made again from the evidence they were read from.

A part holds rows of every file of its load, so a load is made again whole: from the files given,
and from the others where the log says they lie. Its entry stays in the custody log; the new one
supersedes it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flowbench.case import custody
from flowbench.case import parts as table_parts
from flowbench.io.stream import digest
from flowbench.loaders import batch, dispatch

Entry = dict[str, Any]


def damaged(folder: Path, log: custody.Log, sources: set[str]) -> list[Entry]:
    """The loads of these evidence files whose table parts are missing or not as they were."""
    return [
        entry
        for entry in log.standing
        if sources & {row["evidence_id"] for row in entry["details"].get("evidence", ())}
        and not sound(folder, entry)
    ]


def sound(folder: Path, entry: Entry) -> bool:
    """Whether every part of a load lies there as it was written."""
    try:
        return all(
            digest(folder / "tables" / part["file"])[0] == part["sha256"]
            for part in entry["details"].get("parts", ())
        )
    except OSError:
        return False


def again(
    folder: Path,
    log: custody.Log,
    entry: Entry,
    given: dict[str, Path],
    progress: Callable[[dispatch.Evidence], None],
) -> tuple[list[dispatch.Evidence], list[Entry]]:
    """A load's evidence read once more, and the parts written; the caller puts them into the log.

    ``given`` says where files lie by source. Raises load.UnreadableError for a file that is
    neither there nor where it was, or is no longer the same.
    """
    details = entry["details"]
    evidence = _at_hand(folder, details["evidence"], given)
    parts: list[Entry] = []
    try:
        table_parts.load_files(
            evidence,
            folder=folder / "tables",
            first_number=table_parts.next_number(log),
            read=partial(
                batch.read,
                kind=details.get("kind"),
                formats=tuple(map(tuple, details.get("formats", ()))),
                columns=tuple(map(tuple, details.get("columns", ()))),
            ),
            commit=lambda _, written: parts.extend(written),
            progress=progress,
        )
    finally:
        for one in evidence:
            if one.container is not None:
                one.container.close()
    return evidence, parts


def _at_hand(folder: Path, rows: list[Entry], given: dict[str, Path]) -> list[dispatch.Evidence]:
    """The evidence of a load, in its order, where it lies now."""
    found: dict[str, dispatch.Evidence] = {}
    for row in rows:
        top = row.get("archive") or row["evidence_id"]
        if row["evidence_id"] in found:
            continue
        path = given.get(top, folder / row["path"])
        try:
            whole = dispatch.Evidence.of(path, row["file"].removesuffix(f"/{row.get('member')}"))
            found |= {one.evidence_id: one for one in dispatch.members(whole, folder)}
            if whole.container is not None:
                whole.container.close()  # until it is read, or all would lie unpacked at once
        except OSError as error:
            reason = f"is needed to restore a table: {error.strerror}: {path}"
            raise dispatch.UnreadableError(dispatch.Evidence.recorded(row), reason) from error
        found.setdefault(whole.evidence_id, whole)
        if row["evidence_id"] not in found:
            reason = f"is needed to restore a table, and {path} no longer holds its bytes"
            raise dispatch.UnreadableError(dispatch.Evidence.recorded(row), reason)
    for row in rows:  # shown as it was, wherever it lies now
        found[row["evidence_id"]].file = row["file"]
    return [found[row["evidence_id"]] for row in rows]
