"""The ordinary traffic of a random estate: much of it as regular as any beacon, and harmless."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flowbench.scenario.bulk import REFUSED, SILENT, Talks

DAY, HOUR = 86_400, 3_600
Range = tuple[float, float]


@dataclass(frozen=True)
class Settings:
    """What an estate and its incidents are drawn from; ranges are (least, most)."""

    net: str  # the first half of the estate's addresses
    world: str  # the first half of the addresses outside; RFC 2544's, which are nobody's
    hosts: Range
    days: tuple[int, ...]
    agents: Range  # how many kinds of agent call outside from most hosts
    agent_minutes: Range
    agent_share: Range  # of hosts that run an agent
    pool: Range  # addresses that a service spreads over
    own_services: tuple[int, ...]  # regular services that one host alone calls
    browsing: Range  # sites a workstation calls, each with its own mean gap
    noise: Range  # sources that probe the estate from outside
    probes: Range  # how often each
    beacons: Range
    beacon_minutes: Range
    beacon_hours: Range
    jitter: Range  # share of the period
    jitter_kinds: tuple[str, ...]  # grid: about fixed times; sleep: each gap; early: shorter only
    beacon_ports: tuple[int, ...]
    miners: Range
    mining_hours: Range
    mining_bytes: Range  # a minute, out
    mining_ratio: Range  # in to out
    mining_lumps: Range  # messages a minute
    mining_ports: tuple[int, ...]
    exfiltrations: Range
    exfiltration_days: Range  # usual days' bytes
    exfiltration_ports: tuple[int, ...]
    scans_inside: Range
    scans_inbound: Range
    scan_targets: Range
    scan_ports: Range
    scan_minutes: Range
    brute_forces: Range
    brute_attempts: Range
    brute_gap: Range  # seconds between attempts
    brute_ports: tuple[int, ...]


@dataclass
class Estate:
    """Who is there."""

    settings: Settings
    rng: np.random.Generator
    talks: Talks
    first: int
    days: int
    hosts: list[int] = field(default_factory=list)
    web: list[int] = field(default_factory=list)
    app: list[int] = field(default_factory=list)
    data: list[int] = field(default_factory=list)
    desks: list[int] = field(default_factory=list)  # workstations of developers
    _outside: int = 0

    @property
    def span(self) -> int:
        """How long the logs run, in seconds."""
        return self.days * DAY

    def between(self, bounds: Range) -> float:
        """A number drawn evenly from a range."""
        return float(self.rng.uniform(*bounds))

    def count(self, bounds: Range) -> int:
        """A whole number drawn evenly from a range, both ends included."""
        return int(self.rng.integers(int(bounds[0]), int(bounds[1]) + 1))

    def outside(self) -> int:
        """A new address outside."""
        self._outside += 1
        number = self._outside * 7919 % 65_536
        return self.talks.address(f"{self.settings.world}.{number // 256}.{number % 256}")

    def pick(self, among: list[int], count: int = 1) -> list[int]:
        """Some of them, each once."""
        chosen = self.rng.choice(len(among), min(count, len(among)), replace=False)
        return [among[int(n)] for n in chosen]

    def every(self, period: float, jitter: float = 0.02) -> np.ndarray:
        """Moments about ``period`` seconds apart; ``jitter`` is a share of it."""
        at = np.arange(self.rng.uniform(0, period), self.span, period)
        return self.first + at + self.rng.uniform(-jitter, jitter, len(at)) * period

    def now_and_then(self, a_day: float, *, people: bool = False) -> np.ndarray:
        """Moments with no rhythm, ``a_day`` on average; people's lie between 7 and 19 o'clock."""
        at = np.sort(self.rng.uniform(0, self.span, self.rng.poisson(a_day * self.days)))
        if people:
            at = np.sort(at // DAY * DAY + 7 * HOUR + at % DAY / 2)
        return self.first + at

    def sizes(self, typical: float, count: int, spread: float = 0.5) -> np.ndarray:
        """Log-normal sizes around a typical one."""
        return typical * self.rng.lognormal(0, spread, count)


def build(estate: Estate) -> None:
    """Hosts of five roles, and a number for each."""
    count = estate.count(estate.settings.hosts)
    numbers = estate.rng.choice(250 * 8, count + 4, replace=False)
    for number in numbers:
        name = f"{estate.settings.net}.{number // 250}.{4 + number % 250}"
        estate.hosts.append(estate.talks.address(name, inside=True))
    shares = np.cumsum([0.2, 0.25, 0.15, 0.4])
    for place, host in enumerate(estate.hosts[4:]):
        role = int(np.searchsorted(shares, place / count, side="right"))
        (estate.web, estate.app, estate.data, estate.desks)[min(role, 3)].append(host)


def fill(estate: Estate) -> None:
    """Everything ordinary, under its kind's name."""
    for source in (
        _clocks, _agents, _sessions, _mirrors, _health, _watched, _managed, _backups, _data,
        _customers, _browsing, _own_services, _uploads, _admin, _lapses, _noise,
    ):  # fmt: skip
        source(estate)


def _clocks(e: Estate) -> None:
    servers, resolvers = [e.outside() for _ in range(3)], [e.outside() for _ in range(2)]
    period = float(e.rng.choice([256, 512, 1024]))
    for host in e.hosts:
        (server,) = e.pick(servers)
        e.talks.add(
            "ntp", host, server, 123, e.every(period, 0.01), out=76, back=76, protocol=17,
            packet=(76, 76), seconds=0.1,
        )  # fmt: skip
        at = e.now_and_then(150)
        who = np.asarray(resolvers)[e.rng.integers(0, 2, len(at))]
        e.talks.add(
            "dns", host, who, 53, at, out=70, back=e.sizes(160, len(at)), protocol=17, seconds=0.1
        )


def _agents(e: Estate) -> None:
    s = e.settings
    for _ in range(e.count(s.agents)):
        pool = np.asarray([e.outside() for _ in range(e.count(s.pool))])
        period, share = 60 * e.between(s.agent_minutes), e.between(s.agent_share)
        size, jitter = e.between((800, 9_000)), e.between((0.0, 0.15))
        for host in e.pick(e.hosts, max(5, int(share * len(e.hosts)))):
            at = e.every(period, jitter)
            who = pool[e.rng.integers(0, len(pool), len(at))]
            e.talks.add(
                "agent", host, who, 443, at, out=e.sizes(size, len(at), 0.1),
                back=e.sizes(1_500, len(at), 0.1),
            )  # fmt: skip


def _sessions(e: Estate) -> None:
    """Long sessions with a record in each window: agents' channels, chats, shells, streams."""
    pool = np.asarray([e.outside() for _ in range(3)])
    for host in e.pick(e.hosts, max(5, int(0.2 * len(e.hosts)))):
        at = e.every(12 * HOUR, 0.05)
        who = pool[e.rng.integers(0, len(pool), len(at))]
        e.talks.add(
            "agent-channel", host, who, 443, at, seconds=11 * HOUR, out=11 * 60 * 140.0,
            back=11 * 60 * 150.0, packet=(75, 75),
        )  # fmt: skip
    for host in e.pick(e.desks, 4):
        at = e.now_and_then(1, people=True)
        e.talks.add(
            "chat", host, e.outside(), 443, at, seconds=6 * HOUR, out=6 * e.sizes(30_000, len(at)),
            back=6 * e.sizes(220_000, len(at)), lumps=0.6, packet=(300, 700),
        )  # fmt: skip
    for host in e.pick(e.desks, 3):
        at = e.now_and_then(2, people=True)
        e.talks.add(
            "shell", host, e.outside(), 22, at, seconds=e.sizes(3_000, len(at)),
            out=e.sizes(60_000, len(at)), back=e.sizes(300_000, len(at)), lumps=0.3,
            packet=(110, 300),
        )  # fmt: skip
    (host,) = e.pick(e.app)
    e.talks.add(
        "stream", host, e.outside(), 443, e.every(8 * HOUR), seconds=7.5 * HOUR,
        out=200_000, back=60e6, packet=(60, 1_300),
    )  # fmt: skip
    (host,) = e.pick(e.desks)
    e.talks.add(
        "keepalive", host, e.outside(), 8883, e.every(20 * HOUR), seconds=19 * HOUR,
        out=19 * 60 * 62.0, back=19 * 60 * 62.0, packet=(62, 62),
    )  # fmt: skip


def _mirrors(e: Estate) -> None:
    mirrors = [e.outside() for _ in range(2)]
    for host in e.hosts:
        at = e.every(float(e.rng.choice([6, 12, 24])) * HOUR, 0.05)
        e.talks.add(
            "mirror", host, e.pick(mirrors)[0], 443, at, seconds=20, out=e.sizes(9_000, len(at)),
            back=e.sizes(2e6, len(at)),
        )  # fmt: skip


def _health(e: Estate) -> None:
    for balancer in e.hosts[:2]:
        for host in e.web:
            e.talks.add(
                "health-check", balancer, host, 8080, e.every(120, 0.005), out=420, back=380,
                seconds=0.1,
            )  # fmt: skip


def _watched(e: Estate) -> None:
    watcher = e.hosts[2]
    for host in e.hosts[3:]:
        at = e.every(600, 0.01)
        e.talks.add("monitoring", watcher, host, 9100, at, out=300, back=e.sizes(20_000, len(at)))
        if host in e.web:
            e.talks.add(
                "ssh-check", watcher, host, 22, e.every(600, 0.01), out=300, back=420, seconds=0.2
            )


def _managed(e: Estate) -> None:
    for host in e.hosts[4:]:
        at = e.every(1_800, 0.03)
        e.talks.add(
            "configuration", host, e.hosts[3], 8140, at, seconds=4, out=e.sizes(20_000, len(at)),
            back=e.sizes(60_000, len(at)),
        )  # fmt: skip


def _backups(e: Estate) -> None:
    """Every night: some hosts to one place outside, one database to a place of its own."""
    shared, own = e.outside(), e.outside()
    hour = e.rng.uniform(0, 5) * HOUR
    for host in e.pick(e.hosts, 6):
        at = e.first + hour + np.arange(e.days) * DAY + e.rng.uniform(0, 900, e.days)
        e.talks.add(
            "backup", host, shared, 443, at, seconds=1_500, out=e.sizes(300e6, e.days, 0.1),
            back=400_000, packet=(1_400, 60),
        )  # fmt: skip
    (host,) = e.pick(e.data)
    at = e.first + hour + np.arange(e.days) * DAY + e.rng.uniform(0, 300, e.days)
    e.talks.add(
        "own-backup", host, own, 443, at, seconds=1_200, out=e.sizes(150e6, e.days, 0.05),
        back=200_000, packet=(1_400, 60),
    )  # fmt: skip


def _data(e: Estate) -> None:
    for host in e.app:
        for server in e.pick(e.data, 2):
            at = e.now_and_then(120)
            e.talks.add(
                "database", host, server, 5432, at, out=e.sizes(3_000, len(at), 1),
                back=e.sizes(20_000, len(at), 1), seconds=e.sizes(3, len(at)),
            )  # fmt: skip
    for host in e.app[:3]:
        e.talks.add(
            "database-pool", host, e.pick(e.data)[0], 5432, e.every(6 * HOUR), seconds=5.9 * HOUR,
            out=e.between((2e6, 2e7)), back=e.between((5e6, 5e7)),
        )  # fmt: skip


def _customers(e: Estate) -> None:
    clients = np.asarray([e.outside() for _ in range(400)])
    weights = e.rng.pareto(1.2, len(clients)) + 0.1
    for host in e.web:
        at = e.now_and_then(700 * e.rng.uniform(0.3, 1))
        who = e.rng.choice(clients, len(at), p=weights / weights.sum())
        e.talks.add(
            "customer", who, host, 443, at, out=e.sizes(2_500, len(at)),
            back=e.sizes(30_000, len(at), 1.2), seconds=e.sizes(4, len(at)),
        )  # fmt: skip
        for upstream in e.pick(e.app, 2):
            at = e.now_and_then(150)
            e.talks.add(
                "upstream", host, upstream, 8443, at, out=e.sizes(2_000, len(at)),
                back=e.sizes(9_000, len(at)),
            )  # fmt: skip


def _browsing(e: Estate) -> None:
    sites = np.asarray([e.outside() for _ in range(600)])
    for host in e.desks:
        mine = e.rng.choice(sites, e.count(e.settings.browsing), replace=False)
        for site in mine:
            at = e.now_and_then(e.rng.choice([2, 8, 40]), people=bool(e.rng.random() < 0.8))
            e.talks.add(
                "browsing", host, site, 443, at, out=e.sizes(4_000, len(at), 1),
                back=e.sizes(80_000, len(at), 1.2), seconds=e.sizes(10, len(at), 1),
            )  # fmt: skip


def _own_services(e: Estate) -> None:
    """What one host alone calls on a schedule: nothing in the flows tells it from a beacon."""
    for _ in range(int(e.rng.choice(e.settings.own_services))):
        (host,) = e.pick(e.app)
        at = e.every(60 * e.between((10, 45)), 0.02)
        e.talks.add(
            "own-service", host, e.outside(), 443, at, out=e.sizes(900, len(at), 0.05),
            back=e.sizes(2_000, len(at), 0.05),
        )  # fmt: skip


def _uploads(e: Estate) -> None:
    """Logs shipped each hour, images pushed to a registry, files sent to partners now and then."""
    collector, registry = e.outside(), e.outside()
    for host in e.app + e.web:
        at = e.every(HOUR, 0.02)
        e.talks.add(
            "log-shipping", host, collector, 443, at, out=e.sizes(700_000, len(at), 0.2),
            back=9_000, seconds=15, packet=(1_300, 60),
        )  # fmt: skip
    for host in e.pick(e.desks, 8):
        at = e.now_and_then(2, people=True)
        e.talks.add(
            "push", host, registry, 443, at, out=e.sizes(25e6, len(at), 0.8), back=60_000,
            seconds=60, packet=(1_400, 60),
        )  # fmt: skip
    for host in e.pick(e.desks, 5):
        at = e.now_and_then(1.5, people=True)
        e.talks.add(
            "attachment", host, e.outside(), 443, at, out=e.sizes(4e6, len(at), 0.8), back=60_000,
            seconds=20, packet=(1_400, 60),
        )  # fmt: skip


def _admin(e: Estate) -> None:
    """Shells from the bastion, a playbook over every host each day, code fetched over SSH."""
    bastion, forge = e.hosts[3], e.outside()
    for host in e.hosts[4:]:
        runs = e.first + 10 * HOUR + np.arange(e.days) * DAY + e.rng.uniform(0, 600)
        at = (runs[:, None] + np.arange(12) * 7).ravel()
        e.talks.add(
            "playbook", bastion, host, 22, at, seconds=6, out=e.sizes(30_000, len(at), 0.9),
            back=e.sizes(20_000, len(at), 0.9),
        )  # fmt: skip
    for host in e.desks:
        at = e.now_and_then(12, people=True)
        e.talks.add(
            "code", host, forge, 22, at, seconds=5, out=e.sizes(6_000, len(at), 0.6),
            back=e.sizes(90_000, len(at), 1.5),
        )  # fmt: skip


def _lapses(e: Estate) -> None:
    """Doors that moved, and a collector that never answers."""
    moved, gone = e.pick(e.data)[0], e.outside()
    for host in e.pick(e.app, 3):
        at = e.every(900, 0.1)
        e.talks.add(
            "lapse", host, moved, 6379, at, out=180, state=REFUSED, seconds=7, packet=(60, 60)
        )
    for host in e.pick(e.desks, 4):
        at = e.every(1_200, 0.1)
        e.talks.add("lapse", host, gone, 8081, at, out=180, state=SILENT, packet=(60, 60))


def _noise(e: Estate) -> None:
    """The internet's background: thousands of sources that knock a few times each."""
    s = e.settings
    doors = np.asarray([22, 23, 80, 443, 445, 2375, 3389, 5060, 6379, 8080, 8443, 9200])
    count = e.count(s.noise)
    times = np.clip(e.rng.geometric(1 / e.between(s.probes), count), 1, 6)
    sources = np.repeat([e.outside() for _ in range(count)], times)
    favourite = np.repeat(e.rng.integers(0, len(doors), count), times)
    e.talks.add(
        "noise", sources, e.rng.choice(e.hosts, len(sources)), doors[favourite],
        e.first + e.rng.uniform(0, e.span, len(sources)), out=60, state=REFUSED, packet=(60, 60),
        seconds=0,
    )  # fmt: skip
