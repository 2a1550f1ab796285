"""Detection quality on generated incidents that the detectors were not tuned on.

    python benchmarks/detection.py --seeds 20
    python benchmarks/detection.py --seeds 20 --unusual

For each seed and capture window it generates a labelled incident (flowbench.scenario.incidents),
ingests it into a temporary case, runs the detectors, and compares their findings with the labels.
It prints one table and writes nothing. ``--details`` adds every miss and every false finding.
``--settings development`` is for tuning; ``judged``, the default, for evaluation. ``--anomalies``
measures the detectors that use a baseline (flowbench.scenario.anomalies), and ``--settings
lookalike`` their limits.

An incident is detected when its detector's findings name its source with at least half of its
targets. A finding is true when it names a pair with malicious activity, and false otherwise; one
about several sources counts once for each. Activity without targets (a spike, a gap) is detected by
a finding of its detector about its source, which is then true.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.labels import read_labels
from flowbench.scenario import anomalies, anomaly_settings, incident_settings, incidents

INCIDENTS = {
    "beacon": ["beacon"],
    "mining": ["mining"],
    "exfiltration": ["exfiltration"],
    "scan": ["scan-internal", "scan-inbound"],
    "brute-force": ["brute-force"],
}
ANOMALIES = {
    name: [name]
    for name in ("lateral-movement", "rare-peer", "geography", "spike", "long-connection",
                 "service-abuse", "blind-spot")
}  # fmt: skip
GAP = "Logging gap"
ANSWERS = {"answers.json", "labels.csv"}  # not evidence
MIN_INTERVAL = 15  # minutes: shorter intervals are not detectable in windows of 600 s


def main() -> None:
    """Read the arguments, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many incidents; 20")
    parser.add_argument("--first", type=int, default=0, help="the first seed; 0")
    parser.add_argument("--settings", choices=sorted(anomaly_settings.SETTINGS), default="judged")
    parser.add_argument("--anomalies", action="store_true", help="the detectors with a baseline")
    parser.add_argument("--windows", type=int, nargs="+", default=list(incidents.WINDOWS))
    parser.add_argument("--details", action="store_true", help="print misses and false findings")
    parser.add_argument(
        "--keep", type=Path, help="keep the cases in this folder and use them again"
    )
    arguments = parser.parse_args()
    if not arguments.anomalies and arguments.settings not in incident_settings.SETTINGS:
        parser.error(f"{arguments.settings} is for --anomalies only")
    detectors = ANOMALIES if arguments.anomalies else INCIDENTS
    counts: Counter[tuple[Any, ...]] = Counter()
    details: list[str] = []
    begun = perf_counter()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for window in arguments.windows:
            with TemporaryDirectory(prefix="flowbench-") as scratch:
                name = f"{arguments.settings}-{seed}-{window}{'-anomalies' * arguments.anomalies}"
                folder = (arguments.keep or Path(scratch)) / name
                make = anomalies.write if arguments.anomalies else incidents.write
                if not (folder / "logs" / "answers.json").exists():
                    make(folder / "logs", seed, settings=arguments.settings, window=window)
                details += measure(folder, detectors, counts)
    if arguments.details:
        print("\n".join(details), end="\n\n")
    for line in table(counts, arguments.windows, detectors):
        print(line)
    spent = perf_counter() - begun
    print(
        f"\n{arguments.seeds} seeds ({arguments.settings}), {spent / arguments.seeds:.0f} s a seed"
    )


def measure(
    folder: Path, detectors: dict[str, list[str]], counts: Counter[tuple[Any, ...]]
) -> Iterator[str]:
    """Measure one incident: add to the counts, and yield misses and false findings."""
    logs = folder / "logs"
    if not (folder / "case" / "case.json").exists():
        evidence = sorted(path for path in logs.iterdir() if path.name not in ANSWERS)
        Case.create(folder / "case").ingest(*evidence)
    answers = json.loads((logs / "answers.json").read_text(encoding="utf-8"))
    planted, seed, window = answers["planted"], answers["seed"], answers["window"]
    malicious = read_labels(logs / "labels.csv").pairs("malicious")
    found = detect.run(Case.open(folder / "case"), only=[*detectors])
    # Gaps are the only planted blind spots; the others are true and not counted.
    found = [f for f in found if f.detector != "blind-spot" or f.title == GAP]
    for detector, kinds in detectors.items():
        own = [finding for finding in found if finding.detector == detector]
        sources = {f["src"] for f in planted if f["kind"] in kinds and not f["dst"]}
        true_pairs = {
            tuple(sorted((f["src"], peer))) for f in planted for peer in f["dst"]
        } | malicious
        named = {pair for finding in own for pair in finding.ends()}
        for fact in (fact for fact in planted if fact["kind"] in kinds):
            names = [fact["kind"]]
            if detector == "beacon" and fact["minutes"] >= MIN_INTERVAL:
                names.append(f"beacon of {MIN_INTERVAL} min or more")
            about = any(fact["src"] in f"{row.subject} {row.summary}" for row in own)
            detected = _is_detected(named, fact) if fact["dst"] else about
            for name in names:
                counts["planted", detector, name, window] += 1
                counts["detected", detector, name, window] += detected
            if not detected:
                yield f"missed: seed {seed}, {window} s: {_describe(fact)}"
        for row in own:
            about = any(source in f"{row.subject} {row.summary}" for source in sources)
            is_true: dict[str, bool] = {}  # each source of a finding counts
            for end, peer in row.ends():
                source = row.subject if end == row.subject else peer
                true = about or (min(end, peer), max(end, peer)) in true_pairs
                is_true[source] = is_true.get(source, False) or true
            is_true = is_true or {row.subject: about}
            counts["true", detector, window] += sum(is_true.values())
            counts["false", detector, window] += len(is_true) - sum(is_true.values())
            if not all(is_true.values()):
                yield f"false: seed {seed}, {window} s: {detector}, {row.severity}: {row.summary}"


def table(
    counts: Counter[tuple[Any, ...]], windows: list[int], detectors: dict[str, list[str]]
) -> Iterator[str]:
    """Yield the figures as a Markdown table."""
    yield "| window | detector | activity | count | detected | recall | findings | precision |"
    yield "|---|---|---|---|---|---|---|---|"
    for window in windows:
        for detector, kinds in detectors.items():
            names = [*kinds, *([f"beacon of {MIN_INTERVAL} min or more"] * (detector == "beacon"))]
            true, false = counts["true", detector, window], counts["false", detector, window]
            for name in names:
                planted = counts["planted", detector, name, window]
                detected = counts["detected", detector, name, window]
                yield (
                    f"| {window} s | {detector} | {name} | {planted} | {detected} |"
                    f" {detected / max(planted, 1):.3f} | {true + false} |"
                    f" {true / max(true + false, 1):.3f} |"
                )


def _is_detected(named: set[tuple[str, str]], fact: dict[str, Any]) -> bool:
    source = fact["src"]
    reached = sum((source, dst) in named or (dst, source) in named for dst in fact["dst"])
    return reached * 2 >= len(fact["dst"])


def _describe(fact: dict[str, Any]) -> str:
    shown = {name: value for name, value in fact.items() if name != "dst"}
    return f"{shown} to {', '.join(fact['dst'][:3])} ({len(fact['dst'])})"


if __name__ == "__main__":
    main()
