"""The initiator of a connection: every rule, and their order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ibis
import pytest

from flowbench.connections.initiator import (
    EPHEMERAL,
    RELIABLE_RULES,
    SERVICE_PORTS,
    UDP_SERVICE_PORTS,
    choose_initiator,
    initiator_rules,
)
from tests.connections.conftest import rows
from tests.traffic import T0, Record, connect

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


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
    # Rejected, and the other end sent nothing: its sender, also to a port as high as its own.
    ([Record(OUT, A, 40_000, 50_000, T0, T0 + 5, action="REJECT")], OUT, "rejected"),
    ([Record(OUT, A, 5_000, 50_000, T0, T0 + 5, action="REJECT")], OUT, "rejected"),
    # A late reply that is rejected: the port of the service decides.
    ([Record(OUT, A, 443, 50_000, T0, T0 + 5, action="REJECT")], A, "ports"),
    # 8080 and 8081 serve TCP; over UDP their packets are no replies, those of 1434 and 5060 may be.
    ([Record(OUT, A, 8_081, 1_434, T0, T0 + 5, protocol=17, action="REJECT")], OUT, "ports"),
    ([Record(OUT, A, 8_080, 4_000, T0, T0 + 5, protocol=17, action="REJECT")], OUT, "rejected"),
    ([Record(OUT, A, 5_060, 9_000, T0, T0 + 5, protocol=17, action="REJECT")], A, "ports"),
    (both(OUT, A, 5_060, 3_333, protocol=17), A, "ports"),
    (both(A, OUT, 5_000, 3_333), A, "ports"),
    # NFS clients use ports below 1024, those of other services do not; rsh counts down from 1023.
    (both(A, B, 700, 2_049), A, "ports"),
    (both(B, A, 1_023, 20_048), B, "ports"),
    (both(A, B, 2_049, 443), A, "higher-port"),
    (both(B, A, 1_023, 514), B, "higher-port"),
    (both(A, OUT, 40_000, 51_820, protocol=17), A, "ports"),
    # In a log with gaps the first record decides nothing; the higher port is right more often.
    (both(OUT, A, 10_211, 10_001, protocol=17), OUT, "higher-port"),
    (both(A, OUT, 10_211, 10_001, protocol=17, late=60), A, "higher-port"),
    (both(OUT, A, 10_001, 10_211, protocol=17, late=60), A, "higher-port"),
    # One direction of a connection in midstream, the other lost: not an unanswered attempt.
    ([Record(A, OUT, 50_000, 51_000, T0, T0 + 5, tcp_flags=0)], OUT, "higher-port"),
    ([Record(A, OUT, 50_000, 51_000, T0, T0 + 5)], A, "one-way"),
    # Equal ports, or none: the internal end, unless there was no answer.
    (both(A, OUT, 123, 123, protocol=17), A, "internal"),
    (both(OUT, A, 123, 123, protocol=17, late=60), A, "internal"),
    (both(OUT, A, 0, 0, protocol=1, late=60), A, "internal"),
    ([Record(OUT, A, 5_060, 5_060, T0, T0 + 5, protocol=17)], OUT, "one-way"),
    ([Record(OUT, A, 5_060, 5_060, T0, T0 + 5, tcp_flags=0)], A, "internal"),
    # Equal ports and both internal: the first record; at a tie the lower address.
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
    """All of OPENED in one case, each between addresses of its own: the initiator and the rule."""
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
    return {
        min(row["initiator"], row["responder"]): (row["initiator"], row["initiator_rule"])
        for row in found
    }


@pytest.mark.parametrize("number", range(len(OPENED)))
def test_the_initiator_and_its_rule(opened, number) -> None:
    _, initiator, rule = OPENED[number]
    assert opened[_own(number, A)] == (_own(number, initiator), rule)


def chosen(**facts: Any) -> tuple[bool, str]:
    """Return whether the low end is the initiator, and the rule, for a connection of such facts."""
    flags = ("syn", "syn_ack", "midstream", "rejecting")
    row = {f"{flag}_{way}": False for flag in flags for way in ("up", "down")}
    row |= {"low_port": 50_000, "high_port": 50_001, "protocol": 6, "first_up": 1, "first_down": 1}
    row |= {"low_internal": True, "high_internal": True, "low_clients": 0, "high_clients": 0}
    row |= facts
    schema = {name: "int64" if isinstance(row[name], int) else "bool" for name in row}
    schema |= dict.fromkeys(("first_up", "first_down"), "int64")
    schema |= {name: "bool" for name, value in row.items() if isinstance(value, bool)}
    table = ibis.memtable([row], schema=schema)
    low, rule = choose_initiator(table)
    found = table.select(low=low, rule=rule).to_pyarrow().to_pylist()[0]
    return found["low"], found["rule"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # A SYN decides against ports, rejection and time.
        ({"syn_down": True, "high_port": 443, "first_down": 9}, (False, "flags")),
        # Both ends sent a SYN (the port was used again): the SYN-ACK decides.
        ({"syn_up": True, "syn_down": True, "syn_ack_up": True}, (False, "flags")),
        # Both sent both: the flags decide nothing.
        (
            {"syn_up": True, "syn_down": True, "syn_ack_up": True, "syn_ack_down": True},
            (False, "higher-port"),
        ),
        # A port that stayed is the service's, also against an ephemeral port; a flag is surer.
        ({"low_clients": 4}, (False, "constant-port")),
        ({"low_port": 5_000, "high_clients": 4}, (True, "constant-port")),
        ({"high_clients": 4, "syn_down": True}, (False, "flags")),
        ({"high_clients": 4, "first_up": None}, (False, "one-way")),
        ({"low_clients": 9, "high_clients": 9}, (False, "higher-port")),
        # Two services: the ports decide nothing but which is higher.
        ({"low_port": 443, "high_port": 22}, (True, "higher-port")),
        # Ports mean nothing to a protocol without ports.
        ({"protocol": 1, "low_port": 443, "low_internal": False}, (False, "internal")),
        ({"protocol": 1, "low_port": 443, "first_up": 5}, (False, "order")),
    ],
)
def test_the_order_of_the_rules(facts, expected) -> None:
    assert chosen(**facts) == expected


def test_the_rules_always_decide() -> None:
    assert chosen(low_port=7, high_port=7) == (True, "order")  # a tie: the lower address
    assert chosen(low_port=7, high_port=7, first_up=2) == (False, "order")


def test_service_ports_are_below_the_ephemeral_ones_or_known() -> None:
    for ports in (SERVICE_PORTS, UDP_SERVICE_PORTS):
        assert list(ports) == sorted(set(ports))
        assert min(ports) > 1023
    ports = {*SERVICE_PORTS, *UDP_SERVICE_PORTS}
    assert sorted(port for port in ports if port >= EPHEMERAL) == [45_700, 51_820]


def test_reliable_rules_are_rules() -> None:
    columns = {"low_port": "int32", "high_port": "int32", "protocol": "int32"}
    counts = ("first_up", "first_down", "low_clients", "high_clients")
    columns |= dict.fromkeys(counts, "int64")
    columns |= {f"{end}_internal": "bool" for end in ("low", "high")}
    facts = ("syn", "syn_ack", "midstream", "rejecting")
    columns |= {f"{fact}_{way}": "bool" for fact in facts for way in ("up", "down")}
    names = {name for _when, _is_low, name in initiator_rules(ibis.table(columns, name="c"))}
    assert set(RELIABLE_RULES) < names
    assert names - set(RELIABLE_RULES) == {"higher-port", "internal", "order"}
