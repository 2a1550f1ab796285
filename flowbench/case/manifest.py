"""``case.json``: what makes a folder a case, its name and the version of its format."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from flowbench.errors import CaseError
from flowbench.io import atomic

FILE = "case.json"
FORMAT = 2  # raised whenever an older flowbench could not read the folder, or this one an older


def create_folder(path: Path, name: str | None) -> str:
    """Make the folder of a new case and return the SHA-256 of its ``case.json``.

    A new folder has mode 0700 (owner only); an existing one keeps its mode. Raises CaseError when
    the folder cannot be made or is in use.
    """
    _check_path(path)
    if (path / FILE).exists():
        raise CaseError(f"{path} is a case already: open it, or choose another folder")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise CaseError(f"{path} exists and is not an empty folder: choose another one")
    content = {
        "name": name or path.absolute().name,
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    data = (json.dumps(content, indent=2) + "\n").encode()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.write_bytes(path / FILE, data)
    except OSError as error:
        raise CaseError(f"cannot make a case at {path}: {error.strerror}") from error
    return atomic.sha256_bytes(data)


def read_name(path: Path) -> str:
    """Return the name of a case. Raises CaseError when it is none, or of another format."""
    _check_path(path)
    try:
        content = json.loads(atomic.read_bytes(path / FILE))
        name, version = content["name"], content["format"]
        if not isinstance(name, str):
            raise TypeError("the name is not text")
    except (FileNotFoundError, NotADirectoryError):
        raise CaseError(f"{path} is not a case: make one with `flowbench new {path}`") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CaseError(f"{path / FILE} cannot be read: {error}") from error
    if version != FORMAT:
        raise CaseError(
            f"{path} has case format {version!s:.20}, and this flowbench reads format {FORMAT}:"
            " make a new case with `flowbench new` and ingest the evidence again; the old case"
            " stays as it is"
        )
    return name


def _check_path(path: Path) -> None:
    """Raise CaseError where the engine cannot write: DuckDB takes a backslash for a separator."""
    if os.sep == "/" and "\\" in str(path.absolute()):
        raise CaseError(
            f"{path} has a backslash in its path, which the engine cannot write to: choose another"
            " folder, or rename it"
        )
