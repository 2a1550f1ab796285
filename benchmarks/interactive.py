"""The hunting bench's questions: opening, random brushes and pivots, and filters of other fields.

    python benchmarks/interactive.py CASE [--steps 50] [--seed 1] [--no-scans]

A step brushes a random period or pivots to a random host, port, country or direction that the last
step showed, with at most three conditions, and computes all that the bench draws: totals, activity,
hosts, services, countries, pairs. Beside each step the same answers by plain scans of the
connections (DuckDB over Parquet, the same filter), whose totals are compared. CPU seconds, of all
cores together, do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import ibis
import pandas as pd

from flowbench.case import Case
from flowbench.investigate import where
from flowbench.investigate.crossfilter import Period, Selection

FILTERS = (  # of fields that the cube lacks
    "bytes > 1MB",
    "duration > 1h",
    "sport = 40000",
    "packets < 3 and dport = 22",
    "bytes_out > 10kB and src in 10.0.0.0/8",
    "records > 5 and not rejected",
)


def main() -> None:
    """Measure, and print the figures as Markdown."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("case", type=Path)
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--no-scans", action="store_true", help="measure the cube alone")
    arguments = options.parse_args()
    prepared, _cube = measure(lambda: Case.open(arguments.case).cube)
    opened, case = measure(lambda: open_bench(arguments.case))
    tables, cube = sizes(case)
    print(f"cube made or checked  {prepared}")
    print(f"bench opened          {opened}")
    print(f"cube / tables         {cube / 1e6:.0f} MB / {tables / 1e6:.0f} MB: {cube / tables:.1%}")
    steps = list(random_steps(case, arguments.steps, random.Random(arguments.seed)))
    cubes = [measure(lambda step=step: answer(case, *step)) for step in steps]
    print(f"peak memory           {peak()} MB")
    report("cube", [took for took, _answers in cubes])
    for text in FILTERS:
        took, rows = measure(lambda text=text: first_rows(case, text))
        print(f"first rows            {took}  {len(rows)} rows of {text}")
    if arguments.no_scans:
        return
    scans = [measure(lambda step=step: scan(case, *step)) for step in steps]
    report("plain scans", [took for took, _answers in scans])
    equal = sum(a[1]["totals"] == b[1]["totals"] for a, b in zip(cubes, scans, strict=True))
    print(f"equal totals          {equal} of {len(steps)}")


class Took:
    """Wall and CPU seconds."""

    def __init__(self, wall: float, cpu: float) -> None:
        self.wall, self.cpu = wall, cpu

    def __str__(self) -> str:
        return f"{self.wall:6.2f} s wall, {self.cpu:6.2f} s CPU"


def measure(act: Callable[[], Any]) -> tuple[Took, Any]:
    """Return how long something took, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = act()
    return Took(time.perf_counter() - wall, time.process_time() - cpu), result


def report(name: str, times: list[Took]) -> None:
    """Print the median and the worst of some steps."""
    for kind in ("wall", "cpu"):
        values = [getattr(took, kind) for took in times]
        print(
            f"{name:12} {kind:4}     median {statistics.median(values):6.2f} s, worst"
            f" {max(values):6.2f} s, {len(values)} steps"
        )


def peak() -> int:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def sizes(case: Case) -> tuple[int, int]:
    """Return the bytes of the case's tables with the connections, and of its cube."""
    made = [path for path in (case.path / "cache").rglob("*.parquet") if path.is_file()]
    cube = sum(path.stat().st_size for path in made if path.parent.name.startswith("cube-"))
    loaded = sum(path.stat().st_size for path in (case.path / "tables").rglob("*.parquet"))
    return loaded + sum(path.stat().st_size for path in made) - cube, cube


def open_bench(path: Path) -> Case:
    """Open a case and compute what the bench shows first."""
    case = Case.open(path)
    answer(case, "", None)
    return case


def answer(case: Case, text: str, period: Period | None) -> dict[str, Any]:
    """Compute what the bench draws, from the cube."""
    with Selection(case, text, period) as selection:
        assert selection.is_counted
        return {
            "totals": selection.totals(),
            "activity": selection.activity(),
            "hosts": selection.hosts(),
            "services": selection.services(),
            "countries": selection.countries(),
            "pairs": selection.pairs(),
        }


def first_rows(case: Case, text: str) -> pd.DataFrame:
    """Return the first connections that match."""
    with Selection(case, text) as selection:
        return selection.connections()


def random_steps(case: Case, count: int, rng: random.Random) -> Any:
    """Yield random states of the bench: a filter and a period."""
    scale = case.cube.scale
    conditions: list[str] = []
    period: Period | None = None
    shown = answer(case, "", None)
    for _number in range(count):
        kind = rng.choice(("brush", "host", "service", "country", "direction", "back"))
        if kind == "brush":
            first, last = sorted(rng.sample(range(len(scale)), 2))
            period = Period(scale["since"].iloc[first], scale["since"].iloc[last])
        elif kind == "back" or len(conditions) >= 3:
            conditions, period = conditions[:-1], rng.choice((None, period))
        else:
            conditions.append(condition(kind, shown, rng))
        text = " and ".join(conditions)
        shown = answer(case, text, period)
        if shown["hosts"].empty:
            conditions, period = [], None
        yield text, period


def condition(kind: str, shown: dict[str, Any], rng: random.Random) -> str:
    """Return a pivot to something that is shown."""
    if kind == "host" and len(shown["hosts"]):
        return f"{rng.choice(('ip', 'src', 'dst'))} = {rng.choice(shown['hosts']['address'])}"
    if kind == "service" and len(shown["services"]):
        return f"dport = {rng.choice(shown['services']['service_port'])}"
    if kind == "country" and len(shown["countries"]):
        return f"country = {rng.choice(shown['countries']['country'])}"
    return rng.choice(("direction = outbound", "direction = inbound", "not rejected", "answered"))


def scan(case: Case, text: str, period: Period | None) -> dict[str, Any]:
    """Compute the same from the connections, by plain queries."""
    expression = Selection(case, text, period).expression
    some = where.filter_connections(case, expression)
    sums = {
        "connections": some.count(),
        "rejected": some.count(where=some.rejected),
        "bytes": (some.bytes_out + some.bytes_in).sum(),
    }
    ends = [some.select(address=some[end], n=1) for end in ("initiator", "responder")]
    by_host = ends[0].union(ends[1]).group_by("address").aggregate(n=ibis._.n.sum())
    countries = by_host.join(case.cube.addresses, "address").group_by("country")
    queries = {
        "activity": some.group_by(hour=some.first_seen.truncate("h")).aggregate(**sums),
        "hosts": top(by_host, "n", "address"),
        "services": top(
            some.group_by("service_port", "protocol").aggregate(**sums),
            "connections", "service_port", "protocol",
        ),
        "countries": countries.aggregate(n=ibis._.n.sum()).order_by(ibis.desc("n"), "country"),
        "pairs": top(
            some.group_by("initiator", "responder").aggregate(**sums),
            "connections", "initiator", "responder", most=60,
        ),
    }  # fmt: skip
    totals = some.aggregate(**sums).to_pyarrow().to_pylist()[0]
    answers = {name: query.to_pyarrow() for name, query in queries.items()}
    return answers | {"totals": {name: value or 0 for name, value in totals.items()}}


def top(rows: ibis.Table, measure: str, *key: str, most: int = 15) -> ibis.Table:
    """Return the rows with the most of something."""
    return rows.order_by(ibis.desc(measure), *key).limit(most)


if __name__ == "__main__":
    main()
