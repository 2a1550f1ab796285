"""Verification of the evidence, where it was loaded from or in given folders.

Evidence lies outside the case unless it was copied into it. A file that is no longer where it was
loaded from is not available; only one with other bytes was altered.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowbench.case.check import (
    ALTERED,
    INTACT,
    MISSING,
    NOT_AVAILABLE,
    NOT_READABLE,
    Check,
    compare_file,
    make_check,
)
from flowbench.case.custody import CustodyLog
from flowbench.case.custody_entry import JsonObject
from flowbench.io import atomic
from flowbench.loaders.dispatch import Evidence, expand_archive
from flowbench.text import list_some


def check_evidence(path: Path, log: CustodyLog, folders: Sequence[Path] = ()) -> Iterator[Check]:
    """Compare every evidence file with its recorded hash.

    The members of an archive are intact when the archive is. If it changed or was loaded in part,
    each member is searched for by its hash.

    Args:
        path: The folder of the case.
        log: Its custody log.
        folders: Where to look for files that are not intact where they were loaded from: under any
            name, by size and hash. A file that is in none of them fails.
    """
    # The evidence of an unpacked case is in the case; its log has where it was loaded from.
    search = _Search(folders, path / "evidence")
    archives: dict[str, tuple[str, Path]] = {}  # by evidence id: the result, and where it is
    members: dict[Path, set[str] | None] = {}  # hashes of the members of an archive as it is now
    for row in sorted(log.evidence, key=lambda row: row.get("archive") is not None):
        if (archive := row.get("archive")) is None:
            result, detail, place = _check_file(path, row, search)
            archives[row["evidence_id"]] = result, place
        else:
            whole, place = archives.get(archive, ("", path / row["path"]))
            if whole == INTACT:
                result, detail = INTACT, "the archive that holds it is unchanged"
            elif whole in (NOT_AVAILABLE, NOT_READABLE, MISSING):
                result, detail = whole, f"in an archive that is {whole}"
            else:
                if place not in members:
                    members[place] = _hash_members(place)
                result, detail = _check_member(row, place, members[place])
        yield make_check("evidence", row["file"], result, detail)


def _check_file(path: Path, row: JsonObject, search: _Search) -> tuple[str, str, Path]:
    """The result for a file, the detail, and where it is."""
    place = path / row["path"]
    result, detail = compare_file(place, row["sha256"], row.get("size"))
    if result == INTACT:
        return result, detail, place
    if (copy := search.find(row["sha256"], row.get("size"))) is not None:
        also = "; the file that it was loaded from has changed" if result == ALTERED else ""
        return INTACT, f"found at {copy}{also}", copy
    if (same_name := search.find_name(row["file"])) is not None:
        result, detail = compare_file(same_name, row["sha256"], row.get("size"))
        return result, f"{same_name}: {detail}", same_name
    if result != MISSING:
        return result, detail, place
    if search.folders:
        return result, f"neither at {place} nor in {list_some(map(str, search.folders))}", place
    if Path(row["path"]).is_absolute():
        return NOT_AVAILABLE, f"no longer at {place}", place
    return result, detail, place


def _check_member(row: JsonObject, place: Path, hashes: set[str] | None) -> tuple[str, str]:
    if hashes is None:
        return NOT_AVAILABLE, f"its archive is no longer at {place}"
    if row["sha256"] in hashes:
        return INTACT, "unchanged in its archive, which has changed or was loaded in part"
    return ALTERED, f"changed or removed: {place} has no member with its SHA-256"


def _hash_members(path: Path) -> set[str] | None:
    """The SHA-256 of every member of an archive, and of the members of archives in it.

    None when there is no such file.
    """
    if not path.exists():
        return None
    try:
        archive = Evidence.of(path, path.name)
        hashes = {member.sha256 for member in expand_archive(archive)}
    except OSError:
        return set()
    if archive.container is not None:
        archive.container.close()
    return hashes


class _Search:
    """The files in some folders, by hash or name; only files of the size sought are hashed."""

    def __init__(self, folders: Sequence[Path], own: Path) -> None:
        self.folders = folders
        self._all = [*folders, *([own] if own.is_dir() else [])]
        self._by_size: dict[int, list[Path]] | None = None
        self._by_hash: dict[str, Path] = {}

    def find(self, sha256: str, size: int | None) -> Path | None:
        """Return a file with these bytes, or None."""
        if not self._all or size is None:
            return None
        if self._by_size is None:
            self._by_size = defaultdict(list)
            for path in self._list_files():
                self._by_size[path.stat().st_size].append(path)
        for path in self._by_size.pop(size, ()):
            try:
                self._by_hash.setdefault(atomic.sha256_file(path), path)
            except OSError:
                continue  # it cannot be compared
        return self._by_hash.get(sha256)

    def find_name(self, name: str) -> Path | None:
        """Return a file with this name, relative to one of the folders, or None."""
        return next((p for folder in self.folders if (p := folder / name).is_file()), None)

    def _list_files(self) -> Iterator[Path]:
        for folder in self._all:
            for root, subfolders, names in os.walk(folder):
                subfolders.sort()
                paths = (Path(root, name) for name in sorted(names))
                yield from (path for path in paths if path.is_file())
