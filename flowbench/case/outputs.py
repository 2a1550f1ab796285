"""Where nothing may be written: the evidence of a case, and the files that make the case."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from flowbench.case import manifest, positions
from flowbench.case.custody import SET_ASIDE
from flowbench.errors import InputError

if TYPE_CHECKING:
    from flowbench.case import Case

_OWN = {
    *(manifest.FILE, positions.FILE, "custody.jsonl", "custody.head", "custody.jsonl.lock"),
    *("ingest.lock", "networks.parquet", "tables", "findings", "cache", "evidence", SET_ASIDE),
}


def check_output(case: Case, path: Path) -> None:
    """Raise InputError if a file that is about to be written is evidence, or the case itself.

    Args:
        case: The case.
        path: The file. Links to evidence, symbolic or hard, count as evidence.
    """
    target, folder = path.resolve(), case.path.resolve()
    if target.is_relative_to(folder) and _OWN & {*target.relative_to(folder).parts[:1]}:
        raise InputError(f"{path} belongs to the case: choose another file")
    if not target.exists():
        return
    identity = _identity(target)  # None if it cannot be read: then it is compared by name
    for evidence in case.evidence["path"].dropna().unique():
        if target == Path(evidence).resolve() or (
            identity and identity == _identity(Path(evidence))
        ):
            raise InputError(
                f"{path} is evidence of the case, which stays as it is: choose another"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
