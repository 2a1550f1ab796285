"""Tampering with a case at random places: does ``flowbench verify`` find it?

    python benchmarks/tampering.py [--count 2000] [--seed 1]

A case with every kind of file is made in a temporary folder. Then, again and again, one of its
files is changed as an attacker or a failing disk would: bits are flipped, bytes cut, swapped and
rewritten, rows and entries dropped, digests made to fit. After each change the case is verified and
restored. What passes ``verify`` must be found by ``verify --head`` with the digest noted before: a
custody log that was rewritten whole, or whose last entries and ``custody.head`` were replaced.
Prints a row for each kind of change; the exit code is 1 if any was missed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from flowbench import detect
from flowbench.case import Case, custody, reports
from flowbench.case.verify import verify_folder
from flowbench.errors import CaseError

Changes = dict[Path, bytes]  # the new content of each file that a change touches
HOST = "10.0.1.10"
HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)


class Trial(NamedTuple):
    """One change, and what found it: 'verify', 'verify --head', or nothing."""

    target: str
    change: str
    found_by: str


# ---- the case ---------------------------------------------------------------------------


def make_case(folder: Path) -> Case:
    """Make a case with evidence, tables, cached tables, findings, notes and a report."""
    evidence = folder / "evidence"
    evidence.mkdir(parents=True)
    for number in range(3):
        lines = "\n".join([HEADER, *_records(number), ""]).encode()
        (evidence / f"{number}.log.gz").write_bytes(gzip.compress(lines, mtime=0))
    (evidence / "plain.log").write_text("\n".join([HEADER, *_records(9), ""]))
    (evidence / "list.csv").write_text("indicator,kind\n198.51.100.7,c2\n198.51.100.9,mining\n")
    case = Case.create(folder / "case", "Tampering")
    case.ingest(evidence)
    case.note("the first note")
    detect.run(case)
    html = f"<!doctype html><p>{HOST} connected to 198.51.100.7</p>" * 20
    reports.write_report(case.path, case.log, case.path / "report.html", html.encode())
    case.note("the last note")
    return case


def _records(seed: int) -> Iterator[str]:
    r = random.Random(seed)
    for minute in range(300):
        start = 1_788_220_800 + seed * 86_400 + 60 * minute
        peer, host = f"198.51.100.{r.randrange(1, 30)}", r.choice([HOST, "10.0.1.11", "10.0.2.5"])
        yield (
            f"2 123456789012 eni-0{host[-1]} {host} {peer} {r.randrange(1024, 65000)} 443 6"
            f" {r.randrange(1, 40)} {r.randrange(40, 90_000)} {start} {start + 59} ACCEPT OK"
        )


def list_targets(case: Path, evidence: Path) -> dict[str, list[Path]]:
    """Return the files of a case by what they are."""
    targets = {
        "evidence": evidence.glob("*"),
        "tables": case.glob("tables/*/*.parquet"),
        "cache": case.glob("cache/*/*.parquet"),
        "findings": case.glob("findings/*.parquet"),
        "report": case.glob("report.html*"),
        "log": [case / "custody.head", case / "custody.jsonl"],
        "case.json": case.glob("case.json"),
    }
    return {name: sorted(paths) for name, paths in targets.items()}


# ---- changes of bytes -------------------------------------------------------------------


def flip(r: random.Random, data: bytes) -> bytes:
    """Flip one bit."""
    place = r.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << r.randrange(8)]) + data[place + 1 :]


def cut(r: random.Random, data: bytes) -> bytes:
    """Cut the end off, or a piece out of the middle."""
    start = r.randrange(len(data))
    return data[:start] + (data[start + r.randrange(1, 200) :] if r.random() < 0.5 else b"")


def swap(r: random.Random, data: bytes) -> bytes:
    """Swap two pieces of equal length."""
    length = r.randrange(1, max(2, min(100, len(data) // 2)))
    first = r.randrange(max(1, len(data) - 2 * length + 1))
    second = r.randrange(first + length, max(first + length + 1, len(data) - length + 1))
    pieces = data[second : second + length], data[first : first + length]
    middle = data[first + length : second]
    return data[:first] + pieces[0] + middle + pieces[1] + data[second + length :]


def rewrite(r: random.Random, data: bytes) -> bytes:
    """Overwrite a piece with other bytes."""
    start, length = r.randrange(len(data)), r.randrange(1, 100)
    return data[:start] + r.randbytes(min(length, len(data) - start)) + data[start + length :]


BYTES = (flip, cut, swap, rewrite)


# ---- changes of content -----------------------------------------------------------------


def _without_host(path: Path) -> bytes:
    """A Parquet file without the rows that name a host; without its first row if none does."""
    table = pq.read_table(path)
    kept = [n for n, row in enumerate(table.to_pylist()) if HOST not in map(str, row.values())]
    rows = table.take(kept) if len(kept) < table.num_rows else table.slice(1)
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd")
    return sink.getvalue()


def drop_rows(r: random.Random, files: dict[str, list[Path]]) -> Changes:
    """Drop a host from a table, a cached table, or the findings."""
    path = r.choice([*files["tables"], *files["cache"], *files["findings"]])
    return {path: _without_host(path)} if pq.read_metadata(path).num_rows else {}


def drop_from_cache(r: random.Random, files: dict[str, list[Path]]) -> Changes:  # noqa: ARG001
    """Drop a host from all cached tables, with a checksum file and a log entry that fit."""
    changes = {path: _without_host(path) for path in files["cache"]}
    log, head = _log_files(files)
    entries = _entries(log)
    known = next(entry for entry in entries if entry["action"] == "connections")
    records = [
        {"file": p.name, "sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)}
        for p, d in sorted(changes.items())
    ]
    details = {"folder": known["details"]["folder"], "files": records}
    entries.append(known | {"details": details})
    sums = "".join(f"{record['sha256']}  {record['file']}\n" for record in records)
    folder = next(iter(changes)).parent
    return changes | {folder / "SHA256SUMS": sums.encode()} | _chained(log, head, entries)


def drop_entries(r: random.Random, files: dict[str, list[Path]]) -> Changes:
    """Remove, move or repeat entries of the log, and leave ``custody.head``."""
    log, _ = _log_files(files)
    lines = log.read_bytes().splitlines(keepends=True)
    place = r.randrange(len(lines))
    ways = [lines[:-1], lines[: place + 1], lines[:place] + lines[place + 1 :], [*lines, lines[-1]]]
    ways.append(r.sample(lines, len(lines)))
    return {log: b"".join(r.choice(ways))}


def edit_entry(r: random.Random, files: dict[str, list[Path]]) -> Changes:
    """Change one entry and make its own digest fit."""
    log, _ = _log_files(files)
    entries = _entries(log)
    entry = r.choice(entries)
    entry["by"] = "somebody else"
    entry["digest"] = custody.entry_digest(entry)
    return {log: b"".join(map(custody._to_line, entries))}


def rename_case(r: random.Random, files: dict[str, list[Path]]) -> Changes:
    """Give the case another name or time."""
    (path,) = files["case.json"]
    content = json.loads(path.read_text())
    content |= r.choice([{"name": "another"}, {"created": "2020-01-01T00:00:00+00:00"}])
    return {path: (json.dumps(content, indent=2) + "\n").encode()}


def edit_report(r: random.Random, files: dict[str, list[Path]]) -> Changes:  # noqa: ARG001
    """Change the report's text, and the digest beside it."""
    path, beside = sorted(files["report"])
    data = path.read_bytes().replace(HOST.encode(), b"10.0.1.99", 1)
    line = f"{hashlib.sha256(data).hexdigest()}  {path.name}\n"
    return {path: data, beside: line.encode()}


def swap_files(r: random.Random, files: dict[str, list[Path]]) -> Changes:
    """Swap two files of one kind."""
    first, second = r.sample(r.choice([files["evidence"], files["tables"], files["cache"]]), 2)
    return {first: second.read_bytes(), second: first.read_bytes()}


def rewrite_chain(r: random.Random, files: dict[str, list[Path]]) -> Changes:
    """Rewrite the whole log so that it fits: only a digest noted elsewhere shows it."""
    log, head = _log_files(files)
    entries, changes = _entries(log), Changes()
    way = r.choice(["note", "user", "cut", "table"])
    if way == "cut":
        entries = entries[:-1]  # the last note; other entries leave files that nothing names
    for entry in entries:
        if way == "note" and entry["action"] == "note":
            entry["details"]["text"] = "nothing to see"
        elif way == "user":
            entry["by"] = "someone-else"
        elif way == "table" and entry["action"] == "load":
            part = entry["details"]["parts"][0]
            path = log.parent / "tables" / part["file"]
            data = _without_host(path)
            part |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            changes[path] = data
    return changes | _chained(log, head, entries)


CONTENT: tuple[Callable[[random.Random, dict[str, list[Path]]], Changes], ...] = (
    drop_rows,
    drop_from_cache,
    drop_entries,
    edit_entry,
    rename_case,
    edit_report,
    swap_files,
    rewrite_chain,
)


def _log_files(files: dict[str, list[Path]]) -> tuple[Path, Path]:
    head, log = sorted(files["log"])
    return log, head


def _entries(log: Path) -> list[custody.Entry]:
    return [json.loads(line) for line in log.read_bytes().splitlines()]


def _chained(log: Path, head: Path, entries: list[custody.Entry]) -> Changes:
    """The log with numbers and digests that fit, and the file that names its last entry."""
    previous = custody.START
    for number, entry in enumerate(entries, 1):
        entry["seq"], entry["previous"] = number, previous
        entry["digest"] = previous = custody.entry_digest(entry)
    data = b"".join(map(custody._to_line, entries))
    return {log: data, head: f"{len(entries)} {previous}\n".encode()}


# ---- the trials -------------------------------------------------------------------------


def try_changes(case: Path, evidence: Path, count: int, seed: int) -> Iterator[Trial]:
    """Change a case at random ``count`` times, one after the other, and verify it each time."""
    r = random.Random(seed)
    noted = custody.CustodyLog(case / "custody.jsonl", "tampering").head
    files = list_targets(case, evidence)
    while count:
        if r.random() < 0.6:
            target = r.choice(list(files))
            path, change = r.choice(files[target]), r.choice(BYTES)
            changes, name = {path: change(r, path.read_bytes())}, change.__name__
        else:
            chosen = r.choice(CONTENT)
            changes, target, name = chosen(r, files), "content", chosen.__name__
        before = {path: path.read_bytes() if path.exists() else None for path in changes}
        if changes == before or not changes:
            continue
        count -= 1
        try:
            for path, data in changes.items():
                path.write_bytes(data)
            yield Trial(target, name, _found_by(case, noted))
        finally:
            for path, data in before.items():
                path.unlink() if data is None else path.write_bytes(data)


def _found_by(case: Path, noted: str) -> str:
    for name, head in (("verify", None), ("verify --head", noted)):
        try:
            if not verify_folder(case, head=head)["ok"].all():
                return name
        except CaseError:
            return name
    return ""


def main() -> None:
    """Make a case, tamper with it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowbench-") as folder:
        case = make_case(Path(folder))
        evidence = Path(folder) / "evidence"
        assert verify_folder(case.path, head=case.log.head)["ok"].all()
        start = time.perf_counter()
        trials = list(try_changes(case.path, evidence, options.count, options.seed))
        seconds = time.perf_counter() - start
        assert verify_folder(case.path, head=case.log.head)["ok"].all()
    print(f"{'target':12}{'change':18}{'tried':>7}{'verify':>9}{'--head':>9}{'missed':>9}")
    for target, name in sorted({(t.target, t.change) for t in trials}):
        found = [t.found_by for t in trials if (t.target, t.change) == (target, name)]
        counts = [len(found), *(found.count(by) for by in ("verify", "verify --head", ""))]
        print(f"{target:12}{name:18}{counts[0]:>7,}" + "".join(f"{n:>9,}" for n in counts[1:]))
    missed = sum(not trial.found_by for trial in trials)
    print(f"{len(trials):,} changes, {missed:,} missed, {seconds / len(trials) * 1000:.0f} ms each")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
