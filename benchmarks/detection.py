"""How good the detectors are on incidents they were not made on.

    python benchmarks/detection.py --seeds 20
    python benchmarks/detection.py --seeds 20 --unusual

For each seed and capture window it makes a random labelled incident (flowbench.scenario.incidents),
loads it into a case that is thrown away, runs the detectors, and holds their findings against what
was planted. It prints one table and writes nothing. With ``--details`` every miss and every false
finding follows. ``--settings development`` is for tuning; ``judged``, the default, for the truth.
``--unusual`` measures the detectors of what was not usual (flowbench.scenario.novelties), and
``--settings lookalike`` what they cannot see.

An incident is caught when its detector's findings name its source with at least half of its
targets. A finding is true when it names a pair that something was planted between, and false
otherwise: every pair that talks is labelled; one that tells of many sources counts once for each.
What has no targets (a spike, a silence) is caught by a finding of its detector about its source,
and makes that finding true.
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
from flowbench.detect.evaluate import read_labels
from flowbench.scenario import anomalies, incidents

USUAL = {
    "beacon": ["beacon"],
    "mining": ["mining"],
    "exfiltration": ["exfiltration"],
    "scan": ["scan-inside", "scan-inbound"],
    "brute-force": ["brute-force"],
}
UNUSUAL = {
    name: [name]
    for name in ("lateral-movement", "rare-peer", "geography", "spike", "long-connection",
                 "service-abuse", "blind-spot")
}  # fmt: skip
SILENCE = "Gaps in the logs"
BESIDE = {"answers.json", "labels.csv"}  # what is no evidence
BLURRED = 15  # minutes: shorter periods are not promised in windows of 600 s


def main() -> None:
    """Read the arguments, measure, print."""
    ask = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    ask.add_argument("--seeds", type=int, default=20, help="how many incidents; 20")
    ask.add_argument("--first", type=int, default=0, help="the first seed; 0")
    ask.add_argument("--settings", choices=sorted(anomalies.SETS), default="judged")
    ask.add_argument("--unusual", action="store_true", help="the detectors of the unusual")
    ask.add_argument("--windows", type=int, nargs="+", default=list(incidents.WINDOWS))
    ask.add_argument("--details", action="store_true", help="print misses and false findings")
    ask.add_argument("--keep", type=Path, help="keep the cases in this folder and use them again")
    given = ask.parse_args()
    if not given.unusual and given.settings not in incidents.SETS:
        ask.error(f"{given.settings} is for --unusual only")
    detectors = UNUSUAL if given.unusual else USUAL
    counts: Counter[tuple[Any, ...]] = Counter()
    details: list[str] = []
    begun = perf_counter()
    for seed in range(given.first, given.first + given.seeds):
        for window in given.windows:
            with TemporaryDirectory(prefix="flowbench-") as aside:
                name = f"{given.settings}-{seed}-{window}{'-unusual' * given.unusual}"
                folder = (given.keep or Path(aside)) / name
                make = anomalies.write if given.unusual else incidents.write
                if not (folder / "logs" / "answers.json").exists():
                    make(folder / "logs", seed, settings=given.settings, window=window)
                details += measure(folder, detectors, counts)
    if given.details:
        print("\n".join(details), end="\n\n")
    for line in table(counts, given.windows, detectors):
        print(line)
    spent = perf_counter() - begun
    print(f"\n{given.seeds} seeds ({given.settings}), {spent / given.seeds:.0f} s a seed")


def measure(
    folder: Path, detectors: dict[str, list[str]], counts: Counter[tuple[Any, ...]]
) -> Iterator[str]:
    """One incident: add to the counts, and tell what was missed and what was false."""
    logs = folder / "logs"
    if not (folder / "case" / "case.json").exists():
        evidence = sorted(path for path in logs.iterdir() if path.name not in BESIDE)
        Case.create(folder / "case").ingest(*evidence)
    answers = json.loads((logs / "answers.json").read_text(encoding="utf-8"))
    planted, seed, window = answers["planted"], answers["seed"], answers["window"]
    bad = read_labels(logs / "labels.csv").pairs("malicious")
    found = detect.run(Case.open(folder / "case"), only=[*detectors])
    # Of blind spots only silences are planted; what else the logs lack is true, and no question.
    found = [f for f in found if f.detector != "blind-spot" or f.title == SILENCE]
    for detector, kinds in detectors.items():
        mine = [finding for finding in found if finding.detector == detector]
        sources = {f["src"] for f in planted if f["kind"] in kinds and not f["dst"]}
        meant = {tuple(sorted((f["src"], peer))) for f in planted for peer in f["dst"]} | bad
        named = {pair for finding in mine for pair in finding.ends()}
        for fact in (fact for fact in planted if fact["kind"] in kinds):
            names = [fact["kind"]]
            if detector == "beacon" and fact["minutes"] >= BLURRED:
                names.append(f"beacon of {BLURRED} min or more")
            about = any(fact["src"] in f"{row.subject} {row.summary}" for row in mine)
            caught = _caught(named, fact) if fact["dst"] else about
            for name in names:
                counts["planted", detector, name, window] += 1
                counts["caught", detector, name, window] += caught
            if not caught:
                yield f"missed: seed {seed}, {window} s: {_short(fact)}"
        for row in mine:
            about = any(source in f"{row.subject} {row.summary}" for source in sources)
            told: dict[str, bool] = {}  # of what is told of many sources at once, each counts
            for one, peer in row.ends():
                source = row.subject if one == row.subject else peer
                true = about or (min(one, peer), max(one, peer)) in meant
                told[source] = told.get(source, False) or true
            told = told or {row.subject: about}
            counts["true", detector, window] += sum(told.values())
            counts["false", detector, window] += len(told) - sum(told.values())
            if not all(told.values()):
                yield f"false: seed {seed}, {window} s: {detector}, {row.severity}: {row.summary}"


def table(
    counts: Counter[tuple[Any, ...]], windows: list[int], detectors: dict[str, list[str]]
) -> Iterator[str]:
    """The figures as a Markdown table."""
    yield "| window | detector | planted | count | caught | recall | findings | precision |"
    yield "|---|---|---|---|---|---|---|---|"
    for window in windows:
        for detector, kinds in detectors.items():
            names = [*kinds, *([f"beacon of {BLURRED} min or more"] * (detector == "beacon"))]
            true, false = counts["true", detector, window], counts["false", detector, window]
            for name in names:
                planted = counts["planted", detector, name, window]
                caught = counts["caught", detector, name, window]
                yield (
                    f"| {window} s | {detector} | {name} | {planted} | {caught} |"
                    f" {caught / max(planted, 1):.3f} | {true + false} |"
                    f" {true / max(true + false, 1):.3f} |"
                )


def _caught(named: set[tuple[str, str]], fact: dict[str, Any]) -> bool:
    source = fact["src"]
    reached = sum((source, one) in named or (one, source) in named for one in fact["dst"])
    return reached * 2 >= len(fact["dst"])


def _short(fact: dict[str, Any]) -> str:
    shown = {name: value for name, value in fact.items() if name != "dst"}
    return f"{shown} to {', '.join(fact['dst'][:3])} ({len(fact['dst'])})"


if __name__ == "__main__":
    main()
