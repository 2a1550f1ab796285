"""Private addresses and neighbourhoods."""

from __future__ import annotations

import ipaddress

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.enrich import ownership
from flowbench.enrich.ownership import SITE, SUBNET, Scope

PROVIDER = Scope(16, 32)
INTERNAL = ("10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "169.254.0.0/16", "172.16.0.0/12",
            "100.64.0.0/10", "fc00::/7", "fe80::/10", "::1/128")  # fmt: skip


def is_private(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return any(address in ipaddress.ip_network(network) for network in INTERNAL)


EDGES = [
    str(address)
    for network in map(ipaddress.ip_network, INTERNAL)
    for end in (int(network[0]), int(network[-1]))
    for address in (
        type(network[0])(max(end - 1, 0)),
        type(network[0])(end),
        type(network[0])(end + 1),
    )
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.ip_addresses().map(str), max_size=30))
def test_private_addresses_are_those_of_the_registries(addresses) -> None:
    addresses = [*EDGES, *addresses]
    table = ibis.memtable({"address": addresses})
    found = table.select(private=ownership.is_private(table.address)).to_pyarrow()
    expected = [is_private(text) for text in addresses]
    assert found["private"].to_pylist() == expected


@pytest.mark.parametrize(
    ("address", "scope", "network"),
    [
        ("203.0.113.7", SUBNET, "203.0.113.0/24"),
        ("203.0.113.7", SITE, "203.0.113.0/24"),
        ("203.0.113.7", PROVIDER, "203.0.0.0/16"),
        ("2001:db8:1:2:3::4", SUBNET, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3::4", SITE, "2001:db8:1::/48"),
        ("2001:db8:1:2:3::4", PROVIDER, "2001:db8::/32"),
    ],
)
def test_neighbourhoods(address: str, scope: Scope, network: str) -> None:
    assert ownership.neighbourhood(address, scope) == network


def test_a_text_that_is_no_address_has_no_neighbourhood() -> None:
    for text in ("", "sts.amazonaws.com", "1.2.3", "1.2.3.4/8", "AWS Internal"):
        with pytest.raises(ValueError, match=r"does not appear to be|Only one"):
            ownership.neighbourhood(text, PROVIDER)
    table = ibis.memtable({"a": ["", "1.2.3", "1.2.3.4.5", "x.y.z.w"]})
    keys = table.select(key=ownership.neighbourhood_key(table.a, SUBNET)).to_pyarrow()
    assert keys["key"].to_pylist() == [""] * 4


IPV6 = st.integers(0, 3).flatmap(
    lambda zeros: st.lists(st.sampled_from([0, 0, 1, 0xDB8]), min_size=8, max_size=8).map(
        lambda groups: str(
            ipaddress.IPv6Address(
                sum(group << 16 * (7 - i) for i, group in enumerate(groups[: 8 - zeros]))
            )
        )
    )
)


@settings(max_examples=60, deadline=None)
@given(st.lists(IPV6 | st.ip_addresses().map(str), min_size=2, max_size=20))
@pytest.mark.parametrize("scope", [SUBNET, SITE, PROVIDER])
def test_keys_are_the_same_just_where_the_networks_are(scope: Scope, addresses: list[str]) -> None:
    table = ibis.memtable({"a": addresses})
    found = table.select(key=ownership.neighbourhood_key(table.a, scope)).to_pyarrow()
    by_key: dict[str, set[str]] = {}
    for key, address in zip(found["key"].to_pylist(), addresses, strict=True):
        if "." not in address or ":" not in address:  # mapped addresses are not in evidence
            by_key.setdefault(key, set()).add(ownership.neighbourhood(address, scope))
    assert all(len(networks) == 1 for networks in by_key.values())
    networks = [network for group in by_key.values() for network in group]
    assert len(networks) == len(set(networks))
