"""Connections to which records are added: the same bytes as those of all records at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbench import connections, engine
from flowbench.connections import extension
from flowbench.connections.facts import find_facts
from flowbench.connections.periods import find_periods
from flowbench.connections.staging import select_records
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import own_addresses
from flowbench.io import atomic
from flowbench.loaders.aws import elastic_ips, interfaces
from flowbench.schema import FLOWS
from tests.traffic import T0, Record, connect

A, B, OUT, OTHER = "10.0.0.5", "10.0.0.9", "203.0.113.7", "198.51.100.9"
HOUR, DAY = 3_600, 86_400


class Loads:
    """Loads of records one after the other, with the connections after each."""

    def __init__(
        self,
        folder: Path,
        records: Sequence[Record],
        per_file: int = 8,
        vpcs: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.per_file = folder, per_file
        self.connection = engine.connect()
        self.interfaces: list[dict[str, Any]] = []
        self.elastic_ips: list[dict[str, Any]] = []
        self.vpcs: dict[str, str] = vpcs or {}
        self.records, self.number = list(records), 0
        self.before = self.build(folder / "before", self.table(records))

    def table(self, records: Iterable[Record]) -> Any:
        rows = []
        for record in records:
            row = asdict(record) | {"vpc_id": self.vpcs.get(record.interface_id)}
            for name in ("start", "end"):
                row[name] = datetime.fromtimestamp(row[name], UTC)
            rows.append(row)
        return engine.register(self.connection, FLOWS.rows(rows))

    def inventory(self) -> Inventory:
        rows = interfaces.TABLE.rows(self.interfaces)
        addresses = elastic_ips.TABLE.rows(self.elastic_ips)
        return Inventory(
            engine.register(self.connection, rows),
            elastic_ips=engine.register(self.connection, addresses),
        )

    def build(self, folder: Path, every: Any, before: connections.Before | None = None) -> Path:
        folder.mkdir()
        inventory = self.inventory()
        own = own_addresses(self.connection, every, inventory.interfaces)
        connections.build_connections(
            self.connection, every, inventory, own, folder, before=before, per_file=self.per_file
        )
        return folder

    def count_kept(self, records: Sequence[Record]) -> int:
        """Return how many periods are kept if records are loaded."""
        old, added = self.table(self.records), self.table(records)
        every, inventory = self.table([*self.records, *records]), self.inventory()
        own = own_addresses(self.connection, every, inventory.interfaces)
        selected = select_records(every)
        facts = find_facts(self.connection, every, selected, inventory, own)
        periods = find_periods(self.connection, selected, self.per_file)
        before = connections.Before(self.before, old, added)
        return extension.count_kept(self.connection, before, periods, facts, 600)

    def add(self, records: Sequence[Record]) -> set[str]:
        """Load records, compare the files with those made from all; return those that are kept."""
        before = connections.Before(self.before, self.table(self.records), self.table(records))
        self.records += records
        every = self.table(self.records)
        self.number += 1
        whole = self.build(self.folder / f"whole-{self.number}", every)
        folder = self.build(self.folder / f"extended-{self.number}", every, before)
        found, expected = (
            {path.name: path.read_bytes() for path in sorted(place.glob("*.parquet"))}
            for place in (folder, whole)
        )
        assert list(found) == list(expected)
        assert [name for name in found if found[name] != expected[name]] == []
        kept = {
            path.name
            for path in folder.glob("connections-20*")
            if (self.before / path.name).exists() and path.samefile(self.before / path.name)
        }
        self.before = folder
        return kept

    def rows(self, name: str) -> list[dict[str, Any]]:
        return pq.read_table(self.before / name).to_pylist()


def three_days() -> list[Record]:
    """Four connections on each of three days, one of them to a port that is no service's."""
    records: list[Record] = []
    for day in range(3):
        at, port = T0 + day * DAY, {"source_port": 40_000 + day}
        records += connect(A, OUT, 443, at + 10, **port)
        records += connect(A, B, 22, at + HOUR, **port)
        records += connect(B, OUT, 443, at + 20, interface_id="eni-b", **port)
        records += connect(A, OUT, 20_005, at + HOUR, tcp_flags=None, **port)
    return records


@pytest.fixture(scope="module")
def days(tmp_path_factory: Any) -> Loads:
    """Three days, to which nothing is added."""
    return Loads(tmp_path_factory.mktemp("days"), three_days())


def test_a_new_day_and_a_late_record_give_the_bytes_of_all_records(tmp_path) -> None:
    loads = Loads(tmp_path, three_days())
    day = T0 + 3 * DAY
    new = [
        *connect(A, OTHER, 443, day),
        *connect("10.0.0.7", OUT, 443, day, interface_id="eni-c"),
        *connect(A, OUT, 20_005, day, source_port=41_000, tcp_flags=None),
        Record(A, A, 5000, 6000, day, day),
    ]
    first, second = (f"connections-2026-09-0{n}T0000.parquet" for n in (1, 2))
    assert loads.add(new) == {first, second}
    unclear = loads.rows("connections-unclear.parquet")
    # The fourth client port shows which port is constant, for the days before it, too.
    rules = [row["initiator_rule"] for row in unclear if row["service_port"] == 20_005]
    assert rules == ["constant-port"] * 4
    assert loads.add([*connect(A, OUT, 443, T0 + 2 * DAY - 900)]) == {first}


def test_a_connection_that_lasts_for_days_is_one_and_in_the_last_file(tmp_path) -> None:
    lasting = list(connect(A, OUT, 443, T0, seconds=3 * DAY, out=10**6, window=600))
    short = [r for n in range(70) for r in connect(A, B, 22, T0 + n * HOUR, source_port=50_000 + n)]
    cut, records = T0 + 2 * DAY, [*lasting, *short]
    loads = Loads(tmp_path, [r for r in records if r.start < cut], per_file=400)
    assert loads.add([r for r in records if r.start >= cut])
    names = sorted(path.name for path in loads.before.glob("connections-20*"))
    assert len(names) > 2
    counts = [sum(row["responder"] == OUT for row in loads.rows(name)) for name in names]
    assert counts == [0] * (len(names) - 1) + [1]


@pytest.mark.parametrize(
    ("records", "kept"),
    [
        pytest.param([], 2, id="nothing"),
        pytest.param([*connect(A, OUT, 443, T0 + 2 * DAY + 600)], 2, id="after the timeout"),
        pytest.param([*connect(A, OUT, 443, T0 + 2 * DAY + 540)], 1, id="within the timeout"),
        pytest.param([*connect(A, OUT, 443, T0 - DAY)], 0, id="before everything"),
        # without flow-direction an interface's own address is the one that all records share
        pytest.param([*connect("10.0.9.9", OTHER, 443, T0 + 3 * DAY)], 0, id="no own address"),
    ],
)
def test_files_are_kept_until_the_first_new_record(days, records, kept) -> None:
    assert days.count_kept(records) == kept


@pytest.mark.parametrize(
    ("table", "row", "kept"),
    [
        ("elastic_ips", {"public_address": OTHER}, 2),  # nothing had this address
        ("elastic_ips", {"public_address": OUT}, 0),
        ("interfaces", {"interface_id": "eni-nat", "private_address": B,
                        "service": "nat-gateway"}, 0),
        ("interfaces", {"interface_id": "eni-nat", "private_address": "10.0.7.7",
                        "service": "nat-gateway"}, 2),
        ("interfaces", {"interface_id": "eni-z", "private_address": "10.0.7.8"}, 2),
    ],
)  # fmt: skip
def test_an_inventory_that_is_loaded_later(days, monkeypatch, table, row, kept) -> None:
    monkeypatch.setattr(days, table, [row])
    assert days.count_kept([]) == kept


def test_a_second_host_with_an_address_gives_both_a_zone(days, monkeypatch) -> None:
    monkeypatch.setattr(days, "vpcs", {"eni-a": "vpc-1", "eni-b": "vpc-1", "eni-c": "vpc-2"})
    records = [
        record
        for number, peer in enumerate((OTHER, "192.0.2.77"))
        for record in connect(A, peer, 443, T0 + 3 * DAY + number, interface_id="eni-c")
    ]
    assert days.count_kept(records) == 0


def test_a_file_that_is_missing_is_made_again(days, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(days.before, folder)
    next(iter(sorted(folder.glob("unclear-*.parquet")))).unlink()
    monkeypatch.setattr(days, "before", folder)
    assert days.count_kept([]) == 0


def test_files_are_copied_where_links_are_not_possible(days, tmp_path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(atomic.os, "link", refuse)
    extension.keep_files(days.before, tmp_path, ["2026-09-01T0000"])
    for kind in extension.KINDS:
        file = f"{kind}-2026-09-01T0000.parquet"
        assert (tmp_path / file).read_bytes() == (days.before / file).read_bytes()
        assert not (tmp_path / file).samefile(days.before / file)


SECONDS = st.sampled_from([0, 1, 59, 60, 61, 180, 181, 599, 600, 601, 660, 1_200, 3_000, 7_200])
ENDS = st.sampled_from([(A, OUT), (A, B), (B, OUT), (OTHER, A), (A, A), ("fd00::1", "2001:db8::7")])
PORTS = st.sampled_from([(40_000, 443), (40_001, 20_005), (40_000, 50_000), (40_001, 50_000),
                         (40_002, 50_000), (40_003, 50_000), (41_000, 50_000), (0, 0)])  # fmt: skip


@st.composite
def histories(draw: Any) -> tuple[list[Record], int, list[bool]]:
    """Records in the order of time, where they are cut, and which of the first come late."""
    time, records = T0, []
    for _number in range(draw(st.integers(10, 45))):
        time += draw(SECONDS)
        (src, dst), (sport, dport) = draw(ENDS), draw(PORTS)
        record = Record(
            src, dst, sport, dport, time, time + draw(st.sampled_from([0, 59, 599, 5_000])),
            protocol=draw(st.sampled_from([6, 6, 17])) if sport else 1,
            packets=draw(st.sampled_from([1, 5])), bytes=draw(st.sampled_from([40, 500])),
            action=draw(st.sampled_from(["ACCEPT", "ACCEPT", "REJECT"])),
            tcp_flags=draw(st.sampled_from([None, 0, 1, 2, 3, 4, 18, 19])),
            interface_id=draw(st.sampled_from(["eni-a", "eni-b", "eni-c"])),
            flow_direction=draw(st.sampled_from([None, "egress", "ingress"])),
        )  # fmt: skip
        if draw(st.integers(0, 5)) == 0:  # as a NAT gateway records it
            record = replace(record, pkt_srcaddr=src, pkt_dstaddr=dst, srcaddr="10.0.1.1",
                             interface_id="eni-nat")  # fmt: skip
        records += [record, record.back()] if draw(st.booleans()) else [record]
    cut = draw(st.integers(0, len(records)))
    return records, cut, [draw(st.integers(0, 30)) == 0 for _ in range(cut)]


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.sampled_from([{}, {"eni-a": "vpc-1", "eni-b": "vpc-2", "eni-c": "vpc-3"}]))
def test_any_records_in_any_two_loads(tmp_path_factory, history, vpcs) -> None:
    records, cut, late = history
    first = [r for r, is_late in zip(records[:cut], late, strict=True) if not is_late]
    second = [r for r, is_late in zip(records[:cut], late, strict=True) if is_late] + records[cut:]
    Loads(tmp_path_factory.mktemp("loads"), first, per_file=6, vpcs=vpcs).add(second)
