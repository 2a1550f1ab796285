"""How much of generated incidents the timeline of the case states, and whom it accuses.

For each kind and seed, a scenario with flow logs, CloudTrail, GuardDuty, DNS and inventory is
written and loaded, all detectors run, and the timeline of the whole case is compared with the
scenario's answer key: each fact, a tuple of activity, actor, object and time, with the rows (see
flowbench.training.matching). A benign host or principal is accused if a finding of severity high or
critical is about it, or if it is the actor of such a row.

    python benchmarks/timeline.py --seeds 5
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from flowbench import detect
from flowbench.case import Case
from flowbench.investigate import timeline
from flowbench.scenario import exercises
from flowbench.scenario.exercises.facts import AnswerKey
from flowbench.training.matching import Names, match_facts, tokens

KINDS = ("crypto-mining", "stolen-role", "lateral-movement", "insider")
FORMATS = ((5, 60), (2, 600))
_SEVERE = ("high", "critical")


class Outcome(NamedTuple):
    """What the timeline of a scenario states, and whom it accuses."""

    facts: int
    missing: list[str]
    accused: list[str]
    suspected: list[str]  # benign subjects of findings of severity medium
    seconds: float  # of CPU


def measure(
    kind: str, seed: int, difficulty: str, version: int, window: int, folder: Path
) -> Outcome:
    """Generate a scenario, build the timeline of its case and compare it with the key."""
    key = exercises.write(
        kind,
        folder / "evidence",
        folder / "key.json",
        seed,
        difficulty=difficulty,
        version=version,
        window=window,
    )
    began = time.process_time()
    case = Case.create(folder / "case")
    case.ingest(folder / "evidence")
    findings = detect.run(case, keep=False)
    rows = timeline.build(case, findings=findings)
    seconds = time.process_time() - began
    stated = match_facts(key, rows)
    missing = [
        f"{fact.kind} {fact.activity} by {fact.actor} on {fact.object} at"
        f" {pd.Timestamp(fact.time, unit='s'):%m-%d %H:%M:%S}"
        for fact, row in zip(key.facts, stated, strict=True)
        if row is None
    ]
    severe = rows[rows["severity"].str.lower().isin(_SEVERE)]
    actors = [*severe["actor"], *(f.subject for f in findings if f.severity in _SEVERE)]
    medium = [finding.subject for finding in findings if finding.severity == "medium"]
    return Outcome(
        len(key.facts), missing, name_benign(key, actors), name_benign(key, medium), seconds
    )


def name_benign(key: AnswerKey, actors: list[str]) -> list[str]:
    """Return which of a key's benign hosts and principals are among some actors."""
    names = Names(key.aliases)
    found = frozenset().union(*map(tokens, actors)) if actors else frozenset()
    return [f"{name} ({why})" for name, why in key.benign.items() if names.of(name) & found]


def main() -> None:
    """Measure and print a line per kind and format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=exercises.NAMES)
    parser.add_argument("--difficulty", default="normal")
    parser.add_argument("--version", type=int, help="of the flow logs; with --window")
    parser.add_argument("--window", type=int, default=60)
    parser.add_argument("--show", action="store_true", help="show what is missing or accused")
    arguments = parser.parse_args()
    formats = FORMATS
    if arguments.version is not None:
        formats = ((arguments.version, arguments.window),)
    print(f"{'kind':<22}{'format':<12}{'facts':>6}{'stated':>8}{'share':>8}{'accused':>9}", end="")
    print(f"{'medium':>8}{'CPU s':>7}")
    for version, window in formats:
        for kind in arguments.kinds:
            total: Counter[str] = Counter()
            for seed in range(arguments.first, arguments.first + arguments.seeds):
                folder = Path(tempfile.mkdtemp(prefix="flowbench-timeline-"))
                try:
                    x = measure(kind, seed, arguments.difficulty, version, window, folder)
                finally:
                    shutil.rmtree(folder)
                total["facts"] += x.facts
                total["missing"] += len(x.missing)
                total["accused"] += len(x.accused)
                total["medium"] += len(x.suspected)
                total["seconds"] += round(x.seconds)
                if arguments.show:
                    for what, items in x._asdict().items():
                        if isinstance(items, list):
                            print(*(f"  seed {seed} {what}: {item}" for item in items), sep="\n")
            stated = total["facts"] - total["missing"]
            share = f"{stated / total['facts']:.1%}" if total["facts"] else "-"
            print(f"{kind:<22}v{version}/{window} s".ljust(34), end="")
            print(f"{total['facts']:>6}{stated:>8}{share:>8}{total['accused']:>9}", end="")
            print(f"{total['medium']:>8}{total['seconds']:>7}", flush=True)


if __name__ == "__main__":
    main()
