"""The custody log: what was done to a case, as a chain of entries.

One JSON object a line. Each entry holds the SHA-256 of the entry before it and its own, so that a
changed, removed, added or moved entry breaks the chain at that entry. Entries removed from the end
do not; ``verify`` then finds the table parts that no entry names. What was loaded is known from
the log alone: a table part that no entry names is not part of the case.

Known limit: whoever can write the whole file can write a whole new chain. Note the head digest
(``flowbench info`` and every report print it) where the case's custodian cannot change it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from flowbench.errors import CaseError
from flowbench.io import atomic

START = "0" * 64  # what the first entry holds as the digest of the entry before it

JsonObject = dict[str, Any]

_LOCK_TIMEOUT = 30  # seconds: an entry takes milliseconds to write
_REQUIRED = {
    "evidence": ("evidence_id", "sha256", "file", "path", "fields"),
    "parts": ("table", "file", "sha256"),
    "runs": ("file", "sha256", "bytes"),
}


class Part(TypedDict):
    """What the log records of one Parquet part of a table."""

    table: str
    file: str  # its path in the folder of the tables
    rows: int
    sha256: str
    bytes: int


class Entry(TypedDict):
    """One entry of the log. ``details`` depend on the action; see who appends it."""

    seq: int  # its position, from 1
    time: str  # when it was written, UTC
    by: str  # the user
    tool: str
    action: str
    details: JsonObject
    previous: str  # the digest of the entry before it
    digest: str


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
    """

    def __init__(self, path: Path, tool: str) -> None:
        self.path = path
        self.tool = tool
        self.entries: list[Entry] = []
        self.problems: list[str] = []
        self._data = b""  # the whole lines that ``entries`` were read from
        self.refresh()

    @property
    def head(self) -> str:
        """The digest of the last entry; it identifies the whole log."""
        return self.entries[-1]["digest"] if self.entries else START

    @property
    def current_entries(self) -> list[Entry]:
        """The entries without those whose tables were lost and that a later entry supersedes."""
        superseded = {seq for e in self.entries for seq in e["details"].get("supersedes", ())}
        return [e for e in self.entries if e.get("seq") not in superseded]

    @property
    def evidence(self) -> list[JsonObject]:
        """The manifest: what was recorded of each evidence file, in the order of loading."""
        return [row for e in self.current_entries for row in e["details"].get("evidence", ())]

    @property
    def parts(self) -> list[Part]:
        """What was recorded of each table part, in the order of writing."""
        return [part for e in self.current_entries for part in e["details"].get("parts", ())]

    def entries_of(self, action: str) -> Iterator[Entry]:
        """Yield the entries of one action, oldest first."""
        return (entry for entry in self.entries if entry["action"] == action)

    def append(self, action: str, **details: Any) -> Entry:
        """Append one entry and flush it to the disk.

        Entries that another process appended meanwhile are read first. Raises CaseError when the
        log cannot be written.
        """
        lock = Path(f"{self.path}.lock")
        try:
            with atomic.lock(lock, f"{self.path} is being written", timeout=_LOCK_TIMEOUT):
                self.refresh()
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
        line = (_to_text(entry) + "\n").encode()
        with self.path.open("r+b" if self.path.exists() else "xb") as file:
            # A line that a crash cut short was never an entry: overwrite it.
            file.truncate(len(self._data))
            file.seek(len(self._data))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._data += line
        self.entries.append(entry)
        return entry

    def check(self) -> list[str]:
        """Return what is wrong with the chain, one sentence each; empty when it is intact."""
        problems = list(self.problems)
        if not self.entries:
            problems.append("custody log: it is missing, or holds no entry")
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
        return problems

    def refresh(self) -> None:
        """Read what other processes appended; the whole file if it was changed otherwise."""
        data = self.path.read_bytes() if self.path.exists() else b""
        if not data.startswith(self._data):
            self.entries, self.problems, self._data = [], [], b""
        end = len(self._data)
        for line in data[end:].splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break  # cut short by a crash while it was written; see append
            if (entry := _parse_entry(line)) is None:
                number = len(self.entries) + len(self.problems) + 1
                self.problems.append(f"custody log, line {number}: not an entry; it was changed")
            else:
                self.entries.append(entry)
            end += len(line)
        self._data = data[:end]


def _parse_entry(line: bytes) -> Entry | None:
    """The entry in a line of the log; None unless it has the shape that callers rely on."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(details := entry.get("details"), dict):
        return None
    superseded = details.get("supersedes", [])
    if not isinstance(superseded, list) or not all(isinstance(seq, int) for seq in superseded):
        return None
    if not isinstance(details.get("seen", 0), int):
        return None
    if not all(isinstance(entry.get(n), str) for n in ("action", "digest", "previous", "time")):
        return None
    for key, names in _REQUIRED.items():
        rows = details.get(key) or []
        if not all(isinstance(row, dict) and row.keys() >= set(names) for row in rows):
            return None
    return entry  # type: ignore[return-value]  # checked above


def _to_text(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
