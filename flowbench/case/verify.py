"""Does the case still say what was loaded: evidence, tables and custody log against digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from flowbench.case import cache, custody
from flowbench.io.stream import digest
from flowbench.loaders.dispatch import Evidence, members

COLUMNS = ["what", "name", "ok", "detail"]


def check(path: Path, log: custody.Log) -> pd.DataFrame:
    """Every evidence file, every table part and the log itself, compared with what was recorded.

    The members of an archive are sound when the archive is; of one that changed, or that was not
    loaded whole, each member is looked for by its digest.

    Columns: what ('evidence', 'table', 'derived', 'findings', 'custody'), name, ok,
    detail (what no longer matches).
    """
    rows = [("evidence", *found) for found in _evidence(path, log.evidence)]
    rows += [
        (
            "table",
            part["file"],
            *_same(path / "tables" / part["file"], part["sha256"], part["bytes"]),
        )
        for part in log.parts
    ]
    named = {part["file"] for part in log.parts}
    rows += [
        ("table", name, False, "no entry of the custody log names it")
        for file in sorted((path / "tables").glob("*/*.parquet"))
        if (name := file.relative_to(path / "tables").as_posix()) not in named
    ]
    runs = {run["file"]: run for e in log.entries for run in e["details"].get("runs") or ()}
    rows += [
        ("findings", name, *_same(path / "findings" / Path(name).name, run["sha256"], run["bytes"]))
        for name, run in sorted(runs.items())
    ]
    anew = "changed: it is worked out anew, not believed"
    rows += [
        ("derived", f"{folder.name}/{name}", same, "" if same else anew)
        for folder in sorted((path / "derived").glob("connections-*/"))
        for name, same in cache.files(folder)
    ]
    rows += _fetched(path, log)
    problems = log.check()
    rows += [("custody", "custody.jsonl", False, problem) for problem in problems]
    if not problems:
        count = len(log.entries)
        rows.append(("custody", "custody.jsonl", True, f"{count} entries, head {log.head}"))
    return pd.DataFrame(rows, columns=COLUMNS)


def _evidence(path: Path, entries: list[dict[str, Any]]) -> Iterator[tuple[str, bool, str]]:
    sound: dict[str, bool] = {}  # archives, by source
    inside: dict[str, set[str]] = {}  # digests of the members of an archive as it is now
    for entry in sorted(entries, key=lambda entry: entry.get("archive") is not None):
        where, archive = entry["path"], entry.get("archive")
        if archive is None:
            ok, detail = _same(path / where, entry["sha256"], entry["size"])
            sound[entry["evidence_id"]] = ok
            yield entry["file"], ok, detail
        elif sound.get(archive, False):
            yield entry["file"], True, "the archive it lies in is the same"
        else:
            if where not in inside:
                inside[where] = _digests(path / where)
            if entry["sha256"] in inside[where]:
                yield entry["file"], True, "the same in the archive as that is now"
            else:
                yield entry["file"], False, f"changed or gone: {where} does not hold its bytes"


def _digests(path: Path) -> set[str]:
    """The SHA-256 of every member of an archive, and of the members of archives in it."""
    try:
        archive = Evidence.of(path, path.name)
        found = {member.sha256 for member in members(archive)}
    except OSError:
        return set()
    if archive.container is not None:
        archive.container.close()
    return found


def _fetched(path: Path, log: custody.Log) -> list[tuple[str, str, bool, str]]:
    """The index of fetched files: it only grows, so it starts with what the last fetch left."""
    left = [entry["details"].get("index") for entry in log.entries if entry["action"] == "fetch"]
    if not left or not isinstance(left[-1], dict):
        return []
    name, more, now = "evidence/fetched.jsonl", left[-1].get("bytes"), hashlib.sha256()
    try:
        with (path / name).open("rb") as file:
            while isinstance(more, int) and (piece := file.read(min(more, 1 << 20))):
                now.update(piece)
                more -= len(piece)
    except OSError as error:
        return [("custody", name, False, f"cannot be read: {error.strerror}")]
    good = now.hexdigest() == left[-1].get("sha256")
    return [("custody", name, good, "" if good else "changed since the last fetch")]


def _same(path: Path, sha256: str, size: int) -> tuple[bool, str]:
    try:
        now, bytes_now = digest(path)
    except FileNotFoundError:
        return False, f"missing: {path}"
    except OSError as error:
        return False, f"cannot be read: {error.strerror}"
    if now == sha256:
        return True, ""
    grown = f"{size:,} bytes when loaded, {bytes_now:,} now" if bytes_now != size else "same size"
    return False, f"changed since it was loaded ({grown}): SHA-256 was {sha256}, is {now}"
