"""The traffic of a generated network's users: customers, employees, administrators, scanners."""

from __future__ import annotations

import numpy as np

from flowbench.scenario.bulk import REJECTED, UNANSWERED
from flowbench.scenario.random_network import DAY, HOUR, RandomNetwork


def add_user_traffic(network: RandomNetwork) -> None:
    """Add the traffic of users, a few misconfigured clients, and internet scans."""
    for source in (
        _customers,
        _browsing,
        _own_services,
        _uploads,
        _admin,
        _misconfigurations,
        _noise,
    ):
        source(network)


def _customers(network: RandomNetwork) -> None:
    clients = np.asarray([network.external_address() for _ in range(400)])
    weights = network.rng.pareto(1.2, len(clients)) + 0.1
    for host in network.web:
        at = network.random_times(700 * network.rng.uniform(0.3, 1))
        who = network.rng.choice(clients, len(at), p=weights / weights.sum())
        network.traffic.add(
            "customer",
            who,
            host,
            443,
            at,
            network.sizes(2_500, len(at)),
            network.sizes(30_000, len(at), 1.2),
            seconds=network.sizes(4, len(at)),
        )
        for upstream in network.pick(network.app, 2):
            at = network.random_times(150)
            network.traffic.add(
                "upstream",
                host,
                upstream,
                8443,
                at,
                network.sizes(2_000, len(at)),
                network.sizes(9_000, len(at)),
            )


def _browsing(network: RandomNetwork) -> None:
    sites = np.asarray([network.external_address() for _ in range(600)])
    for host in network.workstations:
        visited = network.rng.choice(
            sites, network.draw_count(network.settings.browsing), replace=False
        )
        for site in visited:
            at = network.random_times(
                network.rng.choice([2, 8, 40]), working_hours=bool(network.rng.random() < 0.8)
            )
            network.traffic.add(
                "browsing",
                host,
                site,
                443,
                at,
                network.sizes(4_000, len(at), 1),
                network.sizes(80_000, len(at), 1.2),
                seconds=network.sizes(10, len(at), 1),
            )


def _own_services(network: RandomNetwork) -> None:
    """Periodic services of a single host, which flow records cannot tell from beaconing."""
    for _ in range(int(network.rng.choice(network.settings.own_services))):
        (host,) = network.pick(network.app)
        at = network.periodic_times(60 * network.draw((10, 45)), 0.02)
        network.traffic.add(
            "own-service",
            host,
            network.external_address(),
            443,
            at,
            network.sizes(900, len(at), 0.05),
            network.sizes(2_000, len(at), 0.05),
        )


def _uploads(network: RandomNetwork) -> None:
    """Logs shipped each hour, images pushed to a registry, files sent to partners."""
    collector, registry = network.external_address(), network.external_address()
    for host in network.app + network.web:
        at = network.periodic_times(HOUR, 0.02)
        network.traffic.add(
            "log-shipping",
            host,
            collector,
            443,
            at,
            network.sizes(700_000, len(at), 0.2),
            9_000,
            seconds=15,
            packet=(1_300, 60),
        )
    for host in network.pick(network.workstations, 8):
        at = network.random_times(2, working_hours=True)
        network.traffic.add(
            "push",
            host,
            registry,
            443,
            at,
            network.sizes(25e6, len(at), 0.8),
            60_000,
            seconds=60,
            packet=(1_400, 60),
        )
    for host in network.pick(network.workstations, 5):
        at = network.random_times(1.5, working_hours=True)
        network.traffic.add(
            "attachment",
            host,
            network.external_address(),
            443,
            at,
            network.sizes(4e6, len(at), 0.8),
            60_000,
            seconds=20,
            packet=(1_400, 60),
        )


def _admin(network: RandomNetwork) -> None:
    """A daily playbook on every host through the bastion, and code fetched over SSH."""
    bastion, forge = network.hosts[3], network.external_address()
    for host in network.hosts[4:]:
        runs = (
            network.first + 10 * HOUR + np.arange(network.days) * DAY + network.rng.uniform(0, 600)
        )
        at = (runs[:, None] + np.arange(12) * 7).ravel()
        network.traffic.add(
            "playbook",
            bastion,
            host,
            22,
            at,
            seconds=6,
            bytes_out=network.sizes(30_000, len(at), 0.9),
            bytes_in=network.sizes(20_000, len(at), 0.9),
        )
    for host in network.workstations:
        at = network.random_times(12, working_hours=True)
        network.traffic.add(
            "code",
            host,
            forge,
            22,
            at,
            seconds=5,
            bytes_out=network.sizes(6_000, len(at), 0.6),
            bytes_in=network.sizes(90_000, len(at), 1.5),
        )


def _misconfigurations(network: RandomNetwork) -> None:
    """Misconfigured clients: of a service that moved, and of a collector that is gone."""
    moved, missing = network.pick(network.data)[0], network.external_address()
    for host in network.pick(network.app, 3):
        at = network.periodic_times(900, 0.1)
        network.traffic.add(
            "misconfiguration",
            host,
            moved,
            6379,
            at,
            180,
            state=REJECTED,
            seconds=7,
            packet=(60, 60),
        )
    for host in network.pick(network.workstations, 4):
        at = network.periodic_times(1_200, 0.1)
        network.traffic.add(
            "misconfiguration", host, missing, 8081, at, 180, state=UNANSWERED, packet=(60, 60)
        )


def _noise(network: RandomNetwork) -> None:
    """Internet scans: thousands of sources with a few attempts each."""
    settings = network.settings
    ports = np.asarray([22, 23, 80, 443, 445, 2375, 3389, 5060, 6379, 8080, 8443, 9200])
    count = network.draw_count(settings.noise)
    times = np.clip(network.rng.geometric(1 / network.draw(settings.probes), count), 1, 6)
    sources = np.repeat([network.external_address() for _ in range(count)], times)
    choice = np.repeat(network.rng.integers(0, len(ports), count), times)
    network.traffic.add(
        "noise",
        sources,
        network.rng.choice(network.hosts, len(sources)),
        ports[choice],
        network.first + network.rng.uniform(0, network.span, len(sources)),
        60,
        state=REJECTED,
        packet=(60, 60),
        seconds=0,
    )
