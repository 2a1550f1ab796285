"""Time and memory of an ingest, compared with its peers in one run.

    python benchmarks/ingest.py FOLDER [--records 5000000] [--fifty] [--only v2,v5,small,many]

Needs the ``bench`` extra (polars, flowlogs-reader) and ``gunzip``. FOLDER takes the generated logs
(kept for the next run) and the cases (deleted). Every measurement is a process of its own; imports
are not counted. Each tool runs three times, in turns, and its best run counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

from flowbench.schema import FLOW_FIELDS, VPC_FIELDS  # as the command does, before Arrow

# isort: split
import numpy as np
import pyarrow as pa
from isal import igzip
from pyarrow import csv

START = 1_788_220_800  # 2026-09-01 00:00 UTC
TURNS = 3
SAMPLE = 100_000  # records that flowlogs-reader gets; its time for all is extrapolated
V2 = [name for name, f in VPC_FIELDS.items() if f.version == 2]
V5 = [name for name, f in VPC_FIELDS.items() if f.version is not None and f.version <= 5]


# ---- evidence ---------------------------------------------------------------------------


def log(path: Path, names: list[str], records: int, seed: int) -> None:
    """Write a flow log file: 800 internal hosts, external addresses by a power law."""
    r = np.random.default_rng(seed)
    internal = r.integers(0, 800, records)
    external = np.minimum(r.zipf(1.3, records), 200_000)
    local = np.char.add(
        np.char.add("10.0.", (internal // 250).astype(str)),
        np.char.add(".", (internal % 250 + 4).astype(str)),
    )
    octets = [(external * step % 251 + 1).astype(str) for step in (7, 11, 13)]
    remote = np.char.add("198.", octets[0])
    for octet in octets[1:]:
        remote = np.char.add(np.char.add(remote, "."), octet)
    out = r.random(records) < 0.5
    high = r.integers(1_024, 65_536, records)
    port = r.choice([443, 80, 22, 53, 3306], records, p=[0.6, 0.2, 0.05, 0.1, 0.05])
    packets = r.integers(1, 60, records)
    start = START + seed % 5_000 * 300 + np.sort(r.integers(0, 300, records))
    interface = np.char.add("eni-0", np.char.zfill(internal.astype(str), 16))
    ways = np.where(out, "egress", "ingress")
    columns = {
        "version": np.full(records, 2 if names == V2 else 5),
        "account_id": np.full(records, "123456789012"),
        "interface_id": interface,
        "srcaddr": np.where(out, local, remote),
        "dstaddr": np.where(out, remote, local),
        "srcport": np.where(out, high, port),
        "dstport": np.where(out, port, high),
        "protocol": np.where(port == 53, 17, 6),
        "packets": packets,
        "bytes": packets * r.integers(40, 1_500, records),
        "start": start,
        "end": start + r.integers(0, 60, records),
        "action": np.where(r.random(records) < 0.95, "ACCEPT", "REJECT"),
        "log_status": np.full(records, "OK"),
        "vpc_id": np.full(records, "vpc-0123456789abcdef0"),
        "subnet_id": np.char.add("subnet-0", np.char.zfill((internal // 100).astype(str), 16)),
        "instance_id": np.char.replace(interface, "eni", "i"),
        "tcp_flags": r.choice([0, 2, 3, 18, 19], records),
        "type": np.full(records, "IPv4"),
        "region": np.full(records, "us-east-1"),
        "az_id": np.full(records, "use1-az1"),
        "flow_direction": ways,
        "traffic_path": np.where(out, "8", "-"),
    }
    columns["pkt_srcaddr"], columns["pkt_dstaddr"] = columns["srcaddr"], columns["dstaddr"]
    table = pa.table({n: columns.get(n, np.full(records, "-")) for n in names})
    text = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    csv.write_csv(table, text, options)
    header = " ".join(FLOW_FIELDS[n].aws_name for n in names) + "\n"
    path.write_bytes(igzip.compress(header.encode() + text.getvalue().to_pybytes(), 2, mtime=0))


def logs(folder: Path, names: list[str], files: int, records: int) -> Path:
    """Return a folder of such files, made unless it is there."""
    if len(list(folder.glob("*.gz"))) != files:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        paths = [folder / f"{n:05}.log.gz" for n in range(files)]
        with ProcessPoolExecutor() as pool:
            done = pool.map(log, paths, [names] * files, [records] * files, range(files))
            assert len(list(done)) == files
    return folder


# ---- tools ---------------------------------------------------------------------------


def flowbench(folder: Path, out: Path) -> int:
    """Ingest with digests, typed columns, line numbers, quarantine, custody."""
    from flowbench.case import Case

    case = Case.create(out)
    return int(case.ingest(folder)["records"].sum())


def polars(folder: Path, out: Path) -> int:
    """Convert text to Parquet, without checks."""
    import polars as pl

    pl.scan_csv(sorted(folder.glob("*.gz")), separator=" ", null_values=["-"]).sink_parquet(out)
    return pl.scan_parquet(out).select(pl.len()).collect().item()


def flowlogs_reader(folder: Path, _: Path) -> int:
    """Read records with the closest peer in Python, one object each."""
    import gzip
    from itertools import islice

    from flowlogs_reader import FlowRecord

    def records() -> Iterator[FlowRecord]:
        for path in sorted(folder.glob("*.gz")):
            with gzip.open(path, "rt") as file:
                fields = next(file).split()
                for line in file:
                    values = zip(fields, line.split(), strict=True)
                    yield FlowRecord({name.replace("-", "_"): value for name, value in values})

    return sum(1 for _ in islice(records(), SAMPLE))


def gunzip(folder: Path, _: Path) -> int:
    """Decompress two files at a time to /dev/null: the lower limit."""
    command = f"printf '%s\\0' {folder}/*.gz | xargs -0 -P2 -n{PER_CALL} gunzip -c > /dev/null"
    subprocess.run(["sh", "-c", command], check=True)
    return 0


PER_CALL = 20  # files per gunzip, so that its start is not what is measured
TOOLS: dict[str, Callable[[Path, Path], int]] = {
    f.__name__: f for f in (flowbench, polars, flowlogs_reader, gunzip)
}


def child(name: str, folder: Path, out: Path) -> None:
    """Make one measurement and print it as JSON."""
    if name == "flowbench":
        import flowbench.case
        import flowbench.loaders.registry

        assert flowbench.loaders.registry.KINDS
    elif name == "polars":
        import polars as pl

        assert pl
    elif name == "flowlogs_reader":
        import flowlogs_reader as reader

        assert reader
    began = time.perf_counter()
    records = TOOLS[name](folder, out)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "records": records, "peak_mb": peak}))


def measure(name: str, folder: Path, work: Path) -> dict[str, float]:
    """Run one tool in its own process, and delete what it wrote."""
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True) if out.is_file() else None
    words = [sys.executable, __file__, "--child", name, str(folder), str(out)]
    ran = subprocess.run(words, check=True, capture_output=True, text=True)
    shutil.rmtree(out, ignore_errors=True) if out.is_dir() else out.unlink(missing_ok=True)
    return json.loads(ran.stdout)


def side_by_side(folder: Path, work: Path, names: list[str], records: int) -> None:
    """Print each tool's best time, and flowbench's as a multiple of it."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(TURNS):
        for name in names:
            found = measure(name, folder, work)
            if name in ("flowbench", "polars"):
                assert found["records"] == records, (name, found)
            if name not in best or found["seconds"] < best[name]["seconds"]:
                best[name] = found
    if "flowlogs_reader" in best:
        best["flowlogs_reader"]["seconds"] *= records / SAMPLE
    flowbench_seconds = best["flowbench"]["seconds"]
    print(f"\n{folder.name}: {records:,} records")
    for name, found in best.items():
        note = ", extrapolated" if name == "flowlogs_reader" else ""
        print(
            f"  {name:16s} {found['seconds']:8.2f} s  {found['peak_mb']:7.0f} MB"
            f"  flowbench takes {flowbench_seconds / found['seconds']:6.2f} x its time{note}"
        )


def many(work: Path) -> None:
    """Measure opening a case of 10,000 files, and adding one."""
    from flowbench.case import Case

    folder = logs(work / "10000-files", V2, 10_000, 20)
    out = work / "many"
    shutil.rmtree(out, ignore_errors=True)
    Case.create(out).ingest(folder)
    (work / "one").mkdir(exist_ok=True)
    log(work / "one" / "one.log.gz", V2, 1_000, 77_777)
    began = time.perf_counter()
    case = Case.open(out)
    count = len(case.evidence)
    opened = time.perf_counter() - began
    began = time.perf_counter()
    case.ingest(work / "one")
    added = time.perf_counter() - began
    print(f"\na case of {count:,} files: opened in {opened:.2f} s, one file added in {added:.2f} s")
    shutil.rmtree(out)


def fifty(work: Path, records: int) -> None:
    """Measure ten times as many records: memory, and the growth of time."""
    small = logs(work / "v2", V2, 10, records // 10)
    large = logs(work / "v2-tenfold", V2, 100, records // 10)
    found = {f.name: measure("flowbench", f, work) for f in (small, large)}
    less, more = found[small.name], found[large.name]
    print(
        f"\n{more['records']:,.0f} records: {more['seconds']:.1f} s,"
        f" {more['seconds'] / less['seconds']:.1f} x the time of a tenth,"
        f" peak {more['peak_mb']:.0f} MB"
    )


def main() -> None:
    """Run the chosen measurements."""
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--fifty", action="store_true", help="also ten times as many records")
    parser.add_argument("--only", default="v2,v5,small,many")
    arguments = parser.parse_args()
    folder, records, only = arguments.folder, arguments.records, arguments.only.split(",")
    packages = ("pyarrow", "isal", "polars", "flowlogs-reader")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" {', '.join(f'{name} {version(name)}' for name in packages)}"
    )
    peers = ["gunzip", "flowbench", "polars", "flowlogs_reader"]
    if "v2" in only:
        side_by_side(logs(folder / "v2", V2, 10, records // 10), folder, peers, records)
    if "v5" in only:
        side_by_side(logs(folder / "v5", V5, 10, records // 10), folder, peers[:3], records)
    if "small" in only:
        files = records // 1_000
        side_by_side(logs(folder / "small", V2, files, 1_000), folder, peers[:3], records)
    if "many" in only:
        many(folder)
    if arguments.fifty:
        fifty(folder, records)
    return None


if __name__ == "__main__":
    main()
