"""Organisations: drawn from a seed, without an address twice."""

from __future__ import annotations

import ipaddress

import pytest

from flowbench.scenario.exercises.organisation import DIFFICULTIES, build, make_key


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_addresses_and_ids_are_unique(difficulty: str) -> None:
    organisation = build(f"test/{difficulty}", DIFFICULTIES[difficulty], 2)
    hosts = organisation.hosts
    addresses = [host.address for host in hosts] + [h.public for h in hosts if h.public]
    addresses += organisation.services.values()
    assert len(set(addresses)) == len(addresses)
    assert len({host.interface for host in hosts}) == len(hosts)
    assert organisation.take_address() not in addresses
    for host in hosts:
        assert ipaddress.ip_address(host.address) in ipaddress.ip_network(host.subnet.cidr)
    assert len({host.vpc_id for host in hosts}) == 1 + DIFFICULTIES[difficulty].two_vpcs
    assert len(organisation.with_role("bastion")) == 1
    assert organisation.last - organisation.first == 2 * 86_400


def test_a_private_host_reaches_the_internet_by_its_own_nat_gateway() -> None:
    organisation = build("test", DIFFICULTIES["hard"], 1)
    network = organisation.network
    for host in organisation.with_role("web", "devbox"):
        gateway = network.nat_of(host)
        assert gateway is not None
        assert gateway.vpc_id == host.vpc_id


def test_keys_look_like_keys_and_differ_by_seed() -> None:
    assert make_key("ada", "1") != make_key("ada", "2")
    assert len(make_key("ada", "1")) == 20
