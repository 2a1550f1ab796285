"""Sessions that may be a miner's: sums, packets, variation and what is left out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from flowbench.detect.mining_sessions import (
    find_long_sessions,
    find_pool_connections,
    find_variation,
)
from tests.traffic import T0, Record, connect, make_case

HOST, POOL = "10.0.0.5", "203.0.113.50"
HOUR = 3_600


def even(port: int = 3333, seconds: int = 4 * HOUR, **more: object) -> Iterable[Record]:
    minutes = seconds // 60
    return connect(
        HOST, POOL, port, T0, seconds=seconds - 1, out=300 * minutes, back=600 * minutes, **more
    )


def test_long_connections_are_summed_by_service(tmp_path: Path) -> None:
    records = [
        *even(source_port=40_000),
        *even(source_port=40_001, seconds=2 * HOUR),
        *even(source_port=40_002, seconds=600),  # too short
        *even(port=3334, packets=30),  # small packets: kept alive only
        *connect(HOST, POOL, 3335, T0, seconds=HOUR, out=90_000_000, back=100),  # too fast
    ]
    case = make_case(tmp_path, records)
    (session,) = find_long_sessions(case, 1_800, 30_000, 80)
    assert session.key == (HOST, POOL, 3333, 6)
    assert session.traffic.connections == 2
    assert (round(session.sent), round(session.received)) == (300, 600)
    assert (session.is_at_pool, session.pool) == (True, None)


def test_the_variation_is_that_of_ten_minutes(tmp_path: Path) -> None:
    bursts = [
        Record(HOST, POOL, 40_001, 3334, start, start + 59, bytes=1_000 * (n % 2) + 500)
        for n, start in enumerate(range(T0, T0 + 4 * HOUR, 600))
    ]
    records = [*even(), *bursts, *(record.back(bytes=500) for record in bursts)]
    case = make_case(tmp_path, records)
    steady, uneven = sorted(find_long_sessions(case, 1_800, 30_000, 80), key=lambda s: s.key)
    variation = find_variation(case, [steady, uneven])
    assert variation[steady.key] == pytest.approx(0)
    assert variation[uneven.key] == pytest.approx(0.5, abs=0.05)  # 500 and 1,500 bytes in turn


def test_connections_to_pools_carry_data_both_ways(tmp_path: Path) -> None:
    records = [
        record
        for n, (out, back) in enumerate(((400, 400), (300, 400), (400, 300), (400, 900_000)))
        for record in connect(HOST, f"203.0.113.{n}", 3333, T0, out=out, back=back)
    ]
    case = make_case(tmp_path, records)
    found = find_pool_connections(case, 30_000, 60, 20)
    assert [session.responder for session in found] == ["203.0.113.0"]
    many = find_pool_connections(case, 30_000, 0, 20)
    assert [session.responder for session in many] == [f"203.0.113.{n}" for n in range(3)]
    assert not find_pool_connections(case, 30_000, 60, 0)  # more ports than none
