"""Measure what a new day costs: connections extended by its records, or made again from all.

    python benchmarks/daily.py --records 1000000 --folder /tmp/daily

A case with the records of 30 days is made, then a day's records are added. Printed are seconds and
the peak memory of the process that computed the connections, and whether both ways gave the same
bytes. The records have no TCP flags; clients take a random port for each connection, and every
fiftieth connection is between two ports that are no service's.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from flowbench.case import Case, cache

START = 1_788_220_800  # 2026-09-01 00:00:00 UTC
DAYS, DAY = 30, 86_400
HOSTS, PEERS = 300, 20_000
FIELDS = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes"
    " start end action log-status"
)


def write_days(path: Path, first: int, count: int, records: int, seed: int) -> None:
    """Write the records of ``count`` days from day ``first``, both directions of each."""
    random = np.random.default_rng(seed)
    n = records // 2
    host = random.integers(0, HOSTS, n)
    peer = random.zipf(1.3, n) % PEERS
    src = np.char.add(
        "10.0.",
        np.char.add((host // 250).astype(str), np.char.add(".", (host % 250 + 1).astype(str))),
    )
    dst = np.char.add(
        "198.18.",
        np.char.add((peer // 250).astype(str), np.char.add(".", (peer % 250 + 1).astype(str))),
    )
    sport = random.integers(32_768, 61_000, n)
    dport = np.where(random.random(n) < 0.02, 50_000 + peer % 1000, 443)
    start = np.sort(START + first * DAY + random.integers(0, count * DAY, n))
    interface = np.char.add("eni-", host.astype(str))
    sides = [(src, dst, sport, dport), (dst, src, dport, sport)]
    with path.open("wb") as file:
        file.write(FIELDS.encode() + b"\n")
        for a, b, a_port, b_port in sides:
            columns = [np.full(n, 2), np.full(n, 111122223333), interface, a, b, a_port, b_port,
                       np.full(n, 6), random.integers(2, 90, n), random.integers(100, 90_000, n),
                       start, start + 59, np.full(n, "ACCEPT"), np.full(n, "OK")]  # fmt: skip
            names = [str(number) for number in range(len(columns))]
            options = pc.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
            pc.write_csv(
                pa.table(dict(zip(names, map(pa.array, columns), strict=True))), file, options
            )


def compute(folder: Path) -> None:
    """Compute the connections of a case; print seconds, megabytes and the files' digests."""
    case = Case.open(folder)
    started = time.perf_counter()
    case.connections  # noqa: B018  # computed when it is read
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    (tables,) = (folder / cache.FOLDER).glob("connections-*")
    print(json.dumps({"seconds": seconds, "MB": peak, "files": cache.hash_files(tables)}))


def run(folder: Path) -> dict[str, object]:
    """Compute the connections in a process of its own."""
    command = [sys.executable, __file__, "--compute", str(folder)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, object] = json.loads(out)
    return result


def main() -> None:
    """Measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("daily-benchmark"))
    parser.add_argument("--compute", type=Path)
    options = parser.parse_args()
    if options.compute:
        compute(options.compute)
        return
    folder: Path = options.folder
    folder.mkdir(parents=True)
    write_days(folder / "month.log", 0, DAYS, options.records, 1)
    write_days(folder / "day.log", DAYS, 1, options.records // DAYS, 2)
    case = Case.create(folder / "case")
    case.ingest(folder / "month.log")
    results = {"month": run(case.path)}
    case.ingest(folder / "day.log")
    results["extended"] = run(case.path)
    shutil.rmtree(case.path / cache.FOLDER)
    results["from all records"] = run(case.path)
    for name, result in results.items():
        print(f"{name:18} {result['seconds']:6.1f} s {result['MB']:6} MB")
    print("same bytes:", results["extended"]["files"] == results["from all records"]["files"])


if __name__ == "__main__":
    main()
