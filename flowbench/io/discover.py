"""Which files lie under the paths a user gave, in an order that never changes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowbench.errors import InputError
from flowbench.text import escape_undecodable


def find(
    paths: Iterable[str | Path], leave_out: Path
) -> tuple[list[tuple[Path, str]], list[tuple[str, str]]]:
    """The files under some paths with the names to show, in a fixed order; and what was barred.

    ``leave_out`` is the case's own folder, of which only ``evidence/`` is evidence. Raises
    InputError when a path does not exist, may not be read, lies elsewhere in the case, or holds no
    file.
    """
    own = leave_out.resolve()
    found: dict[Path, str] = {}
    unread: list[tuple[str, str]] = []
    for given in map(Path, paths):
        if not given.exists():
            raise InputError(f"{given} does not exist")
        if _in(given, own) and not _in(given, own / "evidence"):
            raise InputError(f"{given} lies in the case itself: give the evidence")
        if given.is_file():
            found.setdefault(given, given.name)
            continue
        if not given.is_dir():
            raise InputError(f"{given} is a pipe, socket or device: give files or folders")
        if not os.access(given, os.R_OK | os.X_OK):
            raise InputError(f"{given} cannot be read: no permission")

        for path, name, reason in _walk(given, own):
            if reason:
                unread.append((name, reason))
            else:
                found.setdefault(path, name)
    if not found and not unread:
        raise InputError(f"no files in {', '.join(map(str, paths))}")
    in_order = sorted(found.items(), key=lambda pair: (pair[1], str(pair[0])))
    return [(path, escape_undecodable(name)) for path, name in in_order], [
        (escape_undecodable(name), reason) for name, reason in unread
    ]


def _walk(given: Path, own: Path) -> Iterator[tuple[Path, str, str | None]]:
    """Everything in a folder, with its name in there: files to read, and why others are not."""
    inside = given.resolve()
    barred: list[OSError] = []
    for folder, folders, files in os.walk(given, onerror=barred.append):
        above = Path(folder).relative_to(given).as_posix()
        above = "" if above == "." else f"{above}/"
        for one in list(folders):
            path = Path(folder, one)
            if path.is_symlink():
                folders.remove(one)  # followed, it could lead round in circles, or anywhere
                if not _in(path, inside):
                    yield path, above + one, "a link to another folder, not followed: name that"
            elif _is_case(path):
                folders.remove(one)
                if path.resolve() != own:
                    why = "a case, not evidence: name it to read it all the same"
                    yield path, above + one, why
        folders.sort()
        for one in sorted(files):
            path, reason = Path(folder, one), None
            if not path.is_file():
                reason = "not a regular file, or a link that leads nowhere"
            elif path.is_symlink() and _in(path, own):
                reason = "a link into the case itself"
            yield path, above + one, reason
    for error in barred:
        name = Path(error.filename).relative_to(given).as_posix()
        yield Path(error.filename), name, f"cannot be read: {error.strerror}"


def _in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder)


def _is_case(folder: Path) -> bool:
    try:
        return (folder / "case.json").is_file() and (folder / "custody.jsonl").is_file()
    except OSError:  # a folder that nobody may read: the walk says so
        return False
