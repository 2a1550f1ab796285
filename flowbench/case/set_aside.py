"""Files that no entry of the custody log names: set aside and logged, never deleted.

A killed load or run leaves such files; so does the removal of entries from the log. They are in the
folder ``set-aside`` of the case, and may be deleted when they are not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from flowbench.case.custody import SET_ASIDE, CustodyLog
from flowbench.case.custody_entry import JsonObject
from flowbench.io import atomic

UNRECORDED = "the custody log has no entry for it"
CHANGED = "changed since it was written"


def find_unrecorded(folder: Path, pattern: str, named: set[str]) -> list[Path]:
    """Return the complete files in a folder that the log does not name, ordered.

    Args:
        folder: Where to look.
        pattern: A glob pattern in it.
        named: Paths, relative to the folder, that the log names.
    """
    files = sorted(p for p in folder.glob(pattern) if not p.name.endswith(atomic.SUFFIX))
    return [path for path in files if path.relative_to(folder).as_posix() not in named]


def move_aside(case: Path, log: CustodyLog, paths: Iterable[Path], reason: str) -> None:
    """Move files of a case to its folder ``set-aside``; the log says which, and why.

    Args:
        case: The folder of the case.
        log: Its custody log.
        paths: The files.
        reason: Why they are moved.

    Raises:
        OSError: A file cannot be read or moved.
        CaseError: The log cannot be written.
    """
    targets: dict[Path, Path] = {}
    records: list[JsonObject] = []
    for path in paths:
        was, sha256 = path.relative_to(case).as_posix(), atomic.sha256_file(path)
        target = case / SET_ASIDE / f"{sha256[:16]}-{path.name}"
        size = path.stat().st_size
        targets[path] = target
        records.append({"file": target.name, "was": was, "sha256": sha256, "bytes": size})
    if not records:
        return
    # The entry first: a file that a kill leaves unmoved is found by the next run.
    log.append(SET_ASIDE, files=records, reason=reason)
    (case / SET_ASIDE).mkdir(exist_ok=True)
    for path, target in targets.items():
        path.replace(target)


def move_orphans(case: Path, log: CustodyLog, reason: str) -> None:
    """Move the table parts of a case aside that its log does not name; see ``move_aside``."""
    tables = case / "tables"
    remove_incomplete(tables, "*/*")
    orphans = find_unrecorded(tables, "*/*", {part["file"] for part in log.parts})
    move_aside(case, log, orphans, reason)


def remove_incomplete(folder: Path, pattern: str) -> None:
    """Delete the files in a folder that a killed process was writing: they were never whole."""
    for path in folder.glob(f"{pattern}{atomic.SUFFIX}"):
        path.unlink()


def list_moved(log: CustodyLog) -> Iterator[tuple[JsonObject, str]]:
    """Yield the record of each file that was set aside, with the reason."""
    for entry in log.entries_of(SET_ASIDE):
        for record in entry["details"].get("files") or ():
            yield record, str(entry["details"].get("reason"))


def describe_changes(log: CustodyLog) -> list[str]:
    """Return a sentence for each file of the case that was changed and set aside."""
    return [
        f"{record.get('was')} was changed since flowbench wrote it. It is not used and was moved to"
        f" {SET_ASIDE}/{record['file']}"
        for record, reason in list_moved(log)
        if reason == CHANGED
    ]


def was_interrupted(lock: Path) -> bool:
    """Whether the process that last had a lock still has it, or was killed with it.

    Files that it wrote and did not log are then no sign of tampering.
    """
    try:
        return lock.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:  # not accessible while it is held
        return True
