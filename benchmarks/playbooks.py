"""Whether the playbook meant for a scenario examines what the intruder used, over several seeds.

    python benchmarks/playbooks.py [--seeds 3] [--first 101] [--kinds ...]

Each scenario is generated and loaded, and the cells of its playbook run in this process with their
defaults. ``examined``: the host, source or principal that the playbook chose is one that the answer
key has as involved or as an indicator. ``facts``: how many of the key's facts the playbook's last
table states (activity, actor, object and time; see flowbench.training.matching). ``addresses``: how
many of the key's external addresses it names. ``accused``: benign subjects of the playbook's
findings of high severity or above; for scenarios without an incident all these playbooks run.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from flowbench import playbooks
from flowbench.case import Case
from flowbench.playbooks import FACTS
from flowbench.playbooks.needs import EndOfPlaybook
from flowbench.playbooks.parameters import set_parameters
from flowbench.scenario import exercises
from flowbench.training.matching import Names, match_facts, tokens

MEANT = {  # the playbooks for each scenario; without an incident, all of them
    "crypto-mining": ("crypto-mining",),
    "exfiltration": ("exfiltration",),
    "slow-exfiltration": ("exfiltration",),
    "stolen-role": ("exfiltration",),
    "lateral-movement": ("lateral-movement",),
    "ransomware": ("lateral-movement",),
    "scan-then-break-in": ("remote-access", "port-scan"),
    "insider": ("iam-abuse",),
    "logging-switched-off": ("iam-abuse",),
}
ALL = tuple(sorted({name for names in MEANT.values() for name in names}))


def main() -> None:
    """Measure, and print a row for each scenario and playbook."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--first", type=int, default=101, help="the first seed")
    options.add_argument("--kinds", nargs="+", default=exercises.NAMES, choices=exercises.NAMES)
    arguments = options.parse_args()
    print("| scenario | playbook | seeds | examined | facts | addresses | accused |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for kind in arguments.kinds:
        sums: dict[str, list[int]] = {}
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            with tempfile.TemporaryDirectory() as folder:
                for name, counted in measure(kind, seed, Path(folder)).items():
                    known = sums.setdefault(name, [0] * len(counted))
                    sums[name] = [a + b for a, b in zip(known, counted, strict=True)]
        for name, (examined, stated, facts, named, addresses, accused) in sums.items():
            shown = [f"{examined}", f"{stated} of {facts}", f"{named} of {addresses}"]
            shown = shown if kind in MEANT else ["–"] * len(shown)
            print(f"| {kind} | {name} | {arguments.seeds} | {' | '.join(shown)} | {accused} |")
            sys.stdout.flush()


def measure(kind: str, seed: int, folder: Path) -> dict[str, list[int]]:
    """Return for each playbook the numbers of a row: examined to accused."""
    key = exercises.write(kind, folder / "evidence", folder / "key.json", seed)
    case = Case.create(folder / "case")
    case.ingest(folder / "evidence")
    wanted = {each.value for each in key.indicators if each.type == "address"}
    names = Names(key.aliases)
    guilty = {*key.involved, *(each.value for each in key.indicators)}
    known = frozenset().union(*(names.of(name) for name in guilty)) if guilty else frozenset()
    benign = frozenset().union(*(names.of(name) for name in key.benign))
    results = {}
    for name in MEANT.get(kind, ALL):
        found = run(name, case)
        chosen = found.get("host") or found.get("who") or found.get("source") or ""
        table = found.get("facts", FACTS.frame([]))
        rows = table.rename(columns={"first_seen": "time", "last_seen": "end"})
        stated = [row for row in match_facts(key, rows) if row is not None]
        text = tokens(" ".join(map(str, table[["actor", "object", "detail"]].to_numpy().ravel())))
        severe = [f for f in found.get("findings", ()) if f.severity in ("high", "critical")]
        accused = {f.subject for f in severe if f.subject.casefold() in benign}
        results[name] = [
            int(str(chosen).casefold() in known),
            len(stated),
            len(key.facts),
            len(wanted & text),
            len(wanted),
            len(accused),
        ]
    return results


def run(name: str, case: Case) -> dict[str, Any]:
    """Run a playbook's cells, and return the names that they set until it ended."""
    notebook = nbformat.read(playbooks.find_playbook(name), as_version=4)
    set_parameters(notebook, {"case": str(case.path)})
    names: dict[str, Any] = {}
    try:
        with redirect_stdout(io.StringIO()):
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, f"{name}: {cell.id}", "exec"), names)
    except EndOfPlaybook:
        pass
    return names


if __name__ == "__main__":
    main()
