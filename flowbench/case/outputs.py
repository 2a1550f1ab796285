"""Where nothing may be written: the evidence of a case, and the files that make the case."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from flowbench.case import manifest, positions, seal
from flowbench.case.custody import SET_ASIDE
from flowbench.case.reports import SUFFIX as DIGEST
from flowbench.errors import InputError
from flowbench.io import atomic

if TYPE_CHECKING:
    from flowbench.case import Case

_OWN = {
    *(manifest.FILE, positions.FILE, "custody.jsonl", "custody.head", "custody.jsonl.lock"),
    *("ingest.lock", "networks.parquet", "tables", "findings", "cache", "evidence"),
    *(seal.FOLDER, SET_ASIDE),
}


def check_output(case: Case, path: Path) -> None:
    """Raise InputError if a file that is about to be written is evidence, or the case itself.

    The files that are written beside it count too: the one with its digest, and the unfinished one.
    An original of which the case keeps a copy (``ingest(copy=True)``) is not known.

    Args:
        case: The case.
        path: The file. Links to evidence, symbolic or hard, count as evidence.
    """
    names = (path.name, path.name + DIGEST, path.name + atomic.SUFFIX)
    for written in map(path.with_name, names):
        _check(case, path, written)


def _check(case: Case, path: Path, written: Path) -> None:
    # Links may lead out of the folder of the case (tables on another disk), or into it.
    for target, folder in (
        (_named(written), _named(case.path)),
        (Path(os.path.realpath(written)), Path(os.path.realpath(case.path))),
    ):
        if target.is_relative_to(folder):
            first = target.relative_to(folder).parts[:1]
            if _OWN & {name.casefold() for name in first}:
                raise InputError(f"{path} belongs to the case: choose another file")
    identity = _identity(written)
    if identity is None:
        return
    for evidence in case.evidence["path"].dropna().unique():
        if identity == _identity(Path(evidence)):
            raise InputError(
                f"{path} is evidence of the case, which stays as it is: choose another"
            )


def _named(path: Path) -> Path:
    """The whole path without dots, its links as they are."""
    return Path(os.path.normpath(path.absolute()))


def _identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
