"""The custody log: what was done to a case, as a chain of entries.

One JSON object a line. Each entry holds the SHA-256 of the entry before it and its own, so that a
changed, removed, added or moved entry breaks the chain at that entry. ``custody.head`` beside the
log names its last entry, so that the removal of entries from the end is detected; nothing is
appended to a log that ends before that entry. Only the log determines what was loaded: a table part
that no entry names is not part of the case.

Known limit: who has write access to the folder can write a new chain, or append to it. Note
the head digest (``flowbench info`` and every report print it) where the case's custodian cannot
change it, or seal it (see ``seal``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowbench.case.custody_entry import Entry, JsonObject, Part, parse_entry
from flowbench.errors import CaseError
from flowbench.io import atomic

START = "0" * 64  # what the first entry holds as the digest of the entry before it
SET_ASIDE = "set-aside"  # the folder of files that were set aside, and the action

# Actions that change neither evidence, tables, findings nor decisions: a report does not cite them,
# or writing it would change the next one.
DERIVED_ACTIONS = frozenset({"connections", "report", "seal", SET_ASIDE})

_LOCK_TIMEOUT = 30  # seconds: an entry takes milliseconds to write


def entry_digest(entry: Entry) -> str:
    """Return the SHA-256 (hex) of an entry's content without its own digest."""
    content = {name: value for name, value in entry.items() if name != "digest"}
    return atomic.sha256_bytes(_to_text(content).encode())


class CustodyLog:
    """The custody log of a case, read once and appended to.

    Attributes:
        path: The file.
        tool: The program that appends, with its version.
        entries: The entries read so far, oldest first.
        problems: Lines of the file that are not entries, a sentence each.
        head_path: The file that names the last entry.
    """

    def __init__(self, path: Path, tool: str) -> None:
        self.path = path
        self.tool = tool
        self.entries: list[Entry] = []
        self.problems: list[str] = []
        self.head_path = path.with_suffix(".head")
        self._data = b""  # the whole lines that ``entries`` were read from
        self._torn = b""  # what follows them without the end of a line
        self._head: bytes | None = None  # the content of ``head_path``
        self.refresh()

    @property
    def head(self) -> str:
        """The digest of the last entry; it identifies the whole log."""
        return self.entries[-1]["digest"] if self.entries else START

    @property
    def content_entry(self) -> Entry | None:
        """The last entry that changed evidence, tables, findings or decisions."""
        entries = reversed(self.entries)
        return next((e for e in entries if e["action"] not in DERIVED_ACTIONS), None)

    @property
    def can_append(self) -> bool:
        """Whether an entry can be appended: the file is writable and has its last entries."""
        return not self._check_head() and os.access(self.path, os.W_OK)

    @property
    def current_entries(self) -> list[Entry]:
        """The entries without those whose tables were lost and that a later entry supersedes."""
        superseded = {seq for e in self.entries for seq in e["details"].get("supersedes", ())}
        return [e for e in self.entries if e.get("seq") not in superseded]

    @property
    def evidence(self) -> list[JsonObject]:
        """The manifest: what was recorded of each evidence file, in the order of loading."""
        return [row for e in self.current_entries for row in e["details"].get("evidence") or ()]

    @property
    def parts(self) -> list[Part]:
        """What was recorded of each table part, in the order of writing."""
        return [part for e in self.current_entries for part in e["details"].get("parts") or ()]

    def entries_of(self, action: str) -> Iterator[Entry]:
        """Yield the entries of one action, oldest first."""
        return (entry for entry in self.entries if entry["action"] == action)

    def append(self, action: str, **details: Any) -> Entry:
        """Append one entry and flush it to the disk.

        Entries that another process appended meanwhile are read first. An incomplete last entry is
        moved to the folder ``set-aside``.

        Raises:
            CaseError: The log cannot be written, its last entries are missing, or it is gone.
        """
        if self.entries and not self.path.exists():  # a lock would make the folder again
            raise CaseError(f"{self.path} is gone: nothing is added. Restore the case from a copy")
        lock = Path(f"{self.path}.lock")
        try:
            with atomic.lock(lock, f"{self.path} is being written", timeout=_LOCK_TIMEOUT):
                self.refresh()
                if problems := self._check_head():
                    raise CaseError(
                        f"{problems[0]}: nothing is added to this case. Restore {self.path.name}"
                        f" and {self.head_path.name} from a copy, or make a new case"
                    )
                if self._torn:
                    self._set_torn_aside()
                return self._add(action, details)
        except OSError as error:
            raise CaseError(f"cannot write {self.path}: {error.strerror}") from error

    def _add(self, action: str, details: JsonObject) -> Entry:
        entry = Entry(
            seq=len(self.entries) + 1,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            by=atomic.user_name(),
            tool=self.tool,
            action=action,
            details=details,
            previous=self.head,
            digest="",
        )
        entry["digest"] = entry_digest(entry)
        line = _to_line(entry)
        with self.path.open("r+b" if self.path.exists() else "xb") as file:
            file.truncate(len(self._data))
            file.seek(len(self._data))
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:  # a full disk: half an entry would look like a removed one
                with suppress(OSError):
                    file.truncate(len(self._data))
                raise
        self._data += line
        self.entries.append(entry)
        with suppress(OSError):  # the entry is written; the next one writes this file again
            atomic.write_bytes(self.head_path, head := _to_head(entry), durable=True)
            self._head = head
        return entry

    def _set_torn_aside(self) -> None:
        """Move an incomplete last entry aside: a crash, or a change of the log, left it."""
        torn = self._torn
        sha256 = atomic.sha256_bytes(torn)
        target = self.path.parent / SET_ASIDE / f"{sha256[:16]}-{self.path.name}"
        target.parent.mkdir(exist_ok=True)
        atomic.write_bytes(target, torn, durable=True)
        moved = {"file": target.name, "was": self.path.name, "sha256": sha256, "bytes": len(torn)}
        reason = "the last entry was cut short, by a crash or by a change of the log"
        self._add(SET_ASIDE, {"files": [moved], "reason": reason})
        self._torn = b""

    def check(self) -> list[str]:
        """Return what is wrong with the log, one sentence each; empty when it is intact."""
        torn = []
        if self._torn:
            torn.append(
                f"custody log: it ends early: {len(self._torn):,} bytes after entry"
                f" {len(self.entries)} are not a whole entry, after a crash or a change of the log"
            )
        return [*self._check_chain(), *torn, *self._check_head()]

    def find_changes(self) -> list[str]:
        """Return what is wrong with the log, except an incomplete last entry (see ``append``)."""
        return self._check_chain() + self._check_head()

    def _check_chain(self) -> list[str]:
        problems = list(self.problems)
        if not self.entries:
            problems.append("custody log: it is missing, no regular file, or holds no entry")
        previous = START
        for position, entry in enumerate(self.entries, 1):
            name = f"custody log, entry {position}"
            if entry.get("seq") != position:
                problems.append(f"{name}: it is numbered {entry.get('seq')}; entries were moved")
            if entry_digest(entry) != entry.get("digest"):
                problems.append(f"{name}: its content was changed ({entry.get('action')})")
            if entry.get("previous") != previous:
                problems.append(f"{name}: does not follow the entry before it")
            previous = entry.get("digest", START)
        if not problems and self._data != b"".join(map(_to_line, self.entries)):
            problems.append("custody log: its text was changed, its entries were not")
        return problems

    def _check_head(self) -> list[str]:
        """Return where the log and the file that names its last entry disagree.

        The log may have later entries than the file names: a process may be killed between the two.
        """
        if (head := self._head) is None:
            created = self.entries[0]["details"] if self.entries else {}
            if "manifest" not in created:  # by a version that wrote no such file
                return []
            return [f"custody log: {self.head_path.name}, which names its last entry, is missing"]
        if any(head == _to_head(entry) for entry in reversed(self.entries)):
            return []
        seq = head.partition(b" ")[0]
        if seq.isdigit() and len(seq) < 10 and int(seq) > len(self.entries):
            return [
                f"custody log: it ends early: {self.head_path.name} names entry {int(seq)}, and the"
                f" log ends with entry {len(self.entries)}"
            ]
        return [f"custody log: {self.head_path.name} names none of its entries; one was changed"]

    def refresh(self) -> None:
        """Read what other processes appended; the whole file if it was changed otherwise."""
        # The head first: another process writes the log first, so that it has what the head names.
        try:
            self._head = atomic.read_bytes(self.head_path) if self.head_path.is_file() else None
            data = atomic.read_bytes(self.path) if self.path.is_file() else b""
        except OSError as error:
            raise CaseError(f"the custody log cannot be read: {error}") from error
        if not data.startswith(self._data):
            self.entries, self.problems, self._data = [], [], b""
        *lines, self._torn = data[len(self._data) :].split(b"\n")
        for line in lines:
            if (entry := parse_entry(line)) is None:
                number = len(self.entries) + len(self.problems) + 1
                self.problems.append(f"custody log, line {number}: not an entry; it was changed")
            else:
                self.entries.append(entry)
        self._data = data[: len(data) - len(self._torn)]


def _to_line(entry: Entry) -> bytes:
    return f"{_to_text(entry)}\n".encode()


def _to_head(entry: Entry) -> bytes:
    return f"{entry['seq']} {entry['digest']}\n".encode()


def _to_text(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
