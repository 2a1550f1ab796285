"""Flow logs of a fleet, written and read."""

from __future__ import annotations

import gzip
import tempfile
from functools import cache
from pathlib import Path

import pandas as pd

from flowbench.scenario.exercises import organisation, volume
from flowbench.scenario.exercises.fleet import build_fleet
from flowbench.scenario.network import Host
from flowbench.scenario.record_format import FIELDS

RECORDS = 12_000


@cache
def owner() -> organisation.Organisation:
    return organisation.build("test/1", organisation.DIFFICULTIES["easy"], 1)


@cache
def fleet() -> list[Host]:
    return build_fleet(owner(), RECORDS)


def write(folder: Path, *, version: int = 11, window: int = 60, until: float = 9e9) -> int:
    return volume.write(
        folder,
        fleet(),
        owner().seed,
        RECORDS,
        period=(owner().first, owner().last),
        logged_until=until,
        version=version,
        window=window,
    )


def read(folder: Path) -> pd.DataFrame:
    """Read all records, as text."""
    lines = [
        line.split(" ")
        for path in sorted(folder.rglob("*.gz"))
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    ]
    width = len(lines[0])
    assert {len(line) for line in lines} == {width}
    return pd.DataFrame(lines, columns=FIELDS.split(" ")[:width])


@cache
def traffic() -> pd.DataFrame:
    """Return the records with traffic of version 11, their numbers as numbers; do not change it."""
    with tempfile.TemporaryDirectory() as folder:
        count = write(Path(folder))
        flows = read(Path(folder))
    assert len(flows) == count
    rows = flows[flows["log-status"] == "OK"]
    numbers = ["bytes", "packets", "start", "end", "srcport", "dstport"]
    return rows.astype(dict.fromkeys(numbers, int))
