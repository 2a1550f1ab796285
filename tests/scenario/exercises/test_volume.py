"""Usual traffic by the million: as much as asked, the same each time, in the files of its time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from flowbench.errors import InputError
from flowbench.scenario import exercises
from tests.scenario.exercises.fleet_logs import RECORDS, owner, read, traffic, write


def test_as_many_records_as_asked_within_a_few_per_cent() -> None:
    assert len(traffic()) == pytest.approx(RECORDS, rel=0.08)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name)
    files = {
        name: {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.gz")} for name in "ab"
    }
    assert len(files["a"]) == 12  # two hours each
    assert files["a"] == files["b"]


def test_a_file_has_the_records_that_end_in_its_slot(tmp_path: Path) -> None:
    write(tmp_path)
    for path in tmp_path.rglob("*.gz"):
        end = int(pd.Timestamp(path.name.split("_")[4], tz="UTC").timestamp())
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
        ends = [int(line.split(" ")[11]) for line in lines]
        assert min(ends) >= end - 7_200
        assert max(ends) < end


def test_no_record_after_the_flow_log_was_deleted(tmp_path: Path) -> None:
    until = owner().first + 30_000
    write(tmp_path, until=until)
    ends = read(tmp_path)["end"].astype(int)
    assert until - 120 < ends.max() < until


def test_a_scenario_with_a_fleet(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    key = exercises.write(
        "nothing-happened",
        tmp_path / "evidence",
        tmp_path / "key.json",
        1,
        difficulty="easy",
        days=1,
        records=30_000,
        progress=lambda done, total, _what: told.append((done, total)),
    )
    inventory = tmp_path / "evidence" / "inventory" / "describe-network-interfaces.json"
    interfaces = json.loads(inventory.read_text())["NetworkInterfaces"]
    private = [each["PrivateIpAddress"] for each in interfaces]
    assert len(private) == len(set(private))
    assert set(private) <= set(key.benign)
    assert told[-1][0] == told[-1][1]
    node = next(each for each in interfaces if len(each["PrivateIpAddresses"]) == 9)
    assert set(key.aliases[node["PrivateIpAddress"]]) >= {
        each["PrivateIpAddress"] for each in node["PrivateIpAddresses"][1:]
    }


def test_a_stop_leaves_nothing(tmp_path: Path) -> None:
    def stop(_done: int, _total: int, _what: str) -> None:
        raise KeyboardInterrupt

    out, key = tmp_path / "evidence", tmp_path / "key.json"
    arguments = {"difficulty": "easy", "days": 1}
    with pytest.raises(KeyboardInterrupt):
        exercises.write("insider", out, key, 1, **arguments, records=30_000, progress=stop)
    assert list(out.iterdir()) == []
    assert not key.exists()
    with pytest.raises(InputError, match=r"itself has .* flow log records, more than 1,000"):
        exercises.write("insider", out, key, 1, **arguments, records=1_000)
    assert list(out.iterdir()) == []
