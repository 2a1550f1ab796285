"""Bytes that hosts send: without shared services, per day of a host's life, and to new peers."""

from __future__ import annotations

from pathlib import Path

import ibis
import pytest

from flowbench.detect.outbound_volumes import ENDS, OutboundVolumes
from tests.traffic import T0, Record, connect, make_case

HOST, PEER, SERVICE = "10.0.0.5", "198.51.100.9", "203.0.113.7"
HOUR = 3_600


def send(host: str, peer: str, hour: float, out: int = 1_000_000, **more: object) -> list[Record]:
    return list(connect(host, peer, 443, T0 + int(hour * HOUR), out=out, back=1_000, **more))


def test_shared_services_count_in_totals_only(tmp_path: Path) -> None:
    hosts = [f"10.0.0.{n}" for n in range(5, 10)]
    records = [r for host in hosts for hour in (1, 95) for r in send(host, SERVICE, hour)]
    volumes = OutboundVolumes(make_case(tmp_path, [*records, *send(HOST, PEER, 50, 3_000_000)]))
    (pair,) = volumes.pairs.to_pyarrow().to_pylist()
    assert (pair["host"], pair["peer"], pair["sent"]) == (HOST, PEER, 3_000_000)
    rows = {row["host"]: row for row in volumes.hosts.to_pyarrow().to_pylist()}
    assert rows[HOST]["total"] == 5_000_000
    assert rows[HOST]["days"] == pytest.approx(94 / 24, abs=0.01)
    assert rows[HOST]["volume"] == pytest.approx(5e6 / rows[HOST]["days"])


def test_a_day_is_the_least(tmp_path: Path) -> None:
    (row,) = (
        OutboundVolumes(make_case(tmp_path, send(HOST, PEER, 5))).hosts.to_pyarrow().to_pylist()
    )
    assert (row["days"], row["volume"]) == (1.0, 1_000_000)


@pytest.mark.parametrize(
    ("count", "size", "hour", "several", "pairs", "is_new"),
    [
        (1, 12_000_000, 60, 3, 1, False),
        (1, 8_000_000, 60, 3, 0, False),
        (4, 3_000_000, 60, 3, 4, True),  # 12 MB together
        (4, 3_000_000, 10, 3, 0, False),  # not new
        (4, 3_000_000, 60, None, 0, False),
        (4, 900_000, 60, 3, 0, False),  # less than a tenth each
        (4, 12_000_000, 10, 3, 4, False),
    ],
)
def test_large_pairs(
    tmp_path: Path, count: int, size: int, hour: int, several: int | None, pairs: int, is_new: bool
) -> None:
    records = [*send(HOST, SERVICE, 0, 9), *send(HOST, SERVICE, 95, 9)]
    for n in range(count):
        records += send(f"10.0.0.{n + 20}", PEER, hour, size)
    volumes = OutboundVolumes(make_case(tmp_path, records))
    rows = volumes.large_pairs(10e6, 0.8, several).to_pyarrow().to_pylist()
    assert len(rows) == pairs
    assert {row["is_new"] for row in rows} <= {is_new}
    assert {row["senders"] for row in rows} <= {count}


def test_slots_and_services_of_a_pair(tmp_path: Path) -> None:
    records = [*send(HOST, PEER, 1), *send(HOST, PEER, 1.05, source_port=41_000)]
    records += connect(PEER, HOST, 22, T0 + 3 * HOUR, out=10, back=7_000)
    volumes = OutboundVolumes(make_case(tmp_path, records))
    keys = ibis.memtable({"host": [HOST], "peer": [PEER]})
    slots = volumes.slots(keys)[HOST, PEER]
    assert [((slot - T0) / HOUR, sent) for slot, sent in slots[["slot", "sent"]].to_numpy()] == [
        (1.0, 2_000_000),
        (3.0, 7_000),
    ]
    assert volumes.services(keys)["service_port"].tolist() == [22, 443]
    (pair,) = volumes.pairs.select(*ENDS, "connections", "opened").to_pyarrow().to_pylist()
    assert (pair["connections"], pair["opened"]) == (3, 2)
