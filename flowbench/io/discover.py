"""The evidence files under the paths that a user gave, in an order that never changes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowbench.errors import InputError
from flowbench.text import escape_undecodable


def find_files(
    paths: Iterable[str | Path], case_folder: Path
) -> tuple[list[tuple[Path, str]], list[tuple[str, str]]]:
    """List the files under some paths.

    Args:
        paths: Files and folders.
        case_folder: The folder of the case, of which only ``evidence/`` is evidence.

    Returns:
        The files with the names to show, ordered by these; and the names of what cannot be read,
        with the reasons.

    Raises:
        InputError: A path does not exist, may not be read, lies elsewhere in the case, or is
            neither file nor folder; or there are no files at all.
    """
    case_folder = case_folder.resolve()
    files: dict[Path, str] = {}
    unreadable: list[tuple[str, str]] = []
    for path in map(Path, paths):
        _check_path(path, case_folder)
        if path.is_file():
            files.setdefault(path, path.name)
            continue
        for file, name, reason in _walk(path, case_folder):
            if reason:
                unreadable.append((name, reason))
            else:
                files.setdefault(file, name)
    if not files and not unreadable:
        raise InputError(f"no files in {', '.join(map(str, paths))}")
    ordered = sorted(files.items(), key=lambda item: (item[1], str(item[0])))
    return (
        [(path, escape_undecodable(name)) for path, name in ordered],
        [(escape_undecodable(name), reason) for name, reason in unreadable],
    )


def _check_path(path: Path, case_folder: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if _is_in(path, case_folder) and not _is_in(path, case_folder / "evidence"):
        raise InputError(f"{path} lies in the case itself: give the evidence")
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is a pipe, socket or device: give files or folders")
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise InputError(f"{path} cannot be read: no permission")


def _walk(root: Path, case_folder: Path) -> Iterator[tuple[Path, str, str | None]]:
    """Yield everything in a folder: path, name relative to it, and why it is not read, if so."""
    resolved_root = root.resolve()
    errors: list[OSError] = []
    for folder, subfolders, files in os.walk(root, onerror=errors.append):
        relative = Path(folder).relative_to(root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        for name in list(subfolders):
            path = Path(folder, name)
            if path.is_symlink():
                subfolders.remove(name)  # followed, it could lead in circles, or anywhere
                if not _is_in(path, resolved_root):
                    reason = "a link to another folder, not followed: give that folder"
                    yield path, prefix + name, reason
            elif _is_case(path):
                subfolders.remove(name)
                if path.resolve() != case_folder:
                    reason = "a case, not evidence: give its path to read it all the same"
                    yield path, prefix + name, reason
        subfolders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            yield path, prefix + name, _file_problem(path, case_folder)
    for error in errors:
        name = Path(error.filename).relative_to(root).as_posix()
        yield Path(error.filename), name, f"cannot be read: {error.strerror}"


def _file_problem(path: Path, case_folder: Path) -> str | None:
    if not path.is_file():
        return "not a regular file, or a broken link"
    if path.is_symlink() and _is_in(path, case_folder):
        return "a link into the case itself"
    return None


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder)


def _is_case(folder: Path) -> bool:
    try:
        return (folder / "case.json").is_file() and (folder / "custody.jsonl").is_file()
    except OSError:  # no permission to look: the walk reports it
        return False
