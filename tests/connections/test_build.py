"""Connections and summaries from flow log records, as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flowbench import connections
from flowbench.case import cache
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import own_addresses
from flowbench.schema import DEFAULT_FORMAT
from tests.connections.conftest import rows
from tests.traffic import T0, Record, connect, interface, make_case, reject

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


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
        "syn_sent": True,
        "direction": "outbound",
        "intermediate": False,
        "initiator_rule": "flags",
    }
    assert row["first_seen"].timestamp() == T0
    assert row["last_seen"].timestamp() == T0 + 179
    assert list(row) == connections.TABLE.columns


def test_a_client_of_a_nat_gateway_has_its_true_peer(tmp_path) -> None:
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
        # the same, so late that it is a connection of its own: no SYN, so no attempt
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
def test_rejected_and_answered(tmp_path, records, expected) -> None:
    (row,) = rows(tmp_path, records)
    assert (row["initiator"], row["service_port"]) == (A, 22)
    assert (row["rejected"], row["answered"]) == expected


def test_v2_alone_is_enough(tmp_path) -> None:
    records = [*connect(A, OUT, 443, T0), reject("198.51.100.4", A, 23, T0)]
    found = rows(tmp_path, records, fields=DEFAULT_FORMAT)
    assert [(r["initiator"], r["rejected"], r["direction"]) for r in found] == [
        (A, False, "outbound"),
        ("198.51.100.4", True, "inbound"),
    ]


def test_summaries(tmp_path) -> None:
    records = [
        r for n in range(5) for r in connect(A, OUT, 443, T0 + n * 60, source_port=40_000 + n)
    ]
    case = make_case(tmp_path, [*records, reject(A, OUT, 443, T0 + 400, source_port=50_000)])
    (row,) = case.connection_summaries.to_pyarrow().to_pylist()
    assert list(row) == connections.SUMMARIES.columns
    assert (row["connections"], row["answered"], row["rejected"]) == (6, 5, 1)
    assert (row["bytes_out"], row["bytes_in"]) == (5 * 800 + 60, 15_000)
    assert row["last_seen"].timestamp() == T0 + 360 + 59


def built(case: Any, folder: Path, **options: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of both tables, in the order in which they are written."""
    folder.mkdir()
    backend, flows, inventory = case._connection, case.flows, Inventory(case.interfaces)
    own = own_addresses(backend, flows, inventory.interfaces)
    connections.build_connections(backend, flows, inventory, own, folder, **options)
    return {
        name: [r for p in cache.table_files(folder, name) for r in pq.read_table(p).to_pylist()]
        for name in ("connections", "connection_summaries")
    }


def test_the_size_of_files_changes_the_order_only(tmp_path) -> None:
    records = [
        record
        for n in range(40)
        for record in connect(
            f"10.0.0.{n % 7 + 1}", OUT, 443, T0 + n * 60, source_port=40_000 + n, seconds=40 * n
        )
    ]
    case = make_case(tmp_path, records)
    steps: list[tuple[int, int, str]] = []
    whole = built(case, tmp_path / "whole", progress=lambda *step: steps.append(step))
    split = built(case, tmp_path / "split", per_file=300)
    assert len(list((tmp_path / "split").glob("connections-2026*"))) > 3
    assert split["connection_summaries"] == whole["connection_summaries"]
    assert sorted(map(repr, split["connections"])) == sorted(map(repr, whole["connections"]))
    assert len(whole["connections"]) == 40
    assert whole["connections"] == sorted(
        whole["connections"],
        key=lambda row: (row["initiator"], row["service_port"], row["first_seen"]),
    )
    assert (steps[0][0], steps[-1]) == (0, (3, 3, ""))
    assert [done for done, _of, _text in steps] == sorted(done for done, _of, _text in steps)


def test_a_shorter_idle_timeout(tmp_path) -> None:
    records = [
        record for at in (T0, T0 + 300) for record in connect(A, OUT, 443, at, tcp_flags=None)
    ]
    case = make_case(tmp_path, records)
    assert len(built(case, tmp_path / "long")["connections"]) == 1
    assert len(built(case, tmp_path / "short", idle_timeout=120)["connections"]) == 2


def test_no_records_give_empty_files(tmp_path) -> None:
    case = make_case(tmp_path, [])
    assert built(case, tmp_path / "empty") == {"connections": [], "connection_summaries": []}


def test_whether_the_initiator_sent_a_syn(tmp_path) -> None:
    def one(at: int, flags: int | None, back: int | None = None) -> list[Record]:
        sent = Record(A, OUT, 40_000 + at, 443, T0 + at, T0 + at + 5, tcp_flags=flags)
        return [sent] if back is None else [sent, sent.back(tcp_flags=back)]

    backscatter = Record(OUT, A, 443, 40_050, T0 + 50, T0 + 55, tcp_flags=18)
    udp = Record(A, OUT, 40_060, 443, T0 + 60, T0 + 65, protocol=17, tcp_flags=0)
    records = [
        *(r for at, flags in ((0, 2), (10, 1), (20, None)) for r in one(at, flags)),
        *one(30, 3, 19),
        *one(40, 4, 18),  # a reset in reply to a SYN-ACK that nothing asked for
        *(backscatter, udp),
    ]
    found = {row["initiator_port"]: row["syn_sent"] for row in rows(tmp_path, records)}
    expected = {0: True, 10: False, 20: None, 30: True, 40: False, 50: False, 60: None}
    assert found == {40_000 + at: value for at, value in expected.items()}
