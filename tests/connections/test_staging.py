"""Staging: which records are traffic, whose addresses they have, and their parts."""

from __future__ import annotations

from flowbench import engine
from flowbench.connections.staging import is_intermediate, is_internal, low_and_high, number_of
from tests.connections.conftest import rows, stage
from tests.traffic import T0, Record, connect, interface, make_case

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


def test_ipv6(tmp_path) -> None:
    internal, external = "fd00:1::5", "2001:db8::7"
    (row,) = rows(tmp_path, connect(internal, external, 443, T0))
    assert (row["initiator"], row["responder"], row["direction"]) == (
        internal,
        external,
        "outbound",
    )


def test_an_interfaces_own_public_address_is_internal(tmp_path) -> None:
    internal = "2001:db8:1::5"  # IPv6: the records show that it is the interface's own
    records = [
        *connect(internal, "2001:db8:2::1", 443, T0, flow_direction="egress"),
        *connect(internal, "2001:db8:2::2", 443, T0, source_port=40_001, flow_direction="egress"),
    ]
    assert {row["direction"] for row in rows(tmp_path, records)} == {"outbound"}


def test_nodata_and_skipdata_are_no_connections(tmp_path) -> None:
    silent = Record(None, None, None, None, T0, T0 + 60, protocol=None, packets=None, bytes=None,
                    action=None, log_status="NODATA")  # fmt: skip
    assert rows(tmp_path, [silent]) == []


def test_ids_are_in_the_order_of_addresses_and_a_part_has_a_period(tmp_path) -> None:
    records = [
        *connect(A, OUT, 443, T0),
        *connect(B, OUT, 443, T0, interface_id="eni-b"),
        *connect(A, B, 22, T0 + 60),
    ]
    case = make_case(tmp_path, records, interfaces=[interface(A, "a")])
    backend = case._connection
    staged = stage(case, tmp_path / "parts", 1)
    known = staged.addresses.order_by("id").to_pyarrow().to_pylist()
    assert [row["address"] for row in known] == [A, B, OUT]
    facts = staged.addresses.order_by("id")
    facts = facts.select(
        number=number_of(facts.id), internal=is_internal(facts.id), device=is_intermediate(facts.id)
    )
    assert [tuple(row.values()) for row in facts.to_pyarrow().to_pylist()] == [
        (0, True, False),
        (1, True, False),
        (2, False, False),
    ]
    points = staged.points.order_by("id").to_pyarrow().to_pylist()
    assert [row["interface_id"] for row in points] == ["eni-a", "eni-b"]
    assert list(staged.parts) == [0, 1]
    count = 0
    for number, part in staged.parts.items():
        some = engine.read_parquet(backend, part)
        (low, high), (low_port, high_port) = map(low_and_high, (some.hosts, some.ports))
        some = some.mutate(low=low, high=high, low_port=low_port, high_port=high_port)
        for row in some.to_pyarrow().to_pylist():
            count += 1
            assert row["low"] < row["high"]
            assert row["up"] == ((row["low_port"] > 1023) == (row["bytes"] == 800))
            assert row["start"].timestamp() == T0 + number * 60
    assert count == len(records)


def test_a_middlebox_records_two_hops_of_a_packet(tmp_path) -> None:
    nat = "10.0.1.1"
    received = Record(A, nat, 40_000, 443, T0, T0 + 59, pkt_srcaddr=A, pkt_dstaddr=OUT)
    sent = Record(nat, OUT, 40_000, 443, T0, T0 + 59, pkt_srcaddr=A, pkt_dstaddr=OUT)
    whole = Record(A, OUT, 40_000, 443, T0, T0 + 59, pkt_srcaddr=A, pkt_dstaddr=OUT)
    case = make_case(tmp_path, [received, sent, whole])
    backend = case._connection
    staged = stage(case, tmp_path / "parts")
    hops = engine.read_parquet(backend, staged.parts[0]).to_pandas()["hop"]
    assert sorted(hops) == [0, 1, 2]
