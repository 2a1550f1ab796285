"""The simulated network: ids, hosts, and their description."""

from __future__ import annotations

import ipaddress

from flowbench.scenario.network import SERVICES, build, mac_address, make_id, subnet


def test_ids_depend_on_their_words_alone() -> None:
    assert make_id("eni", "a") == make_id("eni", "a") != make_id("eni", "b")
    assert make_id("i", "a").startswith("i-0")
    assert mac_address("eni-1").startswith("02:")
    assert len(mac_address("eni-1").split(":")) == 6


def test_hosts_are_in_their_subnets_with_unique_addresses() -> None:
    network = build()
    assert len(network.hosts) == len(network.by_address) == len(network.by_name) == 41
    for host in network.hosts:
        assert ipaddress.ip_address(host.address) in ipaddress.ip_network(host.subnet.cidr)
        assert (host.public is not None) == host.subnet.public
    assert subnet("dev", "data-b").cidr == "10.40.33.0/24"


def test_private_subnets_use_the_nat_gateway_of_their_vpc() -> None:
    network = build()
    assert network.nat_of(network["dev-devbox-1"]) is network["dev-nat-1"]
    assert network.nat_of(network["dev-bastion-1"]) is None
    assert [host.name for host in network.with_role("rds", env="prod")] == [
        "prod-rds-1",
        "prod-rds-2",
    ]


def test_interfaces_are_described_as_by_aws() -> None:
    network = build()
    instance = network["prod-web-1"].describe("2026-07-23T00:00:00+00:00")
    assert instance["Attachment"]["InstanceId"] == network["prod-web-1"].instance
    assert "Association" not in instance
    assert {"Key": "Name", "Value": "prod-web-1"} in instance["TagSet"]
    gateway = network["prod-nat-1"].describe("2026-07-23T00:00:00+00:00")
    assert gateway["RequesterManaged"]
    assert not gateway["SourceDestCheck"]
    assert gateway["Association"]["IpOwnerId"] == gateway["OwnerId"]
    assert "InstanceId" not in gateway["Attachment"]


def test_external_services_have_reserved_addresses() -> None:
    reserved = [ipaddress.ip_network(n) for n in ("192.0.2.0/24", "203.0.113.0/24")]
    for address in SERVICES.values():
        assert any(ipaddress.ip_address(address) in network for network in reserved)
