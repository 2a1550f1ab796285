"""What new records cost in a large case: the connections are extended, or all made again.

    python benchmarks/daily.py --records 10000000 --folder FOLDER

Makes the case in FOLDER unless it is there (see volume.py) and works in a copy of it beside it. A
thirtieth of its records is added, later than all others. Prints elapsed time, processor time and
peak memory of the process that computes the connections before that, after it, and from all
records, and whether the last two gave the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SHARE = 30  # of the records, that are added


def main() -> None:
    """Make the case, add records, measure, print a row for each."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=10_000_000, help="flow log records, about")
    options.add_argument("--folder", type=Path, required=True, help="folder of the case")
    options.add_argument("--compute", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.compute:
        _compute(arguments.folder)
        return

    from benchmarks import volume

    volume.make(arguments.folder, arguments.records)
    folder = arguments.folder.with_name(f"{arguments.folder.name}-daily")
    shutil.copytree(
        arguments.folder, folder, copy_function=_link, ignore=shutil.ignore_patterns("cache")
    )
    print(f"{'':16} {'seconds':>8} {'cpu':>7} {'MB':>6} {'records':>12}")
    _measure("all records", folder)
    volume.add(volume.Case.open(folder), arguments.records, volume.SLICES // SHARE)
    added = _measure("records added", folder)
    shutil.rmtree(folder / "cache")
    again = _measure("all again", folder)
    print("the same bytes:", added["files"] == again["files"])
    shutil.rmtree(folder)


def _link(source: str, target: str) -> None:
    """Link the parts of tables, which never change; copy all other files."""
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def _measure(name: str, folder: Path) -> dict[str, Any]:
    """Compute the connections in a process of its own; print and return what it took."""
    command = [sys.executable, __file__, "--compute", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    print(
        f"{name:16} {result['seconds']:8.1f} {result['cpu']:7.1f} {result['MB']:6.0f}"
        f" {result['records']:12,}",
        flush=True,
    )
    return result


def _compute(folder: Path) -> None:
    """Compute the connections of a case, and print what it took and the files' digests."""
    from flowbench.case import Case, cache

    case = Case.open(folder)
    before = time.monotonic(), time.process_time()
    tables = cache.ensure_tables(case.path, case.log, lambda *_: None)
    seconds, cpu = time.monotonic() - before[0], time.process_time() - before[1]
    result = {
        "seconds": seconds,
        "cpu": cpu,
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "records": int(case.flows.count().execute()),
        "files": cache.hash_files(tables),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
