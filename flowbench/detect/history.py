"""The runs of the detectors that a case keeps: what was found, from which evidence, by what code.

The findings of a run lie in CASE/findings, in a Parquet file named by its digest; the custody log
names it. The file is in its place before the log names it: killed at any instant, the case holds
the run before or this one, and what no entry names the next run removes.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flowbench import __version__, detect
from flowbench.errors import CaseError
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

FOLDER = "findings"
_NAMED = 5  # files named in a sentence


@dataclass(frozen=True)
class Run:
    """A run that the case keeps."""

    time: str  # when, UTC
    seen: int  # entries of the custody log that it knew
    version: str  # of flowbench
    detectors: dict[str, str]  # those that ran, with a digest of the code of each
    shared: str  # a digest of the code that they share
    findings: pd.DataFrame  # detect.HIDDEN


def last(case: Case) -> Run | None:
    """The run kept last, or None. Raises CaseError when its findings are damaged or lost."""
    kept = [e for e in case.log.entries if e["action"] == "detect" and e["details"].get("runs")]
    if not kept:
        return None
    entry, details = kept[-1], kept[-1]["details"]
    part = details["runs"][0]
    path = case.path / FOLDER / Path(part["file"]).name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaseError(
            f"the findings of the run of {entry['time']} cannot be read ({error.strerror}: {path}):"
            " there is nothing to compare with; the next run is kept in their place"
        ) from error
    if hashlib.sha256(data).hexdigest() != part["sha256"]:
        raise CaseError(
            f"the findings of the run of {entry['time']} were changed since ({path}): there is"
            " nothing to compare with; the next run is kept in their place"
        )
    findings = to_frame(pq.read_table(pa.BufferReader(data)))
    detectors = dict(details.get("detectors", {}))
    version, shared = str(details.get("version")), str(details.get("shared"))
    return Run(entry["time"], details.get("seen", 0), version, detectors, shared, findings)


def keep(case: Case, found: pd.DataFrame) -> bool:
    """Keep a whole run, what ``detect.run`` returned with ``hidden``; whether it was new.

    A run that differs in nothing from the one kept last is that one. Raises CaseError when the
    case cannot be written.
    """
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(found, schema=detect.HIDDEN.arrow, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(), sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    sha256 = hashlib.sha256(data).hexdigest()
    file = f"{sha256[:16]}.parquet"
    part = {"file": file, "sha256": sha256, "bytes": len(data), "rows": len(found)}
    this = {"runs": [part], "version": __version__, "shared": _shared(), "detectors": _ran(case)}
    seen = len(case.log.entries)
    folder = case.path / FOLDER
    path, aside = folder / file, folder / f"{file}.aside"
    try:
        folder.mkdir(exist_ok=True)
        with filelock.FileLock(folder / "findings.lock"):
            case.log.refresh()
            kept = [e["details"] for e in case.log.entries if e["action"] == "detect"]
            _tidy(folder, {p["file"] for k in kept for p in k.get("runs") or ()})
            if not path.is_file() or path.read_bytes() != data:
                with aside.open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                aside.replace(path)
            alike = bool(kept) and this == {name: kept[-1].get(name) for name in this}
            if alike and _read(case, kept[-1].get("seen", 0)) == _read(case, seen):
                return False
            case.log.append("detect", seen=seen, **this)
    except OSError as error:
        raise CaseError(f"cannot write {folder}: {error.strerror}") from error
    return True


def differences(case: Case, before: Run) -> list[str]:
    """What is not as it was at a run kept before: evidence, policy, version, detectors; sentences.

    With nothing to say, a change of the findings would be a defect.
    """
    then, now = _read(case, before.seen), _read(case, len(case.log.entries))
    files = [f"{row['file']} ({row['kind']})" for row in case.log.evidence
             if row["evidence_id"] in now[0] - then[0]]  # fmt: skip
    said = [f"evidence: {len(then[0]):,} files then, {len(now[0]):,} now"]
    if files:
        rest = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
        said.append(f"new evidence: {', '.join(files[:_NAMED])}{rest}")
    if then[1] != now[1]:
        said.append("the segmentation policy is another")
    if before.version != __version__:
        said.append(f"flowbench: {before.version} then, {__version__} now")
    old, ran = before.detectors, _ran(case)
    for words, names in (
        ("detectors that did not run then", ran.keys() - old.keys()),
        ("detectors that no longer run", old.keys() - ran.keys()),
        ("detectors whose code is another", {n for n in ran.keys() & old if ran[n] != old[n]}),
    ):
        if names:
            said.append(f"{words}: {', '.join(sorted(names))}")
    if before.shared != _shared():
        said.append("the code that detectors share is another")
    if len(said) == 1:
        said = [f"{said[0]}: the same; the same detectors"]
    return said


def _read(case: Case, seen: int) -> tuple[set[str], str | None]:
    """What a run reads of a case whose log has so many entries: evidence, and the policy."""
    entries = case.log.entries[:seen]
    sources = {row["evidence_id"] for e in entries for row in e["details"].get("evidence") or ()}
    policies = [e["details"].get("sha256") for e in entries if e["action"] == "policy"]
    return sources, policies[-1] if policies else None


def _ran(case: Case) -> dict[str, str]:
    """The detectors that this case's evidence lets run, with a digest of the code of each."""
    plan = detect.plan(case)
    known = detect.registered()
    names = plan.loc[plan["runs"], "detector"]
    return {name: _digest([Path(inspect.getfile(known[name].function))]) for name in names}


def _shared() -> str:
    package = Path(detect.__file__).parent
    shared = sorted(package.glob("*.py"))
    for name in ("connections", "enrich"):
        shared += sorted((package.parent / name).glob("*.py"))
    return _digest(shared)


def _digest(paths: list[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def _tidy(folder: Path, named: set[str]) -> None:
    """Remove what a kill left: findings that no entry of the log names."""
    for path in [*folder.glob("*.parquet"), *folder.glob("*.aside")]:
        if path.name not in named:
            path.unlink()
