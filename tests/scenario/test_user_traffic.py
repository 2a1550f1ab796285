"""The traffic of a generated network's users."""

from __future__ import annotations

import numpy as np
import pytest

from flowbench.scenario.bulk import REJECTED, UNANSWERED, Traffic
from flowbench.scenario.incident_settings import DEVELOPMENT
from flowbench.scenario.random_network import RandomNetwork, add_hosts
from flowbench.scenario.user_traffic import add_user_traffic


@pytest.fixture(scope="module")
def network() -> RandomNetwork:
    rng = np.random.default_rng(2)
    network = RandomNetwork(DEVELOPMENT, rng, Traffic(rng), 1_788_220_800, 1)
    add_hosts(network)
    add_user_traffic(network)
    return network


def select(network: RandomNetwork, kind: str) -> dict[str, np.ndarray]:
    columns = network.traffic.columns()
    is_kind = columns["kind"] == network.traffic.kinds.index(kind)
    return {name: column[is_kind] for name, column in columns.items()}


def test_customers_reach_web_servers_from_outside_the_network(network) -> None:
    rows = select(network, "customer")
    internal = np.asarray(network.traffic.internal)
    assert not internal[rows["src"]].any()
    assert set(rows["dst"]) == set(network.web)


def test_workstations_visit_several_sites(network) -> None:
    rows = select(network, "browsing")
    assert set(rows["src"]) <= set(network.workstations)
    sites = [len(set(rows["dst"][rows["src"] == host])) for host in network.workstations]
    assert max(sites) > 8


def test_misconfigured_clients_are_rejected_or_unanswered(network) -> None:
    rows = select(network, "misconfiguration")
    assert set(rows["state"]) == {REJECTED, UNANSWERED}
    assert {6379, 8081} == set(rows["port"])


def test_internet_scans_come_from_many_sources_with_few_attempts(network) -> None:
    rows = select(network, "noise")
    attempts = np.unique(rows["src"], return_counts=True)[1]
    assert len(attempts) >= 1_500
    assert attempts.max() <= 6
    assert set(rows["state"]) == {REJECTED}


def test_the_playbook_reaches_all_hosts_from_the_bastion(network) -> None:
    rows = select(network, "playbook")
    assert set(rows["src"]) == {network.hosts[3]}
    assert set(rows["dst"]) == set(network.hosts[4:])
