"""Connections to which records are added: the same bytes as from all records at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbench import connections, engine
from flowbench.enrich.assignments import find_sightings
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import own_addresses
from flowbench.loaders.aws import interfaces
from flowbench.schema import FLOWS
from tests.traffic import T0, Record, connect

A, B, OUT, OTHER = "10.0.0.5", "10.0.0.9", "203.0.113.7", "198.51.100.9"
DAY = 86_400
FILES = ("connections", "connection_summaries", "address_zones")


class Days:
    """Loads of records one after the other, with the connections after each."""

    def __init__(self, folder: Path, per_part: int) -> None:
        self.folder, self.per_part = folder, per_part
        self.connection = engine.connect()
        self.inventory = Inventory(engine.register(self.connection, interfaces.TABLE.rows([])))
        self.records: list[Record] = []
        self.before: Path | None = None
        self.number = 0

    def table(self, records: Iterable[Record]) -> Any:
        rows = []
        for record in records:
            row = asdict(record)
            for name in ("start", "end"):
                row[name] = datetime.fromtimestamp(row[name], UTC)
            rows.append(row)
        return engine.register(self.connection, FLOWS.rows(rows))

    def add(self, records: Sequence[Record]) -> bool:
        """Load records; compare extended connections with all; return whether it was extended."""
        old, new = self.table(self.records), self.table(records)
        self.records += records
        every = self.table(self.records)
        self.number += 1
        full = self.folder / f"full-{self.number}"
        full.mkdir()
        own = own_addresses(self.connection, every, self.inventory.interfaces)
        limit = {"per_part": self.per_part}
        connections.build_connections(self.connection, every, self.inventory, own, full, **limit)
        is_extended = False
        if self.before:
            extended = self.folder / f"extended-{self.number}"
            extended.mkdir()
            flows = connections.Flows(every, old, new)
            is_extended = connections.extend_connections(
                self.connection, flows, self.inventory, own, self.before, extended, **limit
            )
            for name in FILES if is_extended else ():
                there, expected = (f / f"{name}.parquet" for f in (extended, full))
                assert there.read_bytes() == expected.read_bytes(), name
        connections.write_own(self.connection, every, self.inventory, own, full)
        seen = find_sightings(every, own)
        schema = seen.schema().to_pyarrow()
        engine.write_parquet(self.connection, [seen], full / "sightings.parquet", schema)
        self.before = full
        return is_extended


@pytest.fixture
def days(tmp_path: Path) -> Days:
    loads = Days(tmp_path, per_part=5)
    loads.add([*connect(A, OUT, 443, T0 + 10), *connect(A, B, 22, T0 + 20, seconds=200)])
    return loads


SYN = {"tcp_flags": 2}
PLAIN = {"tcp_flags": None}


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([], id="nothing"),
        pytest.param([*connect(A, OUT, 443, T0 + DAY)], id="the same ends a day later"),
        pytest.param([*connect(A, OTHER, 443, T0 + DAY)], id="a new peer"),
        pytest.param([*connect(A, B, 22, T0 + 230, seconds=200, **PLAIN)], id="goes on"),
        pytest.param([*connect(A, OUT, 443, T0 + 10)], id="loaded twice"),
        pytest.param([*connect(A, OUT, 443, T0 - DAY)], id="late"),
        pytest.param([*connect(A, OUT, 443, T0 - 100, **PLAIN)], id="late, just before"),
        pytest.param([*connect(B, A, 22, T0, interface_id="eni-b")], id="a new interface"),
        pytest.param([Record("10.0.0.1", A, 0, 0, T0, T0 + 9, protocol=1)], id="an earlier id"),
        pytest.param([Record(A, A, 5000, 6000, T0, T0 + 9)], id="to itself"),
    ],
)
def test_records_are_added(days, records) -> None:
    assert days.add(records)
    assert days.add([*connect(A, "8.8.8.8", 53, T0 + 2 * DAY, protocol=17)])


def test_a_connection_over_midnight_is_one(tmp_path) -> None:
    days = Days(tmp_path, per_part=100)
    records = list(connect(A, OUT, 443, T0 + DAY - 300, seconds=600))
    first = [record for record in records if record.start < T0 + DAY]
    days.add(first)
    assert days.add(records[len(first) :])
    rows = engine.read_parquet(days.connection, days.before / "connections.parquet")
    assert rows.count().execute() == 1


@pytest.mark.parametrize("port", [40_100, 20_000])
def test_a_port_that_turns_out_to_be_constant_turns_old_connections(tmp_path, port) -> None:
    days = Days(tmp_path, per_part=4)
    calls = [
        record
        for number in range(8)
        for record in connect(A, B, port, T0 + number * 900, source_port=40_000 + number * 7,
                              **PLAIN)
    ]  # fmt: skip
    days.add(calls[:4])
    assert days.add(calls[4:6])
    assert days.add(calls[6:])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(  # the interface may be either's until it has another peer
            [Record(OUT, OTHER, 5000, 443, T0, T0 + 9, interface_id="eni-x")],
            [Record(OUT, "192.0.2.1", 5000, 443, T0, T0 + 9, interface_id="eni-x")],
            id="a newly learned own address",
        ),
        pytest.param(
            [Record(A, OUT, 5000, 443, T0, T0 + 9)],
            [
                Record(OUT, peer, 443, 5000, T0, T0 + 9, interface_id="eni-x",
                       flow_direction="egress")
                for peer in (B, OTHER)
            ],
            id="an external address is an interface's own",
        ),
        pytest.param(
            [*connect(A, B, 22, T0), *connect(A, OUT, 22, T0)],
            [
                replace(record, interface_id="eni-z", account_id="999988887777")
                for peer in (B, OTHER)
                for record in connect(A, peer, 22, T0)
            ],
            id="the address of another account's host",
        ),
    ],
)  # fmt: skip
def test_news_about_old_hosts_need_all_records(tmp_path, first, second) -> None:
    days = Days(tmp_path, per_part=100)
    days.add(first)
    assert not days.add(second)


@st.composite
def _records(draw: st.DrawFn) -> Record:
    hosts = (A, B, OUT, OTHER)
    src = draw(st.sampled_from(hosts))
    dst = draw(st.sampled_from([host for host in hosts if host != src]))
    ports = st.sampled_from([22, 443, 20_000, 40_000, 40_001, 40_002, 40_003, 40_004])
    start = T0 + draw(st.integers(0, 30)) * 60
    return Record(
        src,
        dst,
        draw(ports),
        draw(ports),
        start,
        start + draw(st.sampled_from([5, 59, 599])),
        protocol=draw(st.sampled_from([6, 6, 17])),
        packets=draw(st.integers(0, 3)),
        bytes=draw(st.integers(0, 500)),
        action=draw(st.sampled_from(["ACCEPT", "ACCEPT", "REJECT"])),
        tcp_flags=draw(st.sampled_from([None, None, 0, 1, 2, 3, 4, 18])),
        interface_id=draw(st.sampled_from([f"eni-{src}", f"eni-{dst}"])),
        flow_direction=draw(st.sampled_from([None, None, None, "egress"])),
    )


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    loads=st.lists(st.lists(_records(), min_size=1, max_size=25), min_size=2, max_size=4),
    per_part=st.sampled_from([3, 10, 1000]),
)
def test_any_traffic_in_any_loads_gives_the_same_bytes(loads, per_part) -> None:
    with tempfile.TemporaryDirectory() as folder:
        days = Days(Path(folder), per_part)
        for records in loads:
            days.add(records)
