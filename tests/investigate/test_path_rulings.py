"""Rulings: which packets the rules of each end are asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbench.investigate import path_rulings
from flowbench.investigate.path_records import End
from flowbench.investigate.path_rules import Packet, Ruling, to_networks
from flowbench.investigate.path_rulings import Rulings, read_interfaces
from tests.investigate.test_path_causes import seen
from tests.traffic import T0, Record, interface, make_case

ENDS = {name: End(name, (), ()) for name in ("source", "destination")}


def rulings(x: str, y: str, *observations: Any, facts: int = 1, port: int | None = 443) -> Rulings:
    rows = [
        {"subnet_id": f"subnet-{n}", "vpc_id": "vpc-1", "security_groups": [f"sg-{n}"]}
        for n in range(facts)
    ]
    networks = {"source": to_networks(x.split()), "destination": to_networks(y.split())}
    both = dict.fromkeys(ENDS, rows)
    return Rulings(None, ENDS, networks, both, 6, port, list(observations))  # type: ignore[arg-type]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Packet]:
    packets: list[Packet] = []

    def answer(_case: Any, subnet: str, packet: Packet) -> Ruling:
        packets.append(packet)
        return Ruling("allows" if subnet == "subnet-0" else "denies", (subnet,))

    monkeypatch.setattr(path_rulings, "read_network_acl", answer)
    return packets


@pytest.mark.parametrize(
    ("place", "direction", "expected"),
    [
        ("source", "request", ("egress", "10.0.2.9/32", (443, 443))),
        ("destination", "request", ("ingress", "10.0.1.5/32", (443, 443))),
        ("destination", "reply", ("egress", "10.0.1.5/32", (1_024, 65_535))),
        ("source", "reply", ("ingress", "10.0.2.9/32", (1_024, 65_535))),
    ],
)
def test_packets_of_each_place(asked: list[Packet], place, direction, expected) -> None:
    ruling = rulings("10.0.1.5", "10.0.2.9 203.0.113.7").network_acl(place, direction)
    assert ruling == Ruling("allows", ("subnet-0",))
    (packet,) = asked
    assert (packet.direction, str(packet.peers[0]), packet.ports) == expected
    assert packet.peer_groups == ("sg-0",)
    assert len(packet.peers) == 1


def test_the_internet_sees_public_addresses(asked: list[Packet]) -> None:
    rulings("10.0.1.5 203.0.113.7", "198.51.100.1").network_acl("destination", "request")
    assert [str(peer) for peer in asked[0].peers] == ["203.0.113.7/32"]


def test_rejected_replies_name_the_client_ports(asked: list[Packet]) -> None:
    replies = [
        seen("destination", "reply", "REJECT", first_port=50_000, last_port=50_009),
        seen("destination", "request", first_port=40_000, last_port=40_000),
    ]
    rulings("10.0.1.5", "10.0.2.9", *replies).network_acl("destination", "reply")
    rulings("10.0.1.5", "10.0.2.9", replies[1]).network_acl("destination", "reply")
    rulings("10.0.1.5", "10.0.2.9", port=None).network_acl("destination", "reply")
    assert [p.ports for p in asked] == [(50_000, 50_009), (40_000, 40_000), (0, 65_535)]


def test_interfaces_that_differ_leave_the_answer_unknown(asked: list[Packet]) -> None:
    assert rulings("10.0.1.5", "10.0.2.9", facts=2).network_acl("source", "request").answer == (
        "unknown"
    )
    assert rulings("10.0.1.5", "10.0.2.9", facts=0).route("source").answer == "unknown"
    assert len(asked) == 2


def test_interfaces_are_read_from_the_inventory(tmp_path: Path) -> None:
    enis = [
        interface("10.0.1.5", "x", SubnetId="subnet-x", VpcId="vpc-1", Groups=[{"GroupId": "sg-1"}])
    ]
    case = make_case(tmp_path, [Record("10.0.1.5", "10.0.2.9", 1, 2, T0, T0 + 9)], interfaces=enis)
    end = End("source", ("10.0.1.5",), ("eni-unknown", "eni-x"))
    assert read_interfaces(case, end) == [
        {"subnet_id": None, "vpc_id": None, "security_groups": []},
        {"subnet_id": "subnet-x", "vpc_id": "vpc-1", "security_groups": ["sg-1"]},
    ]
