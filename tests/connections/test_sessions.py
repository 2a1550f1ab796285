"""Records joined to connections: each byte once, sessions separated by gaps."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench import engine
from flowbench.connections.sessions import join_records
from flowbench.connections.staging import stage_records
from tests.connections.conftest import rows
from tests.traffic import T0, Record, connect, interface, make_case

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


def test_logged_at_both_interfaces_it_counts_once(tmp_path) -> None:
    here = list(connect(A, B, 5432, T0, interface_id="eni-a"))
    there = list(connect(A, B, 5432, T0 + 3, interface_id="eni-b"))
    own = [interface(A, "a"), interface(B, "b")]
    (row,) = rows(tmp_path, here + there, interfaces=own)
    assert (row["bytes_out"], row["bytes_in"], row["records"]) == (800, 3000, 4)
    assert (row["direction"], row["interface_id"]) == ("internal", "eni-a")


def test_the_same_record_from_two_flow_logs_counts_once(tmp_path) -> None:
    (row,) = rows(tmp_path, [*connect(A, OUT, 443, T0), *connect(A, OUT, 443, T0)])
    assert (row["bytes_out"], row["records"]) == (800, 2)


def test_order_of_records_does_not_matter(tmp_path) -> None:
    records = list(connect(A, OUT, 443, T0, seconds=900))
    ordered = rows(tmp_path / "ordered", records)
    shuffled = rows(tmp_path / "shuffled", [*records[7:], *reversed(records[:7])])
    assert ordered == shuffled
    assert len(ordered) == 1


def test_a_gap_separates_two_connections_of_the_same_ends(tmp_path) -> None:
    times = [T0, T0 + 600, T0 + 1400, T0 + 5000]
    found = rows(tmp_path, [r for at in times for r in connect(A, OUT, 443, at)])
    assert [(row["first_seen"].timestamp(), row["records"]) for row in found] == [
        (T0, 4),
        (T0 + 1380, 2),
        (T0 + 4980, 2),
    ]


def test_records_of_the_same_window_are_never_separated(tmp_path) -> None:
    records = [
        record
        for port in range(40_000, 41_500)
        for n in range(5)
        for record in connect(A, OUT, 443, T0 + n * 3600, source_port=port)
    ]
    found = rows(tmp_path, records)
    assert len(found) == 1500 * 5
    assert {(row["records"], row["bytes_out"], row["bytes_in"]) for row in found} == {
        (2, 800, 3000)
    }


@st.composite
def one_interface(draw: st.DrawFn) -> list[Record]:
    """Records of one interface, of few ends, so that they meet again and again."""
    peers = ["10.0.0.9", "203.0.113.7", "2001:db8::7"]
    found = []
    for _ in range(draw(st.integers(1, 25))):
        start = T0 + draw(st.integers(0, 40)) * 60
        record = Record(
            A,
            draw(st.sampled_from(peers)),
            draw(st.sampled_from([40_000, 40_001, 443])),
            draw(st.sampled_from([443, 22, 40_000])),
            start,
            start + draw(st.integers(0, 61)),
            protocol=draw(st.sampled_from([6, 17])),
            bytes=draw(st.integers(1, 10_000)),
            action=draw(st.sampled_from(["ACCEPT", "ACCEPT", "REJECT"])),
            tcp_flags=draw(st.sampled_from([None, 0, 2, 3, 18, 19, 4])),
        )
        found.append(record if draw(st.booleans()) else record.back(tcp_flags=record.tcp_flags))
    return found


@settings(max_examples=25, deadline=None)
@given(one_interface(), st.randoms(use_true_random=False))
def test_every_byte_of_one_interface_is_in_just_one_connection(tmp_path_factory, records, chance):
    distinct = set(records)
    found = rows(tmp_path_factory.mktemp("c"), [*records, *records[:3]])
    assert sum(r["bytes_out"] + r["bytes_in"] for r in found) == sum(r.bytes for r in distinct)
    assert sum(r["records"] for r in found) == len(distinct)
    for row in found:
        assert not (row["rejected"] and row["answered"])
        assert row["first_seen"] <= row["last_seen"]
    mixed = list(records)
    chance.shuffle(mixed)
    again = rows(tmp_path_factory.mktemp("c"), mixed)
    key = [(r["initiator"], r["responder"], r["service_port"], r["first_seen"]) for r in found]
    assert sorted(key) == sorted(
        (r["initiator"], r["responder"], r["service_port"], r["first_seen"]) for r in again
    )


@pytest.mark.parametrize(("idle_timeout", "sessions"), [(540, 2), (541, 1), (600, 1)])
def test_the_idle_timeout_counts_from_end_to_start(tmp_path, idle_timeout, sessions) -> None:
    times = ((T0, T0 + 59), (T0 + 600, T0 + 659))  # a gap of 541 seconds
    records = [Record(A, OUT, 40_000, 443, start, end, tcp_flags=2) for start, end in times]
    case = make_case(tmp_path, records)
    backend = case._connection
    staged = stage_records(backend, case.flows, case.interfaces, tmp_path / "parts", 100)
    part = engine.read_parquet(backend, staged.parts[0])
    with join_records(backend, part, staged.own, idle_timeout) as joined:
        found = joined.order_by("first_seen").to_pandas()
    assert len(found) == sessions
    assert found["bytes_up"].sum() + found["bytes_down"].sum() == 1_000
    assert set(found["syn_up"] | found["syn_down"]) == {True}
    assert not (found["midstream_up"] | found["midstream_down"]).any()
    assert not (found["accepted_up"] & found["accepted_down"]).any()
