"""Hosts of one address in several VPCs or accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from flowbench.errors import InputError
from flowbench.investigate import attribution
from flowbench.schema import DEFAULT_FORMAT
from flowbench.selector import DnsSelector, EvidenceSelector
from tests.connections.conftest import rows
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case

A, B, OUT = "10.0.0.10", "10.0.0.20", "203.0.113.66"
V5 = FIELDS


def twins(count: int = 20, **places: Any) -> Iterator[Any]:
    """Two hosts of one address call one server from the same ports, two minutes apart."""
    for name, shift in (("a", 0), ("b", 120)):
        place = {key: values[name] for key, values in places.items()}
        for k in range(count):
            yield from (
                WithVpc(**vars(record) | place | {"interface_id": f"eni-{name}"})
                for record in connect(A, OUT, 8080, T0 + 300 * k + shift, source_port=40_000 + k)
            )


class WithVpc(Record):
    """A record of version 3."""

    def __init__(self, *, vpc_id: str = "-", **fields: Any) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "vpc_id", vpc_id)


@pytest.mark.parametrize(
    ("places", "fields", "zones"),
    [
        ({"vpc_id": {"a": "vpc-1", "b": "vpc-2"}}, V5, ["vpc-1", "vpc-2"]),
        ({"account_id": {"a": "111111111111", "b": "222222222222"}}, DEFAULT_FORMAT,
         ["111111111111", "222222222222"]),
        ({}, DEFAULT_FORMAT, ["eni-a", "eni-b"]),
    ],
)  # fmt: skip
def test_no_connection_of_two_hosts_is_lost(tmp_path, places, fields, zones) -> None:
    found = rows(tmp_path, twins(**places), fields=fields)
    assert len(found) == 40
    assert sum(row["bytes_out"] for row in found) == 40 * 800
    hosts = {(row["initiator"], row["interface_id"], row["direction"]) for row in found}
    assert hosts == {
        (f"{A}%{zones[0]}", "eni-a", "outbound"),
        (f"{A}%{zones[1]}", "eni-b", "outbound"),
    }


def test_one_vpc_reassigns_an_address(tmp_path) -> None:
    same = {"vpc_id": {"a": "vpc-1", "b": "vpc-1"}}
    assert {row["initiator"] for row in rows(tmp_path, twins(**same), fields=V5)} == {A}


def test_traffic_within_each_of_two_equal_vpcs(tmp_path) -> None:
    records = []
    for vpc in ("vpc-1", "vpc-2"):
        between = list(connect(A, B, 445, T0))
        for name in (f"eni-a-{vpc}", f"eni-b-{vpc}"):
            records += [WithVpc(**vars(r) | {"interface_id": name, "vpc_id": vpc}) for r in between]
    listed = [
        interface(address, f"{name}-{vpc}", VpcId=vpc)
        for vpc in ("vpc-1", "vpc-2")
        for name, address in (("a", A), ("b", B))
    ]
    found = rows(tmp_path, records, fields=V5, interfaces=listed)
    assert [(row["initiator"], row["responder"], row["records"]) for row in found] == [
        (f"{A}%{vpc}", f"{B}%{vpc}", 4) for vpc in ("vpc-1", "vpc-2")
    ]


@pytest.mark.parametrize("logged", [True, False])
def test_a_peer_in_a_third_vpc(tmp_path, logged) -> None:
    """It is known which host called if that host's interface recorded it, too."""
    hub = "10.9.0.5"
    call = list(connect(A, hub, 443, T0))
    of = {"eni-hub": ("vpc-9", call), "eni-a": ("vpc-1", call if logged else [])}
    of["eni-b"] = ("vpc-2", list(connect(A, OUT, 443, T0)))
    records = [
        WithVpc(**vars(record) | {"interface_id": name, "vpc_id": vpc})
        for name, (vpc, some) in of.items()
        for record in some
    ]
    listed = [
        interface(A, "a", VpcId="vpc-1"),
        interface(A, "b", VpcId="vpc-2"),
        interface(hub, "hub", VpcId="vpc-9"),
    ]
    found = rows(tmp_path, records, fields=V5, interfaces=listed)
    callers = {row["initiator"]: row["records"] for row in found if row["responder"] == hub}
    assert callers == ({f"{A}%vpc-1": 4} if logged else {A: 2})


def test_the_inventory_names_both_hosts(tmp_path) -> None:
    listed = [
        interface(A, "a", VpcId="vpc-1", OwnerId="111111111111"),
        interface(A, "b", VpcId="vpc-2", OwnerId="222222222222"),
        interface(A, "c", VpcId="vpc-2", OwnerId="222222222222", Status="available"),
    ]
    case = make_case(tmp_path, connect(A, OUT, 443, T0), interfaces=listed)
    (row,) = case.connections.to_pyarrow().to_pylist()
    assert row["initiator"] == f"{A}%vpc-1"
    book = [
        (row["address"], row["interface_id"], row["vpc_id"], row["account_id"])
        for row in case.addresses.to_pyarrow().to_pylist()
        if row["address"] != OUT
    ]
    assert book == [
        (f"{A}%vpc-1", "eni-a", "vpc-1", "111111111111"),
        (f"{A}%vpc-2", "eni-b", "vpc-2", "222222222222"),
        (f"{A}%vpc-2", "eni-c", "vpc-2", "222222222222"),
    ]


def test_an_ordinary_case_has_no_zones(tmp_path) -> None:
    records = [*connect(A, OUT, 443, T0), *connect(A, B, 22, T0)]
    records += [replace(record, interface_id="eni-b") for record in connect(A, B, 22, T0)]
    records += connect(B, OUT, 443, T0, interface_id="eni-b")
    case = make_case(tmp_path, records)
    assert case.address_zones.count().execute() == 0
    assert set(case.addresses.address.to_pyarrow().to_pylist()) == {A, B, OUT}


def test_a_public_address_that_no_zone_is_known_of_is_internal(tmp_path) -> None:
    shared, hub = "147.32.80.9", "10.9.0.5"
    listed = [
        interface(shared, "a", VpcId="vpc-1"),
        interface(shared, "b", VpcId="vpc-2"),
        interface(hub, "hub", VpcId="vpc-9"),
    ]
    call = connect(shared, hub, 443, T0, interface_id="eni-hub")
    (row,) = rows(tmp_path, call, interfaces=listed)
    assert (row["initiator"], row["direction"]) == (shared, "internal")


def test_evidence_and_connections_of_one_host(tmp_path) -> None:
    places = {"vpc_id": {"a": "vpc-1", "b": "vpc-2"}}
    case = make_case(tmp_path, twins(5, **places), fields=V5)
    one = f"{A}%vpc-1"
    selected = case.evidence_for(EvidenceSelector(one, peers=(OUT,)))
    assert selected["interface_id"].tolist() == ["eni-a"] * 10
    both = case.evidence_for(EvidenceSelector(OUT, peers=(one, f"{A}%vpc-2")))
    assert (len(both), set(both["srcaddr"])) == (20, {A, OUT})
    # without its zone the address stands for records of which the host is unknown: there are none
    assert case.evidence_for(EvidenceSelector(A, peers=(OUT,))).empty
    assert len(case.connections_of(one)) == 5
    message = f"2 hosts have the address {A}: give one of {one}, {A}%vpc-2"
    assert case.check_host("2001:DB8:1:0::5") == "2001:db8:1::5"
    assert case.check_host("::ffff:10.9.9.9") == "10.9.9.9"
    assert case.check_host("i-0a1") == "i-0a1"
    for ask in (case.connections_of, case.check_host, partial(attribution.trace, case)):
        with pytest.raises(InputError, match=message):
            ask(A)
    assert attribution.trace(case, one).value("interface") == "eni-a"


@pytest.mark.parametrize("place", ["vpc_id", "account_id"])
def test_dns_queries_of_two_hosts(tmp_path, place) -> None:
    names = {"vpc_id": ("vpc-1", "vpc-2"), "account_id": ("111111111111", "222222222222")}[place]
    queries = [
        {
            "version": "1.100000",
            "account_id": names[n] if place == "account_id" else "333333333333",
            "vpc_id": names[n] if place == "vpc_id" else f"vpc-{n}",
            "query_timestamp": "2026-09-01T00:00:00Z",
            "query_name": f"{n}.example.",
            "query_type": "A",
            "rcode": "NOERROR",
            "answers": [],
            "srcaddr": A,
            "srcport": "53",
        }
        for n in range(2)
    ]
    places = {place: dict(zip("ab", names, strict=True))}
    fields = V5 if place == "vpc_id" else DEFAULT_FORMAT
    case = make_case(tmp_path, twins(2, **places), fields=fields, json_lines=queries)
    hosts = dict(case.dns.select("name", "srcaddr").to_pandas().itertuples(index=False))
    assert hosts == {f"{n}.example": f"{A}%{names[n]}" for n in range(2)}
    selector = EvidenceSelector("", flows=False, dns=DnsSelector(clients=(hosts["0.example"],)))
    assert case.evidence_for(selector)[["name", "srcaddr"]].to_numpy().tolist() == [
        ["0.example", A]
    ]
