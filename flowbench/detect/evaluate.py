"""How good the detectors are: their findings held against labelled address pairs.

A label names two ends, not who opened: who did is often a guess of whoever labelled, so a pair
counts in either direction. An empty ``dst`` stands for every other end of ``src``. Findings of any
severity count unless ``least`` asks for graver ones. What no label names, or names unknown, counts
neither for nor against anyone.
"""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import pandas as pd
import pyarrow.parquet as pq

from flowbench import detect, engine
from flowbench.case import Case
from flowbench.detect.findings import Findings
from flowbench.detect.traffic import capture_window
from flowbench.errors import InputError
from flowbench.io.discover import find_files
from flowbench.schema import FLOWS

COLUMNS = [
    "detector", "kind", "pairs", "caught", "recall", "benign_pairs", "false_benign",
    "background_pairs", "false_background",
]  # fmt: skip
LABELS = ("malicious", "benign", "background", "unknown")

_NEEDED = ("src", "dst", "label", "kind")
Pair = tuple[str, str]  # two addresses in order of their text; ('', address) is any of an address's


@dataclass
class Labels:
    """Which pairs are what: for each label but unknown, the pairs of each kind.

    A pair that is malicious in one row and something else in another is malicious; what is benign
    and background is benign.
    """

    kinds: dict[str, dict[str, set[Pair]]] = field(
        default_factory=lambda: {label: {} for label in LABELS if label != "unknown"}
    )

    def pairs(self, label: str) -> set[Pair]:
        """All pairs of a label."""
        return set().union(*self.kinds[label].values())


@dataclass
class Evaluation:
    """What came of it: the measures, and what must be known to read them."""

    table: pd.DataFrame  # COLUMNS, see score
    window: float  # seconds of the capture windows that the records came in
    asked: int | None  # the window that was asked for
    not_run: dict[str, str]  # detectors that the logs did not suffice for, and why
    findings: Findings


def evaluate(
    logs: Sequence[str | Path],
    labels: str | Path,
    *,
    window: int | None = None,
    feeds: Sequence[str | Path] = (),
    least: str = "low",
) -> Evaluation:
    """Load logs into a case that is thrown away, run every detector, and hold them to the labels.

    ``logs`` are files or folders (the labels may lie among them), ``feeds`` files of indicators.
    ``window`` merges the records into capture windows of that many seconds first; windows that are
    longer already stay. ``least`` is the lowest severity that counts. Raises InputError for labels
    that cannot be read, and for logs without a flow record.
    """
    named = read_labels(labels)
    with TemporaryDirectory(prefix="flowbench-") as folder:
        case = load(Path(folder), [*logs, *feeds], leave_out=Path(labels), window=window)
        plan = detect.plan(case)
        found = detect.run(case, keep=False)
        measured = capture_window(case)
    ran = plan[plan["runs"]]["detector"].tolist()
    lost = plan[~plan["runs"]]
    return Evaluation(
        score(found.at_least(least), named, ran),
        measured,
        window,
        dict(zip(lost["detector"], lost["reason"], strict=True)),
        found,
    )


def read_labels(path: str | Path) -> Labels:
    """Labels from a CSV file with columns src, dst, label, kind; others are ignored.

    ``src`` and ``dst`` are addresses, ``dst`` may be empty: any. ``label`` is one of LABELS. A row
    without a kind has its label for kind. Raises InputError with file, line and remedy.
    """
    path = Path(path)
    labels = Labels()
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in _rows(path, lines):
                label = row["label"].strip().lower()
                if label not in LABELS:
                    raise InputError(
                        f"{path} line {number}: label {row['label']!r} is none of"
                        f" {', '.join(LABELS)}: write one of them"
                    )
                pair = _pair(path, number, row["src"].strip(), row["dst"].strip())
                if label != "unknown":
                    kinds = labels.kinds[label]
                    kinds.setdefault(row["kind"].strip() or label, set()).add(pair)
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: save the labels as CSV in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}: name a CSV file") from None
    known = labels.pairs("malicious")
    for label in ("benign", "background"):
        for pairs in labels.kinds[label].values():
            pairs.difference_update(known)
        known |= labels.pairs(label)
    if not known:
        raise InputError(f"{path} labels no pair malicious, benign or background: nothing to hold")
    return labels


def load(
    folder: Path, paths: Sequence[str | Path], *, leave_out: Path, window: int | None = None
) -> Case:
    """A case in ``folder`` that has read ``paths`` but for ``leave_out``.

    With ``window`` (seconds) its flow records are merged into windows of that length. Raises
    InputError when there is no flow record.
    """
    barred = leave_out.resolve()
    files = [
        path for path, _ in find_files(paths, case_folder=folder)[0] if path.resolve() != barred
    ]
    if not files:
        raise InputError(f"no files in {', '.join(map(str, paths))}: name the logs")
    case = Case.create(folder / "case")
    case.ingest(*files)
    if not case.has("flows"):
        raise InputError(
            f"no flow records in {', '.join(map(str, paths))}: name flow log files or their folders"
        )
    if window is None:
        return case
    aside = folder / "merged.parquet"
    rows = case.stream(merged(case.flows, window, case.fields))
    with pq.ParquetWriter(aside, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
    others = case.evidence.query("kind != 'flow-logs'")["path"]
    again = Case.create(folder / "merged")
    again.ingest(aside, *others)
    return again


def merged(flows: ibis.Table, window: int, fields: Iterable[str]) -> ibis.Table:
    """Flow records as capture windows of ``window`` seconds would have written them.

    What agrees in all but time, size and flags within one window becomes one record that spans the
    window: packets and bytes summed, flags joined by OR. ``fields`` are the columns to keep. Times
    are epoch seconds. A record longer than ``window`` keeps its end.
    """
    measures = ("packets", "bytes", "start", "end", "tcp_flags")
    kept = set(fields)
    same = [name for name in FLOWS.columns if name in kept and name not in measures]
    slot = (engine.epoch_seconds(flows.start) // window * window).cast("int64")
    f = flows.filter(flows.start.notnull()).mutate(slot=slot)
    sums: dict[str, ibis.Value] = {
        name: f[name].sum().cast("int64") for name in ("packets", "bytes") if name in kept
    }
    if "tcp_flags" in kept:
        sums["tcp_flags"] = f.tcp_flags.bit_or()
    last = engine.epoch_seconds(f["end"]).max().cast("int64")
    joined = f.group_by([*same, "slot"]).aggregate(last=last, **sums)
    whole = (joined.slot + window - 1).cast("int64")
    joined = joined.mutate(start=joined.slot, end=ibis.greatest(joined["last"], whole))
    joined = joined.drop("slot", "last")
    return joined.order_by("start", "end", *[n for n in joined.columns if n not in measures])


def score(findings: Findings, labels: Labels, detectors: Iterable[str]) -> pd.DataFrame:
    """A row (COLUMNS) for each detector and each kind that the labels name.

    In the row of a malicious kind: the pairs of that kind, how many are in some finding of that
    detector, and their share (null without pairs); then how many benign and background pairs there
    are in all, and how many of these the detector accuses. In the row of a kind that is never
    malicious: only the benign and background pairs of that very kind.
    """
    malicious = labels.kinds["malicious"]
    known = {pair for pairs in malicious.values() for pair in pairs}
    others = sorted(
        {kind for label in ("benign", "background") for kind in labels.kinds[label]}
        - set(malicious)
    )
    rows = []
    for detector in sorted(detectors):
        hits = _Hits(findings.of(detector), known)
        wrong = {
            label: {kind: hits.accused(pairs) for kind, pairs in labels.kinds[label].items()}
            for label in ("benign", "background")
        }
        for kind in [*sorted(malicious), *others]:
            pairs = malicious.get(kind, set())
            caught = hits.caught(pairs)
            row: dict[str, Any] = {
                "detector": detector,
                "kind": kind,
                "pairs": len(pairs),
                "caught": caught,
                "recall": round(caught / len(pairs), 4) if pairs else None,
            }
            for label in ("benign", "background"):
                named = labels.kinds[label]
                of = [one for one in named if pairs or one == kind]
                row[f"{label}_pairs"] = len(set().union(*(named[one] for one in of)))
                row[f"false_{label}"] = len(set().union(*(wrong[label][one] for one in of)))
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"recall": "float64"})


class _Hits:
    """The pairs that one detector's findings name."""

    def __init__(self, findings: Findings, malicious: set[Pair]) -> None:
        self.connection_summaries = {
            (min(pair), max(pair)) for finding in findings for pair in finding.ends()
        }
        self.ends = {end for pair in self.connection_summaries for end in pair}
        # Whom a malicious pair brought in (a scan's target) is not accused by that.
        stray = [
            pair
            for pair in self.connection_summaries
            if pair not in malicious and not any(("", end) in malicious for end in pair)
        ]
        self.stray_ends = {end for pair in stray for end in pair}

    def caught(self, pairs: set[Pair]) -> int:
        return sum(
            (b in self.ends) if not a else (a, b) in self.connection_summaries for a, b in pairs
        )

    def accused(self, pairs: set[Pair]) -> set[Pair]:
        return {
            (a, b)
            for a, b in pairs
            if ((b in self.stray_ends) if not a else (a, b) in self.connection_summaries)
        }


def _rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(lines, strict=True)
    try:
        header = [(name or "").strip() for name in reader.fieldnames or ()]
        if missing := [name for name in _NEEDED if name not in header]:
            raise InputError(
                f"{path} line 1: no column {', '.join(missing)}: the first line must name the"
                f" columns {', '.join(_NEEDED)}"
            )
        reader.fieldnames = header
        for row in reader:
            if short := [name for name in _NEEDED if row[name] is None]:
                raise InputError(
                    f"{path} line {reader.line_num}: nothing in column {', '.join(short)}: a row"
                    " has as many fields as the first line; leave one empty with its comma"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{path} line {reader.reader.line_num}: {error}: mend the CSV") from None


def _pair(path: Path, number: int, src: str, dst: str) -> Pair:
    ends = []
    for name, text in (("src", src), ("dst", dst)):
        address = "" if name == "dst" and not text else _canonical(text)
        if address is None:
            remedy = "write an IPv4 or IPv6 address" + (", or leave it empty" * (name == "dst"))
            raise InputError(f"{path} line {number}: {name} {text!r} is no address: {remedy}")
        ends.append(address)
    return min(ends), max(ends)


@lru_cache(maxsize=100_000)
def _canonical(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
