"""Time and memory of connections and of each detector on a large case.

    python benchmarks/detect.py --records 5000000 --folder FOLDER

Makes the case in FOLDER unless it is there (see volume.py), then runs each step in its own process:
first flowbench's, then the plain SQL for the same question (plain.py). Prints elapsed time,
processor time, peak memory, and the ratio of processor times, which hardly depends on other load.
Connection summaries are built with ``connections``. Indicator matches, addresses of API callers
and the period of the logs are computed once in a run, for all detectors: they are the step
``shared``, and no part of the detectors' steps.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbench.case import Case

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Make the case, measure each step, print a row for each."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=5_000_000, help="flow log records, about")
    options.add_argument("--folder", type=Path, required=True, help="folder of the case")
    options.add_argument("--only", nargs="*", help="steps to measure, all if none are named")
    options.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.step:
        _step(arguments.folder, *arguments.step)
        return

    from benchmarks.plain import QUERIES
    from benchmarks.volume import make
    from flowbench import detect

    case = make(arguments.folder, arguments.records)
    print(f"{case.flows.count().execute():,} records, duplicates included")
    print(f"{'':18} {'flowbench':>34}   {'plain SQL':>34}")
    heads = f"{'rows':>9} {'seconds':>8} {'cpu':>7} {'MB':>7}"
    print(f"{'':18} {heads}   {heads}  times")
    for name in ["connections", "shared", *detect.registered()]:
        if arguments.only and name not in arguments.only:
            continue
        flowbench = _measure(arguments.folder, name, "flowbench")
        plain = _measure(arguments.folder, name, "plain") if name in QUERIES else None
        ratio = f"{flowbench[2] / plain[2]:6.1f}" if plain else ""
        print(
            f"{name:18} {_row(flowbench)}   {_row(plain) if plain else '':34} {ratio}", flush=True
        )


def _measure(folder: Path, name: str, implementation: str) -> tuple[int, float, float, float]:
    """Return rows, seconds, processor seconds and megabytes of one step in its own process."""
    command = [sys.executable, __file__, "--folder", str(folder), "--step", name, implementation]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} ({implementation}) failed:\n{done.stderr}")
    rows, seconds, cpu, memory = done.stdout.split()[-4:]
    return int(rows), float(seconds), float(cpu), float(memory)


def _row(figures: tuple[int, float, float, float]) -> str:
    rows, seconds, cpu, memory = figures
    return f"{rows:>9,} {seconds:>8.1f} {cpu:>7.1f} {memory:>7.0f}"


def _step(folder: Path, name: str, implementation: str) -> None:
    """Run one step, and print what it took."""
    import shutil

    from benchmarks.plain import networks
    from flowbench import detect
    from flowbench.case import Case
    from flowbench.loaders import registry

    assert detect.registered()  # imports are not counted
    assert registry.KINDS
    if implementation == "plain" and name == "geography":
        networks(folder / "networks.parquet")
    case = Case.open(folder)
    if name == "connections" and implementation == "flowbench":
        shutil.rmtree(folder / "cache", ignore_errors=True)
    elif name != "connections":
        case.connections.count().execute()  # not part of the measurement
        if name != "shared" and implementation == "flowbench":
            _compute_shared(case)
    before = time.monotonic(), time.process_time()
    if implementation == "plain":
        rows = _plain(case, folder / "plain", name)
    elif name == "connections":
        rows = case.connections.count().execute()
    elif name == "shared":
        rows = _compute_shared(case)
    else:
        rows = len(detect.run(case, [name]))
    seconds, cpu = time.monotonic() - before[0], time.process_time() - before[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(rows, f"{seconds:.2f} {cpu:.2f} {memory:.0f}")


def _compute_shared(case: Case) -> int:
    """Compute what several detectors use, and return its rows."""
    assert case.span[0] is not None
    tables = (case.indicator_matches, case.principal_addresses)
    return sum(table.count().execute() for table in tables)


def _plain(case: object, scratch: Path, name: str) -> int:
    """Run the plain SQL in an unconfigured DuckDB, its result written to a Parquet file."""
    import shutil

    import duckdb

    from benchmarks.plain import QUERIES
    from flowbench.case import Case, cache

    assert isinstance(case, Case)
    scratch.mkdir(exist_ok=True)
    connection = duckdb.connect(config={"temp_directory": str(scratch / "spill")})
    connection.execute("SET memory_limit = '6GB'")
    for table in ("flows", "indicators", "api_events", "dns"):
        parts = [str(p) for p in sorted((case.path / "tables" / table).glob("*.parquet"))]
        if parts:
            connection.read_parquet(parts, union_by_name=True).create_view(table)
        else:
            connection.register(table, getattr(case, table).to_pyarrow())
    if name != "connections":
        for table in ("connections", "connection_summaries"):
            files = map(str, cache.table_files(case._cache_folder, table))
            connection.read_parquet(list(files)).create_view(table)
    if name == "geography":
        connection.read_parquet(str(case.path / "networks.parquet")).create_view("networks")
    query = QUERIES[name].strip()
    target = scratch / "answer.parquet"
    rows = connection.execute(f"COPY ({query}) TO '{target}' (COMPRESSION zstd)").fetchone()[0]
    connection.close()
    shutil.rmtree(scratch)
    return int(rows)


if __name__ == "__main__":
    main()
