"""Records joined to connections: each byte once, sessions separated by gaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench import engine
from flowbench.connections.sessions import join_records
from tests.connections.conftest import rows, stage
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
    found = rows(tmp_path, [r for at in times for r in connect(A, OUT, 443, at, tcp_flags=None)])
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
def one_interface(draw: st.DrawFn, host: int) -> list[Record]:
    """Records of one interface, of few ends, so that they meet again and again."""
    peers = ["10.0.9.9", "203.0.113.7", "2001:db8::7"]
    found = []
    for _ in range(draw(st.integers(1, 25))):
        start = T0 + draw(st.integers(0, 40)) * 60
        record = Record(
            f"10.0.0.{host}",
            draw(st.sampled_from(peers)),
            draw(st.sampled_from([40_000, 40_001, 443])),
            draw(st.sampled_from([443, 22, 40_000])),
            start,
            start + draw(st.integers(0, 61)),
            protocol=draw(st.sampled_from([6, 17])),
            bytes=draw(st.integers(1, 10_000)),
            action=draw(st.sampled_from(["ACCEPT", "ACCEPT", "REJECT"])),
            tcp_flags=draw(st.sampled_from([None, 0, 2, 3, 18, 19, 4])),
            interface_id=f"eni-{host}",
        )
        found.append(record if draw(st.booleans()) else record.back(tcp_flags=record.tcp_flags))
    return found


@settings(max_examples=4, deadline=None)
@given(st.tuples(*map(one_interface, range(1, 9))), st.randoms(use_true_random=False))
def test_every_byte_of_an_interface_is_in_just_one_connection(tmp_path_factory, drawn, chance):
    records = [record for of_one in drawn for record in of_one]
    found = rows(tmp_path_factory.mktemp("c"), [*records, *records[:3]])
    for of_one in drawn:
        distinct = set(of_one)
        own = [row for row in found if row["interface_id"] == of_one[0].interface_id]
        assert sum(r["bytes_out"] + r["bytes_in"] for r in own) == sum(r.bytes for r in distinct)
        assert sum(r["records"] for r in own) == len(distinct)
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
    records = [Record(A, OUT, 40_000, 443, start, end, tcp_flags=0) for start, end in times]
    case = make_case(tmp_path, records)
    backend = case._connection
    staged = stage(case, tmp_path / "parts")
    part = engine.read_parquet(backend, staged.parts[0])
    with join_records(backend, part, staged.own, idle_timeout) as joined:
        found = backend.to_pyarrow(joined.order_by("first_seen")).to_pandas()
    assert len(found) == sessions
    assert found["bytes_up"].sum() + found["bytes_down"].sum() == 1_000
    assert not (found["syn_up"] | found["syn_down"]).any()
    assert set(found["midstream_up"] | found["midstream_down"]) == {True}
    assert not (found["accepted_up"] & found["accepted_down"]).any()


def repeated(times: Iterable[int], peer: str, **fields: Any) -> list[Record]:
    """Return the records of a short connection at each of the times, from one source port."""
    return [r for at in times for r in connect(A, peer, 8080, at, **fields)]


def by_responder(
    found: list[dict[str, Any]], responders: Iterable[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the connections to each of the responders."""
    return {peer: [r for r in found if r["responder"] == peer] for peer in responders}


def peers(count: int) -> list[str]:
    """Return addresses, every third of them IPv6."""
    return [f"2001:db8::{n + 1}" if n % 3 == 2 else f"203.0.113.{n + 1}" for n in range(count)]


def test_connections_from_one_source_port_are_separated_by_their_flags(tmp_path) -> None:
    intervals = dict(zip(peers(5), (60, 97, 300, 590, 3600), strict=True))
    records = [
        record
        for peer, interval in intervals.items()
        for record in repeated([T0 + interval * n for n in range(20)], peer)
    ]
    found = rows(tmp_path / "a", records)
    assert len(found) == 5 * 20
    assert {(r["bytes_out"], r["bytes_in"], r["records"]) for r in found} == {(800, 3000, 2)}
    assert {(r["initiator"], r["initiator_rule"]) for r in found} == {(A, "flags")}
    assert rows(tmp_path / "b", records[1::2] + records[::2]) == found


def test_without_flags_connections_are_separated_by_idle_time(tmp_path) -> None:
    kinds = [
        # protocol, interval, window, number of connections
        (17, 300, 60, 20),
        (17, 240, 60, 20),  # 181 s from the end of a window to the start of the next
        (17, 180, 60, 1),
        (17, 300, 600, 1),  # windows without a gap: nothing separates
        (17, 1260, 600, 20),
        (1, 300, 60, 1),
        (1, 720, 60, 20),
        (47, 300, 60, 1),
        (6, 300, 60, 1),
        (6, 660, 60, 20),
        (6, 300, 600, 1),
    ]
    records = [
        record
        for peer, (protocol, interval, window, _count) in zip(peers(len(kinds)), kinds, strict=True)
        for record in repeated(
            [T0 + interval * n for n in range(20)],
            peer,
            protocol=protocol,
            window=window,
            tcp_flags=None,
        )
    ]
    found = by_responder(rows(tmp_path, records), peers(len(kinds)))
    counts = [len(several) for several in found.values()]
    assert counts == [count for _protocol, _interval, _window, count in kinds]


def test_a_syn_starts_a_connection_only_after_the_one_before_has_ended(tmp_path) -> None:
    # The flags of both directions in each window (None: no record), the number of connections.
    patterns = [
        ([(2, None), (2, None), (2, None)], 1),  # a SYN repeated without an answer
        ([(2, None), (2, 18), (0, 0), (1, 1)], 1),  # answered in the second window
        ([(2, None), (0, 18), (1, 1)], 1),  # a handshake across the edge of two windows
        ([(2, None), (1, 19)], 1),
        ([(2, 18), (0, 0), (0, 0), (4, 0)], 1),
        ([(3, 19), (1, 1), (0, 4)], 1),  # late FIN and RST
        ([(2, 4), (2, 4), (2, 4)], 3),  # refused three times
        ([(3, 19), (None, None), (3, 19)], 2),
        ([(2, 18), (1, 1), (2, 18), (1, 1)], 2),
        ([(2, 18), (0, 0), (4, 0), (0, 0), (2, 18)], 2),
        ([(2, None), (None, None), (None, None), (2, None)], 2),  # another attempt
        ([(2, 18), (None, None), (None, None), (0, 0)], 1),
        ([(2, 18), (7, 19), (3, 19)], 2),  # the end of one and the start of the next in a record
    ]
    records = []
    for peer, (windows, _count) in zip(peers(len(patterns)), patterns, strict=True):
        for number, (up, down) in enumerate(windows):
            start = T0 + 60 * number
            record = Record(A, peer, 40_000, 443, start, start + 59, tcp_flags=up)
            records += [record] if up is not None else []
            records += [record.back(tcp_flags=down)] if down is not None else []
    found = by_responder(rows(tmp_path, records), peers(len(patterns)))
    counts = [len(several) for several in found.values()]
    assert counts == [count for _windows, count in patterns]
    assert sum(r["records"] for several in found.values() for r in several) == len(records)


@pytest.mark.parametrize("interval", [60, 120])
def test_windows_of_two_interfaces_need_not_begin_together(tmp_path, interval) -> None:
    shifts = (0, 1, 7, 30, 53, -1, -10, -30, -59)
    targets = [f"10.0.0.{20 + number}" for number in range(len(shifts))]
    at = [T0 + interval * n + 5 for n in range(20)]
    records = []
    for target, shift in zip(targets, shifts, strict=True):
        for time in at:
            here = list(connect(A, target, 8080, time))
            start = (time - T0 - shift) // 60 * 60 + T0 + shift
            records += here
            records += [
                replace(r, start=start, end=start + 59, interface_id=f"eni-{target}") for r in here
            ]
    own = [interface(A, "a"), *(interface(target, target) for target in targets)]
    found = by_responder(rows(tmp_path, records, interfaces=own), targets)
    assert {len(several) for several in found.values()} == {20}
    sums = [(sum(r["bytes_out"] for r in f), sum(r["bytes_in"] for r in f)) for f in found.values()]
    # A connection in every window: where a window spans two starts, the last has one record more.
    assert set(sums) <= {(16_000, 60_000), (16_800, 63_000)}
    if interval > 60:
        several = [r for f in found.values() for r in f]
        assert {(r["bytes_out"], r["bytes_in"], r["records"]) for r in several} == {(800, 3000, 4)}
