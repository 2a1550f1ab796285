"""Loading: evidence files into a case's tables, batch by batch, each batch one entry of the log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any

import filelock
import pandas as pd

from flowbench.case import custody, rebuild
from flowbench.case import parts as table_parts
from flowbench.errors import CaseError
from flowbench.io.discover import find
from flowbench.io.stream import OnDisk
from flowbench.loaders import batch as flow_batches
from flowbench.loaders import dispatch

_LARGE = 1 << 20
COLUMNS = ["file", "kind", "records", "quarantined", "outcome"]


@dataclass(frozen=True)
class How:
    """What the user asked for."""

    kind: str | None
    formats: dispatch.Formats
    columns: dispatch.Columns
    copy: bool
    progress: Callable[[int, int, str], None]


def ingest(
    folder: Path,
    log: custody.Log,
    paths: Iterable[str | Path],
    *,
    kind: str | None = None,
    formats: dispatch.Formats = (),
    columns: dispatch.Columns = (),
    copy: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """Read evidence into the case in ``folder``; what ``Case.ingest`` does and documents."""
    found, unread = find(paths, leave_out=folder)
    lock = filelock.FileLock(folder / "load.lock")
    try:
        with lock.acquire(timeout=0):
            log.refresh()  # another load may be done
            if problems := log.check():
                raise CaseError(
                    f"the custody log was changed ({problems[0]}): load nothing more into this"
                    f" case; `flowbench verify {folder}` tells all"
                )
            how = How(kind, formats, columns, copy, progress or (lambda *_: None))
            return _load(folder, log, found, unread, how)
    except filelock.Timeout:
        raise CaseError(f"another load into {folder} is under way: wait for it") from None
    except OSError as error:
        raise CaseError(f"cannot write to {folder}: {error.strerror}") from error


def _load(
    folder: Path,
    log: custody.Log,
    found: list[tuple[Path, str]],
    unread: list[tuple[str, str]],
    how: How,
) -> pd.DataFrame:
    table_parts.remove_orphans(folder / "tables", {part["file"] for part in log.parts})
    known = {entry["evidence_id"] for entry in log.evidence}
    new: list[dispatch.Evidence] = []
    there: dict[str, dispatch.Evidence] = {}
    rows: list[tuple[str, str, int, int, str]] = []
    formats = [*how.formats]
    try:
        for evidence in _unpacked(folder, found, known, how.copy, unread):
            if evidence.evidence_id in known:
                rows.append((evidence.file, "", 0, 0, "already there"))
                there[evidence.evidence_id] = evidence
                if evidence.within is not None:
                    evidence.within.container.done()
            else:
                known.add(evidence.evidence_id)
                new.append(evidence)
                formats += dispatch.formats_in(evidence)  # now, while its archive is open
            evidence.raw = None
        new = _load_new(folder, log, new, replace(how, formats=tuple(formats)), unread)
    finally:
        for evidence in new:
            if evidence.container is not None:
                evidence.container.close()
    restored = _restore(folder, log, there, how, unread)
    rows = restored + [row for row in rows if row[0] not in {row[0] for row in restored}]
    _note_unread(folder, log, unread)
    table_parts.remove_orphans(
        folder / "tables", {part["file"] for part in log.parts}
    )  # superseded
    rows += [(e.file, e.kind, e.records, e.quarantined, "loaded") for e in new]
    rows += [(name, "", 0, 1, "not readable") for name, _ in unread]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("file", ignore_index=True)


def _unpacked(
    folder: Path,
    found: list[tuple[Path, str]],
    known: set[str],
    copy: bool,
    unread: list[tuple[str, str]],
) -> Iterator[dispatch.Evidence]:
    """Each file as evidence; before an archive that is not known yet, the files in it.

    An archive comes last, so that one in the log is one whose every member is there.
    """
    held = None  # the last archive stays open, or a lone one would be unpacked twice
    for evidence in _identified(found, unread):
        if copy and evidence.evidence_id not in known:
            _copy(folder, evidence)
        try:
            if evidence.evidence_id not in known:
                yield from dispatch.members(evidence, folder)
        except OSError as error:
            unread.append((evidence.file, f"cannot be read: {error.strerror}"))
            continue
        if evidence.container is not None:
            if held is not None:
                held.close()
            held = evidence.container
        yield evidence


def _identified(
    found: list[tuple[Path, str]], unread: list[tuple[str, str]]
) -> Iterator[dispatch.Evidence]:
    """The files in their order, each with its digest; large ones are digested side by side."""
    pool, stop = ThreadPoolExecutor(table_parts.WORKERS), Event()
    of = dispatch.Evidence.of
    try:
        ahead = {path: pool.submit(of, path, name, stop) for path, name in found if _large(path)}
        for path, name in found:
            try:
                yield ahead[path].result() if path in ahead else of(path, name, keep=True)
            except OSError as error:
                unread.append((name, f"cannot be read: {error.strerror}"))
    finally:  # Ctrl-C waits for no file
        stop.set()
        pool.shutdown(cancel_futures=True)


def _large(path: Path) -> bool:
    """Whether a file takes longer to digest than to be handed to another thread, if it is one."""
    try:
        return path.stat().st_size >= _LARGE
    except OSError:  # reading it will say so
        return True


def _load_new(
    folder: Path,
    log: custody.Log,
    new: list[dispatch.Evidence],
    how: How,
    unread: list[tuple[str, str]],
) -> list[dispatch.Evidence]:
    """Load what is new; what could be. A file that does not keep still is left out, and said."""
    before = (map(tuple, e["details"].get("formats", ())) for e in log.entries)
    formats = tuple(dict.fromkeys(chain(how.formats, *before)))
    loaded: set[str] = set()
    total = sum(evidence.size for evidence in new)
    done = 0

    def one_done(evidence: dispatch.Evidence) -> None:
        nonlocal done
        done += evidence.size
        how.progress(done, total, evidence.file)

    said = {"kind": how.kind, "formats": [*map(list, formats)]}
    if how.columns:
        said["columns"] = [*map(list, how.columns)]

    def commit(evidence: list[dispatch.Evidence], parts: list[dict[str, Any]]) -> None:
        log.append("load", evidence=[_entry(folder, e) for e in evidence], parts=parts, **said)
        loaded.update(e.evidence_id for e in evidence)

    while left := [evidence for evidence in new if evidence.evidence_id not in loaded]:
        done = total - sum(evidence.size for evidence in left)
        try:
            table_parts.load_files(
                left,
                folder=folder / "tables",
                first_number=table_parts.next_number(log),
                read=partial(
                    flow_batches.read, kind=how.kind, formats=formats, columns=how.columns
                ),
                commit=commit,
                progress=one_done,
            )
        except dispatch.UnreadableError as error:
            unread.append((error.evidence.file, error.reason))
            new = [
                evidence for evidence in new if evidence.evidence_id != error.evidence.evidence_id
            ]
    return new


def _restore(
    folder: Path,
    log: custody.Log,
    there: dict[str, dispatch.Evidence],
    how: How,
    unread: list[tuple[str, str]],
) -> list[tuple[str, str, int, int, str]]:
    """Make the damaged tables of files again that were given again; a row for each file read."""
    rows = []
    given = {source: Path(e.path) for source, e in there.items() if e.within is None}
    for entry in rebuild.damaged(folder, log, set(there)):
        done = 0
        total = sum(row.get("size", 0) for row in entry["details"]["evidence"])

        def one_done(evidence: dispatch.Evidence, total: int = total) -> None:
            nonlocal done
            done += evidence.size
            how.progress(done, total, evidence.file)

        try:
            evidence, parts = rebuild.again(folder, log, entry, given, one_done)
        except dispatch.UnreadableError as error:
            unread.append((error.evidence.file, error.reason))
            continue
        log.append(
            "load",
            evidence=[_entry(folder, e) for e in evidence],
            parts=parts,
            kind=entry["details"].get("kind"),
            formats=entry["details"].get("formats", []),
            **{name: entry["details"][name] for name in ("columns",) if name in entry["details"]},
            supersedes=[entry["seq"]],
        )
        rows += [(e.file, e.kind, e.records, e.quarantined, "restored") for e in evidence]
    return rows


def _entry(folder: Path, evidence: dispatch.Evidence) -> dict[str, Any]:
    entry = evidence.entry()
    within = os.path.join(folder.absolute(), "")  # noqa: PTH118  # much quicker for many files
    if entry["path"].startswith(within):  # copies move with the case
        entry["path"] = Path(entry["path"]).relative_to(within).as_posix()
    return entry


def _note_unread(folder: Path, log: custody.Log, unread: list[tuple[str, str]]) -> None:
    """Files that could not be opened stand in quarantine too: once, however often tried."""
    lost = [e for e in log.standing if e["details"].get("unread") and not rebuild.sound(folder, e)]
    again = [tuple(pair) for e in lost for pair in e["details"]["unread"]]
    known = {tuple(pair) for e in log.standing for pair in e["details"].get("unread", ())} - {
        *again
    }
    unread = [*{*unread, *again}]
    if fresh := [pair for pair in sorted(unread) if pair not in known]:
        batch = table_parts.Batch(folder / "tables", table_parts.next_number(log))
        for name, reason in fresh:
            batch.add("quarantine", dispatch.unreadable(name, reason))
        gone = {"supersedes": [entry["seq"] for entry in lost]} if lost else {}
        log.append("load", evidence=[], parts=batch.finish(), unread=fresh, **gone)


def _copy(folder: Path, evidence: dispatch.Evidence) -> None:
    """Copy the evidence under a name made of its digest; never a name from outside."""
    target = folder / "evidence" / evidence.sha256
    target.parent.mkdir(exist_ok=True)
    aside = target.with_suffix(".aside")
    with aside.open("wb") as file:  # no more than was digested: it may have grown
        for piece in OnDisk(Path(evidence.path), evidence.size).pieces():
            file.write(piece)
    aside.replace(target)
    evidence.path = str(target.absolute())
