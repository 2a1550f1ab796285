"""The download cache of a case: its fetched files, and an index of where each came from.

    case/evidence/fetched/        the files, exactly as AWS delivered them, and nothing else
    case/evidence/fetched.jsonl   the index: a line for each fetched item, with its files
    case/evidence/incomplete/     unfinished downloads; emptied when the next fetch starts

An item is an S3 object or an API request; a request may have several files. Object names are
chosen by whoever can write to the bucket: a name that is not portable, or that another item has, is
replaced by a digest. A file is never overwritten: an object that changed becomes a second file. The
index line is written before the file gets its final name, so that every fetched file has one; a
crash in between makes the next fetch download the file again.
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
from typing import NamedTuple

from flowbench.errors import CaseError
from flowbench.io import atomic

_PORTABLE_NAME = re.compile(r"[A-Za-z0-9_=][A-Za-z0-9_=+@,.-]{0,119}")
_RESERVED_NAME = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows
_MAX_PATH = 400  # characters of a path in the case
_SUFFIXES = re.compile(r"(\.[a-z0-9]{1,8}){1,2}$")


@dataclass(frozen=True)
class StagedFile:
    """A complete download that waits for its final name."""

    staging_path: Path
    path: str  # under the cache's root
    size: int
    sha256: str


class CachedFile(NamedTuple):
    """A file as the index records it."""

    path: str  # under the cache's root
    size: int


class CachedItem(NamedTuple):
    """An item as the index records it."""

    item_id: str
    files: list[CachedFile]


class DownloadCache:
    """The fetched files of a case. One fetch at a time: see ``locked``."""

    def __init__(self, case: Path) -> None:
        self.case = case
        self.root = case / "evidence" / "fetched"
        self.index = case / "evidence" / "fetched.jsonl"
        self._staging = case / "evidence" / "incomplete"
        self._lock = threading.Lock()
        self._staged_count = 0
        self._items: dict[str, list[CachedFile]] = {}
        self._path_owners: dict[str, str] = {}  # case-folded path to item
        self._folders: set[str] = set()
        self._has_partial_line = False
        self._read_index()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the cache against other processes and prepare it for writing. Raises CaseError."""
        try:
            with atomic.lock(
                self.case / "fetch.lock", f"another fetch into {self.case} is running"
            ):
                shutil.rmtree(self._staging, ignore_errors=True)
                self.root.mkdir(parents=True, exist_ok=True)
                self._staging.mkdir(exist_ok=True)
                self._read_index()
                try:
                    yield
                finally:
                    shutil.rmtree(self._staging, ignore_errors=True)
        except OSError as error:
            raise CaseError(f"cannot write to {self.case}: {error.strerror}") from error

    def has_item(self, item_id: str) -> bool:
        """Whether an item was fetched and all its files exist with their recorded sizes."""
        files = self._items.get(item_id)
        return files is not None and all(
            _size(self.root / file.path) == file.size for file in files
        )

    def reserve_path(self, names: list[str], item_id: str) -> str:
        """Return a path for an item's file, always one under the cache's root.

        Portable names that no other item has stay as they are.

        Args:
            names: The wanted folders and file name; the source chooses the first two
                (``s3``, bucket).
            item_id: The item.
        """
        with self._lock:
            path = "/".join(names)
            is_usable = _are_portable(names) and len(path) <= _MAX_PATH
            if not (is_usable and self._is_free(path, item_id)):
                suffixes = _SUFFIXES.search(names[-1])
                identity = f"{item_id}\n{path}".encode("utf-8", "surrogatepass")
                digest = hashlib.sha256(identity).hexdigest()[:24]
                base = [name if _are_portable([name]) else "~" for name in names[:2]]
                path = "/".join(
                    [*base, "~renamed", digest + (suffixes.group() if suffixes else "")]
                )
            self._claim(path, item_id)
            return path

    def new_staging_path(self) -> Path:
        """Return a new path for an unfinished download."""
        with self._lock:
            self._staged_count += 1
            return self._staging / f"{self._staged_count}.part"

    def store(self, item_id: str, files: list[StagedFile], **details: object) -> None:
        """Add an item to the index and give its files their final names.

        Args:
            item_id: The item.
            files: Its complete downloads.
            details: Further fields of the index line.
        """
        entry = {
            "item_id": item_id,
            "files": [{"file": f.path, "size": f.size, "sha256": f.sha256} for f in files],
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
            **details,
        }
        line = json.dumps(entry, sort_keys=True) + "\n"
        with self._lock:
            with self.index.open("ab") as index:  # ends a line that a crash left unfinished
                index.write(b"\n" * self._has_partial_line + line.encode())
            self._has_partial_line = False
            for file in files:
                target = self.root / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                file.staging_path.replace(target)
            self._items[item_id] = [CachedFile(file.path, file.size) for file in files]

    def index_state(self) -> dict[str, object]:
        """Return the index's length and SHA-256 for the custody log: it only ever grows."""
        if not self.index.exists():
            return {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}
        with self.index.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"bytes": file.tell(), "sha256": digest}

    def _read_index(self) -> None:
        self._items, self._path_owners, self._folders = {}, {}, set()
        if not self.index.exists():
            return
        with self.index.open("rb") as index:
            line = b""
            for line in index:
                if item := _parse_item(line):
                    self._items[item.item_id] = item.files
                    for file in item.files:
                        self._claim(file.path, item.item_id)
        self._has_partial_line = bool(line) and not line.endswith(b"\n")

    def _is_free(self, path: str, item_id: str) -> bool:
        """Whether no other item has the path, on case-insensitive file systems either."""
        folded = path.casefold()
        if self._path_owners.get(folded, item_id) != item_id or folded in self._folders:
            return False
        if any(folder in self._path_owners for folder in _parent_folders(folded)):
            return False
        return folded in self._path_owners or not (self.root / path).exists()

    def _claim(self, path: str, item_id: str) -> None:
        folded = path.casefold()
        self._path_owners.setdefault(folded, item_id)
        self._folders.update(_parent_folders(folded))


def _parse_item(line: bytes) -> CachedItem | None:
    """Return the item of an index line, or None for a damaged line."""
    try:
        entry = json.loads(line)
        files = [CachedFile(file["file"], file["size"]) for file in entry["files"]]
        item = CachedItem(entry["item_id"], files)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    is_intact = isinstance(item.item_id, str) and all(
        isinstance(file.path, str) and isinstance(file.size, int) for file in files
    )
    return item if is_intact else None


def _are_portable(names: list[str]) -> bool:
    """Whether every file system takes the names."""
    return all(
        _PORTABLE_NAME.fullmatch(name)
        and not name.endswith(".")
        and not _RESERVED_NAME.fullmatch(name)
        for name in names
    )


def _parent_folders(path: str) -> list[str]:
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(1, len(names))]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # a damaged index may hold an impossible name
        return -1
