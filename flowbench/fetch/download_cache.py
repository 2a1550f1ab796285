"""Where fetched files lie in a case, and the index that tells where each came from.

    case/evidence/fetched/        the files, exactly as AWS gave them, and nothing else
    case/evidence/fetched.jsonl   the index: a line for each thing fetched, with its files
    case/evidence/aside/          what is not whole yet; emptied when the next fetch starts

The names of objects are chosen by whoever can write to the bucket: one that is not plain, or that
another took, is given a name made of a digest instead. A file that is there is never written again:
an object that changed becomes a second file. The index line is written before the file is given
its name, so that no fetched file is without one; where a crash came between, the file is fetched
again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from flowbench.errors import CaseError

_PLAIN = re.compile(r"[A-Za-z0-9_=][A-Za-z0-9_=+@,.-]{0,119}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows
_LONGEST = 400  # characters of a path in the case
_ENDING = re.compile(r"(\.[a-z0-9]{1,8}){1,2}$")


@dataclass(frozen=True)
class Arrived:
    """A file that came whole and waits aside for its name."""

    aside: Path
    file: str  # its path under the shelf's root
    size: int
    sha256: str


class Shelf:
    """The fetched files of a case. One fetch at a time; see ``opened``."""

    def __init__(self, case: Path) -> None:
        self.case = case
        self.root = case / "evidence" / "fetched"
        self.index = case / "evidence" / "fetched.jsonl"
        self._aside = case / "evidence" / "aside"
        self._guard = threading.Lock()
        self._count = 0
        self._known: dict[str, list[tuple[str, int]]] = {}  # a unit's files and their lengths
        self._taken: dict[str, str] = {}
        self._folders: set[str] = set()
        self._cut_short = False
        self._read()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make ready to keep files; nobody else may meanwhile. Raises CaseError."""
        lock = filelock.FileLock(self.case / "fetch.lock")
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(self._aside, ignore_errors=True)
                self.root.mkdir(parents=True, exist_ok=True)
                self._aside.mkdir(exist_ok=True)
                self._read()
                try:
                    yield
                finally:
                    shutil.rmtree(self._aside, ignore_errors=True)
        except filelock.Timeout:
            raise CaseError(f"another fetch into {self.case} is under way: wait for it") from None
        except OSError as error:
            raise CaseError(f"cannot write to {self.case}: {error.strerror}") from error

    def has(self, unit: str) -> bool:
        """Whether a thing was fetched and its files are still there, as long as they were."""
        files = self._known.get(unit)
        return files is not None and all(_length(self.root / file) == size for file, size in files)

    def place(self, names: list[str], unit: str) -> str:
        """The path for a file called ``names`` (folders and name): always one under the root.

        Plain and free names stay as they are. The first two are the source's own (``s3``, bucket).
        """
        with self._guard:
            return self._place(names, unit)

    def _place(self, names: list[str], unit: str) -> str:
        path = "/".join(names)
        if not (_all_plain(names) and len(path) <= _LONGEST and self._free(path, unit)):
            ending = _ENDING.search(names[-1])
            known = f"{unit}\n{path}".encode("utf-8", "surrogatepass")
            digest = hashlib.sha256(known).hexdigest()[:24]
            base = [name if _all_plain([name]) else "~" for name in names[:2]]
            path = "/".join([*base, "~odd", digest + (ending.group() if ending else "")])
        self._take(path, unit)
        return path

    def aside(self) -> Path:
        """A new place for a file that is not whole yet."""
        with self._guard:
            self._count += 1
            return self._aside / f"{self._count}.part"

    def keep(self, unit: str, files: list[Arrived], **details: Any) -> None:
        """Write a thing into the index and give its files their names."""
        entry = {
            "unit": unit,
            "files": [{"file": f.file, "size": f.size, "sha256": f.sha256} for f in files],
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
            **details,
        }
        line = json.dumps(entry, sort_keys=True) + "\n"
        with self._guard:
            with self.index.open("ab") as index:  # a line that a crash cut short ends here
                index.write(b"\n" * self._cut_short + line.encode())
            self._cut_short = False
            for file in files:
                target = self.root / file.file
                target.parent.mkdir(parents=True, exist_ok=True)
                file.aside.replace(target)
            self._known[unit] = [(file.file, file.size) for file in files]

    def state(self) -> dict[str, Any]:
        """The index's length and digest, for the custody log: it only ever grows."""
        if not self.index.exists():
            return {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}
        with self.index.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"bytes": file.tell(), "sha256": digest}

    def _read(self) -> None:
        self._known, self._taken, self._folders = {}, {}, set()
        if not self.index.exists():
            return
        with self.index.open("rb") as index:
            line = b""
            for line in index:
                if entry := _entry(line):
                    files = [(file["file"], file["size"]) for file in entry["files"]]
                    self._known[entry["unit"]] = files
                    for file, _ in files:
                        self._take(file, entry["unit"])
        self._cut_short = bool(line) and not line.endswith(b"\n")

    def _free(self, path: str, unit: str) -> bool:
        """Whether no other thing has the path, on disks that do not tell upper from lower case."""
        folded = path.casefold()
        if self._taken.get(folded, unit) != unit or folded in self._folders:
            return False
        if any(folder in self._taken for folder in _folders(folded)):
            return False
        return folded in self._taken or not (self.root / path).exists()

    def _take(self, path: str, unit: str) -> None:
        folded = path.casefold()
        self._taken.setdefault(folded, unit)
        self._folders.update(_folders(folded))


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
        good = isinstance(entry["unit"], str) and all(
            isinstance(file["file"], str) and isinstance(file["size"], int)
            for file in entry["files"]
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry if good else None


def _all_plain(names: list[str]) -> bool:
    return all(
        _PLAIN.fullmatch(name) and not name.endswith(".") and not _RESERVED.fullmatch(name)
        for name in names
    )


def _folders(path: str) -> list[str]:
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(1, len(names))]


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # a name in a damaged index may be none at all
        return -1
