"""Records to connections: each trap of the format is a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench import connections
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import T0, Record, connect, interface, make_case, reject

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


def rows(folder: Path, records: Any, **more: Any) -> list[dict[str, Any]]:
    case = make_case(folder, records, **more)
    table = case.connections.order_by("first_seen", "initiator_port")
    return table.to_pyarrow().to_pylist()


def test_a_connection_in_full(tmp_path) -> None:
    (row,) = rows(tmp_path, connect(A, OUT, 443, T0 + 10, seconds=150, out=3000, back=9000))
    assert {k: v for k, v in row.items() if not k.endswith("_seen")} == {
        "initiator": A,
        "initiator_port": 40_000,
        "responder": OUT,
        "service_port": 443,
        "protocol": 6,
        "interface_id": "eni-a",
        "bytes_out": 3000,
        "bytes_in": 9000,
        "packets_out": 15,
        "packets_in": 15,
        "records": 6,
        "rejected": False,
        "rejected_records": 0,
        "answered": True,
        "direction": "outbound",
        "intermediate": False,
        "initiator_rule": "flags",
    }
    assert row["first_seen"].timestamp() == T0
    assert row["last_seen"].timestamp() == T0 + 179
    assert list(row) == connections.TABLE.columns


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


def test_late_and_shuffled_records_join_all_the_same(tmp_path) -> None:
    records = list(connect(A, OUT, 443, T0, seconds=900))
    calm = rows(tmp_path / "calm", records)
    shuffled = rows(tmp_path / "shuffled", [*records[7:], *reversed(records[:7])])
    assert calm == shuffled
    assert len(calm) == 1


def test_a_silence_parts_two_talks_of_the_same_ends(tmp_path) -> None:
    times = [T0, T0 + 600, T0 + 1400, T0 + 5000]
    found = rows(tmp_path, [r for at in times for r in connect(A, OUT, 443, at)])
    assert [(row["first_seen"].timestamp(), row["records"]) for row in found] == [
        (T0, 4),
        (T0 + 1380, 2),
        (T0 + 4980, 2),
    ]


def test_records_of_the_same_window_are_never_parted_by_a_silence(tmp_path) -> None:
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


def test_a_client_behind_a_nat_gateway_meets_its_true_peer(tmp_path) -> None:
    nat = "10.0.1.1"
    to_nat = Record(A, nat, 40_000, 443, T0, T0 + 59, interface_id="eni-nat", tcp_flags=3,
                    pkt_srcaddr=A, pkt_dstaddr=OUT, flow_direction="ingress")  # fmt: skip
    onward = Record(nat, OUT, 51_000, 443, T0, T0 + 59, interface_id="eni-nat", tcp_flags=3,
                    pkt_srcaddr=nat, pkt_dstaddr=OUT, flow_direction="egress")  # fmt: skip
    own = list(connect(A, OUT, 443, T0, out=500, pkt_srcaddr=A, pkt_dstaddr=OUT))
    found = rows(
        tmp_path,
        [*own, to_nat, to_nat.back(), onward, onward.back()],
        interfaces=[interface(A, "a"), interface(nat, "nat", kind="nat_gateway")],
    )
    by_initiator = {row["initiator"]: row for row in found}
    assert set(by_initiator) == {A, nat}
    assert by_initiator[A]["responder"] == by_initiator[nat]["responder"] == OUT
    assert (by_initiator[A]["bytes_out"], by_initiator[A]["intermediate"]) == (500, False)
    assert by_initiator[nat]["intermediate"] is True


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        # an accepted SYN is only permitted, not answered
        ([Record(A, B, 40_000, 22, T0, T0 + 5, tcp_flags=2)], (False, False)),
        # a security group: one REJECT at the responder, ACCEPT at the initiator's own interface
        ([reject(A, B, 22, T0)], (True, False)),
        (
            [
                reject(A, B, 22, T0, interface_id="eni-b"),
                Record(A, B, 40_000, 22, T0, T0 + 59, tcp_flags=2),
            ],
            (True, False),
        ),
        # a network ACL that drops the reply: ACCEPT out, REJECT back
        (
            [
                Record(A, B, 40_000, 22, T0, T0 + 5, tcp_flags=2),
                Record(B, A, 22, 40_000, T0, T0 + 5, tcp_flags=18, action="REJECT"),
            ],
            (True, False),
        ),
        # late packets of a connection that was closed
        (
            [
                *connect(A, B, 22, T0),
                Record(A, B, 40_000, 22, T0 + 60, T0 + 70, action="REJECT", tcp_flags=1),
            ],
            (False, True),
        ),
        # the same, so late that it stands alone: no SYN, so no attempt
        ([Record(A, B, 40_000, 22, T0, T0 + 5, tcp_flags=4, action="REJECT")], (False, False)),
        ([Record(B, A, 22, 40_000, T0, T0 + 5, tcp_flags=4, action="REJECT")], (False, False)),
        # without flags in the log, a lone REJECT has to count
        ([Record(A, B, 40_000, 22, T0, T0 + 5, action="REJECT")], (True, False)),
        # closed port: RST is accepted back, so it was answered
        (
            [
                Record(A, B, 40_000, 22, T0, T0 + 5, tcp_flags=2),
                Record(B, A, 22, 40_000, T0, T0 + 5, tcp_flags=4),
            ],
            (False, True),
        ),
    ],
)
def test_refused_and_answered(tmp_path, records, expected) -> None:
    (row,) = rows(tmp_path, records)
    assert (row["initiator"], row["service_port"]) == (A, 22)
    assert (row["rejected"], row["answered"]) == expected


def both(here: str, there: str, port: int, to: int, *, late: int = 0, **more: Any) -> list[Record]:
    """A record each way, without flags; the reply begins ``late`` seconds after."""
    sent = Record(here, there, port, to, T0, T0 + 5, **more)
    return [sent, sent.back(start=T0 + late, end=T0 + late + 5)]


OPENED = [
    (list(connect(A, OUT, 50_000, T0, source_port=60)), A, "flags"),
    ([Record(OUT, A, 60, 50_000, T0, T0 + 5, tcp_flags=18)], A, "flags"),
    (list(connect(OUT, A, 443, T0, tcp_flags=None)), OUT, "ports"),
    (list(connect(A, OUT, 12_000, T0, tcp_flags=None)), A, "ports"),
    ([Record(A, OUT, 10_211, 10_001, T0, T0 + 5, protocol=17)], A, "one-way"),
    ([Record(A, OUT, 0, 0, T0, T0 + 5, protocol=1)], A, "one-way"),
    # Rejected, and nobody else spoke: the caller, also of a port as high as its own.
    ([Record(OUT, A, 40_000, 50_000, T0, T0 + 5, action="REJECT")], OUT, "rejected"),
    ([Record(OUT, A, 5_000, 50_000, T0, T0 + 5, action="REJECT")], OUT, "rejected"),
    # A late reply that is rejected is none: the service's port says whose it is.
    ([Record(OUT, A, 443, 50_000, T0, T0 + 5, action="REJECT")], A, "ports"),
    # NFS is called from below 1024, other services are not; rsh counts down from 1023.
    (both(A, B, 700, 2_049), A, "ports"),
    (both(B, A, 1_023, 20_048), B, "ports"),
    (both(A, B, 2_049, 443), A, "higher-port"),
    (both(B, A, 1_023, 514), B, "higher-port"),
    (both(A, OUT, 40_000, 51_820, protocol=17), A, "ports"),
    # Whoever was logged first: in a log with holes that says nothing, the higher port a little.
    (both(OUT, A, 10_211, 10_001, protocol=17), OUT, "higher-port"),
    (both(A, OUT, 10_211, 10_001, protocol=17, late=60), A, "higher-port"),
    (both(OUT, A, 10_001, 10_211, protocol=17, late=60), A, "higher-port"),
    # Half of a connection that is under way, the other half lost: no call without an answer.
    ([Record(A, OUT, 50_000, 51_000, T0, T0 + 5, tcp_flags=0)], OUT, "higher-port"),
    ([Record(A, OUT, 50_000, 51_000, T0, T0 + 5)], A, "one-way"),
    # Equal ports, or none: ours asked, unless nobody answered.
    (both(A, OUT, 123, 123, protocol=17), A, "internal"),
    (both(OUT, A, 123, 123, protocol=17, late=60), A, "internal"),
    (both(OUT, A, 0, 0, protocol=1, late=60), A, "internal"),
    ([Record(OUT, A, 5_060, 5_060, T0, T0 + 5, protocol=17)], OUT, "one-way"),
    ([Record(OUT, A, 5_060, 5_060, T0, T0 + 5, tcp_flags=0)], A, "internal"),
    # Equal ports and both inside: the first; at a tie always the same one.
    (both(B, A, 7_946, 7_946, late=60), B, "order"),
    (both(B, A, 7_946, 7_946), A, "order"),
    (both(A, B, 7_946, 7_946), A, "order"),
    (both(B, A, 0, 0, protocol=47), A, "order"),
]


def _own(number: int, address: str) -> str:
    """The address in a network of its own."""
    return {A: f"10.0.{number}.5", B: f"10.0.{number}.9", OUT: f"203.0.113.{number}"}[address]


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> dict[str, tuple[str, str]]:
    """All of OPENED in one case, each between addresses of its own: who opened it, and the rule."""
    records = [
        replace(
            record,
            srcaddr=_own(number, record.srcaddr),
            dstaddr=_own(number, record.dstaddr),
            interface_id=f"eni-{number}",
        )
        for number, (group, *_) in enumerate(OPENED)
        for record in group
    ]
    found = rows(tmp_path_factory.mktemp("opened"), records)
    assert len(found) == len(OPENED)
    ours = [min(row["initiator"], row["responder"]) for row in found]
    told = [(row["initiator"], row["initiator_rule"]) for row in found]
    return dict(zip(ours, told, strict=True))


@pytest.mark.parametrize("number", range(len(OPENED)))
def test_who_opened_it(opened, number) -> None:
    _, initiator, told = OPENED[number]
    assert opened[_own(number, A)] == (_own(number, initiator), told)


def test_v2_alone_is_enough(tmp_path) -> None:
    records = [*connect(A, OUT, 443, T0), reject("198.51.100.4", A, 23, T0)]
    found = rows(tmp_path, records, fields=DEFAULT_FORMAT)
    assert [(r["initiator"], r["rejected"], r["direction"]) for r in found] == [
        (A, False, "outbound"),
        ("198.51.100.4", True, "inbound"),
    ]


def test_ipv6(tmp_path) -> None:
    ours, theirs = "fd00:1::5", "2001:db8::7"
    (row,) = rows(tmp_path, connect(ours, theirs, 443, T0))
    assert (row["initiator"], row["responder"], row["direction"]) == (ours, theirs, "outbound")


def test_a_public_address_is_ours_when_it_is_an_interfaces_own(tmp_path) -> None:
    ours = "2001:db8:1::5"  # IPv6 has no private side: the records tell whose it is
    records = [
        *connect(ours, "2001:db8:2::1", 443, T0, flow_direction="egress"),
        *connect(ours, "2001:db8:2::2", 443, T0, source_port=40_001, flow_direction="egress"),
    ]
    assert {row["direction"] for row in rows(tmp_path, records)} == {"outbound"}


def test_nodata_and_skipdata_are_no_connections(tmp_path) -> None:
    silent = Record(None, None, None, None, T0, T0 + 60, protocol=None, packets=None, bytes=None,
                    action=None, log_status="NODATA")  # fmt: skip
    assert rows(tmp_path, [silent]) == []


def test_pairs_sum_up(tmp_path) -> None:
    records = [
        r for n in range(5) for r in connect(A, OUT, 443, T0 + n * 60, source_port=40_000 + n)
    ]
    case = make_case(tmp_path, [*records, reject(A, OUT, 443, T0 + 400, source_port=50_000)])
    (row,) = case.connection_summaries.to_pyarrow().to_pylist()
    assert list(row) == connections.SUMMARIES.columns
    assert (row["connections"], row["answered"], row["rejected"]) == (6, 5, 1)
    assert (row["bytes_out"], row["bytes_in"]) == (5 * 800 + 60, 15_000)
    assert row["last_seen"].timestamp() == T0 + 360 + 59


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
