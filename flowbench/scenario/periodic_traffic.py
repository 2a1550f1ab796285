"""Ordinary traffic that resembles intrusions: periodic, in equal sizes, of few hosts, or one-way.

Real networks are full of it: internal health checks, monitoring, agents with an internal
collector, connection pools, cron jobs, heartbeats, instances that live for hours and upload
steadily, employees who log in from the office, and replies to packets that somebody else sent
under the host's address (backscatter: Moore et al., USENIX Security 2001).
"""

from __future__ import annotations

import numpy as np

from flowbench.scenario.bulk import BACKSCATTER, REJECTED_BACKSCATTER
from flowbench.scenario.intrusion_settings import IntrusionSettings
from flowbench.scenario.random_network import DAY, HOUR, RandomNetwork

KINDS = (
    "internal-check",
    "scrape",
    "ping-monitor",
    "internal-agent",
    "connection-pool",
    "cron",
    "heartbeat",
    "short-lived-worker",
    "lone-worker",
    "office-session",
    "backscatter",
)


def add_periodic_traffic(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """Add every kind of KINDS to a network that has its hosts."""
    for source in (
        _internal_checks,
        _monitoring,
        _internal_agents,
        _connection_pools,
        _cron_jobs,
        _heartbeats,
        _short_lived_workers,
        _office_sessions,
        _backscatter,
    ):
        source(network, settings)


def _deployed(network: RandomNetwork) -> float:
    """Return when software was deployed: before the logs begin, or in three of ten cases later."""
    if network.rng.random() < 0.7:
        return network.first
    return network.first + network.rng.uniform(0.2, 0.7) * network.span


def _internal_checks(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """Health checks of one or two callers, several in each capture window, all of one size."""
    for caller in network.pick(network.app + network.web, network.draw_count((1, 2))):
        interval, port = (
            network.draw(settings.check_seconds),
            int(network.rng.choice([8080, 8443, 3000])),
        )
        sent, received = network.draw((200, 900)), network.draw((150, 700))
        others, since = [host for host in network.hosts[4:] if host != caller], _deployed(network)
        for target in network.pick(others, network.draw_count(settings.check_targets)):
            at = network.periodic_times(interval, 0.01)
            at = at[at >= since]
            network.traffic.add(
                "internal-check", caller, target, port, at, sent, received, seconds=0.1
            )


def _monitoring(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """A monitoring server that scrapes some hosts and pings them."""
    (monitor,) = network.pick(network.hosts[4:])
    interval = float(network.rng.choice(settings.scrape_seconds))
    others = [host for host in network.hosts if host != monitor]
    for host in network.pick(others, network.draw_count(settings.scrape_targets)):
        at = network.periodic_times(interval, 0.01)
        sizes = network.sizes(12_000, len(at), 0.02)
        network.traffic.add("scrape", monitor, host, 9273, at, 350, sizes, seconds=0.2)
        network.traffic.add(
            "ping-monitor",
            monitor,
            host,
            0,
            network.periodic_times(60, 0.01),
            84,
            84,
            seconds=0.1,
            protocol=1,
            packet=(84, 84),
            sport=0,
        )


def _internal_agents(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """Agents of a few hosts that report to an internal collector."""
    for _ in range(network.draw_count((2, 4))):
        collector, *hosts = network.pick(
            network.hosts[4:], 1 + network.draw_count(settings.agent_hosts)
        )
        interval, jitter = network.draw(settings.agent_seconds), network.draw((0, 0.1))
        size, port = network.draw((300, 4_000)), int(network.rng.choice([8089, 9997, 24224, 5044]))
        since = _deployed(network)
        for host in hosts:
            at = network.periodic_times(interval, jitter)
            at = at[at >= since]
            network.traffic.add(
                "internal-agent", host, collector, port, at, network.sizes(size, len(at), 0.03), 400
            )


def _connection_pools(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """Pools whose equal connections are opened together and recycled after some minutes."""
    for host in network.pick(network.app, 3):
        (server,) = network.pick([server for server in network.data if server != host])
        count, minutes = (
            network.draw_count(settings.pool_sizes),
            network.draw(settings.pool_minutes),
        )
        opened = network.periodic_times(minutes * 60, 0.01)
        begins = np.repeat(opened[opened >= _deployed(network)], count)
        at = np.sort(begins + network.rng.uniform(0, 2, len(begins)))
        network.traffic.add(
            "connection-pool",
            host,
            server,
            int(network.rng.choice([5432, 3306, 6379, 27017])),
            at,
            1_850,
            2_300,
            seconds=minutes * 60 - 5,
        )


def _cron_jobs(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """Jobs that start on the minute, at one internal service."""
    for host in network.pick(network.hosts[4:], 4):
        (server,) = network.pick([other for other in network.data if other != host])
        minutes = int(network.rng.choice(settings.cron_minutes))
        at = network.first + np.arange(0, network.span, minutes * 60) + 1.0
        at = at[at >= _deployed(network)]
        at += network.rng.uniform(0, 1.5, len(at))
        size = network.draw((500, 20_000))
        network.traffic.add("cron", host, server, 8000, at, network.sizes(size, len(at), 0.01), 900)


def _heartbeats(network: RandomNetwork, _settings: IntrusionSettings) -> None:
    """Long connections to an internal broker, with a heartbeat each half minute."""
    (broker,) = network.pick(network.data)
    size = 9.8 * 120 * 60
    for host in network.pick([host for host in network.app if host != broker], 3):
        at = network.periodic_times(10 * HOUR, 0.05)
        network.traffic.add(
            "heartbeat",
            host,
            broker,
            5672,
            at,
            size,
            size,
            seconds=9.8 * HOUR,
            packet=(60, 60),
        )


def _short_lived_workers(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """Instances that exist for some hours of the log and send the same amount each minute.

    A fleet of like instances with the same collectors, launched throughout the logs, and one
    instance that has no like.
    """
    numbers = network.rng.choice(200, 1 + network.draw_count(settings.fleet), replace=False)
    for kind, own in (("lone-worker", numbers[:1]), ("short-lived-worker", numbers[1:])):
        size = float(np.exp(network.rng.uniform(*np.log(settings.worker_bytes))))
        collectors = [network.external_address() for _ in range(network.draw_count((1, 3)))]
        for number in own:
            name = f"{network.settings.internal_prefix}.{9 + number // 100}.{4 + number}"
            worker = network.traffic.address(name, internal=True)
            hours = min(network.draw(settings.worker_hours), network.span / HOUR - 4)
            begin = network.first + network.rng.uniform(0, network.span - (hours + 1) * HOUR)
            for collector in collectors:
                at = np.arange(begin, begin + hours * HOUR, 60) + network.rng.uniform(0, 30)
                network.traffic.add(
                    kind,
                    worker,
                    collector,
                    443,
                    at,
                    network.sizes(size, len(at), 0.05),
                    900,
                    seconds=3,
                    packet=(1_400, 60),
                )


def _office_sessions(network: RandomNetwork, _settings: IntrusionSettings) -> None:
    """Employees who log in to the bastion from the office, every day from the first on."""
    office, bastion = network.external_address(), network.hosts[3]
    days = network.first + np.arange(network.days) * DAY
    at = np.sort(np.repeat(days, 5) + network.rng.uniform(8, 17, 5 * network.days) * HOUR)
    network.traffic.add(
        "office-session",
        office,
        bastion,
        22,
        at,
        network.sizes(60_000, len(at)),
        network.sizes(240_000, len(at)),
        seconds=network.sizes(1_500, len(at)),
        packet=(120, 250),
        message_rate=20,
    )


def _backscatter(network: RandomNetwork, settings: IntrusionSettings) -> None:
    """SYN-ACKs of servers that somebody attacks under the addresses of these hosts."""
    for i, host in enumerate(network.pick(network.hosts[4:], 3)):
        count = network.draw_count(settings.backscatter)
        servers = np.asarray([network.external_address() for _ in range(count)])
        each = servers[network.rng.integers(0, count, 3 * count)]
        at = network.first + np.sort(network.rng.uniform(HOUR, network.span - HOUR, len(each)))
        network.traffic.add(
            "backscatter",
            each,
            host,
            network.rng.integers(1_024, 65_000, len(each)),
            at,
            88,
            seconds=0,
            packet=(44, 44),
            sport=int(network.rng.choice([80, 443, 22])),
            state=REJECTED_BACKSCATTER if i else BACKSCATTER,
        )
