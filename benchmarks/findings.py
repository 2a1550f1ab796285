"""Compare the findings of two checkouts: for changes that must not change them.

    python benchmarks/findings.py freeze before.jsonl [--labelled DIR] [--checkout DIR]
    python benchmarks/findings.py freeze after.jsonl [--labelled DIR]
    python benchmarks/findings.py compare before.jsonl after.jsonl

``freeze`` writes one line per finding with its key: detector, subject, peers, ports, protocol,
period, severity and score; wording is not part of it. It runs the detectors on the Winterday
evidence, on thirteen generated scenarios (five of ``incidents``, five of ``anomalies``, three of
``intrusions``), and with ``--labelled`` on each folder below DIR that has flow logs
(``flow.log.gz``) and ``enis.json``. ``--checkout`` imports flowbench from another checkout;
``--scenarios`` keeps the generated evidence in a folder, so that both runs read the same files.
``compare`` prints what only one file has and exits with 1 if there is anything.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
ANSWERS = ("answers.json", "labels.csv")
INCIDENTS = ((60, 60), (61, 60), (62, 60), (63, 600), (64, 600))  # seed, capture window in seconds
SCENARIOS = {"incidents": INCIDENTS, "anomalies": INCIDENTS, "intrusions": INCIDENTS[2:]}
FIELDS = (
    "detector", "subject", "peers", "service_port", "protocol", "first_seen", "last_seen",
    "severity", "score", "connections", "bytes_out", "bytes_in",
)  # fmt: skip


def main() -> None:
    """Read the arguments, then freeze or compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    freeze = commands.add_parser("freeze", help="write the keys of all findings")
    freeze.add_argument("out", type=Path)
    freeze.add_argument("--labelled", type=Path, help="folder of labelled captures")
    freeze.add_argument("--checkout", type=Path, default=ROOT, help="import flowbench from here")
    freeze.add_argument("--scenarios", type=Path, help="keep generated evidence in this folder")
    freeze.add_argument("--only", nargs="*", help="names of evidence sets; all by default")
    compare = commands.add_parser("compare", help="print the differences of two files")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "compare":
        sys.exit(print_differences(arguments.before, arguments.after))
    sys.path.insert(0, str(arguments.checkout))
    with TemporaryDirectory(prefix="flowbench-") as scratch:
        sets = evidence_sets(arguments.labelled, arguments.scenarios or Path(scratch))
        with arguments.out.open("w", encoding="utf-8") as out:
            for name, paths in sets:
                if not arguments.only or name in arguments.only:
                    lines = sorted(finding_keys(name, paths()))
                    out.writelines(line + "\n" for line in lines)
                    print(f"{name}: {len(lines)} findings", file=sys.stderr, flush=True)


def evidence_sets(labelled: Path | None, scenarios: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name of each set of evidence and a function that returns its files."""
    yield "winterday", lambda: [ROOT / "data" / "winterday" / "evidence"]
    for path in sorted(labelled.rglob("flow.log.gz")) if labelled else ():
        files = [path, *path.parent.glob("enis.json")]
        name = path.parent.relative_to(labelled).as_posix()
        yield name, lambda files=files: files
    for module, seeds in SCENARIOS.items():
        for seed, window in seeds:
            folder = scenarios / f"{module}-{seed}-{window}"
            yield folder.name, lambda f=folder, m=module, s=seed, w=window: generate(f, m, s, w)


def generate(folder: Path, module: str, seed: int, window: int) -> list[Path]:
    """Write the evidence of a scenario if the folder has none, and return its files."""
    if not (folder / "answers.json").exists():
        try:
            maker = importlib.import_module(f"flowbench.scenario.{module}")
        except ModuleNotFoundError:  # an older checkout
            if module == "intrusions":
                remedy = "freeze the newer one first, both with --scenarios"
                raise SystemExit(f"this checkout cannot generate {module}: {remedy}") from None
            maker = importlib.import_module("flowbench.scenario.novelties")
        maker.write(folder, seed, settings="judged", window=window)
    return sorted(path for path in folder.iterdir() if path.name not in ANSWERS)


def finding_keys(name: str, paths: list[Path]) -> Iterator[str]:
    """Ingest evidence into a temporary case, run all detectors, and yield the findings' keys."""
    from flowbench import detect
    from flowbench.case import Case

    with TemporaryDirectory(prefix="flowbench-") as scratch:
        case = Case.create(Path(scratch) / "case")
        case.ingest(*paths)
        findings = detect.run(case)
        for row in finding_rows(findings):
            values = [sorted(row[f]) if f == "peers" else plain(row[f]) for f in FIELDS]
            yield json.dumps([name, *values])


def finding_rows(findings: Any) -> list[Mapping[str, Any]]:
    """Return findings as rows, from a DataFrame or a sequence of Finding, suppressed ones too."""
    if hasattr(findings, "to_dict"):
        return findings.to_dict("records")
    every = [*findings, *(getattr(findings, "suppressed", None) or ())]
    return [{name: getattr(finding, name) for name in FIELDS} for finding in every]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: missing is None, times to the second, scores to 0.001."""
    if value is None or str(value) in ("<NA>", "NaT", "nan"):
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3)
    if hasattr(value, "isoformat"):
        return str(value)[:19]
    return value if isinstance(value, str) else int(value)


def print_differences(before: Path, after: Path) -> int:
    """Print the lines that only one of two files has; return the exit code."""
    old = Counter(before.read_text(encoding="utf-8").splitlines())
    new = Counter(after.read_text(encoding="utf-8").splitlines())
    for line, _ in sorted((old - new).items()):
        print(f"- {line}")
    for line, _ in sorted((new - old).items()):
        print(f"+ {line}")
    print(f"{(old & new).total()} equal, {(old - new).total()} gone, {(new - old).total()} new")
    return int(old != new)


if __name__ == "__main__":
    main()
