"""What a bank's network does on any day: the traffic that an incident hides in."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

from flowbench.scenario.network import Estate, Host
from flowbench.scenario.traffic import Exchange, Logger

DAY, HOUR = 86_400, 3_600

# The outside world: documentation addresses (RFC 5737) for services with a name, the benchmark
# network (RFC 2544) for the crowd. Nobody's real address is accused of anything.
SERVICES = {
    "time1.example.net": "192.0.2.123",
    "time2.example.net": "192.0.2.124",
    "agent.metrics.example.com": "203.0.113.140",
    "licence.vendor.example.com": "203.0.113.150",
    "mirror.packages.example.org": "203.0.113.160",
    "git.example.com": "203.0.113.170",
    "sftp.clearing.example.net": "203.0.113.180",
    "statements.s3.amazonaws.example": "203.0.113.190",
    "cdn.widgets.example.com": "203.0.113.200",
    "api.rates.example.com": "203.0.113.210",
}
OFFICE = "198.51.100.40"


class Ordinary:
    """The estate's ordinary traffic between two moments (epoch seconds), drawn from a seed."""

    def __init__(self, estate: Estate, logger: Logger, first: int, last: int, seed: str) -> None:
        self.estate = estate
        self.first, self.last = first, last
        self._port = logger.source_port
        self._seed = seed
        self.looked_up: list[tuple[float, Host, str]] = []  # DNS: when, who, name

    def exchanges(self) -> Iterator[Exchange]:
        """Everything, in no particular order."""
        for source in (
            self._customers, self._health_checks, self._clocks, self._agents, self._licence,
            self._ssm, self._packages, self._nightly, self._partner, self._lambdas, self._files,
            self._developers, self._misconfigured, self._noise,
        ):  # fmt: skip
            chance = random.Random(f"{self._seed}/{source.__name__}")
            for exchange in source(chance):
                if self.first <= exchange.start < self.last:
                    replied = exchange.answered and not exchange.refused
                    late = exchange.protocol == 6 and replied
                    yield replace(exchange, straggler=late and chance.random() < 0.004)

    def _call(self, host: Host, name: str, at: float, port: int = 443, **more: object) -> Exchange:
        """A call to a named outside service; now and then its name is looked up first."""
        if int(at) % 3 == 0:  # the rest of the time the answer is still cached
            self.looked_up.append((at - 0.3, host, name))
        return Exchange(host.address, SERVICES[name], port, self._port(host.address), at, **more)  # type: ignore[arg-type]

    def _inside(self, here: Host, there: Host, port: int, at: float, **more: object) -> Exchange:
        return Exchange(here.address, there.address, port, self._port(here.address), at, **more)  # type: ignore[arg-type]

    def _every(self, chance: random.Random, period: float, jitter: float = 0.02) -> Iterator[float]:
        """Moments about ``period`` seconds apart; ``jitter`` is a share of it."""
        at = self.first + chance.random() * period
        while at < self.last:
            yield at + chance.uniform(-jitter, jitter) * period
            at += period

    def _customers(self, chance: random.Random) -> Iterator[Exchange]:
        """Web clients through the load balancers to web, app and data: the day is visible."""
        web, app = self.estate.with_role("web"), self.estate.with_role("app")
        balancers = self.estate.with_role("alb", env="prod")
        mysql, postgres = self.estate.with_role("rds", env="prod")
        cache = self.estate["prod-cache-1"]
        at = float(self.first)
        while at < self.last:
            busy = 0.55 - 0.45 * math.cos((at % DAY / DAY - 0.125) * 2 * math.pi)
            at += chance.expovariate(busy / 65)
            client = f"198.18.{chance.randrange(256)}.{chance.randrange(1, 255)}"
            balancer, server = chance.choice(balancers), chance.choice(web)
            size = int(chance.lognormvariate(9.5, 1.0))
            port = 1024 + chance.randrange(60_000)
            yield Exchange(client, balancer.address, 443, port, at, 2, 1_200, size)
            yield self._inside(balancer, server, 8080, at + 0.1, seconds=1.5, out=1_400, back=size)
            if chance.random() < 0.6:
                worker = chance.choice(app)
                yield self._inside(server, worker, 8443, at + 0.2, out=1_800, back=size // 3)
                store, door = chance.choice([(mysql, 3306), (postgres, 5432), (cache, 6379)])
                yield self._inside(worker, store, door, at + 0.3, out=900, back=size // 4)

    def _health_checks(self, chance: random.Random) -> Iterator[Exchange]:
        for env, role in (("prod", "web"), ("dev", "ci")):
            for balancer in self.estate.with_role("alb", env=env):
                for server in self.estate.with_role(role, env=env):
                    for at in self._every(chance, 600, 0.001):
                        yield self._inside(balancer, server, 8080, at, out=420, back=380)

    def _clocks(self, chance: random.Random) -> Iterator[Exchange]:
        for host in self.estate.with_role("app", "batch", "devbox")[:7]:
            server = chance.choice(["time1.example.net", "time2.example.net"])
            for at in self._every(chance, 1024, 0.003):
                yield replace(
                    self._call(host, server, at, 123, protocol=17, out=76, back=76), source_port=123
                )

    def _agents(self, chance: random.Random) -> Iterator[Exchange]:
        """The monitoring agent of every server: a beat, and harmless."""
        for host in self.estate.with_role("web", "app", "batch")[:8]:
            for at in self._every(chance, 600, 0.01):
                size = 2_600 + chance.randrange(400)
                yield self._call(host, "agent.metrics.example.com", at, out=size, back=900)

    def _licence(self, chance: random.Random) -> Iterator[Exchange]:
        """One host alone asks its licence server on the hour: the hardest harmless beat."""
        host = self.estate["prod-batch-2"]
        for at in self._every(chance, 1_800, 0.005):
            yield self._call(host, "licence.vendor.example.com", at, out=1_050, back=700)

    def _ssm(self, chance: random.Random) -> Iterator[Exchange]:
        for env in ("prod", "dev"):
            endpoint = self.estate.with_role("endpoint", env=env)[0]
            for host in self.estate.with_role("web", "batch", "devbox", "ci", env=env)[:5]:
                for at in self._every(chance, 900, 0.02):
                    yield self._inside(host, endpoint, 443, at, out=1_900, back=5_200)
        host, endpoint = self.estate["dev-ci-1"], self.estate["dev-endpoint-2"]
        for at in self._every(chance, 60, 0.01):  # one agent that polls every minute, in the day
            if 8 * HOUR <= at % DAY < 12 * HOUR:
                yield self._inside(host, endpoint, 443, at, out=800, back=1_100)

    def _packages(self, chance: random.Random) -> Iterator[Exchange]:
        for host in self.estate.with_role("web", "app", "batch", "devbox", "ci", "bastion"):
            for day in range(self.first, self.last, DAY):
                at = day + 4 * HOUR + chance.random() * 2 * HOUR
                size = int(chance.lognormvariate(14, 1.2))
                yield self._call(
                    host, "mirror.packages.example.org", at, seconds=20, out=9_000, back=size
                )

    def _nightly(self, chance: random.Random) -> Iterator[Exchange]:
        """Backups to object storage: most of a day's outbound bytes, every night at two."""
        for host in self.estate.with_role("batch", "ci"):
            for day in range(self.first, self.last, DAY):
                size = int(chance.gauss(6e9, 4e8))
                yield self._call(
                    host, "statements.s3.amazonaws.example", day + 2 * HOUR + chance.random() * 600,
                    seconds=1_500, out=size, back=size // 90, service="S3", packet=1_400,
                )  # fmt: skip

    def _partner(self, chance: random.Random) -> Iterator[Exchange]:
        """A replication session that stays open all day: one record a window, and harmless."""
        for day in range(self.first, self.last, DAY):
            hours = 7 + chance.random()
            yield self._call(
                self.estate["prod-batch-1"], "sftp.clearing.example.net", day + 9 * HOUR, 22,
                seconds=hours * HOUR, out=int(hours * 90e6), back=int(hours * 9e6),
            )  # fmt: skip

    def _lambdas(self, chance: random.Random) -> Iterator[Exchange]:
        for env in ("prod", "dev"):
            store = self.estate.with_role("rds", env=env)[1]
            for worker in self.estate.with_role("lambda", env=env):
                for at in self._every(chance, 1_500, 0.1):
                    yield self._inside(worker, store, 5432, at, out=1_300, back=6_000)

    def _files(self, chance: random.Random) -> Iterator[Exchange]:
        for env, role in (("prod", "app"), ("dev", "devbox")):
            mounts = self.estate.with_role("efs", env=env)
            for host in self.estate.with_role(role, env=env)[:3]:
                for at in self._every(chance, 2_400, 0.4):
                    size = int(chance.lognormvariate(11, 1.5))
                    mount = chance.choice(mounts)
                    yield self._inside(host, mount, 2049, at, seconds=15, out=size, back=size)

    def _developers(self, chance: random.Random) -> Iterator[Exchange]:
        """Working hours: SSH through the bastion, git, builds, test databases, the web."""
        bastion = self.estate["dev-bastion-1"]
        boxes, builders = self.estate.with_role("devbox"), self.estate.with_role("ci")
        mysql, postgres = self.estate.with_role("rds", env="dev")
        for day in range(self.first, self.last, DAY):
            for _ in range(5):
                at = day + chance.uniform(8, 17) * HOUR
                spent, box = chance.uniform(300, 2_000), chance.choice(boxes)
                typed = int(spent * 60)
                port = 1024 + chance.randrange(60_000)
                yield Exchange(
                    OFFICE, bastion.address, 22, port, at, spent, typed, typed * 4, packet=130
                )
                yield self._inside(
                    bastion, box, 22, at + 2, seconds=spent, out=typed, back=typed * 4, packet=130
                )
            for _ in range(130):
                at, host = day + chance.uniform(8, 18) * HOUR, chance.choice(boxes + builders)
                size = int(chance.lognormvariate(10, 1.6))
                kind = chance.random()
                if kind < 0.4:
                    yield self._call(host, "git.example.com", at, seconds=4, out=3_000, back=size)
                elif kind < 0.6:
                    name = chance.choice(["cdn.widgets.example.com", "api.rates.example.com"])
                    yield self._call(host, name, at, seconds=5, out=2_000, back=size)
                else:
                    store, door = chance.choice([(mysql, 3306), (postgres, 5432)])
                    yield self._inside(host, store, door, at, seconds=3, out=1_500, back=size)

    def _misconfigured(self, chance: random.Random) -> Iterator[Exchange]:
        """A dev host whose cache was moved and whose security group nobody changed."""
        host, cache = self.estate["dev-devbox-4"], self.estate["prod-cache-1"]
        for at in self._every(chance, 5_400, 0.3):
            yield self._inside(host, cache, 6379, at, refused=True, syns=2)

    def _noise(self, chance: random.Random) -> Iterator[Exchange]:
        """The internet knocking: sources by the thousand, refused where nothing is meant to be.

        Two doors let it in and stay silent: a NAT gateway has no security group and drops what it
        did not ask for, and the bastion's SSH is open to all while the host's own firewall is not.
        """
        doors = [22, 23, 80, 443, 445, 1433, 2375, 3306, 3389, 5060, 5432, 5900, 6379, 8080, 8443,
                 8545, 9200, 11211, 27017]  # fmt: skip
        datagrams = (5060, 11211)
        for host in (h for h in self.estate.hosts if h.public):
            for _ in range(int((self.last - self.first) / DAY * 330)):
                at = chance.uniform(self.first, self.last)
                source = f"198.19.{chance.randrange(256)}.{chance.randrange(1, 255)}"
                port = (
                    chance.choice(doors) if chance.random() < 0.7 else chance.randrange(1, 65_000)
                )
                open_ = host.role == "alb" and port == 443
                let_in = host.role == "nat" or (host.role == "bastion" and port == 22)
                source_port = chance.choice([40_000, 61_000]) + chance.randrange(900)
                yield Exchange(
                    source, host.address, port, source_port, at, 0.2, 700 if open_ else 60, 500,
                    protocol=17 if port in datagrams else 6, refused=not open_ and not let_in,
                    answered=open_,
                )  # fmt: skip
