"""How long connections, pairs and every detector take on a large case, and how much memory.

    python benchmarks/detect.py --records 5000000 --folder FOLDER

Makes the case in FOLDER if it is not there (see volume.py), then runs each step in a process of its
own: first flowbench's, then the plain SQL that answers the same (plain.py). Prints seconds on the
clock and on the processors, the most memory in use, and how many times the SQL's processor time it
took: that hardly depends on what else the machine does.
``pairs`` come with ``connections`` and take no time of their own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Make the case, measure every step, print a row each."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=5_000_000, help="flow log records, about")
    options.add_argument("--folder", type=Path, required=True, help="where the case lies or goes")
    options.add_argument("--only", nargs="*", help="steps to measure, all if none are named")
    options.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.step:
        _step(given.folder, *given.step)
        return

    from benchmarks.plain import QUERIES
    from benchmarks.volume import make
    from flowbench import detect

    case = make(given.folder, given.records)
    print(f"{case.flows.count().execute():,} records, duplicates and all")
    print(f"{'':18} {'flowbench':>34}   {'plain SQL':>34}")
    heads = f"{'rows':>9} {'seconds':>8} {'cpu':>7} {'MB':>7}"
    print(f"{'':18} {heads}   {heads}  times")
    for name in ["connections", *detect.registered()]:
        if given.only and name not in given.only:
            continue
        ours = _measured(given.folder, name, "flowbench")
        plain = _measured(given.folder, name, "plain") if name in QUERIES else None
        ratio = f"{ours[2] / plain[2]:6.1f}" if plain else ""
        print(f"{name:18} {_row(ours)}   {_row(plain) if plain else '':34} {ratio}", flush=True)


def _measured(folder: Path, name: str, how: str) -> tuple[int, float, float, float]:
    """Rows, seconds, processor seconds and megabytes of one step, in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--step", name, how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} ({how}) failed:\n{done.stderr}")
    rows, seconds, cpu, memory = done.stdout.split()[-4:]
    return int(rows), float(seconds), float(cpu), float(memory)


def _row(figures: tuple[int, float, float, float]) -> str:
    rows, seconds, cpu, memory = figures
    return f"{rows:>9,} {seconds:>8.1f} {cpu:>7.1f} {memory:>7.0f}"


def _step(folder: Path, name: str, how: str) -> None:
    """Do one step, and print what it took."""
    import shutil

    from benchmarks.plain import networks
    from flowbench import detect
    from flowbench.case import Case
    from flowbench.loaders import registry

    assert detect.registered()  # imports are not counted
    assert registry.KINDS
    if how == "plain" and name == "geography":
        networks(folder / "networks.parquet")
    case = Case.open(folder)
    if name == "connections" and how == "flowbench":
        shutil.rmtree(folder / "cache", ignore_errors=True)
    elif name != "connections":
        case.connections.count().execute()  # worked out before, or not measured here
    before = time.monotonic(), time.process_time()
    if how == "plain":
        rows = _plain(case, folder / "plain", name)
    elif name == "connections":
        rows = case.connections.count().execute()
    else:
        rows = len(detect.run(case, [name]))
    seconds, cpu = time.monotonic() - before[0], time.process_time() - before[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(rows, f"{seconds:.2f} {cpu:.2f} {memory:.0f}")


def _plain(case: object, scratch: Path, name: str) -> int:
    """Run the plain SQL with DuckDB as it comes; its answer goes to a Parquet file."""
    import shutil

    import duckdb

    from benchmarks.plain import QUERIES
    from flowbench.case import Case

    assert isinstance(case, Case)
    scratch.mkdir(exist_ok=True)
    connection = duckdb.connect(config={"temp_directory": str(scratch / "spill")})
    connection.execute("SET memory_limit = '6GB'")
    for table in ("flows", "indicators"):
        parts = [str(p) for p in sorted((case.path / "tables" / table).glob("*.parquet"))]
        connection.read_parquet(parts, union_by_name=True).create_view(table)
    if name != "connections":
        for table in ("connections", "pairs"):
            connection.read_parquet(str(case._cache_folder / f"{table}.parquet")).create_view(table)
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
