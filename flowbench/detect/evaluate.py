"""Measure the detectors: compare their findings with labelled pairs of addresses.

Findings of any severity count unless ``least`` asks for more severe ones. Pairs without a label,
labelled unknown, or without a record do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import pandas as pd
import pyarrow.parquet as pq

from flowbench import engine
from flowbench.case import Case
from flowbench.detect.findings import Findings
from flowbench.detect.labels import ANY, Labels, Pair, is_own_kind, read_labels
from flowbench.detect.plan import plan
from flowbench.detect.run import run
from flowbench.detect.traffic import aggregation_interval
from flowbench.errors import InputError
from flowbench.io.discover import find_files
from flowbench.schema import FLOWS

COLUMNS = ["detector", "kind", "pairs", "caught", "recall"]
COLUMNS += ["benign_pairs", "false_benign", "background_pairs", "false_background"]
ERROR_COLUMNS = ["detector", "error", "kind", "src", "dst"]
MISSED, FALSE_ALARM = "missed", "false alarm"


@dataclass
class Evaluation:
    """The measures of an evaluation, and what must be known to read them.

    Attributes:
        table: The measures (COLUMNS); see ``measure``.
        errors: Each missed pair and each false alarm (ERROR_COLUMNS); see ``list_errors``.
        window: Aggregation interval of the records, in seconds.
        not_run: Detectors that did not run, with the reason.
        findings: What the detectors found.
        absent: Labelled pairs without a record, which are not counted.
    """

    table: pd.DataFrame
    errors: pd.DataFrame
    window: float
    not_run: dict[str, str]
    findings: Findings
    absent: int


def evaluate(
    logs: Sequence[str | Path],
    labels: str | Path,
    *,
    window: int | None = None,
    feeds: Sequence[str | Path] = (),
    least: str = "low",
) -> Evaluation:
    """Load logs into a temporary case, run every detector, and compare the findings with labels.

    Args:
        logs: Files or folders; the labels may be among them.
        labels: A CSV file; see ``labels.read_labels``.
        window: Seconds of the capture windows into which records are merged first; longer ones
            stay as they are.
        feeds: Indicator lists.
        least: The lowest severity that counts.

    Raises:
        InputError: The labels cannot be read, or the logs hold no flow record.
    """
    labelled = read_labels(labels)
    with TemporaryDirectory(prefix="flowbench-") as folder:
        case = load_case(Path(folder), [*logs, *feeds], leave_out=Path(labels), window=window)
        detectors = plan(case)
        findings = run(case, keep=False)
        measured_window = aggregation_interval(case)
        present = labelled.keep(recorded_pairs(case))
    runs = detectors["runs"]
    counted, names = findings.at_least(least), list(detectors.loc[runs, "detector"])
    return Evaluation(
        measure(counted, present, names),
        list_errors(counted, present, names),
        measured_window,
        dict(detectors.loc[~runs, ["detector", "reason"]].itertuples(index=False)),
        findings,
        labelled.count() - present.count(),
    )


def recorded_pairs(case: Case) -> set[Pair]:
    """Return the pairs of addresses that the flow records name, and ('', a) for each address a."""
    f = case.flows
    ends = [f.select(a=f.srcaddr, b=f.dstaddr)]
    if {"pkt_srcaddr", "pkt_dstaddr"} <= case.fields:
        ends += [f.select(a=f.pkt_srcaddr, b=f.pkt_dstaddr)]
    pairs = ibis.union(*ends, distinct=True) if len(ends) > 1 else ends[0].distinct()
    rows = pairs.filter(pairs.a.notnull(), pairs.b.notnull()).to_pyarrow()
    columns = rows["a"].to_pylist(), rows["b"].to_pylist()
    found = {(min(a, b), max(a, b)) for a, b in zip(*columns, strict=True)}
    return found | {("", address) for pair in found for address in pair}


def load_case(
    folder: Path, paths: Sequence[str | Path], *, leave_out: Path, window: int | None = None
) -> Case:
    """Return a case in ``folder`` that has read ``paths``, without the file ``leave_out``.

    With ``window`` (seconds) its flow records are merged into capture windows of that length.
    Raises InputError when there is no flow record.
    """
    omitted = leave_out.resolve()
    found, _unread = find_files(paths, case_folder=folder)
    files = [path for path, _name in found if path.resolve() != omitted]
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
    merged_file = folder / "merged.parquet"
    rows = case.stream(merge_windows(case.flows, window, case.fields))
    with pq.ParquetWriter(merged_file, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
    others = case.evidence.query("kind != 'flow-logs'")["path"]
    merged = Case.create(folder / "merged")
    merged.ingest(merged_file, *others)
    return merged


def merge_windows(flows: ibis.Table, window: int, fields: Iterable[str]) -> ibis.Table:
    """Return flow records as capture windows of ``window`` seconds would have recorded them.

    Records that differ only in time, size and flags within one window become one record that spans
    the window, with packets and bytes summed and flags combined by OR. A record longer than
    ``window`` keeps its end. Times are epoch seconds.

    Args:
        flows: Flow records.
        window: Seconds.
        fields: Columns to keep.
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


def measure(findings: Findings, labels: Labels, detectors: Iterable[str]) -> pd.DataFrame:
    """Return a row (COLUMNS) for each detector and each kind of label, and rows for ANY of them.

    The row of a malicious kind has the number of its pairs, how many of them a finding of the
    detector names, and their share (null without pairs); then the number of all benign and
    background pairs, and how many of them are false alarms. The row of a kind that is never
    malicious counts the benign and background pairs of that kind only.
    """
    malicious = labels.kinds["malicious"]
    known = labels.pairs("malicious")
    others = sorted(
        {kind for label in ("benign", "background") for kind in labels.kinds[label]}
        - set(malicious)
    )
    rows = []
    for detector, reported in _reported(findings, known, detectors):
        false = {
            label: {
                kind: reported.false_alarms(pairs) for kind, pairs in labels.kinds[label].items()
            }
            for label in ("benign", "background")
        }
        for kind in [*sorted(malicious), *others]:
            pairs = malicious.get(kind, set())
            caught = len(pairs - reported.missed(pairs))
            row: dict[str, Any] = {
                "detector": detector,
                "kind": kind,
                "pairs": len(pairs),
                "caught": caught,
                "recall": round(caught / len(pairs), 4) if pairs else None,
            }
            for label in ("benign", "background"):
                by_kind = labels.kinds[label]
                counted = [name for name in by_kind if pairs or name == kind]
                row[f"{label}_pairs"] = len(set().union(*(by_kind[name] for name in counted)))
                row[f"false_{label}"] = len(set().union(*(false[label][name] for name in counted)))
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"recall": "float64"})


def list_errors(findings: Findings, labels: Labels, detectors: Iterable[str]) -> pd.DataFrame:
    """Return a row (ERROR_COLUMNS) for each error of each detector.

    Errors are the pairs of its own kinds that it missed, and its false alarms. A label of every
    pair of an address has no ``dst``.
    """
    rows = []
    for detector, reported in _reported(findings, labels.pairs("malicious"), detectors):
        for label, by_kind in labels.kinds.items():
            for kind, pairs in by_kind.items():
                missed = label == "malicious"
                if missed and not is_own_kind(detector, kind):
                    continue
                wrong = reported.missed(pairs) if missed else reported.false_alarms(pairs)
                error = MISSED if missed else FALSE_ALARM
                rows += [(detector, error, kind, *((a, b) if a else (b, ""))) for a, b in wrong]
    return pd.DataFrame(sorted(rows), columns=ERROR_COLUMNS)


def _reported(
    findings: Findings, malicious: set[Pair], detectors: Iterable[str]
) -> Iterator[tuple[str, _ReportedPairs]]:
    """Yield the pairs that each detector reports, and those of ANY of them."""
    names = sorted(detectors)
    for name in names:
        yield name, _ReportedPairs(findings.of(name), malicious)
    if names:
        yield ANY, _ReportedPairs(findings.of(*names), malicious)


class _ReportedPairs:
    """The pairs of addresses that findings name.

    An address that a case has twice carries a zone (10.0.0.10%vpc-1, as in RFC 4007); it counts
    for the address without the zone too, since labels seldom have one.
    """

    def __init__(self, findings: Findings, malicious: set[Pair]) -> None:
        ends = {pair for finding in findings for pair in finding.ends()}
        ends |= {(_without_zone(a), _without_zone(b)) for a, b in ends}
        self.pairs = {(min(pair), max(pair)) for pair in ends}
        self.addresses = {address for pair in self.pairs for address in pair}
        # An address that only malicious pairs name (the target of a scan) is no false alarm.
        other = [
            pair
            for pair in self.pairs
            if pair not in malicious and not any(("", address) in malicious for address in pair)
        ]
        self.other_addresses = {address for pair in other for address in pair}

    def missed(self, pairs: set[Pair]) -> set[Pair]:
        """Return those of some malicious pairs that are not reported."""
        return {
            (a, b) for a, b in pairs if not ((a, b) in self.pairs if a else b in self.addresses)
        }

    def false_alarms(self, pairs: set[Pair]) -> set[Pair]:
        """Return those of some pairs that are not malicious which are reported."""
        return {
            (a, b) for a, b in pairs if ((a, b) in self.pairs if a else b in self.other_addresses)
        }


def _without_zone(address: str) -> str:
    return address.partition("%")[0]
