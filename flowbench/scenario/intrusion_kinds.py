"""The malicious activity of generated intrusions, each on hosts of its own.

A campaign of several bots, beacons at intervals from a second to hours, of equal and of varied
sizes, to external and to internal hosts, an operator's session from outside, after which the host
mines, and sweeps by ping and by UDP. ``intrusion_settings`` has the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from flowbench.scenario import bulk, incidents
from flowbench.scenario.bulk import ANSWERED, REJECTED, UNANSWERED, Traffic
from flowbench.scenario.intrusion_settings import IntrusionSettings
from flowbench.scenario.network import JsonObject
from flowbench.scenario.random_network import HOUR, RandomNetwork

FIRST = incidents.FIRST


@dataclass
class IntrusionScenario:
    """A network to which intrusions are added; the first VPC has most of them."""

    settings: IntrusionSettings
    rng: np.random.Generator
    traffic: Traffic
    networks: list[RandomNetwork]
    free_hosts: list[int] = field(default_factory=list)  # each host has at most one intrusion

    @property
    def network(self) -> RandomNetwork:
        """The network of the first VPC."""
        return self.networks[0]

    @property
    def end(self) -> float:
        """The end of the logs, in epoch seconds."""
        return FIRST + self.network.span

    def pick_hosts(self, count: int = 1) -> list[int]:
        """Return hosts without an intrusion."""
        hosts = self.network.pick(self.free_hosts, count)
        self.free_hosts = [host for host in self.free_hosts if host not in hosts]
        return hosts

    def draw_log_uniform(self, bounds: tuple[float, float]) -> float:
        """Return a number of a range whose logarithm is uniformly distributed."""
        return float(np.exp(self.rng.uniform(*np.log(bounds))))

    def fact(self, kind: str, src: int, dst: list[int], **details: object) -> JsonObject:
        """Return an intrusion for answers.json."""
        names = self.traffic.addresses
        ends = {"src": names[src], "dst": sorted({names[peer] for peer in dst})}
        host = src if self.traffic.internal[src] else dst[0]
        return {"kind": kind, **ends, "interface": bulk.interface(host), **details}

    def add_beacon(
        self,
        kind: str,
        host: int,
        peer: int,
        interval: float,
        hours: float,
        *,
        port: int | None = None,
        protocol: int = 6,
        sport: int | None = None,
        since: float | None = None,
        varied: bool = False,
    ) -> JsonObject:
        """Add check-ins, about ``interval`` seconds apart for some hours, and return the fact."""
        rng, settings = self.rng, self.settings
        jitter, length = rng.uniform(0, 0.3), hours * HOUR
        since = rng.uniform(FIRST, self.end - length - 60) if since is None else since
        at = np.cumsum(rng.uniform(1 - jitter, 1 + jitter, int(length / interval))) * interval
        at = since + at[at < length]
        low, high = settings.varied_sizes if varied else (1.0, 1.05)
        out = rng.uniform(200, 1_500) * np.exp(rng.uniform(np.log(low), np.log(high), len(at)))
        port = int(rng.choice(settings.beacon_ports)) if port is None else port
        back = rng.uniform(150, 2_000)
        self.traffic.add(
            kind, host, peer, port, at, out, back, seconds=0.4, protocol=protocol, sport=sport
        )
        shown = {"interval": round(interval, 1), "jitter": round(float(jitter), 3)}
        return self.fact(
            kind, host, [peer], port=port, protocol=protocol, check_ins=len(at), **shown
        )


def _campaign(scenario: IntrusionScenario) -> Iterator[JsonObject]:
    """Several hosts that begin to call one address, which nobody called before."""
    network, rng = scenario.network, scenario.rng
    hosts = scenario.pick_hosts(network.draw_count(scenario.settings.bots))
    interval = scenario.draw_log_uniform(scenario.settings.bot_minutes) * 60
    peer, port = network.external_address(), int(rng.choice(scenario.settings.beacon_ports))
    since = FIRST + rng.uniform(0.3, 0.5) * network.span
    hours = min(network.draw((16, 40)), (scenario.end - since) / HOUR - 3)
    for host in hosts:
        begin = since + rng.uniform(0, 2 * HOUR)
        yield scenario.add_beacon("campaign", host, peer, interval, hours, port=port, since=begin)


def _beacons(scenario: IntrusionScenario) -> Iterator[JsonObject]:
    """Beacons of short and long intervals, of varied sizes, from one source port, and internal."""
    network, settings, rng = scenario.network, scenario.settings, scenario.rng
    span = network.span / HOUR - 1
    hosts = scenario.pick_hosts(6)

    def peer() -> int:
        return network.external_address()

    hours = network.draw(settings.fast_hours)
    fast = scenario.draw_log_uniform(settings.fast_seconds)
    yield scenario.add_beacon("beacon-fast", hosts[0], peer(), max(fast, hours / 6), hours)
    slow = min(scenario.draw_log_uniform(settings.slow_hours), span / 8)
    yield scenario.add_beacon("beacon-slow", hosts[1], peer(), slow * HOUR, span)
    interval, hours = scenario.draw_log_uniform((60, 1_800)), network.draw((12, 24))
    yield scenario.add_beacon("beacon-varied", hosts[2], peer(), interval, hours, varied=True)
    interval = scenario.draw_log_uniform((60, 1_800))
    protocol, sport = int(rng.choice([6, 17])), int(rng.integers(32_768, 61_000))
    yield scenario.add_beacon(
        "beacon-one-port", hosts[3], peer(), interval, hours, protocol=protocol, sport=sport
    )
    interval = scenario.draw_log_uniform((30, 1_800))
    yield scenario.add_beacon(
        "beacon-internal",
        hosts[4],
        hosts[5],
        interval,
        hours,
        port=int(rng.choice(settings.internal_ports)),
    )


def _operator(scenario: IntrusionScenario) -> Iterator[JsonObject]:
    """An accepted administrative session from outside, after which the host mines."""
    network, settings, rng = scenario.network, scenario.settings, scenario.rng
    (host,) = scenario.pick_hosts()
    source, pool = network.external_address(), network.external_address()
    minutes, port = network.draw(settings.session_minutes), int(rng.choice(settings.session_ports))
    begin = FIRST + rng.uniform(0.3, 0.6) * network.span
    scenario.traffic.add(
        "remote-access",
        source,
        host,
        port,
        begin,
        800.0 * minutes,
        2_500.0 * minutes,
        seconds=minutes * 60,
        message_rate=12,
        packet=(110, 240),
    )
    shown = {"port": port, "minutes": round(minutes), "began": int(begin)}
    yield scenario.fact("remote-access", source, [host], **shown)
    hours, rate = network.draw((5, 12)), network.draw((150, 800))
    begin += minutes * 60 + rng.uniform(60, 1_200)
    port = int(rng.choice(settings.mining_ports))
    scenario.traffic.add(
        "mining",
        host,
        pool,
        port,
        begin,
        hours * 60 * rate,
        hours * 60 * rate * 1.2,
        seconds=hours * HOUR,
        message_rate=network.draw((3, 10)),
        packet=(120, 160),
    )
    yield scenario.fact("mining", host, [pool], port=port, hours=round(hours, 1))


def _twins(scenario: IntrusionScenario) -> Iterator[JsonObject]:
    """In overlapping VPCs, two hosts with one address that call one server."""
    if len(scenario.networks) < 2:
        return
    (host,) = scenario.pick_hosts()
    twin = scenario.networks[1].hosts[scenario.network.hosts.index(host)]
    peer, interval = scenario.network.external_address(), scenario.draw_log_uniform((120, 900))
    for each in (host, twin):
        yield scenario.add_beacon("beacon-twin", each, peer, interval, 20, port=8_080)


def _sweeps(scenario: IntrusionScenario) -> Iterator[JsonObject]:
    """Host sweeps by ping and by UDP: of existing hosts, some of which answer, and of no hosts."""
    network, rng, traffic = scenario.network, scenario.rng, scenario.traffic
    prefix = ".".join(traffic.addresses[network.hosts[0]].split(".")[:2])
    for kind, protocol in (("scan-icmp", 1), ("scan-udp", 17)):
        (host,) = scenario.pick_hosts()
        numbers = rng.integers(4, 250, network.draw_count(scenario.settings.swept))
        absent = [traffic.address(f"{prefix}.{20 + protocol}.{n}") for n in np.unique(numbers)]
        others = [other for other in network.hosts if other != host]
        present = network.pick(others, len(others) // 2)
        targets = rng.permutation([*absent, *present])
        seconds = network.draw((20, 3_600))
        begin = FIRST + rng.uniform(0.3, 0.8) * network.span
        answers = np.isin(targets, present) & (rng.random(len(targets)) < 0.6)
        silent = np.where(np.isin(targets, present), REJECTED, UNANSWERED)
        size = 84.0 if protocol == 1 else 60.0
        traffic.add(
            kind,
            host,
            targets,
            0 if protocol == 1 else int(rng.choice([161, 137, 5060, 1900])),
            begin + np.sort(rng.uniform(0, seconds, len(targets))),
            size,
            size,
            seconds=0,
            protocol=protocol,
            packet=(size, size),
            sport=0 if protocol == 1 else None,
            state=np.where(answers & (protocol == 1), ANSWERED, silent),
        )
        yield scenario.fact(kind, host, targets.tolist(), answered=int(answers.sum()))


INTRUSIONS: tuple[Callable[[IntrusionScenario], Iterator[JsonObject]], ...] = (
    _campaign,
    _beacons,
    _operator,
    _twins,
    _sweeps,
)
