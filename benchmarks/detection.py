"""Detection quality on generated scenarios that the detectors were not tuned on, and on captures.

    python benchmarks/detection.py --seeds 20
    python benchmarks/detection.py --seeds 20 --scenario intrusions
    python benchmarks/detection.py --public FOLDER

For each seed and capture window it generates a labelled scenario (flowbench.scenario), ingests it
into a temporary case, runs the detectors, and compares their findings with the labels. It prints
tables and writes nothing. ``--details`` adds every miss and every false finding. ``--settings
development`` is for tuning; ``judged``, the default, for evaluation.

``--scenario incidents`` has beacons, miners, scans and the like; ``anomalies`` the changes that
detectors with a baseline look for, and with ``--settings lookalike`` their limits; ``intrusions`` a
campaign, beacons of every interval and size, and an operator's session amid ordinary periodic
traffic, in networks with private, public and overlapping ranges. ``--public`` prints the tables of
labelled captures below a folder instead: see labelled.py.

Activity is detected when its detector's findings name its source with at least half of its targets.
A finding is true when it names a pair with malicious activity, and false otherwise; one about
several sources counts once for each. Sources labelled background count neither way in a finding
about Internet background scanning. Activity without targets (a spike, a gap) is detected by a
finding of its detector about its source, which is then true.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import detection_tables
import labelled
from detection_tables import Counts

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.finding import SEVERITIES, Finding
from flowbench.detect.findings import Findings
from flowbench.detect.grouping import group_findings
from flowbench.detect.labels import Labels, read_labels
from flowbench.scenario import anomaly_settings, incident_settings, incidents, intrusion_settings

INCIDENTS = {
    "beacon": ["beacon"],
    "mining": ["mining"],
    "exfiltration": ["exfiltration"],
    "scan": ["scan-internal", "scan-inbound"],
    "brute-force": ["brute-force"],
}
BEACONS = ["fast", "slow", "varied", "one-port", "internal", "twin"]
WITHOUT_ACTIVITY = (
    "brute-force exfiltration lateral-movement rare-peer spike long-connection service-abuse"
).split()
INTRUSIONS: dict[str, list[str]] = {
    "beacon": ["campaign", *(f"beacon-{name}" for name in BEACONS)],
    "mining": ["mining"],
    "remote-access": ["remote-access"],
    "scan": ["scan-icmp", "scan-udp"],
    "dns": ["dns-tunnel", "dga"],
    "api-abuse": ["api-abuse"],
    # Without activity of their own: what they report is other malicious activity, or false.
    **{name: [] for name in WITHOUT_ACTIVITY},
}
ANOMALIES = {
    name: [name]
    for name in ("lateral-movement", "rare-peer", "geography", "spike", "long-connection",
                 "service-abuse", "blind-spot")
}  # fmt: skip
SCENARIOS: dict[str, tuple[dict[str, list[str]], dict[str, Any]]] = {
    "incidents": (INCIDENTS, incident_settings.SETTINGS),
    "anomalies": (ANOMALIES, anomaly_settings.SETTINGS),
    "intrusions": (INTRUSIONS, intrusion_settings.SETTINGS),
}
GAP, ONE_GROUP = "Logging gap", "campaign in one finding group"
BACKGROUND = "Internet background scanning"
ANSWERS = {"answers.json", "labels.csv"}  # not evidence
MIN_INTERVAL = 15  # minutes: shorter intervals are not detectable in windows of 600 s


def main() -> None:
    """Read the arguments, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many scenarios; 20")
    parser.add_argument("--first", type=int, default=0, help="the first seed; 0")
    parser.add_argument("--scenario", choices=SCENARIOS, default="incidents")
    parser.add_argument("--settings", default="judged")
    parser.add_argument("--windows", type=int, nargs="+", default=list(incidents.WINDOWS))
    parser.add_argument("--details", action="store_true", help="print misses and false findings")
    parser.add_argument(
        "--keep", type=Path, help="keep the cases in this folder and use them again"
    )
    parser.add_argument("--public", type=Path, help="folder of labelled captures to measure")
    arguments = parser.parse_args()
    if arguments.public:
        labelled.print_tables(arguments.public, details=arguments.details)
        return
    detectors, settings = SCENARIOS[arguments.scenario]
    if arguments.settings not in settings:
        parser.error(f"{arguments.scenario} has the settings {', '.join(settings)}")
    begun = perf_counter()
    counts, details = measure_seeds(arguments, detectors)
    if arguments.details:
        print("\n".join(details), end="\n\n")
    extra = [f"beacon of {MIN_INTERVAL} min or more", ONE_GROUP]
    for line in detection_tables.table(counts, arguments.windows, detectors, extra):
        print(line)
    for line in detection_tables.ordinary_table(counts, detectors):
        print(line)
    spent = perf_counter() - begun
    print(
        f"\n{arguments.seeds} seeds ({arguments.scenario}, {arguments.settings}),"
        f" {spent / arguments.seeds:.0f} s a seed"
    )


def measure_seeds(
    arguments: argparse.Namespace, detectors: dict[str, list[str]]
) -> tuple[Counts, list[str]]:
    """Generate and measure the scenarios; return the counts, and misses and false findings."""
    counts: Counts = Counter()
    details: list[str] = []
    generator = importlib.import_module(f"flowbench.scenario.{arguments.scenario}")
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for window in arguments.windows:
            with TemporaryDirectory(prefix="flowbench-") as scratch:
                name = f"{arguments.scenario}-{arguments.settings}-{seed}-{window}"
                folder = (arguments.keep or Path(scratch)) / name
                if not (folder / "logs" / "answers.json").exists():
                    generator.write(
                        folder / "logs", seed, settings=arguments.settings, window=window
                    )
                details += measure(folder, detectors, counts)
    return counts, details


def measure(folder: Path, detectors: dict[str, list[str]], counts: Counts) -> Iterator[str]:
    """Measure one scenario: add to the counts, and yield misses and false findings."""
    logs = folder / "logs"
    if not (folder / "case" / "case.json").exists():
        evidence = sorted(path for path in logs.iterdir() if path.name not in ANSWERS)
        Case.create(folder / "case").ingest(*evidence)
    answers = json.loads((logs / "answers.json").read_text(encoding="utf-8"))
    planted, window = answers["planted"], answers["window"]
    where = f"seed {answers['seed']}, {window} s"
    labels = read_labels(logs / "labels.csv")
    known = [name for name in detectors if name in detect.registered()]
    found = detect.run(Case.open(folder / "case"), only=known)
    count_groups(found, planted, counts, window)
    for detector, kinds in detectors.items():
        # Gaps are the only planted blind spots; the others are true and not counted.
        own = [f for f in found.of(detector) if detector != "blind-spot" or f.title == GAP]
        facts = [fact for fact in planted if fact["kind"] in kinds]
        for fact in count_detected(detector, own, facts, counts, window):
            yield f"missed: {where}: {_describe(fact)}"
        sources = {fact["src"] for fact in facts if not fact["dst"]}
        true_pairs = {_pair(f["src"], peer) for f in planted for peer in f["dst"]}
        true_pairs |= labels.pairs("malicious")
        noise = {address for pair in labels.pairs("background") for address in pair}
        for row in count_false(detector, own, true_pairs, sources, noise, counts, window):
            yield f"false: {where}: {detector}, {row.severity}: {row.summary}"
        count_ordinary(detector, own, labels, true_pairs, counts)


def count_detected(
    detector: str,
    own: list[Finding],
    facts: list[dict[str, Any]],
    counts: Counts,
    window: int,
) -> Iterator[dict[str, Any]]:
    """Count the planted activity and what of it a detector's findings name; yield the rest."""
    named = {pair for finding in own for pair in finding.ends()}
    for fact in facts:
        names = [fact["kind"]]
        if detector == "beacon" and fact.get("minutes", 0) >= MIN_INTERVAL:
            names.append(f"beacon of {MIN_INTERVAL} min or more")
        about = any(fact["src"] in f"{row.subject} {row.summary}" for row in own)
        detected = _is_detected(named, fact) if fact["dst"] else about
        for name in names:
            counts["planted", detector, name, window] += 1
            counts["detected", detector, name, window] += detected
        if not detected:
            yield fact


def count_false(
    detector: str,
    own: list[Finding],
    true_pairs: set[tuple[str, str]],
    sources: set[str],
    noise: set[str],
    counts: Counts,
    window: int,
) -> Iterator[Finding]:
    """Count true and false findings, each source of a finding apart; yield those with a false one.

    Args:
        detector: Its id.
        own: Its findings.
        true_pairs: Pairs of addresses with malicious activity.
        sources: Sources of activity without targets.
        noise: Addresses labelled background.
        counts: Counts of what is true, false, and false at medium or above.
        window: Seconds.
    """
    for row in own:
        about = any(source in f"{row.subject} {row.summary}" for source in sources)
        is_true: dict[str, bool] = {}
        for end, peer in row.ends():
            source = row.subject if end == row.subject else peer
            is_true[source] = is_true.get(source, False) or about or _pair(end, peer) in true_pairs
        if row.title == BACKGROUND:
            is_true = {
                source: true for source, true in is_true.items() if true or source not in noise
            }
        else:
            is_true = is_true or {row.subject: about}
        false = len(is_true) - sum(is_true.values())
        counts["true", detector, window] += sum(is_true.values())
        counts["false", detector, window] += false
        if SEVERITIES.index(row.severity) >= SEVERITIES.index("medium"):
            counts["false and medium", detector, window] += false
        if false:
            yield row


def count_ordinary(
    detector: str,
    own: list[Finding],
    labels: Labels,
    true_pairs: set[tuple[str, str]],
    counts: Counts,
) -> None:
    """Count the ordinary pairs of each kind, and those that a detector's findings name."""
    named = {_pair(*ends) for finding in own for ends in finding.ends()} - true_pairs
    for label in ("benign", "background"):
        for kind, pairs in labels.kinds[label].items():
            counts["ordinary", kind, detector] += len(pairs)
            counts["named", kind, detector] += len(pairs & named)


def count_groups(
    found: Findings, planted: list[dict[str, Any]], counts: Counts, window: int
) -> None:
    """Count campaigns, and those of which one finding group names at least half of the hosts."""
    campaign = [fact for fact in planted if fact["kind"] == "campaign"]
    if not campaign:
        return
    bots = {fact["src"] for fact in campaign}
    groups = group_findings(found)
    hosts = [{host.partition("%")[0] for host in names} for names in groups["hosts"]]
    grouped = any(len(bots & names) * 2 >= len(bots) for names in hosts)
    counts["planted", "beacon", ONE_GROUP, window] += 1
    counts["detected", "beacon", ONE_GROUP, window] += grouped


def _is_detected(named: set[tuple[str, str]], fact: dict[str, Any]) -> bool:
    source = fact["src"]
    plain = {_pair(*ends) for ends in named}
    reached = sum(_pair(source, dst) in plain for dst in fact["dst"])
    if fact["kind"].endswith("-twin"):  # two hosts with one address: each needs its own finding
        apart = {ends for ends in named if _pair(*ends) == _pair(source, fact["dst"][0])}
        return len(apart) >= 2
    return reached * 2 >= len(fact["dst"])


def _pair(a: str, b: str) -> tuple[str, str]:
    """Return two addresses in order, without the zones of addresses that a case has twice."""
    a, b = a.partition("%")[0], b.partition("%")[0]
    return min(a, b), max(a, b)


def _describe(fact: dict[str, Any]) -> str:
    shown = {name: value for name, value in fact.items() if name != "dst"}
    return f"{shown} to {', '.join(fact['dst'][:3])} ({len(fact['dst'])})"


if __name__ == "__main__":
    main()
