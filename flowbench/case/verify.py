"""Verification of the files of a case against its custody log."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from flowbench.case import cache, manifest, reports, seal, set_aside
from flowbench.case.check import (
    ALTERED,
    INTACT,
    MISSING,
    NOTE,
    UNRECORDED,
    Check,
    compare_file,
    make_check,
)
from flowbench.case.custody import DERIVED_ACTIONS, SET_ASIDE, CustodyLog
from flowbench.case.verify_evidence import check_evidence
from flowbench.errors import InputError
from flowbench.io import atomic
from flowbench.text import format_count, list_some
from flowbench.version import __version__

_NOT_A_DIGEST = "a head digest has 64 hex digits: give the one that was noted, in full"


def verify_folder(path: Path, **options: Any) -> pd.DataFrame:
    """Verify the case in a folder, also one whose ``case.json`` was changed.

    Args:
        path: The folder.
        options: See ``verify_case``.

    Raises:
        CaseError: The folder is no case, or of another format.
        InputError: See ``verify_case``.
    """
    log = CustodyLog(path / "custody.jsonl", f"flowbench {__version__}")
    if not log.entries or all(check.ok for check in _check_manifest(path, log)):
        manifest.read_name(path)
    return verify_case(path, log, **options)


def verify_case(
    path: Path,
    log: CustodyLog,
    *,
    head: str | None = None,
    evidence: Sequence[Path] = (),
    anchors: Sequence[Path] = (),
    trust: seal.Trust = seal.NO_TRUST,
    recompute: bool = False,
) -> pd.DataFrame:
    """Hash every file again and compare it with what was recorded.

    Args:
        path: The folder of the case.
        log: Its custody log.
        head: A head digest that was noted earlier: it must be in the chain.
        evidence: Folders to search for evidence that is no longer where it was loaded from.
        anchors: Anchors kept outside the case (see ``seal``), besides those in it.
        trust: Whose signatures and time stamps to accept.
        recompute: Whether to compute the cached tables again from the tables, and compare them.

    Returns:
        A row for each evidence file, table part, run of findings, cached table, report, seal and
        log; the columns are those of ``Check``. ``ok`` is false where something does not match.

    Raises:
        InputError: ``head`` is not a digest, or a folder does not exist.
    """
    if head is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", head):
        raise InputError(f"{head}: {_NOT_A_DIGEST}")
    if missing := [str(folder) for folder in evidence if not folder.is_dir()]:
        raise InputError(f"{missing[0]} is not a folder: give the folder with the evidence")
    checks = [
        *_check_manifest(path, log),
        *check_evidence(path, log, evidence),
        *_check_tables(path, log),
        *_check_findings(path, log),
        *_check_cache(path, log),
        *(_recompute_cache(path, log) if recompute else ()),
        *reports.check_reports(path, log),
        *_check_fetched_index(path, log),
        *_check_set_aside(path, log),
        *seal.check_seals(path, log, anchors, trust),
        *(_check_head(log, head.lower()) if head is not None else ()),
        *_check_custody(log),
    ]
    return pd.DataFrame(checks, columns=list(Check._fields))


def _check_manifest(path: Path, log: CustodyLog) -> Iterator[Check]:
    for entry in log.entries_of("create"):
        details = entry["details"]
        if "manifest" in details:
            result, detail = compare_file(path / manifest.FILE, str(details["manifest"]))
        else:  # by a version that recorded only the name
            result, detail = _compare_name(path / manifest.FILE, details.get("name"))
        yield make_check("case", manifest.FILE, result, detail)
        return


def _compare_name(path: Path, name: object) -> tuple[str, str]:
    try:
        name_now = json.loads(atomic.read_bytes(path))["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return ALTERED, f"cannot be read: {error}"
    return (INTACT, "") if name_now == name else (ALTERED, f"the name was {name!r}")


def _check_tables(path: Path, log: CustodyLog) -> Iterator[Check]:
    tables = path / "tables"
    for part in log.parts:
        result = _compare_own(tables / part["file"], part["sha256"], part.get("bytes"))
        yield make_check("table", part["file"], *result)
    named = {part["file"] for part in log.parts}
    unrecorded = set_aside.find_unrecorded(tables, "*/*.parquet", named)
    unfinished = set_aside.was_interrupted(path / "ingest.lock")
    for file in unrecorded:
        yield _unrecorded("table", file.relative_to(tables).as_posix(), unfinished)


def _compare_own(path: Path, sha256: str, size: int | None) -> tuple[str, str]:
    """Compare a file that is the case's own: a link to one elsewhere is none."""
    if path.is_symlink():
        return ALTERED, f"{path} is a link: what it leads to may change"
    return compare_file(path, sha256, size)


def _check_findings(path: Path, log: CustodyLog) -> Iterator[Check]:
    runs = {run["file"]: run for e in log.entries for run in e["details"].get("runs") or ()}
    folder = path / "findings"
    for name, run in sorted(runs.items()):
        result = _compare_own(folder / Path(name).name, run["sha256"], run["bytes"])
        yield make_check("findings", name, *result)
    unfinished = set_aside.was_interrupted(folder / "findings.lock")
    for file in set_aside.find_unrecorded(folder, "*.parquet", set(runs)):
        yield _unrecorded("findings", file.name, unfinished)


def _unrecorded(what: str, name: str, unfinished: bool) -> Check:
    if unfinished:
        return make_check(what, name, NOTE, "not logged: a run was killed or is in progress")
    return make_check(what, name, UNRECORDED, set_aside.UNRECORDED)


def _check_cache(path: Path, log: CustodyLog) -> Iterator[Check]:
    folders = (path / cache.FOLDER).glob("*-*/")
    for folder in sorted(f for f in folders if f.name.startswith(cache.KINDS)):
        if folder.name.endswith(atomic.SUFFIX):
            continue  # in progress, or left by a kill: it is not read
        recorded = cache.recorded_files(log, folder)
        if not recorded:  # by a version that did not record them
            detail = "the custody log has no digests of these cached tables: they are not used"
            yield make_check("cache", folder.name, NOTE, detail)
            continue
        for file in recorded[0]:
            name = Path(file["file"]).name
            result, detail = compare_file(folder / name, file["sha256"], file["bytes"])
            detail = f"{detail}. It is not used; it is computed again" if result != INTACT else ""
            yield make_check("cache", f"{folder.name}/{name}", result, detail)
        named = {Path(file["file"]).name for file in recorded[0]}
        for extra in set_aside.find_unrecorded(folder, "*", named):
            yield make_check(
                "cache", f"{folder.name}/{extra.name}", UNRECORDED, set_aside.UNRECORDED
            )
        if len(recorded) > 1:
            detail = (
                "the custody log has different digests of these cached tables: one was not computed"
                " from the case. The first is used; --recompute shows which one matches"
            )
            yield make_check("cache", folder.name, ALTERED, detail)


def _recompute_cache(path: Path, log: CustodyLog) -> Iterator[Check]:
    with tempfile.TemporaryDirectory(prefix="flowbench-") as temporary:
        folder = cache.build_elsewhere(path, log, lambda *_: None, Path(temporary))
        files = cache.hash_files(folder)
        name = f"{folder.name} (computed again)"
    recorded = cache.recorded_files(log, folder)
    if not recorded:
        yield make_check("cache", name, NOTE, "the custody log has no digest to compare with")
    elif (first := recorded[0]) == files:
        yield make_check("cache", name, NOTE, "identical to the digests in the custody log")
    else:
        differing = [file["file"] for file in files if file not in first]
        detail = f"not the digest in the custody log: {list_some(differing)}"
        yield make_check("cache", name, ALTERED, detail)


def _check_fetched_index(path: Path, log: CustodyLog) -> Iterator[Check]:
    """The index of fetched files only grows: it starts with what the last fetch recorded."""
    indexes = [entry["details"].get("index") for entry in log.entries_of("fetch")]
    if not indexes or not isinstance(index := indexes[-1], dict):
        return
    name, left, sha256 = "evidence/fetched.jsonl", index.get("bytes"), hashlib.sha256()
    try:
        with atomic.open_regular(path / name) as file:
            while isinstance(left, int) and (chunk := file.read(min(left, 1 << 20))):
                sha256.update(chunk)
                left -= len(chunk)
    except OSError as error:
        yield make_check("custody", name, MISSING, f"cannot be read: {error.strerror}")
        return
    ok = sha256.hexdigest() == index.get("sha256")
    detail = "" if ok else "changed since the last fetch"
    yield make_check("custody", name, INTACT if ok else ALTERED, detail)


def _check_set_aside(path: Path, log: CustodyLog) -> Iterator[Check]:
    for record, reason in set_aside.list_moved(log):
        result, detail = compare_file(path / SET_ASIDE / record["file"], record["sha256"])
        if result != ALTERED:  # the user may delete it
            result, detail = NOTE, f"moved to {SET_ASIDE}/{record['file']}: {reason}"
        yield make_check(SET_ASIDE, str(record.get("was")), result, detail)


def _check_head(log: CustodyLog, head: str) -> Iterator[Check]:
    later = len(log.entries)
    for entry in log.entries:
        later -= 1
        if entry["digest"] == head:
            time = entry["time"][:19].replace("T", " ")
            detail = f"entry {entry['seq']} of {len(log.entries)} has this digest, {time} UTC"
            if later:
                added = log.entries[-later:]
                actions = sorted({e["action"] for e in added if e["action"] not in DERIVED_ACTIONS})
                names = f" ({', '.join(actions)})" if actions else ""
                detail += f"; {format_count(later, 'entry', 'entries')} added since{names}"
            yield make_check("custody", "noted head", NOTE, detail)
            return
    detail = (
        f"no entry has the digest {head}: the log was rewritten or truncated since it was noted, or"
        " the digest is that of another case"
    )
    yield make_check("custody", "noted head", ALTERED, detail)


def _check_custody(log: CustodyLog) -> Iterator[Check]:
    problems = log.check()
    for problem in problems:
        yield make_check("custody", log.path.name, ALTERED, problem)
    if not problems:
        detail = f"{format_count(len(log.entries), 'entry', 'entries')}, head {log.head}"
        yield make_check("custody", log.path.name, INTACT, detail)
