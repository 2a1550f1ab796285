"""Which files lie under the paths a user gave, in an order that never changes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from flowbench.errors import InputError


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
        if not os.access(given, os.R_OK | os.X_OK):
            raise InputError(f"{given} cannot be read: no permission")

        def barred(error: OSError, given: Path = given) -> None:
            name = os.path.relpath(error.filename, given)
            unread.append((name, f"cannot be read: {error.strerror}"))

        for folder, folders, files in os.walk(given, onerror=barred):
            for one in [one for one in folders if _is_case(Path(folder, one))]:
                folders.remove(one)
                if Path(folder, one).resolve() != own:
                    name = Path(folder, one).relative_to(given).as_posix()
                    unread.append((name, "a case, not evidence: name it to read it all the same"))
            folders.sort()
            for file in sorted(files):
                path = Path(folder, file)
                name = path.relative_to(given).as_posix()
                if path.is_file():
                    found.setdefault(path, name)
                else:
                    unread.append((name, "not a regular file, or a link that leads nowhere"))
    if not found and not unread:
        raise InputError(f"no files in {', '.join(map(str, paths))}")
    return sorted(found.items(), key=lambda pair: (pair[1], str(pair[0]))), unread


def _in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder)


def _is_case(folder: Path) -> bool:
    try:
        return (folder / "case.json").is_file() and (folder / "custody.jsonl").is_file()
    except OSError:  # a folder that nobody may read: the walk says so
        return False
