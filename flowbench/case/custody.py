"""The custody log: what was done to a case, in a chain in which no entry can change unseen.

One JSON object a line. Each entry holds the digest of the one before and its own, so that a
changed, removed, added or moved entry breaks the chain at its place; only entries taken off its
end leave none, and then ``verify`` finds the table parts that no entry names. What was loaded is
known from here alone: a table part that no entry names is not part of the case.

Known limit: whoever can write the whole file can also write a whole new chain. Keep the head
digest (``flowbench info``, every report) where the case's keeper cannot change it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from flowbench.errors import CaseError

START = "0" * 64  # what the first entry holds as the digest before it


def digest(entry: dict[str, Any]) -> str:
    """The SHA-256 (hex) of an entry's content, its own digest aside."""
    content = {name: value for name, value in entry.items() if name != "digest"}
    return hashlib.sha256(_text(content).encode()).hexdigest()


class Log:
    """The custody log of a case, read once and appended to."""

    def __init__(self, path: Path, tool: str) -> None:
        self.path = path
        self.tool = tool
        self.entries: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self._read = b""  # the whole lines that ``entries`` were read from
        self.refresh()

    @property
    def head(self) -> str:
        """The digest of the last entry: with it, the whole log is known."""
        return self.entries[-1]["digest"] if self.entries else START

    @property
    def standing(self) -> list[dict[str, Any]]:
        """The entries that hold: those that no later one supersedes, because tables were lost."""
        gone = {seq for e in self.entries for seq in e["details"].get("supersedes", ())}
        return [e for e in self.entries if e.get("seq") not in gone]

    @property
    def evidence(self) -> list[dict[str, Any]]:
        """The manifest: what was recorded of each evidence file, in the order of loading."""
        return [row for e in self.standing for row in e["details"].get("evidence", ())]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """What was recorded of each table part: table, file, rows, sha256, bytes."""
        return [row for e in self.standing for row in e["details"].get("parts", ())]

    def append(self, action: str, **details: Any) -> dict[str, Any]:
        """Write one entry and make sure it is on the disk. Raises CaseError when it cannot be.

        What another process wrote meanwhile is read first: an entry is only ever added.
        """
        try:
            with filelock.FileLock(f"{self.path}.lock", timeout=30):
                self.refresh()
                return self._add(action, details)
        except filelock.Timeout:
            raise CaseError(f"{self.path} is being written by another process") from None
        except OSError as error:
            raise CaseError(f"cannot write {self.path}: {error.strerror}") from error

    def _add(self, action: str, details: dict[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "seq": len(self.entries) + 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "by": _user(),
            "tool": self.tool,
            "action": action,
            "details": details,
            "previous": self.head,
        }
        entry["digest"] = digest(entry)
        line = (_text(entry) + "\n").encode()
        with self.path.open("r+b" if self.path.exists() else "xb") as file:
            # A line that a crash cut short was never an entry: write over it.
            file.truncate(len(self._read))
            file.seek(len(self._read))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._read += line
        self.entries.append(entry)
        return entry

    def check(self) -> list[str]:
        """What is wrong with the chain, one sentence each; empty when it holds."""
        found = list(self.problems)
        if not self.entries:
            found.append("custody log: it is gone, or holds no entry")
        before = START
        for place, entry in enumerate(self.entries, 1):
            where = f"custody log, entry {place}"
            if entry.get("seq") != place:
                found.append(f"{where}: says it is entry {entry.get('seq')}; entries were moved")
            if digest(entry) != entry.get("digest"):
                found.append(f"{where}: its content was changed ({entry.get('action')})")
            if entry.get("previous") != before:
                found.append(f"{where}: does not follow the entry before it")
            before = entry.get("digest", START)
        return found

    def refresh(self) -> None:
        """Read what another process may have written; all of it if that is no addition."""
        data = self.path.read_bytes() if self.path.exists() else b""
        if not data.startswith(self._read):
            self.entries, self.problems, self._read = [], [], b""
        good = len(self._read)
        for line in data[good:].splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break  # cut short by a crash while it was written; see append
            try:
                entry = json.loads(line)
                if not _is_entry(entry):
                    raise TypeError
            except (ValueError, TypeError, RecursionError):
                number = len(self.entries) + len(self.problems) + 1
                self.problems.append(f"custody log, line {number}: not an entry; it was changed")
            else:
                self.entries.append(entry)
            good += len(line)
        self._read = data[:good]


def _is_entry(entry: object) -> bool:
    """Whether a line of the log has the shape of an entry, so that everything may rely on it."""
    if not isinstance(entry, dict) or not isinstance(entry.get("details"), dict):
        return False
    gone = entry["details"].get("supersedes", [])
    if not isinstance(gone, list) or not all(isinstance(seq, int) for seq in gone):
        return False
    if not isinstance(entry["details"].get("seen", 0), int):
        return False
    if not all(isinstance(entry.get(n), str) for n in ("action", "digest", "previous", "time")):
        return False
    needed = {"evidence": ("evidence_id", "sha256", "file", "path", "fields"),
              "parts": ("table", "file", "sha256"),
              "runs": ("file", "sha256", "bytes")}  # fmt: skip
    return all(
        isinstance(row, dict) and all(name in row for name in names)
        for key, names in needed.items()
        for row in (entry["details"].get(key) or [])
    )


def _text(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, or a system without users
        return "unknown"
