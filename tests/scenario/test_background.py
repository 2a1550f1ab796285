"""The benign traffic of a generated network's infrastructure."""

from __future__ import annotations

import numpy as np
import pytest

from flowbench.scenario.background import add_background
from flowbench.scenario.bulk import Traffic
from flowbench.scenario.incident_settings import DEVELOPMENT
from flowbench.scenario.random_network import DAY, RandomNetwork, add_hosts

START = 1_788_220_800


@pytest.fixture(scope="module")
def network() -> RandomNetwork:
    rng = np.random.default_rng(1)
    network = RandomNetwork(DEVELOPMENT, rng, Traffic(rng), START, 1)
    add_hosts(network)
    add_background(network)
    return network


def select(network: RandomNetwork, kind: str) -> dict[str, np.ndarray]:
    columns = network.traffic.columns()
    is_kind = columns["kind"] == network.traffic.kinds.index(kind)
    return {name: column[is_kind] for name, column in columns.items()}


def test_infrastructure_is_periodic(network) -> None:
    checks = select(network, "health-check")
    pair = (checks["src"] == checks["src"][0]) & (checks["dst"] == checks["dst"][0])
    gaps = np.diff(np.sort(checks["start"][pair]))
    assert gaps == pytest.approx(np.full(len(gaps), 120), abs=2)


def test_every_host_uses_time_servers_and_resolvers(network) -> None:
    for kind, port in (("ntp", 123), ("dns", 53)):
        rows = select(network, kind)
        assert set(rows["src"]) == set(network.hosts)
        assert set(rows["port"]) == {port}
        assert set(rows["protocol"]) == {17}


def test_backups_are_the_largest_uploads(network) -> None:
    backups = select(network, "backup")
    assert len(set(backups["src"])) == 6
    assert backups["bytes_out"].min() > 100e6
    assert (backups["bytes_in"] < backups["bytes_out"]).all()


def test_agent_channels_last_for_hours(network) -> None:
    assert set(select(network, "agent-channel")["seconds"]) == {11 * 3_600}


def test_connections_begin_within_the_logs(network) -> None:
    starts = network.traffic.columns()["start"]
    assert starts.min() >= START - 0.15 * DAY
    assert starts.max() <= START + 1.15 * DAY
