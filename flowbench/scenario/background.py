"""The benign traffic of a generated network: its infrastructure, often as periodic as beaconing."""

from __future__ import annotations

import numpy as np

from flowbench.scenario.random_network import DAY, HOUR, RandomNetwork
from flowbench.scenario.user_traffic import add_user_traffic


def add_background(network: RandomNetwork) -> None:
    """Add all benign traffic and internet scans."""
    for source in (
        _clocks,
        _agents,
        _sessions,
        _mirrors,
        _health_checks,
        _monitoring,
        _configuration,
        _backups,
        _databases,
    ):
        source(network)
    add_user_traffic(network)


def _clocks(network: RandomNetwork) -> None:
    servers, resolvers = (
        [network.external_address() for _ in range(3)],
        [network.external_address() for _ in range(2)],
    )
    period = float(network.rng.choice([256, 512, 1024]))
    for host in network.hosts:
        (server,) = network.pick(servers)
        network.traffic.add(
            "ntp",
            host,
            server,
            123,
            network.periodic_times(period, 0.01),
            76,
            76,
            protocol=17,
            packet=(76, 76),
            seconds=0.1,
        )
        at = network.random_times(150)
        who = np.asarray(resolvers)[network.rng.integers(0, 2, len(at))]
        network.traffic.add(
            "dns", host, who, 53, at, 70, network.sizes(160, len(at)), protocol=17, seconds=0.1
        )


def _agents(network: RandomNetwork) -> None:
    settings = network.settings
    for _ in range(network.draw_count(settings.agents)):
        pool = np.asarray(
            [
                network.external_address()
                for _ in range(network.draw_count(settings.service_addresses))
            ]
        )
        period, share = (
            60 * network.draw(settings.agent_minutes),
            network.draw(settings.agent_share),
        )
        size, jitter = network.draw((800, 9_000)), network.draw((0.0, 0.15))
        for host in network.pick(network.hosts, max(5, int(share * len(network.hosts)))):
            at = network.periodic_times(period, jitter)
            who = pool[network.rng.integers(0, len(pool), len(at))]
            network.traffic.add(
                "agent",
                host,
                who,
                443,
                at,
                network.sizes(size, len(at), 0.1),
                network.sizes(1_500, len(at), 0.1),
            )


def _sessions(network: RandomNetwork) -> None:
    """Long sessions with a record in each window: agent channels, chats, shells, streams."""
    pool = np.asarray([network.external_address() for _ in range(3)])
    for host in network.pick(network.hosts, max(5, int(0.2 * len(network.hosts)))):
        at = network.periodic_times(12 * HOUR, 0.05)
        who = pool[network.rng.integers(0, len(pool), len(at))]
        network.traffic.add(
            "agent-channel",
            host,
            who,
            443,
            at,
            seconds=11 * HOUR,
            bytes_out=11 * 60 * 140.0,
            bytes_in=11 * 60 * 150.0,
            packet=(75, 75),
        )
    for host in network.pick(network.workstations, 4):
        at = network.random_times(1, working_hours=True)
        network.traffic.add(
            "chat",
            host,
            network.external_address(),
            443,
            at,
            seconds=6 * HOUR,
            bytes_out=6 * network.sizes(30_000, len(at)),
            bytes_in=6 * network.sizes(220_000, len(at)),
            message_rate=0.6,
            packet=(300, 700),
        )
    for host in network.pick(network.workstations, 3):
        at = network.random_times(2, working_hours=True)
        network.traffic.add(
            "shell",
            host,
            network.external_address(),
            22,
            at,
            seconds=network.sizes(3_000, len(at)),
            bytes_out=network.sizes(60_000, len(at)),
            bytes_in=network.sizes(300_000, len(at)),
            message_rate=0.3,
            packet=(110, 300),
        )
    (host,) = network.pick(network.app)
    network.traffic.add(
        "stream",
        host,
        network.external_address(),
        443,
        network.periodic_times(8 * HOUR),
        seconds=7.5 * HOUR,
        bytes_out=200_000,
        bytes_in=60e6,
        packet=(60, 1_300),
    )
    (host,) = network.pick(network.workstations)
    network.traffic.add(
        "keepalive",
        host,
        network.external_address(),
        8883,
        network.periodic_times(20 * HOUR),
        seconds=19 * HOUR,
        bytes_out=19 * 60 * 62.0,
        bytes_in=19 * 60 * 62.0,
        packet=(62, 62),
    )


def _mirrors(network: RandomNetwork) -> None:
    mirrors = [network.external_address() for _ in range(2)]
    for host in network.hosts:
        at = network.periodic_times(float(network.rng.choice([6, 12, 24])) * HOUR, 0.05)
        network.traffic.add(
            "mirror",
            host,
            network.pick(mirrors)[0],
            443,
            at,
            seconds=20,
            bytes_out=network.sizes(9_000, len(at)),
            bytes_in=network.sizes(2e6, len(at)),
        )


def _health_checks(network: RandomNetwork) -> None:
    for balancer in network.hosts[:2]:
        for host in network.web:
            network.traffic.add(
                "health-check",
                balancer,
                host,
                8080,
                network.periodic_times(120, 0.005),
                420,
                380,
                seconds=0.1,
            )


def _monitoring(network: RandomNetwork) -> None:
    monitor = network.hosts[2]
    for host in network.hosts[3:]:
        at = network.periodic_times(600, 0.01)
        network.traffic.add(
            "monitoring", monitor, host, 9100, at, 300, network.sizes(20_000, len(at))
        )
        if host in network.web:
            network.traffic.add(
                "ssh-check",
                monitor,
                host,
                22,
                network.periodic_times(600, 0.01),
                300,
                420,
                seconds=0.2,
            )


def _configuration(network: RandomNetwork) -> None:
    for host in network.hosts[4:]:
        at = network.periodic_times(1_800, 0.03)
        network.traffic.add(
            "configuration",
            host,
            network.hosts[3],
            8140,
            at,
            seconds=4,
            bytes_out=network.sizes(20_000, len(at)),
            bytes_in=network.sizes(60_000, len(at)),
        )


def _backups(network: RandomNetwork) -> None:
    """Nightly backups: some hosts to a shared service, one database to its own."""
    shared, own = network.external_address(), network.external_address()
    hour = network.rng.uniform(0, 5) * HOUR
    for host in network.pick(network.hosts, 6):
        at = (
            network.first
            + hour
            + np.arange(network.days) * DAY
            + network.rng.uniform(0, 900, network.days)
        )
        network.traffic.add(
            "backup",
            host,
            shared,
            443,
            at,
            seconds=1_500,
            bytes_out=network.sizes(300e6, network.days, 0.1),
            bytes_in=400_000,
            packet=(1_400, 60),
        )
    (host,) = network.pick(network.data)
    at = (
        network.first
        + hour
        + np.arange(network.days) * DAY
        + network.rng.uniform(0, 300, network.days)
    )
    network.traffic.add(
        "own-backup",
        host,
        own,
        443,
        at,
        seconds=1_200,
        bytes_out=network.sizes(150e6, network.days, 0.05),
        bytes_in=200_000,
        packet=(1_400, 60),
    )


def _databases(network: RandomNetwork) -> None:
    for host in network.app:
        for server in network.pick(network.data, 2):
            at = network.random_times(120)
            network.traffic.add(
                "database",
                host,
                server,
                5432,
                at,
                network.sizes(3_000, len(at), 1),
                network.sizes(20_000, len(at), 1),
                seconds=network.sizes(3, len(at)),
            )
    for host in network.app[:3]:
        network.traffic.add(
            "database-pool",
            host,
            network.pick(network.data)[0],
            5432,
            network.periodic_times(6 * HOUR),
            seconds=5.9 * HOUR,
            bytes_out=network.draw((2e6, 2e7)),
            bytes_in=network.draw((5e6, 5e7)),
        )
