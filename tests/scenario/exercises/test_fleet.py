"""The machines of a fleet: addresses of their own, kinds as the inventory names them."""

from __future__ import annotations

import ipaddress

from flowbench.scenario.exercises.fleet import build_fleet
from tests.scenario.exercises.fleet_logs import owner


def test_every_address_is_one_machine_s_and_in_its_subnet() -> None:
    for records in (0, 100_000_000):
        hosts = build_fleet(owner(), records)
        addresses = [each for host in hosts for each in (host.address, *host.secondary)]
        assert len(addresses) == len(set(addresses))
        assert len({host.ipv6 for host in hosts if host.ipv6}) > 4
        own = {host.subnet.cidr for host in owner().hosts}
        for host in hosts:
            assert host.subnet.cidr not in own
            network = ipaddress.ip_network(host.subnet.cidr)
            assert all(
                ipaddress.ip_address(each) in network for each in (host.address, *host.secondary)
            )
    assert len(hosts) == 2_006


def test_more_records_need_more_machines() -> None:
    assert [len(build_fleet(owner(), 10**n)) for n in (4, 6, 7)] == [30, 55, 506]
