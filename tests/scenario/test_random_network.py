"""Generated networks: hosts, times and sizes."""

from __future__ import annotations

import numpy as np
import pytest

from flowbench.scenario.bulk import Traffic
from flowbench.scenario.incident_settings import DEVELOPMENT
from flowbench.scenario.random_network import DAY, HOUR, RandomNetwork, add_hosts

START = 1_788_220_800


@pytest.fixture
def network() -> RandomNetwork:
    rng = np.random.default_rng(1)
    return RandomNetwork(DEVELOPMENT, rng, Traffic(rng), START, 3)


def test_hosts_have_distinct_internal_addresses_and_roles(network) -> None:
    add_hosts(network)
    names = [network.traffic.addresses[host] for host in network.hosts]
    assert len(set(names)) == len(names)
    assert all(name.startswith("10.20.") for name in names)
    assert all(network.traffic.internal[host] for host in network.hosts)
    roles = network.web + network.app + network.data + network.workstations
    assert sorted(roles) == sorted(network.hosts[4:])
    assert 25 <= len(roles) <= 40


def test_external_addresses_are_new_each_time(network) -> None:
    addresses = [network.traffic.addresses[network.external_address()] for _ in range(3_000)]
    assert len(set(addresses)) == 3_000
    assert all(address.startswith("198.18.") for address in addresses)


def test_periodic_times_keep_their_interval(network) -> None:
    times = network.periodic_times(600, 0.02)
    gaps = np.diff(times)
    assert len(times) == pytest.approx(3 * DAY / 600, abs=1)
    assert np.all(np.abs(gaps - 600) <= 2 * 0.02 * 600)


def test_working_hours_are_7_to_19(network) -> None:
    times = network.random_times(200, working_hours=True) - START
    hours = times % DAY / HOUR
    assert hours.min() >= 7
    assert hours.max() <= 19
    assert np.all(np.diff(times) >= 0)


def test_draws_are_within_their_range(network) -> None:
    assert all(3 <= network.draw((3, 5)) <= 5 for _ in range(50))
    assert {network.draw_count((1, 3)) for _ in range(50)} == {1, 2, 3}
    assert len(set(network.pick([1, 2, 3], 5))) == 3
    assert np.median(network.sizes(1_000, 2_000)) == pytest.approx(1_000, rel=0.1)
