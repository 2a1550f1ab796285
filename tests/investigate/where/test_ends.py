"""Conditions on ends: networks, hosts of one address, and assignments that change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.case import Case
from flowbench.investigate import where
from flowbench.investigate.where.ends import ipv4_prefixes, matching_periods
from tests.traffic import FIELDS, T0, Record, connect, make_case

A, OUT = "10.0.0.5", "203.0.113.7"
START = datetime.fromtimestamp(T0, UTC)
HOUR = 3_600


class Placed(Record):
    """A record with VPC and instance."""

    def __init__(self, *, vpc_id: str = "-", instance_id: str = "-", **fields: object) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "vpc_id", vpc_id)
        object.__setattr__(self, "instance_id", instance_id)


def placed(at: int, port: int, address: str = A, peer: str = OUT, **place: str) -> list[Placed]:
    records = connect(address, peer, 443, at, source_port=port)
    return [Placed(**vars(record) | place) for record in records]


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    """An address that two instances have in turn; another that hosts in two VPCs have."""
    records = [
        *placed(T0, 40_001, interface_id="eni-1", vpc_id="vpc-1", instance_id="i-1"),
        *placed(T0 + 60, 40_002, interface_id="eni-1", vpc_id="vpc-1", instance_id="i-1"),
        *placed(T0 + 5 * HOUR, 40_003, interface_id="eni-2", vpc_id="vpc-1", instance_id="i-2"),
    ]
    for number, vpc in enumerate(("vpc-1", "vpc-2")):
        for k in range(3):
            at, port = T0 + 600 * k + 120 * number, 41_000 + k
            place = {"interface_id": f"eni-x{number}", "vpc_id": vpc}
            records += placed(at, port, "10.0.0.10", "203.0.113.66", **place)
    records += connect("2001:db8::5", "2001:db9::1", 443, T0, interface_id="eni-6")
    return make_case(tmp_path_factory.mktemp("ends"), records, fields=[*FIELDS])


@pytest.mark.parametrize(
    ("text", "connections", "records"),
    [
        ("src = 10.0.0.5", 3, 3),
        ("ip = 10.0.0.5", 3, 6),
        ("src.instance = i-1", 2, 2),
        ("src.instance = i-2", 1, 1),
        ("not instance = i-2", 9, 18),
        ("src = 10.0.0.10", 6, 6),
        ("src = 10.0.0.10%vpc-2", 3, 3),
        ("src.vpc = vpc-2", 3, 3),
        ("src in 10.0.0.0/29", 3, 3),
        ("src in 10.0.0.8/29", 6, 6),
        ("src in 10.0.0.0/8", 9, 9),
        ("src in 0.0.0.0/0", 9, 18),
        ("src in 2001:db8::/32", 1, 1),
        ("ip in (2001:db9::/32, 203.0.113.7)", 4, 8),
        ("src not in ::/0 and src not in 0.0.0.0/0", 0, 0),
    ],
)
def test_ends(case: Case, text: str, connections: int, records: int) -> None:
    found = where.filter_connections(case, text).count().execute()
    assert (found, where.filter_flows(case, text).count().execute()) == (connections, records)


def test_many_addresses_are_joined_as_a_table(case: Case) -> None:
    many = ", ".join(f"10.0.{number}.5" for number in range(250))
    assert where.filter_connections(case, f"src in ({many})").count().execute() == 3
    assert where.filter_flows(case, f"src not in ({many})").count().execute() == 17


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_prefixes_are_the_network(base: int, length: int, other: int) -> None:
    network = IPv4Network((base, length), strict=False)
    beginnings, hosts = ipv4_prefixes(network)
    assert len(beginnings) + len(hosts) <= 128
    near = int(network.network_address) + other % (2 * network.num_addresses)
    for number in (base, other, min(near, 2**32 - 1)):
        text = str(ip_address(number))
        is_in = network.prefixlen == 0 or text in hosts or text.startswith(tuple(beginnings))
        assert is_in == (ip_address(number) in network)


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def held(since: float | None, until: float | None, *, matches: bool) -> dict[str, object]:
    bounds = [None if hours is None else after(hours) for hours in (since, until)]
    return {"valid_from": bounds[0], "valid_until": bounds[1], "matches": matches}


@pytest.mark.parametrize(
    ("rows", "periods"),
    [
        ([held(None, 3, matches=True), held(3, None, matches=False)], [(None, after(3))]),
        ([held(None, 2, matches=False), held(4, None, matches=True)], [(after(3), None)]),
        (
            [held(None, None, matches=True), held(2, 4, matches=False)],
            [(None, after(2)), (after(4), None)],
        ),
        ([held(1, 2, matches=True), held(2, 3, matches=True)], [(None, None)]),
        ([held(None, None, matches=False)], []),
    ],
)
def test_periods_of_the_assignments_that_match(rows, periods) -> None:
    assert matching_periods(rows) == periods
