"""Reports of a case: the SHA-256 of each is in a file beside it and in the custody log."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flowbench.case.check import (
    ALTERED,
    INTACT,
    NOT_AVAILABLE,
    NOT_READABLE,
    NOTE,
    Check,
    make_check,
)
from flowbench.case.custody import CustodyLog
from flowbench.case.custody_entry import JsonObject
from flowbench.errors import CaseError
from flowbench.io import atomic

ACTION = "report"
SUFFIX = ".sha256"  # of the file beside a report, in the format of ``sha256sum --check``


def write_report(case: Path, log: CustodyLog, path: Path, data: bytes) -> None:
    """Write a report, its SHA-256 beside it, and an entry of the custody log.

    A report that is the same as the last one at this path is not logged again. The entry is written
    before the file is renamed, so that a kill leaves no report without an entry. If the log cannot
    be written, the report has no entry.

    Args:
        case: The folder of the case.
        log: Its custody log.
        path: The file to write.
        data: Its content.

    Raises:
        OSError: The file cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "Is a directory")
    sha256 = atomic.sha256_bytes(data)
    record: JsonObject = {"file": _name(case, path), "sha256": sha256, "bytes": len(data)}
    with atomic.write_aside(path) as aside:
        aside.write_bytes(data)
        if (known := recorded_reports(log).get(record["file"])) is None or known[-1] != record:
            with suppress(CaseError):
                log.append(ACTION, files=[record])
        line = f"{sha256}  {path.name}\n".encode(errors="backslashreplace")
        atomic.write_bytes(_beside(path), line)


def recorded_reports(log: CustodyLog) -> dict[str, list[JsonObject]]:
    """Return what the log records of the reports at each path, oldest first."""
    reports: dict[str, list[JsonObject]] = {}
    for entry in log.entries_of(ACTION):
        for record in entry["details"].get("files") or ():
            reports.setdefault(record["file"], []).append(record)
    return reports


def check_reports(case: Path, log: CustodyLog) -> Iterator[Check]:
    """Compare reports, and the digests beside them, with the custody log.

    A report that is no longer where it was written is not available. One that matches
    an earlier entry is intact: the process that wrote the latest may have been killed.
    """
    for name, records in recorded_reports(log).items():
        path, digests = case / name, {record["sha256"] for record in records}
        try:
            sha256 = atomic.sha256_file(path)
        except (FileNotFoundError, NotADirectoryError):
            yield make_check("report", name, NOT_AVAILABLE, f"no longer at {path}")
            continue
        except OSError as error:
            detail = f"{path} cannot be read: {error.strerror}"
            yield make_check("report", name, NOT_READABLE, detail)
            continue
        if sha256 in digests:
            yield make_check("report", name, INTACT)
        else:
            detail = f"changed: SHA-256 was {records[-1]['sha256']}, is {sha256}"
            yield make_check("report", name, ALTERED, detail)
        yield _check_beside(_beside(path), digests)


def _check_beside(path: Path, digests: set[str]) -> Check:
    try:
        line = atomic.read_bytes(path)
    except OSError:
        return make_check("report", path.name, NOTE, "missing: the SHA-256 of the report")
    name = path.name.removesuffix(SUFFIX)
    if any(line == f"{s}  {name}\n".encode(errors="backslashreplace") for s in digests):
        return make_check("report", path.name, INTACT)
    return make_check("report", path.name, ALTERED, "not the SHA-256 of a report of this case")


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _name(case: Path, path: Path) -> str:
    """The path as it is recorded: relative to the case if it is in it."""
    path, case = path.resolve(), case.resolve()
    return path.relative_to(case).as_posix() if path.is_relative_to(case) else str(path)
