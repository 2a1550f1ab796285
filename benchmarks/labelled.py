"""Detection quality on labelled captures, written as VPC flow logs: the tables of evaluate.

    python benchmarks/detection.py --public FOLDER

FOLDER holds one folder for each form of the logs (version and window), each with flow logs and
labels.csv (flowbench.detect.labels). The first table has a row for each malicious kind: how many of
its pairs each detector names, and any of them. The second counts the false alarms of each detector,
in benign and in background pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from flowbench.detect.evaluate import Evaluation, evaluate
from flowbench.detect.labels import ANY, is_own_kind

NOT_LOGS = {"labels.csv", "hosts.csv", "answers.json"}


def folders(root: Path) -> Iterator[Path]:
    """Yield the folders with labels.csv below a folder, in order."""
    yield from sorted(path.parent for path in root.rglob("labels.csv"))


def evidence(folder: Path) -> list[Path]:
    """Return the files of a folder that are evidence."""
    return sorted(p for p in folder.iterdir() if p.is_file() and p.name not in NOT_LOGS)


def print_tables(root: Path, *, details: bool = False) -> None:
    """Evaluate every labelled folder below ``root`` and print the tables."""
    results = {
        folder.relative_to(root).as_posix(): evaluate(evidence(folder), folder / "labels.csv")
        for folder in folders(root)
    }
    if details:
        for name, result in results.items():
            for row in result.errors[result.errors["detector"] != ANY].itertuples():
                print(f"{row.error}: {name}: {row.detector}: {row.kind}: {row.src} {row.dst}")
            print()
    for line in (*kind_table(results), "", *false_table(results)):
        print(line)


def kind_table(results: dict[str, Evaluation]) -> Iterator[str]:
    """Yield a Markdown table of the malicious kinds: what each detector names of them."""
    yield f"| kind | pairs | {' | '.join(f'{name} | any' for name in results)} |"
    yield "|---|---|" + "---|---|" * len(results)
    tables = {name: result.table[result.table["pairs"] > 0] for name, result in results.items()}
    for kind in sorted(set().union(*(set(table["kind"]) for table in tables.values()))):
        own = {name: table[table["kind"] == kind] for name, table in tables.items()}
        pairs = max(int(table["pairs"].max()) for table in own.values() if len(table))
        yield f"| {kind} | {pairs} | {' | '.join(map(_caught, own.values()))} |"


def _caught(kind: pd.DataFrame) -> str:
    """Return the cells of a kind: each detector that is made for it or names it, and any."""
    by_detector = dict(zip(kind["detector"], kind["caught"], strict=True))
    total, name = by_detector.pop(ANY, 0), kind["kind"].iloc[0] if len(kind) else ""
    shown = [
        f"{detector} {caught}"
        for detector, caught in by_detector.items()
        if caught or is_own_kind(detector, name)
    ]
    return f"{', '.join(shown) or '–'} | {total}"


def false_table(results: dict[str, Evaluation]) -> Iterator[str]:
    """Yield a Markdown table of the detectors' false alarms, benign and background."""
    yield f"| false alarms | {' | '.join(f'{name}, benign | background' for name in results)} |"
    yield "|---|" + "---|---|" * len(results)
    tables = {}
    for name, result in results.items():
        malicious = result.table[result.table["pairs"] > 0]
        tables[name] = malicious.drop_duplicates("detector").set_index("detector")
    for detector in sorted(set().union(*(set(table.index) for table in tables.values()))):
        cells = (
            f"{int(table.at[detector, f'false_{label}'])}"
            f" of {int(table.at[detector, f'{label}_pairs'])}"
            if detector in table.index
            else "not run"
            for table in tables.values()
            for label in ("benign", "background")
        )
        yield f"| {detector} | {' | '.join(cells)} |"
