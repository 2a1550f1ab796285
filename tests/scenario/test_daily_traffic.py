"""The daily traffic of the simulated network."""

from __future__ import annotations

from collections import Counter

import pytest

from flowbench.scenario.daily_traffic import DAY, HOUR, DailyTraffic
from flowbench.scenario.network import OFFICE, SERVICES, Network, build
from flowbench.scenario.traffic import Connection, FlowLogger

START = 1_788_220_800


@pytest.fixture(scope="module")
def network() -> Network:
    return build()


@pytest.fixture(scope="module")
def daily(network) -> tuple[DailyTraffic, list[Connection]]:
    traffic = DailyTraffic(network, FlowLogger(network, START), START, START + DAY, "seed")
    return traffic, list(traffic.connections())


def test_the_same_seed_gives_the_same_connections(network, daily) -> None:
    again = DailyTraffic(network, FlowLogger(network, START), START, START + DAY, "seed")
    assert list(again.connections()) == daily[1]
    other = DailyTraffic(network, FlowLogger(network, START), START, START + DAY, "other")
    assert list(other.connections()) != daily[1]


def test_connections_are_within_the_period(daily) -> None:
    assert all(START <= connection.start < START + DAY for connection in daily[1])


def test_customers_follow_the_time_of_day(daily) -> None:
    clients = [c for c in daily[1] if c.initiator.startswith("198.18.")]
    hours = Counter(int(c.start - START) // HOUR for c in clients)
    assert sum(hours[h] for h in range(12, 18)) > 2 * sum(hours[h] for h in range(6))


def test_backups_and_the_licence_server_are_periodic(network, daily) -> None:
    by_peer = [c for c in daily[1] if c.responder == SERVICES["licence.vendor.example.com"]]
    assert {c.initiator for c in by_peer} == {network["prod-batch-2"].address}
    assert len(by_peer) == pytest.approx(48, abs=1)
    backups = [c for c in daily[1] if c.service == "S3"]
    assert all(2 <= (c.start - START) / HOUR < 2.2 for c in backups)
    assert len(backups) == 4


def test_internet_scans_are_rejected_or_unanswered_but_for_the_load_balancers(
    network, daily
) -> None:
    for connection in daily[1]:
        if connection.initiator.startswith("198.19."):
            target = network.by_address[connection.responder]
            assert connection.answered == (target.role == "alb" and connection.port == 443)
            if connection.rejected:
                assert target.role != "nat"


def test_ssh_comes_from_the_office_through_the_bastion(network, daily) -> None:
    bastion = network["dev-bastion-1"].address
    sessions = [c for c in daily[1] if c.port == 22 and c.answered and c.responder == bastion]
    assert {c.initiator for c in sessions} == {OFFICE}
    inner = [c for c in daily[1] if c.port == 22 and c.initiator == bastion]
    assert len(inner) == len(sessions) == 5


def test_look_ups_precede_external_connections(daily) -> None:
    starts = {(c.initiator, c.responder, round(c.start, 3)) for c in daily[1]}
    assert daily[0].dns_lookups
    missing = [
        name
        for time, host, name in daily[0].dns_lookups
        if START <= time + 0.3 < START + DAY
        and (host.address, SERVICES[name], round(time + 0.3, 3)) not in starts
    ]
    assert missing == []
