"""The run history of a case: the findings of each run, from which evidence, by which code.

The findings of a run are in CASE/findings, in a Parquet file named by its SHA-256, and the custody
log names the file. The file is in place before the log names it: when the process is killed, the
case holds the previous run or this one, and the next run moves files aside that no entry names.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.case import set_aside
from flowbench.detect.finding import DECISION_COLUMNS
from flowbench.detect.findings import Findings
from flowbench.detect.plan import plan
from flowbench.detect.registry import registered
from flowbench.errors import CaseError, InputError
from flowbench.io import atomic
from flowbench.text import list_some
from flowbench.version import __version__

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.case.custody_entry import Entry

FOLDER = "findings"


@dataclass(frozen=True)
class Run:
    """A run that the case keeps."""

    time: str  # when, UTC
    log_length: int  # entries of the custody log when it started
    version: str  # of flowbench
    detectors: dict[str, str]  # those that ran, with a hash of the code of each
    shared_code: str  # a hash of the code that they share
    findings: Findings


def kept_runs(case: Case) -> list[Entry]:
    """Return the entries of the custody log about the runs that are kept, oldest first."""
    return [e for e in case.log.entries if e["action"] == "detect" and e["details"].get("runs")]


def last_run(case: Case) -> Run | None:
    """Return the run kept last, or None. Raises CaseError when its findings are damaged or lost."""
    kept = kept_runs(case)
    return read_run(case, kept[-1]) if kept else None


def read_run(case: Case, entry: Entry) -> Run:
    """Read the run of an entry. Raises CaseError when its findings are damaged or lost."""
    details = entry["details"]
    part = details["runs"][0]
    path = case.path / FOLDER / Path(part["file"]).name
    remedy = "there is nothing to compare with; the next run is kept in their place"
    try:
        data = atomic.read_bytes(path)
    except OSError as error:
        raise CaseError(
            f"the findings of the run of {entry['time']} cannot be read ({error.strerror}: {path}):"
            f" {remedy}"
        ) from error
    if atomic.sha256_bytes(data) != part["sha256"]:
        raise CaseError(
            f"the findings of the run of {entry['time']} were changed since ({path}): {remedy}"
        )
    try:
        findings = Findings.from_arrow(pq.read_table(pa.BufferReader(data)))
    except (InputError, pa.ArrowException) as error:
        raise CaseError(
            f"the findings of the run of {entry['time']} are of another version of flowbench"
            f" ({path}): {remedy}"
        ) from error
    return Run(
        entry["time"],
        details.get("seen", 0),
        str(details.get("version")),
        dict(details.get("detectors", {})),
        str(details.get("shared")),
        findings,
    )


def keep(case: Case, findings: Findings) -> bool:
    """Keep a run of all detectors, and return whether it differs from the one kept last.

    A run that differs in nothing from the last is not added. Raises CaseError when the case cannot
    be written.
    """
    sink = pa.BufferOutputStream()
    rows = findings.all.to_arrow().drop_columns(list(DECISION_COLUMNS))
    complete = pa.array([finding.peers_complete for finding in findings.all], pa.bool_())
    rows = rows.append_column("peers_complete", complete)  # allow lists loaded later need it
    pq.write_table(rows, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    sha256 = atomic.sha256_bytes(data)
    file = f"{sha256[:16]}.parquet"
    part = {"file": file, "sha256": sha256, "bytes": len(data), "rows": len(findings.all)}
    this = {
        "runs": [part],
        "version": __version__,
        "shared": _hash_shared_code(),
        "detectors": _hash_detectors(case),
    }
    log_length = len(case.log.entries)
    folder = case.path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        with atomic.lock(folder / "findings.lock", "another run is being kept", timeout=-1):
            case.log.refresh()
            kept = [e["details"] for e in case.log.entries if e["action"] == "detect"]
            set_aside.remove_incomplete(folder, "*")
            named = {p["file"] for k in kept for p in k.get("runs") or ()}
            unrecorded = set_aside.find_unrecorded(folder, "*.parquet", named)
            set_aside.move_aside(case.path, case.log, unrecorded, set_aside.UNRECORDED)
            if not atomic.is_intact(folder / file, sha256):
                changed = [folder / file] if (folder / file).exists() else []
                set_aside.move_aside(case.path, case.log, changed, set_aside.CHANGED)
                atomic.write_bytes(folder / file, data, durable=True)
            equal = bool(kept) and this == {name: kept[-1].get(name) for name in this}
            if equal and _input(case, kept[-1].get("seen", 0)) == _input(case, log_length):
                return False
            _log_run(case, folder / file, seen=log_length, **this)
    except OSError as error:
        raise CaseError(f"cannot write {folder}: {error.strerror}") from error
    return True


def is_current(case: Case, run: Run) -> bool:
    """Whether a run of all detectors would now read the same input with the same code as a run."""
    return (
        (run.version, run.shared_code) == (__version__, _hash_shared_code())
        and run.detectors == _hash_detectors(case)
        and _input(case, run.log_length) == _input(case, len(case.log.entries))
    )


def differences(case: Case, before: Run) -> list[str]:
    """Return what differs from an earlier run, in sentences.

    Compares evidence, segmentation policy, version and detectors: what may explain a change of the
    findings.
    """
    then, now = _input(case, before.log_length), _input(case, len(case.log.entries))
    new_files = [
        f"{row['file']} ({row['kind']})"
        for row in case.log.evidence
        if row["evidence_id"] in now[0] - then[0]
    ]
    sentences = [f"evidence: {len(then[0]):,} files then, {len(now[0]):,} now"]
    if new_files:
        sentences.append(f"new evidence: {list_some(new_files)}")
    if then[1] != now[1]:
        sentences.append("the segmentation policy has changed")
    if before.version != __version__:
        sentences.append(f"flowbench: {before.version} then, {__version__} now")
    old, ran = before.detectors, _hash_detectors(case)
    for words, names in (
        ("detectors that did not run then", ran.keys() - old.keys()),
        ("detectors that no longer run", old.keys() - ran.keys()),
        ("detectors whose code has changed", {n for n in ran.keys() & old if ran[n] != old[n]}),
    ):
        if names:
            sentences.append(f"{words}: {', '.join(sorted(names))}")
    if before.shared_code != _hash_shared_code():
        sentences.append("the code that detectors share has changed")
    if len(sentences) == 1:
        sentences = [f"{sentences[0]}: the same; the same detectors"]
    return sentences


def _log_run(case: Case, file: Path, **details: Any) -> None:
    """Log a run whose findings are in ``file``; remove the file if that fails or is stopped."""
    try:
        case.log.append("detect", **details)
    except BaseException:
        runs = [run for e in case.log.entries for run in e["details"].get("runs") or ()]
        if file.name not in {run["file"] for run in runs}:
            file.unlink(missing_ok=True)
        raise


def _input(case: Case, log_length: int) -> tuple[set[str], str | None]:
    """Return what a run reads of a case whose log has so many entries: evidence ids and policy."""
    entries = case.log.entries[:log_length]
    files = {row["evidence_id"] for e in entries for row in e["details"].get("evidence") or ()}
    policies = [e["details"].get("sha256") for e in entries if e["action"] == "policy"]
    return files, policies[-1] if policies else None


def _hash_detectors(case: Case) -> dict[str, str]:
    """Return the detectors that the case's evidence lets run, with a hash of the code of each."""
    table = plan(case)
    modules = registered()
    return {
        name: _hash_files([Path(inspect.getfile(modules[name].find))])
        for name in table.loc[table["runs"], "detector"]
    }


def _hash_shared_code() -> str:
    here = Path(__file__).parent
    folders = (here, here.parent / "connections", here.parent / "enrich")
    return _hash_files([path for folder in folders for path in sorted(folder.glob("*.py"))])


def _hash_files(paths: list[Path]) -> str:
    return atomic.sha256_bytes(b"\0".join(path.read_bytes() for path in paths))[:16]
