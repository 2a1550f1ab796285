"""How recall and false alarms of a detector move when each of its thresholds is varied.

    python benchmarks/sensitivity.py beacon --labelled FOLDER --seeds 2
    python benchmarks/sensitivity.py beacon scan --labelled FOLDER --by 0.2 --keep CASES

Every numeric parameter of the detector's ``find`` is raised and lowered by a fifth, one at a time;
``--by`` takes other shares. A share or a score stays at most 1, and a count moves by at least one.
The evidence is every folder below FOLDER with labels.csv, and generated scenarios (``--seeds``, of
``--scenario`` incidents, anomalies or intrusions), each in both capture windows.

A column is one set of evidence: pairs detected of the detector's own kinds, and, after the sign +,
benign and background pairs that it reported. ``--keep`` keeps the cases for the next run.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import labelled

from flowbench.case import Case
from flowbench.detect import registered
from flowbench.detect.evaluate import measure
from flowbench.detect.findings import Findings
from flowbench.detect.labels import ANY, Labels, is_own_kind, read_labels
from flowbench.detect.plan import missing_input
from flowbench.detect.suppress import suppress

WINDOWS = (60, 600)


@dataclass(frozen=True)
class Evidence:
    """A case with labels."""

    name: str
    case: Case
    labels: Labels


def main() -> None:
    """Read the arguments, then print a table for each detector."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("detectors", nargs="+", choices=sorted(registered()), metavar="DETECTOR")
    parser.add_argument("--labelled", type=Path, nargs="*", default=[], help="labelled logs")
    parser.add_argument("--scenario", nargs="*", default=["incidents"], help="of generated logs")
    parser.add_argument("--seeds", type=int, default=0, help="how many of each scenario; none")
    parser.add_argument("--first", type=int, default=200, help="the first seed; 200")
    parser.add_argument("--settings", default="development", help="of generated logs")
    parser.add_argument("--windows", type=int, nargs="+", default=list(WINDOWS))
    parser.add_argument("--by", type=float, nargs="+", default=[0.2], help="shares; 0.2")
    parser.add_argument("--only", nargs="*", help="parameters to vary; all by default")
    parser.add_argument("--changed", action="store_true", help="only rows that change a figure")
    parser.add_argument("--keep", type=Path, help="keep the cases in this folder")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="flowbench-") as scratch:
        cases = arguments.keep or Path(scratch)
        evidence = [
            load(folder, cases) for root in arguments.labelled for folder in labelled.folders(root)
        ]
        for scenario in arguments.scenario:
            for seed in range(arguments.first, arguments.first + arguments.seeds):
                for window in arguments.windows:
                    folder = cases / f"{scenario}-{arguments.settings}-{seed}-{window}"
                    generate(folder / "logs", scenario, seed, arguments.settings, window)
                    evidence.append(
                        load(folder / "logs", folder, name=f"{scenario} {seed} {window} s")
                    )
        for detector in arguments.detectors:
            lines = table(detector, evidence, arguments.by, arguments.only)
            for line in changed_rows(lines) if arguments.changed else lines:
                print(line, flush=True)
            print()


def generate(folder: Path, scenario: str, seed: int, settings: str, window: int) -> None:
    """Write a scenario's evidence, unless the folder has it."""
    if not (folder / "answers.json").exists():
        module = importlib.import_module(f"flowbench.scenario.{scenario.replace('-', '_')}")
        module.write(folder, seed, settings=settings, window=window)


def load(folder: Path, cases: Path, *, name: str | None = None) -> Evidence:
    """Return the case of a folder of evidence; it is ingested unless ``cases`` has it."""
    name = name or f"{folder.parent.name}/{folder.name}"
    path = cases / f"case-{name.replace('/', '-').replace(' ', '-')}"
    if not (path / "case.json").exists():
        Case.create(path).ingest(*labelled.evidence(folder))
    return Evidence(name, Case.open(path), read_labels(folder / "labels.csv"))


def parameters(detector: str) -> dict[str, float]:
    """Return the numeric parameters of a detector's ``find``, with their defaults."""
    signature = inspect.signature(registered()[detector].find)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
        and isinstance(parameter.default, int | float)
        and not isinstance(parameter.default, bool)
    }


def vary(value: float, share: float) -> float:
    """Return a parameter's value moved by a share of itself.

    A count moves by at least one and stays at least 1; a share or score (a float up to 1) stays
    within 0 and 1.
    """
    moved = value * (1 + share)
    if isinstance(value, int):
        moved = round(moved)
        return max(1, moved if moved != value else value + (1 if share > 0 else -1))
    return min(1.0, moved) if value <= 1 else moved


def table(
    detector: str, evidence: list[Evidence], shares: list[float], only: list[str] | None
) -> Iterator[str]:
    """Yield the lines of a detector's Markdown table: a row for each varied parameter."""
    usable = [e for e in evidence if not missing_input(e.case, registered()[detector].DETECTOR)]
    yield f"| {detector} | value | {' | '.join(e.name for e in usable)} |"
    yield "|---|---|" + "---|" * len(usable)
    yield f"| defaults | | {' | '.join(figures(detector, e, {}) for e in usable)} |"
    for name, value in parameters(detector).items():
        if only and name not in only:
            continue
        for share in (sign * by for by in shares for sign in (-1, 1)):
            moved = vary(value, share)
            if moved != value:
                row = [figures(detector, e, {name: moved}) for e in usable]
                yield f"| {name} | {value:g} → {moved:g} | {' | '.join(row)} |"


def changed_rows(lines: Iterator[str]) -> Iterator[str]:
    """Yield the head of a table and the rows that differ from the defaults; name the others."""
    head, rule, defaults = next(lines), next(lines), next(lines)
    yield from (head, rule, defaults)
    unchanged = []
    for line in lines:
        if line.split("|")[3:] == defaults.split("|")[3:]:
            unchanged.append(f"{line.split('|')[1].strip()} ({line.split('|')[2].strip()})")
        else:
            yield line
    yield f"\nUnchanged by: {', '.join(unchanged) or 'none'}."


def figures(detector: str, evidence: Evidence, changed: dict[str, Any]) -> str:
    """Return pairs detected by kind, and false alarms: ``6/7 c2-beacon, 1/3 c2, +4 false``."""
    found = registered()[detector].find(evidence.case, **changed)
    findings = Findings.separate(suppress(evidence.case, found))
    measured = measure(findings, evidence.labels, [detector])
    malicious = measured[(measured["pairs"] > 0) & (measured["detector"] != ANY)]
    own = malicious[[is_own_kind(detector, kind) for kind in malicious["kind"]]]
    parts = [f"{row.caught}/{row.pairs} {row.kind}" for row in own.itertuples()]
    counted = malicious.head(1) if len(malicious) else measured
    false = int(counted[["false_benign", "false_background"]].to_numpy().sum())
    return ", ".join([*parts, f"+{false} false"])


if __name__ == "__main__":
    main()
