"""The daily traffic of a bank's network, in which an incident is to be found."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from flowbench.scenario.network import OFFICE, SERVICES, Host, Network
from flowbench.scenario.traffic import TCP, Connection, FlowLogger

DAY, HOUR = 86_400, 3_600


class DailyTraffic:
    """The network's usual traffic between two times (epoch seconds), drawn from a seed."""

    def __init__(
        self, network: Network, logger: FlowLogger, first: int, last: int, seed: str
    ) -> None:
        self.network = network
        self.first, self.last = first, last
        self._port = logger.source_port
        self._seed = seed
        self.dns_lookups: list[tuple[float, Host, str]] = []  # time, host, name

    def connections(self) -> Iterator[Connection]:
        """Yield all connections, unordered."""
        # Each name is part of a seed: another name gives other evidence.
        sources: dict[str, Callable[[random.Random], Iterator[Connection]]] = {
            "customers": self._customers,
            "health_checks": self._health_checks,
            "clocks": self._time_servers,
            "agents": self._monitoring_agents,
            "licence": self._licence_server,
            "ssm": self._systems_manager,
            "packages": self._package_mirror,
            "nightly": self._nightly_backups,
            "partner": self._partner_session,
            "lambdas": self._lambdas,
            "files": self._file_shares,
            "developers": self._developers,
            "misconfigured": self._misconfigured_host,
            "noise": self._internet_scans,
        }
        for name, source in sources.items():
            rng = random.Random(f"{self._seed}/_{name}")
            for connection in source(rng):
                if self.first <= connection.start < self.last:
                    has_reply = connection.answered and not connection.rejected
                    may_be_late = connection.protocol == TCP and has_reply
                    yield replace(connection, late_packet=may_be_late and rng.random() < 0.004)

    def _external(
        self,
        host: Host,
        name: str,
        time: float,
        bytes_out: int,
        bytes_in: int,
        *,
        port: int = 443,
        seconds: float = 1.0,
        **options: Any,
    ) -> Connection:
        """Return a connection to a named external service; sometimes look its name up first."""
        if int(time) % 3 == 0:  # otherwise the answer is cached
            self.dns_lookups.append((time - 0.3, host, name))
        flow = (host.address, SERVICES[name], port, self._port(host.address))
        return Connection(*flow, time, seconds, bytes_out, bytes_in, **options)

    def _internal(
        self,
        initiator: Host,
        responder: Host,
        port: int,
        time: float,
        bytes_out: int = 800,
        bytes_in: int = 2_400,
        *,
        seconds: float = 1.0,
        **options: Any,
    ) -> Connection:
        """Return a connection between two hosts of the network."""
        flow = (initiator.address, responder.address, port, self._port(initiator.address))
        return Connection(*flow, time, seconds, bytes_out, bytes_in, **options)

    def _times(self, rng: random.Random, period: float, jitter: float = 0.02) -> Iterator[float]:
        """Yield times about ``period`` seconds apart; ``jitter`` is a share of it."""
        at = self.first + rng.random() * period
        while at < self.last:
            yield at + rng.uniform(-jitter, jitter) * period
            at += period

    def _customers(self, rng: random.Random) -> Iterator[Connection]:
        """Web clients, through load balancers to web, app and data, by the time of day."""
        web, app = self.network.with_role("web"), self.network.with_role("app")
        balancers = self.network.with_role("alb", env="prod")
        mysql, postgres = self.network.with_role("rds", env="prod")
        cache = self.network["prod-cache-1"]
        at = float(self.first)
        while at < self.last:
            load = 0.55 - 0.45 * math.cos((at % DAY / DAY - 0.125) * 2 * math.pi)
            at += rng.expovariate(load / 65)
            client = f"198.18.{rng.randrange(256)}.{rng.randrange(1, 255)}"
            balancer, server = rng.choice(balancers), rng.choice(web)
            size = int(rng.lognormvariate(9.5, 1.0))
            port = 1024 + rng.randrange(60_000)
            yield Connection(client, balancer.address, 443, port, at, 2, 1_200, size)
            yield self._internal(balancer, server, 8080, at + 0.1, 1_400, size, seconds=1.5)
            if rng.random() < 0.6:
                worker = rng.choice(app)
                yield self._internal(server, worker, 8443, at + 0.2, 1_800, size // 3)
                stores = [(mysql, 3306), (postgres, 5432), (cache, 6379)]
                store, store_port = rng.choice(stores)
                yield self._internal(worker, store, store_port, at + 0.3, 900, size // 4)

    def _health_checks(self, rng: random.Random) -> Iterator[Connection]:
        for env, role in (("prod", "web"), ("dev", "ci")):
            for balancer in self.network.with_role("alb", env=env):
                for server in self.network.with_role(role, env=env):
                    for at in self._times(rng, 600, 0.001):
                        yield self._internal(balancer, server, 8080, at, 420, 380)

    def _time_servers(self, rng: random.Random) -> Iterator[Connection]:
        for host in self.network.with_role("app", "batch", "devbox")[:7]:
            server = rng.choice(["time1.example.net", "time2.example.net"])
            for at in self._times(rng, 1024, 0.003):
                yield replace(
                    self._external(host, server, at, 76, 76, port=123, protocol=17), source_port=123
                )

    def _monitoring_agents(self, rng: random.Random) -> Iterator[Connection]:
        """The monitoring agent of every server: periodic and benign."""
        for host in self.network.with_role("web", "app", "batch")[:8]:
            for at in self._times(rng, 600, 0.01):
                size = 2_600 + rng.randrange(400)
                yield self._external(host, "agent.metrics.example.com", at, size, 900)

    def _licence_server(self, rng: random.Random) -> Iterator[Connection]:
        """A licence server that one host alone uses: the benign traffic most like beaconing."""
        host = self.network["prod-batch-2"]
        for at in self._times(rng, 1_800, 0.005):
            yield self._external(host, "licence.vendor.example.com", at, 1_050, 700)

    def _systems_manager(self, rng: random.Random) -> Iterator[Connection]:
        for env in ("prod", "dev"):
            endpoint = self.network.with_role("endpoint", env=env)[0]
            for host in self.network.with_role("web", "batch", "devbox", "ci", env=env)[:5]:
                for at in self._times(rng, 900, 0.02):
                    yield self._internal(host, endpoint, 443, at, 1_900, 5_200)
        host, endpoint = self.network["dev-ci-1"], self.network["dev-endpoint-2"]
        for at in self._times(rng, 60, 0.01):  # an agent that polls every minute in the morning
            if 8 * HOUR <= at % DAY < 12 * HOUR:
                yield self._internal(host, endpoint, 443, at, 800, 1_100)

    def _package_mirror(self, rng: random.Random) -> Iterator[Connection]:
        for host in self.network.with_role("web", "app", "batch", "devbox", "ci", "bastion"):
            for day in range(self.first, self.last, DAY):
                at = day + 4 * HOUR + rng.random() * 2 * HOUR
                size = int(rng.lognormvariate(14, 1.2))
                yield self._external(
                    host, "mirror.packages.example.org", at, 9_000, size, seconds=20
                )

    def _nightly_backups(self, rng: random.Random) -> Iterator[Connection]:
        """Backups to object storage at two each night: most of a day's outbound bytes."""
        for host in self.network.with_role("batch", "ci"):
            for day in range(self.first, self.last, DAY):
                size = int(rng.gauss(6e9, 4e8))
                at = day + 2 * HOUR + rng.random() * 600
                yield self._external(
                    host,
                    "statements.s3.amazonaws.example",
                    at,
                    size,
                    size // 90,
                    seconds=1_500,
                    service="S3",
                    packet_bytes=1_400,
                )

    def _partner_session(self, rng: random.Random) -> Iterator[Connection]:
        """A replication session that is open all day: one record per window, and benign."""
        host = self.network["prod-batch-1"]
        for day in range(self.first, self.last, DAY):
            hours = 7 + rng.random()
            yield self._external(
                host,
                "sftp.clearing.example.net",
                day + 9 * HOUR,
                int(hours * 90e6),
                int(hours * 9e6),
                port=22,
                seconds=hours * HOUR,
            )

    def _lambdas(self, rng: random.Random) -> Iterator[Connection]:
        for env in ("prod", "dev"):
            store = self.network.with_role("rds", env=env)[1]
            for worker in self.network.with_role("lambda", env=env):
                for at in self._times(rng, 1_500, 0.1):
                    yield self._internal(worker, store, 5432, at, 1_300, 6_000)

    def _file_shares(self, rng: random.Random) -> Iterator[Connection]:
        for env, role in (("prod", "app"), ("dev", "devbox")):
            mounts = self.network.with_role("efs", env=env)
            for host in self.network.with_role(role, env=env)[:3]:
                for at in self._times(rng, 2_400, 0.4):
                    size = int(rng.lognormvariate(11, 1.5))
                    mount = rng.choice(mounts)
                    yield self._internal(host, mount, 2049, at, size, size, seconds=15)

    def _developers(self, rng: random.Random) -> Iterator[Connection]:
        """Working hours: SSH through the bastion, git, test databases, web services."""
        bastion = self.network["dev-bastion-1"]
        boxes, builders = self.network.with_role("devbox"), self.network.with_role("ci")
        mysql, postgres = self.network.with_role("rds", env="dev")
        for day in range(self.first, self.last, DAY):
            for _ in range(5):
                at = day + rng.uniform(8, 17) * HOUR
                duration, box = rng.uniform(300, 2_000), rng.choice(boxes)
                typed = int(duration * 60)
                port = 1024 + rng.randrange(60_000)
                yield Connection(
                    OFFICE,
                    bastion.address,
                    22,
                    port,
                    at,
                    duration,
                    typed,
                    typed * 4,
                    packet_bytes=130,
                )
                yield self._internal(
                    bastion, box, 22, at + 2, typed, typed * 4, seconds=duration, packet_bytes=130
                )
            for _ in range(130):
                at, host = day + rng.uniform(8, 18) * HOUR, rng.choice(boxes + builders)
                size = int(rng.lognormvariate(10, 1.6))
                kind = rng.random()
                if kind < 0.4:
                    yield self._external(host, "git.example.com", at, 3_000, size, seconds=4)
                elif kind < 0.6:
                    name = rng.choice(["cdn.widgets.example.com", "api.rates.example.com"])
                    yield self._external(host, name, at, 2_000, size, seconds=5)
                else:
                    store, store_port = rng.choice([(mysql, 3306), (postgres, 5432)])
                    yield self._internal(host, store, store_port, at, 1_500, size, seconds=3)

    def _misconfigured_host(self, rng: random.Random) -> Iterator[Connection]:
        """A dev host that connects to a cache that moved; its security group rejects it."""
        host, cache = self.network["dev-devbox-4"], self.network["prod-cache-1"]
        for at in self._times(rng, 5_400, 0.3):
            yield self._internal(host, cache, 6379, at, rejected=True, attempts=2)

    def _internet_scans(self, rng: random.Random) -> Iterator[Connection]:
        """Scans from the internet: thousands of sources, mostly rejected.

        Two services accept them and do not reply: a NAT gateway has no security group and drops
        unsolicited packets, and the bastion's security group allows SSH from anywhere while the
        host's own firewall does not.
        """
        common_ports = [22, 23, 80, 443, 445, 1433, 2375, 3306, 3389, 5060, 5432, 5900, 6379]
        common_ports += [8080, 8443, 8545, 9200, 11211, 27017]
        udp_ports = (5060, 11211)
        for host in (h for h in self.network.hosts if h.public):
            for _ in range(int((self.last - self.first) / DAY * 330)):
                at = rng.uniform(self.first, self.last)
                source = f"198.19.{rng.randrange(256)}.{rng.randrange(1, 255)}"
                port = rng.choice(common_ports) if rng.random() < 0.7 else rng.randrange(1, 65_000)
                is_open = host.role == "alb" and port == 443
                is_ssh = host.role == "bastion" and port == 22
                is_accepted = is_open or is_ssh or host.role == "nat"
                source_port = rng.choice([40_000, 61_000]) + rng.randrange(900)
                yield Connection(
                    source,
                    host.address,
                    port,
                    source_port,
                    at,
                    0.2,
                    700 if is_open else 60,
                    500,
                    protocol=17 if port in udp_ports else 6,
                    rejected=not is_accepted,
                    answered=is_open,
                )
