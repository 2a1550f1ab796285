"""Interfaces of one address are divided into hosts; a peer is one of them, or unclear."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.connections.hosts import Owner, choose_host, divide_owners, name_hosts
from tests.traffic import T0

A = "10.0.0.10"


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(T0 + seconds, UTC)


def owner(name: str, vpc: str | None, account: str | None, *span: int) -> Owner:
    first, last = map(at, span) if span else (None, None)
    return Owner(name, vpc, account, first, last)


@pytest.mark.parametrize(
    ("owners", "zones"),
    [
        # the VPC decides, whatever the account and time
        ([("a", "vpc-1", "1", 0, 9), ("b", "vpc-2", "1", 5000, 9000)], ["vpc-1", "vpc-2"]),
        ([("a", "vpc-1", "1", 0, 9000), ("b", "vpc-1", "2", 0, 9000)], ["vpc-1"]),
        # version 2: the account, then the overlap in time
        ([("a", None, "1", 0, 9), ("b", None, "2", 5000, 9000)], ["1", "2"]),
        ([("a", None, "1", 0, 9000), ("b", None, "1", 8000, 9900)], ["a", "b"]),
        ([("a", None, "1", 0, 9000), ("b", None, "1", 8340, 9900)], ["1"]),  # reassigned
        ([("a", None, None, 0, 9000), ("b", None, None, 0, 9000)], ["a", "b"]),
        ([("a", None, None), ("b", None, None)], ["a"]),
        # the VPC of one is unknown
        ([("a", "vpc-1", "1", 0, 9000), ("b", None, "2", 0, 9000)], ["vpc-1", "2"]),
        ([("a", "vpc-1", "1", 0, 9000), ("b", None, "1", 0, 9000)], ["vpc-1", "b"]),
        ([("a", "vpc-1", "1", 0, 9000), ("b", None, "1", 9000, 9900)], ["vpc-1"]),
        ([("a", "<b>/%;", "1", 0, 9), ("b", "vpc-2", "1", 0, 9)], ["_b____", "vpc-2"]),
    ],
)
def test_interfaces_of_one_address_are_divided_into_hosts(owners, zones) -> None:
    hosts = name_hosts(A, divide_owners(owner(*each) for each in owners))
    assert [host.name for host in hosts] == [f"{A}%{zone}" for zone in zones]
    assert sum(len(host.owners) for host in hosts) == len(owners)


@pytest.mark.parametrize(
    ("observer", "with_peer", "expected"),
    [
        (("x", "vpc-1", "9"), [], "vpc-1"),
        (("x", "vpc-1", "9"), ["vpc-2"], "vpc-1"),
        (("x", "vpc-3", "9"), ["vpc-2"], "vpc-2"),
        (("x", "vpc-3", "9"), ["vpc-1", "vpc-2"], None),
        (("x", "vpc-3", "2"), [], None),  # another VPC of the account
        (("x", None, "2"), [], "vpc-2"),
        (("x", None, "9"), [], None),
    ],
)
def test_which_host_an_interface_recorded_as_a_peer(observer, with_peer, expected) -> None:
    some = [[owner("a", "vpc-1", "1")], [owner("b", "vpc-2", "2")]]
    hosts = name_hosts(A, some)
    chosen = choose_host(owner(*observer), hosts, [f"{A}%{zone}" for zone in with_peer])
    assert (chosen and chosen.name) == (expected and f"{A}%{expected}")
