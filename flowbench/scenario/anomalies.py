"""Generated anomalies with labels, for the detectors that compare traffic with a baseline.

The second half of a network's logs has what the first half lacks: new internal connections, rare
peers and countries, an hour far above the others, sessions of many hours, credentials used
elsewhere, new AWS services, interfaces without records. It also has new benign traffic: sites that
people visit, some in rare countries, a deployed application, a service that several hosts begin to
use. ``anomaly_settings`` has the parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from flowbench.scenario import anomaly_evidence, bulk, incident_settings, incidents
from flowbench.scenario.anomaly_evidence import FIRST_RARE_NETWORK
from flowbench.scenario.anomaly_settings import SETTINGS
from flowbench.scenario.background import add_background
from flowbench.scenario.bulk import ANSWERED, REJECTED, Traffic
from flowbench.scenario.network import JsonObject
from flowbench.scenario.random_network import HOUR, RandomNetwork, add_hosts

FIRST = incidents.FIRST
ADMIN_PORTS, DATABASE_PORTS = (22, 3389, 5985), (5432, 3306, 6379, 2049)
COMMON_SERVICES = ("s3", "sts", "ssm", "logs", "dynamodb")
PRIVILEGED_SERVICES = ("iam", "secretsmanager", "organizations")
RARE_SERVICES = ("sqs", "athena", "glue", "rds", "kinesis", "batch")


class AnomalyScenario:
    """A network with background traffic, to whose second half anomalies are added."""

    def __init__(self, seed: int, settings: str) -> None:
        self.settings = SETTINGS[settings]
        self.rng = rng = np.random.default_rng([seed, sorted(SETTINGS).index(settings), 7])
        self.traffic = Traffic(rng)
        parameters = incident_settings.SETTINGS[self.settings.network]
        days = int(rng.choice(self.settings.days))
        self.network = RandomNetwork(parameters, rng, self.traffic, FIRST, days)
        add_hosts(self.network)
        add_background(self.network)
        self.end = FIRST + self.network.span
        self.midpoint = FIRST + self.network.span / 2
        self.free_hosts = list(self.network.hosts[4:])  # each host has at most one anomaly
        self.unused_networks = list(rng.permutation(256))
        self.gaps: list[tuple[int, float, float]] = []
        self.dns_queries: list[JsonObject] = []
        self.api_events: list[JsonObject] = []

    def pick_host(self, among: list[int] | None = None) -> int:
        """Return a host without an anomaly."""
        hosts = [host for host in self.free_hosts if among is None or host in among]
        (host,) = self.network.pick(hosts)
        self.free_hosts.remove(host)
        return host

    def new_address(self, *, rare: bool = False) -> int:
        """Return an address in a network without earlier traffic, ``rare``: in a rare country."""
        i = next(
            i
            for i, third_octet in enumerate(self.unused_networks)
            if (third_octet >= FIRST_RARE_NETWORK) == rare
        )
        third_octet = self.unused_networks.pop(i)
        host = self.rng.integers(1, 255)
        return self.traffic.address(f"{self.settings.new_prefix}.{third_octet}.{host}")

    def late_times(self, count: int, hours: float = 12) -> np.ndarray:
        """Return times within some hours of the second half."""
        start = self.rng.uniform(self.midpoint + HOUR, self.end - (hours + 1) * HOUR)
        return np.sort(start + self.rng.uniform(0, hours * HOUR, count))

    def draw_log_uniform(self, bounds: tuple[float, float]) -> float:
        """Return a number of a range whose logarithm is uniformly distributed."""
        return float(np.exp(self.rng.uniform(*np.log(bounds))))

    def name(self, address: int) -> str:
        """Return an address as text."""
        return self.traffic.addresses[address]

    def fact(self, kind: str, src: int, dst: list[int], **details: object) -> JsonObject:
        """Return an anomaly for answers.json."""
        return {"kind": kind, "src": self.name(src), "dst": sorted(map(self.name, dst)), **details}

    def add_query(self, host: int, service: str, time: float) -> None:
        """Add a host's look-up of an AWS service."""
        query = anomaly_evidence.dns_query(self.network, host, service, float(time))
        self.dns_queries.append(query)

    def add_api_event(self, host: int, time: float, source: int) -> None:
        """Add an API call with a host's credentials from an address."""
        event = anomaly_evidence.api_event(host, float(time), self.name(source))
        self.api_events.append(event)


def write(out: Path, seed: int, *, settings: str = "development", window: int = 60) -> int:
    """Write the evidence of a network with anomalies, and return the number of flow records.

    Evidence: flow logs, Resolver queries, CloudTrail, network interfaces, AWS's address ranges and
    a list of countries; beside it labels.csv and answers.json. See ``incidents.write`` for the
    arguments.
    """
    scenario = AnomalyScenario(seed, settings)
    network = scenario.network
    _add_benign_changes(scenario)
    facts = [fact for anomaly in ANOMALIES for fact in anomaly(scenario)]
    out.mkdir(parents=True, exist_ok=True)
    count = bulk.write(
        scenario.traffic,
        out,
        first=FIRST,
        last=scenario.end,
        window=window,
        flags=seed % 2 == 1,
        window_times=seed % 3 != 2,
        gaps=scenario.gaps,
    )
    anomaly_evidence.write_dns(out, scenario.dns_queries)
    anomaly_evidence.write_cloudtrail(out, scenario.api_events)
    anomaly_evidence.write_inventory(out, network)
    anomaly_evidence.write_cloud_ranges(out, network)
    prefixes = (network.settings.external_prefix, scenario.settings.new_prefix)
    anomaly_evidence.write_countries(out, *prefixes)
    incidents.write_labels(scenario.traffic, facts, out / "labels.csv")
    answers = {
        "scenario": f"anomalies, {settings}",
        "seed": seed,
        "window": window,
        "days": network.days,
        "flow_records": count,
        "planted": facts,
    }
    (out / "answers.json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    return count


def _add_benign_changes(scenario: AnomalyScenario) -> None:
    """Add new benign traffic: visited sites, a deployed application, AWS services."""
    network, rng, traffic = scenario.network, scenario.rng, scenario.traffic
    for host in network.workstations:
        visits = int(rng.poisson(rng.uniform(*scenario.settings.new_sites) * network.days))
        for _ in range(visits):
            at = FIRST + rng.uniform(0, network.span - HOUR) + np.sort(rng.uniform(0, 1_800, 4))
            if len(scenario.unused_networks) > 80:
                site = scenario.new_address(rare=rng.random() < 0.01)
                traffic.add("new-site", host, site, 443, at, 4_000, network.sizes(3e5, 4))
    (server,) = network.pick(network.data)
    start = scenario.midpoint + rng.uniform(0, 0.3) * network.span
    for host in network.pick(network.app, 3):
        at = np.arange(start, scenario.end - HOUR, 900)
        traffic.add("deployment", host, server, 3306, at, 3_000, 20_000, seconds=2)
    for i, host in enumerate(network.hosts[4:]):
        for service in (*COMMON_SERVICES, RARE_SERVICES[i % 2]):
            for time in FIRST + np.sort(rng.uniform(0, network.span, 3 * network.days)):
                scenario.add_query(host, service, time)
    for host in network.pick(network.hosts[4:], 4):  # a release uses another AWS service
        scenario.add_query(host, RARE_SERVICES[-1], start + rng.uniform(0, 600))


def _lateral_movement(scenario: AnomalyScenario) -> Iterator[JsonObject]:
    """Rejected and established connections to internal services that a host never used."""
    network, rng, settings = scenario.network, scenario.rng, scenario.settings
    for rejected in (True, False):
        host, count = (
            scenario.pick_host(network.workstations),
            network.draw_count(settings.services),
        )
        others = network.pick(network.hosts[4:], count + 1)
        targets = [target for target in others if target != host][:count]
        port = int(rng.choice(ADMIN_PORTS + DATABASE_PORTS))
        for target in targets:
            scenario.traffic.add(
                "lateral-movement",
                host,
                target,
                port,
                scenario.late_times(network.draw_count(settings.service_connections), 2),
                60 if rejected else 30_000,
                60_000,
                state=REJECTED if rejected else ANSWERED,
                packet=(60, 300),
                seconds=0 if rejected else 60,
            )
        yield scenario.fact("lateral-movement", host, targets, port=port, rejected=rejected)


def _rare_peer(scenario: AnomalyScenario) -> Iterator[JsonObject]:
    """A network without earlier traffic, in a usual country, contacted by one host."""
    host, peer = scenario.pick_host(), scenario.new_address()
    count = scenario.network.draw_count(scenario.settings.peer_connections)
    size = scenario.draw_log_uniform(scenario.settings.peer_bytes)
    port = int(scenario.rng.choice([443, 80, 8443, 22]))
    at, bytes_in = scenario.late_times(count), size / scenario.settings.byte_ratios[0]
    scenario.traffic.add("rare-peer", host, peer, port, at, size, bytes_in)
    yield scenario.fact("rare-peer", host, [peer], connections=count, bytes=int(size))


def _country(scenario: AnomalyScenario) -> Iterator[JsonObject]:
    """A country without earlier traffic."""
    host, peer = scenario.pick_host(), scenario.new_address(rare=True)
    count = scenario.network.draw_count(scenario.settings.country_connections)
    at, bytes_in = scenario.late_times(count), 2_000 / scenario.settings.byte_ratios[1]
    scenario.traffic.add("geography", host, peer, 443, at, 2_000, bytes_in)
    yield scenario.fact("geography", host, [peer], connections=count)


def _spikes(scenario: AnomalyScenario) -> Iterator[JsonObject]:
    """An hour with many more bytes, connections or rejections than any other."""
    network, rng, traffic = scenario.network, scenario.rng, scenario.traffic
    settings = scenario.settings
    service = network.external_address()
    for host in network.hosts:  # the service is known to all hosts
        traffic.add("shared", host, service, 443, network.periodic_times(HOUR, 0.3), 20_000)
    at = float(scenario.late_times(1)[0])
    host, size = scenario.pick_host(), network.draw(settings.spike_bytes)
    traffic.add("spike", host, service, 443, at, size, seconds=900, packet=(1_400, 60))
    yield scenario.fact("spike", host, [], measure="bytes", bytes=int(size))
    for measure in ("connections", "rejected"):
        host, rejected = scenario.pick_host(), measure == "rejected"
        count = network.draw_count(
            settings.spike_rejected if rejected else settings.spike_connections
        )
        hour = float(scenario.late_times(1)[0]) // HOUR * HOUR
        times = hour + np.sort(rng.uniform(60, 3_500, count))
        peer, port, state = service, 443, ANSWERED
        if rejected:
            peer = network.pick([other for other in network.data if other != host])[0]
            port, state = 9_300, REJECTED
        traffic.add("spike", host, peer, port, times, 120, state=state, packet=(60, 300))
        yield scenario.fact("spike", host, [], measure=measure, count=count)


def _long_connection(scenario: AnomalyScenario) -> Iterator[JsonObject]:
    """A connection of many hours with an external address."""
    network, rng = scenario.network, scenario.rng
    host, peer = scenario.pick_host(), network.external_address()
    span = network.span / HOUR
    hours = min(network.draw(scenario.settings.session_hours), span - 2)
    start = FIRST + rng.uniform(0.5, span - hours - 1) * HOUR
    rate = scenario.draw_log_uniform(scenario.settings.session_rate)
    port = int(rng.choice([443, 22, 8443, 51_000]))
    scenario.traffic.add(
        "long-connection",
        host,
        peer,
        port,
        start,
        rate * hours * 60,
        rate * hours * 60 / scenario.settings.byte_ratios[2],
        seconds=hours * HOUR,
        packet=(200, 200),
    )
    yield scenario.fact("long-connection", host, [peer], hours=round(hours, 1), rate=round(rate))


def _service_abuse(scenario: AnomalyScenario) -> Iterator[JsonObject]:
    """Credentials of an instance used elsewhere, and an AWS service that a host never used."""
    network, rng, settings = scenario.network, scenario.rng, scenario.settings
    nat_address = network.external_address()
    for host in network.hosts[4:]:
        for time in FIRST + np.sort(rng.uniform(0, network.span, 4 * network.days)):
            scenario.add_api_event(host, time, nat_address)
    host, attacker = scenario.pick_host(), network.external_address()
    for time in scenario.late_times(network.draw_count(settings.api_calls), 6):
        scenario.add_api_event(host, time, attacker)
    yield scenario.fact("service-abuse", host, [attacker], measure="credentials elsewhere")
    host = scenario.pick_host()
    service = str(rng.choice(PRIVILEGED_SERVICES + RARE_SERVICES[2:-1]))
    for time in scenario.late_times(network.draw_count(settings.api_calls), 6):
        scenario.add_query(host, service, time)
    yield scenario.fact("service-abuse", host, [], measure=service)


def _gap(scenario: AnomalyScenario) -> Iterator[JsonObject]:
    """An interface without records for a while."""
    host = scenario.pick_host()
    minutes = scenario.network.draw(scenario.settings.gap_minutes)
    span = scenario.network.span / HOUR
    start = FIRST + scenario.rng.uniform(2, span - minutes / 60 - 2) * HOUR
    scenario.gaps.append((host, start, start + minutes * 60))
    interface = bulk.interface(host)
    yield {"kind": "blind-spot", "src": interface, "dst": [], "minutes": round(minutes)}


ANOMALIES: tuple[Callable[[AnomalyScenario], Iterator[JsonObject]], ...] = (
    _lateral_movement,
    _rare_peer,
    _country,
    _spikes,
    _long_connection,
    _service_abuse,
    _gap,
)
