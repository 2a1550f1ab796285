"""Ingestion: evidence files into a case's tables, in batches that are an entry of the log each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import NamedTuple

import pandas as pd

from flowbench.case import disk_space, rebuild, set_aside
from flowbench.case import parts as table_parts
from flowbench.case.custody import CustodyLog
from flowbench.case.custody_entry import Entry, JsonObject, Part
from flowbench.errors import CaseError
from flowbench.io import atomic
from flowbench.io.byte_source import FileBytes
from flowbench.io.discover import find_files
from flowbench.loaders import batch as flow_batches
from flowbench.loaders import dispatch
from flowbench.loaders.base import describe_bug

Progress = Callable[[int, int, str], None]

_LARGE_FILE = 1 << 20  # bytes; hashing it takes longer than handing it to another thread


class Outcome(NamedTuple):
    """What became of one file."""

    file: str
    kind: str
    records: int
    quarantined: int
    outcome: str


@dataclass(frozen=True)
class Options:
    """What the user asked for; see ``Case.ingest``."""

    kind: str | None = None
    formats: dispatch.Formats = ()
    list_columns: dispatch.ListColumns = ()
    copy: bool = False
    progress: Progress = lambda *_: None


def ingest(
    folder: Path, log: CustodyLog, paths: Iterable[str | Path], options: Options
) -> pd.DataFrame:
    """Read evidence into the case in ``folder``; see ``Case.ingest``."""
    files, unreadable = find_files(paths, case_folder=folder)
    try:
        with atomic.lock(folder / "ingest.lock", f"another load into {folder} is under way"):
            log.refresh()  # another load may have ended
            if problems := log.find_changes():
                remedy = f"load nothing more into this case; `flowbench verify {folder}` names all"
                raise CaseError(f"the custody log was changed ({problems[0]}): {remedy}")
            outcomes = _Ingestion(folder, log, options, unreadable).run(files)
    except OSError as error:
        raise CaseError(f"cannot write to {folder}: {error.strerror}") from error
    frame = pd.DataFrame(outcomes, columns=list(Outcome._fields))
    return frame.sort_values("file", ignore_index=True)


class _Ingestion:
    """One load into a case."""

    def __init__(
        self, folder: Path, log: CustodyLog, options: Options, unreadable: list[tuple[str, str]]
    ) -> None:
        self.folder = folder
        self.tables = folder / "tables"
        self.log = log
        self.options = options
        self.unreadable = unreadable  # names of files with the reasons

    def run(self, files: list[tuple[Path, str]]) -> list[Outcome]:
        """Load what is new, and rebuild the damaged tables of what is not."""
        set_aside.move_orphans(self.folder, self.log, set_aside.UNRECORDED)
        loaded, known = self._load(files)
        rebuilt = self._rebuild_damaged(known)
        rebuilt_names = {outcome.file for outcome in rebuilt}
        self._quarantine_unreadable()
        reason = "its table was damaged and has been rebuilt"
        set_aside.move_orphans(self.folder, self.log, reason)
        return [
            *rebuilt,
            *(
                Outcome(e.file, "", 0, 0, "already there")
                for e in known
                if e.file not in rebuilt_names
            ),
            *(_outcome(evidence, "loaded") for evidence in loaded),
            *(Outcome(name, "", 0, 1, "not readable") for name, _ in self.unreadable),
        ]

    def _load(
        self, files: list[tuple[Path, str]]
    ) -> tuple[list[dispatch.Evidence], list[dispatch.Evidence]]:
        """Load the new files; return what was loaded, and what the case has already."""
        known_ids = {row["evidence_id"] for row in self.log.evidence}
        new, known = list[dispatch.Evidence](), list[dispatch.Evidence]()
        formats = [*self.options.formats]
        try:
            for evidence in self._expand(files, known_ids):
                if evidence.evidence_id in known_ids:
                    known.append(evidence)
                    if evidence.archive_member is not None:
                        evidence.archive_member.container.release_member()
                else:
                    known_ids.add(evidence.evidence_id)
                    new.append(evidence)
                    # Now, while its archive is open.
                    formats += dispatch.read_recorded_formats(evidence)
                evidence.content = None
            disk_space.require_space(self.folder, disk_space.estimate_tables(new))
            return self._load_new(new, formats), known
        finally:
            for evidence in new:
                if evidence.container is not None:
                    evidence.container.close()

    def _expand(
        self, files: list[tuple[Path, str]], known_ids: set[str]
    ) -> Iterator[dispatch.Evidence]:
        """Each file as evidence; before an archive that is not known yet, the files in it.

        The archive comes last, so that when the log has it, it has every member.
        """
        open_archive = None  # the last one stays open, or it would be unpacked twice
        for evidence in self._identify(files):
            is_new = evidence.evidence_id not in known_ids
            if self.options.copy and is_new:
                self._copy(evidence)
            try:
                if is_new:
                    yield from dispatch.expand_archive(evidence, self.folder)
            except OSError as error:
                self.unreadable.append((evidence.file, f"cannot be read: {error.strerror}"))
                continue
            except Exception as error:  # noqa: BLE001  # any failure: the other files are loaded
                self.unreadable.append((evidence.file, describe_bug(error)))
                continue
            if evidence.container is not None:
                if open_archive is not None:
                    open_archive.close()
                open_archive = evidence.container
            yield evidence

    def _identify(self, files: list[tuple[Path, str]]) -> Iterator[dispatch.Evidence]:
        """The files in their order, hashed; large ones in parallel."""
        pool, stop = ThreadPoolExecutor(table_parts.WORKERS), Event()
        of = dispatch.Evidence.of
        try:
            started = {p: pool.submit(of, p, name, stop) for p, name in files if _is_large(p)}
            for path, name in files:
                try:
                    yield started[path].result() if path in started else of(path, name, keep=True)
                except OSError as error:
                    self.unreadable.append((name, f"cannot be read: {error.strerror}"))
        finally:  # Ctrl-C waits for no file
            stop.set()
            pool.shutdown(cancel_futures=True)

    def _copy(self, evidence: dispatch.Evidence) -> None:
        """Copy the evidence into the case, named by its hash: its own name may be hostile."""
        target = self.folder / "evidence" / evidence.sha256
        target.parent.mkdir(exist_ok=True)
        disk_space.require_space(self.folder, evidence.size)
        with atomic.write_aside(target) as aside, aside.open("wb") as file:
            # No more than was hashed: it may have grown.
            for chunk in FileBytes(Path(evidence.path), evidence.size).chunks():
                file.write(chunk)
        evidence.path = str(target.absolute())

    def _load_new(
        self, new: list[dispatch.Evidence], formats: Iterable[tuple[str, ...]]
    ) -> list[dispatch.Evidence]:
        """Load files; return those that could be. A file that changes meanwhile is left out."""
        earlier = [f for e in self.log.entries for f in map(tuple, e["details"].get("formats", ()))]
        options, all_formats = self.options, tuple(dict.fromkeys([*formats, *earlier]))
        settings: JsonObject = {"kind": options.kind, "formats": [*map(list, all_formats)]}
        if options.list_columns:
            settings["columns"] = [*map(list, options.list_columns)]
        loaded_ids: set[str] = set()
        total_size = sum(evidence.size for evidence in new)

        def commit(evidence: list[dispatch.Evidence], parts: list[Part]) -> None:
            rows = [self._to_entry(file) for file in evidence]
            try:
                self.log.append("load", evidence=rows, parts=parts, **settings)
            except KeyboardInterrupt:
                # The parts must stay once the entry is written.
                if not all(part in self.log.parts for part in parts):
                    raise
            loaded_ids.update(file.evidence_id for file in evidence)

        while left := [evidence for evidence in new if evidence.evidence_id not in loaded_ids]:
            done_size = total_size - sum(evidence.size for evidence in left)
            try:
                table_parts.load_files(
                    left,
                    folder=self.tables,
                    first_number=table_parts.next_number(self.log),
                    read=partial(
                        flow_batches.read,
                        kind=options.kind,
                        formats=all_formats,
                        list_columns=options.list_columns,
                    ),
                    commit=commit,
                    progress=_count_bytes(options.progress, total_size, done_size),
                )
            except dispatch.UnreadableError as error:
                self.unreadable.append((error.evidence.file, error.reason))
                new = [e for e in new if e.evidence_id != error.evidence.evidence_id]
        return new

    def _rebuild_damaged(self, known: list[dispatch.Evidence]) -> list[Outcome]:
        """Rebuild the damaged tables of files that were given again."""
        outcomes: list[Outcome] = []
        by_id = {evidence.evidence_id: evidence for evidence in known}
        given = {i: Path(e.path) for i, e in by_id.items() if e.archive_member is None}
        for entry in rebuild.find_damaged(self.folder, self.log, set(by_id)):
            total_size = sum(row.get("size", 0) for row in entry["details"]["evidence"])
            progress = _count_bytes(self.options.progress, total_size)
            try:
                evidence, parts = rebuild.rebuild_load(
                    self.folder, self.log, entry, given, progress
                )
            except dispatch.UnreadableError as error:
                self.unreadable.append((error.evidence.file, error.reason))
                continue
            self._supersede(entry, evidence, parts)
            outcomes += [_outcome(file, "rebuilt") for file in evidence]
        return outcomes

    def _supersede(
        self, entry: Entry, evidence: list[dispatch.Evidence], parts: list[Part]
    ) -> None:
        details = entry["details"]
        settings = {"kind": details.get("kind"), "formats": details.get("formats", [])}
        if "columns" in details:
            settings["columns"] = details["columns"]
        rows = [self._to_entry(file) for file in evidence]
        self.log.append("load", evidence=rows, parts=parts, **settings, supersedes=[entry["seq"]])

    def _quarantine_unreadable(self) -> None:
        """Put files that could not be opened into the quarantine, once however often tried."""
        entries = [e for e in self.log.current_entries if e["details"].get("unread")]
        damaged = [e for e in entries if not rebuild.is_intact(self.folder, e)]
        again = {tuple(pair) for e in damaged for pair in e["details"]["unread"]}
        recorded = {tuple(pair) for e in entries for pair in e["details"]["unread"]} - again
        if fresh := sorted({*self.unreadable, *again} - recorded):
            batch = table_parts.Batch(self.tables, table_parts.next_number(self.log))
            for name, reason in fresh:
                batch.add("quarantine", dispatch.quarantine_unreadable(name, reason))
            superseded = {"supersedes": [entry["seq"] for entry in damaged]} if damaged else {}
            parts = batch.finish()
            self.log.append("load", evidence=[], parts=parts, unread=fresh, **superseded)

    def _to_entry(self, evidence: dispatch.Evidence) -> JsonObject:
        entry = evidence.to_entry()
        # Much quicker than pathlib for many files.
        prefix = os.path.join(self.folder.absolute(), "")  # noqa: PTH118
        if entry["path"].startswith(prefix):  # copies move with the case
            entry["path"] = Path(entry["path"]).relative_to(prefix).as_posix()
        return entry


def _outcome(evidence: dispatch.Evidence, outcome: str) -> Outcome:
    return Outcome(evidence.file, evidence.kind, evidence.records, evidence.quarantined, outcome)


def _count_bytes(
    progress: Progress, total_size: int, done_size: int = 0
) -> Callable[[dispatch.Evidence], None]:
    """A function that reports the bytes done after each file."""

    def report(evidence: dispatch.Evidence) -> None:
        nonlocal done_size
        done_size += evidence.size
        progress(done_size, total_size, evidence.file)

    return report


def _is_large(path: Path) -> bool:
    try:
        return path.stat().st_size >= _LARGE_FILE
    except OSError:  # reading it will report this
        return True
