"""Interfaces' own addresses, from inventory and records."""

from __future__ import annotations

from dataclasses import replace

import ibis
import pytest

from flowbench.enrich import own_addresses
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"


def own(case) -> dict[str, set[str]]:
    rows = (
        own_addresses.own_addresses(case._connection, case.flows, case.interfaces)
        .to_pyarrow()
        .to_pylist()
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["interface_id"], set()).add(row["address"])
    return found


def test_without_inventory_it_is_the_address_in_all_records(tmp_path) -> None:
    records = [
        *connect(A, OUT, 443, T0),
        *connect(A, B, 22, T0, source_port=40_001),
        *connect(B, OUT, 443, T0, interface_id="eni-b"),
        *connect(B, "198.51.100.1", 443, T0, interface_id="eni-b"),
    ]
    assert own(make_case(tmp_path, records)) == {"eni-a": {A}, "eni-b": {B}}


@pytest.mark.parametrize(
    ("peer", "direction", "expected"),
    [(OUT, None, {A}), (B, None, None), (B, "egress", {A}), (B, "ingress", {B})],
)
def test_an_interface_with_one_peer_only(tmp_path, peer, direction, expected) -> None:
    case = make_case(tmp_path, [Record(A, peer, 40_000, 443, T0, T0 + 5, flow_direction=direction)])
    assert own(case) == ({"eni-a": expected} if expected else {})


def test_an_interface_with_an_address_of_each_kind(tmp_path) -> None:
    six = "2600:1f18:1::5"
    records = [
        *connect(A, OUT, 443, T0),
        *connect(A, B, 443, T0),
        *connect(six, "2001:db8::1", 443, T0),
        *connect(six, "2001:db8::2", 443, T0),
    ]
    assert own(make_case(tmp_path, records)) == {"eni-a": {A, six}}


def test_the_inventory_goes_first(tmp_path) -> None:
    listed = interface(
        A,
        "a",
        PrivateIpAddresses=[{"PrivateIpAddress": A}, {"PrivateIpAddress": "10.0.0.6"}],
        Ipv6Addresses=[{"Ipv6Address": "2001:db8::6"}],
    )
    case = make_case(tmp_path, connect(A, OUT, 443, T0), interfaces=[listed])
    assert own(case) == {"eni-a": {A, "10.0.0.6", "2001:db8::6"}}


NAT = "nat-0123"


def through_nat(client: str, gateway: str, peer: str, port: int = 443) -> list[Record]:
    """Return what a regional NAT gateway records of an exchange: before and after translation."""
    before = Record(client, peer, 40_000, port, T0, T0 + 59, interface_id=None)
    after = Record(gateway, peer, 50_000, port, T0, T0 + 59, interface_id=None)
    return [before, before.back(), after, after.back()]


def test_a_regional_nat_gateway_has_its_public_addresses(tmp_path) -> None:
    gateway, scanner = "198.51.100.4", "192.0.2.66"
    inbound = Record(scanner, gateway, 40_000, 22, T0, T0 + 59, interface_id=None)
    records = [*through_nat(A, gateway, OUT), inbound]
    case = make_case(tmp_path, records)
    flows = case.flows.mutate(resource_id=ibis.literal(NAT))
    own = (
        own_addresses.own_addresses(case._connection, flows, case.interfaces)
        .to_pyarrow()
        .to_pylist()
    )
    assert own == [{"interface_id": NAT, "address": gateway}]
    gateways = own_addresses.nat_gateways(flows, case.interfaces).to_pyarrow().to_pylist()
    assert gateways == [{"interface_id": NAT}]
    assert own_addresses.is_regional_nat(case.flows.drop("interface_id").select("srcaddr")) is None


P, Q = "147.32.80.9", "147.32.80.10"  # hosts of a VPC with a public range
V2 = DEFAULT_FORMAT


@pytest.mark.parametrize(
    ("records", "fields", "expected"),
    [
        # flow-direction names the side
        (connect(P, OUT, 443, T0, flow_direction="egress"), FIELDS, {P}),
        ([Record(OUT, P, 9, 22, T0, T0 + 5, flow_direction="ingress")], FIELDS, {P}),
        (connect(P, A, 443, T0, flow_direction="egress"), FIELDS, {P}),
        # all records share it, in either direction, also beside private peers
        ([*connect(P, OUT, 443, T0), *connect("198.51.100.8", P, 22, T0)], V2, {P}),
        ([*connect(P, OUT, 443, T0), *connect(P, Q, 22, T0), *connect(P, A, 22, T0)], V2, {P}),
        # nothing tells
        (connect(P, OUT, 443, T0), V2, None),
        # several private hosts behind one interface, with one public peer
        ([*connect(A, OUT, 443, T0), *connect(B, OUT, 443, T0)], V2, None),
        # AWS wrote the primary address in place of the packet's
        ([Record(P, OUT, 9, 443, T0, T0 + 5, pkt_srcaddr=Q, pkt_dstaddr=OUT)], FIELDS, {P}),
        ([Record(OUT, P, 9, 443, T0, T0 + 5, pkt_srcaddr=OUT, pkt_dstaddr=Q)], FIELDS, {P}),
        ([Record(OUT, P, 9, 443, T0, T0 + 5, pkt_srcaddr=OUT, pkt_dstaddr=P)], FIELDS, None),
    ],
)
def test_a_public_ipv4_address(tmp_path, records, fields, expected) -> None:
    case = make_case(tmp_path, records, fields=fields)
    assert own(case) == ({"eni-a": expected} if expected else {})


@pytest.mark.parametrize(("one", "other"), [(P, Q), ("2600:1f18::5", "2600:1f18::6")])
def test_of_two_public_addresses_that_which_no_other_interface_has(tmp_path, one, other) -> None:
    peer = "2001:db8::1" if ":" in one else OUT
    between = list(connect(one, other, 443, T0))
    elsewhere = connect(one, peer, 443, T0)
    at_other = [replace(record, interface_id="eni-b") for record in between]
    case = make_case(tmp_path, [*between, *elsewhere, *at_other], fields=V2)
    assert own(case) == {"eni-a": {one}, "eni-b": {other}}


def test_several_addresses_on_the_side_of_the_interface(tmp_path) -> None:
    one, other, peer = "2600:1f18::5", "2600:1f18::6", "2001:db8::1"
    records = [
        *connect(one, peer, 443, T0, flow_direction="egress"),
        *connect(other, "2001:db8::2", 443, T0, flow_direction="egress"),
    ]
    assert own(make_case(tmp_path / "own", records)) == {"eni-a": {one, other}}
    # a device that passes traffic on has its peers on both sides
    through = [
        Record(other, peer, 9, 443, T0, T0 + 5, flow_direction="ingress"),
        Record(other, peer, 9, 443, T0, T0 + 5, flow_direction="egress"),
        Record(one, peer, 9, 443, T0, T0 + 5, flow_direction="egress"),
    ]
    assert own(make_case(tmp_path / "transit", through)) == {"eni-a": {one}}


@pytest.mark.parametrize(
    ("neighbour", "own_address", "peer"),
    [
        ("147.32.80.200", P, OUT),
        ("147.32.81.9", None, OUT),
        ("2600:1f18:0:1::9", "2600:1f18:0:1::5", "2001:db8::1"),
        ("2600:1f18:0:2::9", None, "2001:db8::1"),
    ],
)
def test_of_two_public_addresses_that_in_the_subnet_of_another(
    tmp_path, neighbour, own_address, peer
) -> None:
    host = "2600:1f18:0:1::5" if ":" in peer else P
    other = "2001:db8::2" if ":" in peer else "198.51.100.8"
    records = [
        *connect(host, peer, 443, T0),
        *connect(neighbour, peer, 443, T0, interface_id="eni-b"),
        *connect(neighbour, other, 443, T0, interface_id="eni-b"),
    ]
    expected = {"eni-b": {neighbour}} | ({"eni-a": {own_address}} if own_address else {})
    assert own(make_case(tmp_path, records, fields=V2)) == expected
