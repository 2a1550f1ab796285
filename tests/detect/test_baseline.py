"""The baseline period: its length by the length of the logs."""

from __future__ import annotations

from pathlib import Path

import ibis
import pandas as pd
import pytest

from flowbench.detect.baseline import (
    find_baseline,
    host_baselines,
    host_lifetimes,
    typical_volumes,
)
from tests.traffic import T0, connect, interface, make_case

BEGIN = pd.Timestamp("2026-09-01", tz="UTC")


@pytest.mark.parametrize(
    ("days", "baseline"), [(1.5, 1.0), (2, 1.0), (3, 1.5), (14, 7.0), (60, 7.0)]
)
def test_half_of_the_logs_but_a_day_at_least_and_a_week_at_most(
    days: float, baseline: float
) -> None:
    found = find_baseline(BEGIN, BEGIN + pd.Timedelta(days=days))
    assert found is not None
    assert found.end == BEGIN + pd.Timedelta(days=baseline)
    assert found.middle == BEGIN + pd.Timedelta(days=baseline / 2)
    assert found.seconds == baseline * 86_400
    assert found.seconds_after == pytest.approx((days - baseline) * 86_400)
    assert found.scale == pytest.approx((days - baseline) / (baseline / 2))


@pytest.mark.parametrize("end", [None, BEGIN, BEGIN + pd.Timedelta(days=1.49), pd.NaT])
def test_short_or_no_logs_have_none(end: pd.Timestamp | None) -> None:
    assert find_baseline(BEGIN, end) is None
    assert find_baseline(None, end) is None


def seen(host: str, *hours: int, peer: str = "198.51.100.9") -> list:
    return [r for hour in hours for r in connect(host, peer, 443, T0 + hour * 3_600)]


def test_a_host_lives_from_its_first_to_its_last_traffic(tmp_path: Path) -> None:
    records = [*seen("10.0.0.5", 0, 90), *seen("10.0.0.6", 10, 60), *seen("10.0.0.7", 20)]
    records += seen("10.0.0.5", 5, peer="10.0.0.6")  # internal traffic counts
    case = make_case(tmp_path, records)
    rows = host_lifetimes(case).order_by("host").to_pyarrow().to_pylist()
    born = [(row["host"], (row["born"].timestamp() - T0) / 3_600) for row in rows]
    assert born == [("10.0.0.5", 0), ("10.0.0.6", 5), ("10.0.0.7", 20)]
    own = host_baselines(case).order_by("host").to_pyarrow().to_pylist()
    until = [(row["host"], round((row["until"].timestamp() - T0) / 3_600)) for row in own]
    assert until == [("10.0.0.5", 45), ("10.0.0.6", 33)]
    assert own[0]["scale"] == pytest.approx(2)
    assert [row["middle"] < row["until"] for row in own] == [True, True]


@pytest.mark.parametrize(
    ("groups", "typical"),
    [
        (["web"] * 4 + ["db"] * 3, 20.0),  # the group counts before the subnet
        (["web", "web", "web", "db", "db", "db", "db"], 50.0),  # two like it: the subnet's five
        ([None] * 7, 50.0),
    ],
)
def test_hosts_are_compared_with_their_like(tmp_path: Path, groups: list, typical: float) -> None:
    hosts = [f"10.0.{n}.5" for n in range(7)]
    interfaces = [
        interface(
            host, f"n{n}", SubnetId="subnet-1", TagSet=[]
            if group is None
            else [{"Key": "aws:autoscaling:groupName", "Value": group}],
        )
        for n, (host, group) in enumerate(zip(hosts, groups, strict=True))
    ]  # fmt: skip
    case = make_case(tmp_path, seen(hosts[0], 0), interfaces=interfaces)
    born = [BEGIN] * 6 + [BEGIN + pd.Timedelta(days=3)]
    volumes = ibis.memtable(
        {"host": hosts, "born": born, "volume": [900.0, 10.0, 20.0, 50.0, 60.0, 70.0, 8_000.0]}
    )
    before = BEGIN + pd.Timedelta(days=1)
    assert typical_volumes(case, [hosts[0]], volumes, before) == {hosts[0]: typical}
    assert typical_volumes(case, [], volumes, before) == {}


@pytest.mark.parametrize(("third", "typical"), [(0, {"10.0.0.5": 2.0}), (1, {})])
def test_without_inventory_neighbours_are_alike(tmp_path: Path, third: int, typical: dict) -> None:
    hosts = ["10.0.0.5", *(f"10.0.{third}.{n}" for n in (6, 7, 8))]
    volumes = ibis.memtable({"host": hosts, "born": [BEGIN] * 4, "volume": [9.0, 1.0, 2.0, 3.0]})
    case = make_case(tmp_path, seen(hosts[0], 0))
    before = BEGIN + pd.Timedelta(days=1)
    assert typical_volumes(case, [hosts[0]], volumes, before) == typical
