"""Verification: evidence, tables, kept findings and custody log against their recorded hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from flowbench.case import cache
from flowbench.case.custody import CustodyLog
from flowbench.io.byte_source import digest
from flowbench.loaders.dispatch import Evidence, expand_archive


class Check(NamedTuple):
    """The result for one file.

    ``what`` is 'evidence', 'table', 'findings', 'cache' or 'custody'; ``detail`` says what no
    longer matches.
    """

    what: str
    name: str
    ok: bool
    detail: str


def verify_case(path: Path, log: CustodyLog) -> pd.DataFrame:
    """Hash every file again and compare it with what was recorded.

    The members of an archive are intact when the archive is; of one that changed, or that was not
    loaded whole, each member is looked for by its hash.

    Returns:
        A row for each evidence file, table part, run of findings, cached table and log; the
        columns are those of ``Check``.
    """
    checks = [
        *_check_evidence(path, log),
        *_check_tables(path, log),
        *_check_findings(path, log),
        *_check_cache(path),
        *_check_fetched_index(path, log),
        *_check_custody(log),
    ]
    return pd.DataFrame(checks, columns=list(Check._fields))


def _check_evidence(path: Path, log: CustodyLog) -> Iterator[Check]:
    intact: dict[str, bool] = {}  # archives, by evidence id
    members: dict[str, set[str]] = {}  # hashes of the members of an archive as it is now
    for entry in sorted(log.evidence, key=lambda entry: entry.get("archive") is not None):
        file, location, archive = entry["file"], entry["path"], entry.get("archive")
        if archive is None:
            ok, detail = _compare(path / location, entry["sha256"], entry["size"])
            intact[entry["evidence_id"]] = ok
        elif intact.get(archive, False):
            ok, detail = True, "the archive that holds it is unchanged"
        else:
            if location not in members:
                members[location] = _hash_members(path / location)
            ok = entry["sha256"] in members[location]
            detail = f"changed or gone: {location} does not hold its bytes"
            if ok:
                detail = "unchanged in the archive, which has changed"
        yield Check("evidence", file, ok, detail)


def _check_tables(path: Path, log: CustodyLog) -> Iterator[Check]:
    tables = path / "tables"
    for part in log.parts:
        result = _compare(tables / part["file"], part["sha256"], part["bytes"])
        yield Check("table", part["file"], *result)
    named = {part["file"] for part in log.parts}
    for file in sorted(tables.glob("*/*.parquet")):
        if (name := file.relative_to(tables).as_posix()) not in named:
            yield Check("table", name, False, "no entry of the custody log names it")


def _check_findings(path: Path, log: CustodyLog) -> Iterator[Check]:
    runs = {run["file"]: run for e in log.entries for run in e["details"].get("runs") or ()}
    for name, run in sorted(runs.items()):
        file = path / "findings" / Path(name).name
        yield Check("findings", name, *_compare(file, run["sha256"], run["bytes"]))


def _check_cache(path: Path) -> Iterator[Check]:
    for folder in sorted((path / cache.FOLDER).glob("connections-*/")):
        for name, ok in cache.check_files(folder):
            detail = "" if ok else "changed: it is not used, but computed again"
            yield Check("cache", f"{folder.name}/{name}", ok, detail)


def _check_fetched_index(path: Path, log: CustodyLog) -> Iterator[Check]:
    """The index of fetched files only grows: it starts with what the last fetch recorded."""
    indexes = [entry["details"].get("index") for entry in log.entries_of("fetch")]
    if not indexes or not isinstance(index := indexes[-1], dict):
        return
    name, left, sha256 = "evidence/fetched.jsonl", index.get("bytes"), hashlib.sha256()
    try:
        with (path / name).open("rb") as file:
            while isinstance(left, int) and (chunk := file.read(min(left, 1 << 20))):
                sha256.update(chunk)
                left -= len(chunk)
    except OSError as error:
        yield Check("custody", name, False, f"cannot be read: {error.strerror}")
        return
    ok = sha256.hexdigest() == index.get("sha256")
    yield Check("custody", name, ok, "" if ok else "changed since the last fetch")


def _check_custody(log: CustodyLog) -> Iterator[Check]:
    problems = log.check()
    for problem in problems:
        yield Check("custody", "custody.jsonl", False, problem)
    if not problems:
        detail = f"{len(log.entries)} entries, head {log.head}"
        yield Check("custody", "custody.jsonl", True, detail)


def _hash_members(path: Path) -> set[str]:
    """The SHA-256 of every member of an archive, and of the members of archives in it."""
    try:
        archive = Evidence.of(path, path.name)
        hashes = {member.sha256 for member in expand_archive(archive)}
    except OSError:
        return set()
    if archive.container is not None:
        archive.container.close()
    return hashes


def _compare(path: Path, sha256: str, size: int) -> tuple[bool, str]:
    """Whether a file has the recorded hash; and what has changed."""
    try:
        sha256_now, size_now = digest(path)
    except FileNotFoundError:
        return False, f"missing: {path}"
    except OSError as error:
        return False, f"cannot be read: {error.strerror}"
    if sha256_now == sha256:
        return True, ""
    sizes = f"{size:,} bytes when loaded, {size_now:,} now" if size_now != size else "same size"
    return False, f"changed since it was loaded ({sizes}): SHA-256 was {sha256}, is {sha256_now}"
