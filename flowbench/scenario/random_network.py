"""A generated network: hosts of several roles, and random times and sizes for its traffic."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flowbench.scenario.bulk import Traffic
from flowbench.scenario.incident_settings import Range, Settings

DAY, HOUR = 86_400, 3_600


@dataclass
class RandomNetwork:
    """The hosts of a generated network, and its connections so far."""

    settings: Settings
    rng: np.random.Generator
    traffic: Traffic
    first: int
    days: int
    hosts: list[int] = field(default_factory=list)
    web: list[int] = field(default_factory=list)
    app: list[int] = field(default_factory=list)
    data: list[int] = field(default_factory=list)
    workstations: list[int] = field(default_factory=list)  # of developers
    external_count: int = 0

    @property
    def span(self) -> int:
        """The length of the logs in seconds."""
        return self.days * DAY

    def draw(self, bounds: Range) -> float:
        """Return a uniformly distributed number of a range."""
        return float(self.rng.uniform(*bounds))

    def draw_count(self, bounds: Range) -> int:
        """Return a uniformly distributed integer of a range, both ends included."""
        return int(self.rng.integers(int(bounds[0]), int(bounds[1]) + 1))

    def external_address(self) -> int:
        """Return a new external address."""
        self.external_count += 1
        number = self.external_count * 7919 % 65_536
        return self.traffic.address(
            f"{self.settings.external_prefix}.{number // 256}.{number % 256}"
        )

    def pick(self, items: list[int], count: int = 1) -> list[int]:
        """Return distinct random items."""
        chosen = self.rng.choice(len(items), min(count, len(items)), replace=False)
        return [items[int(n)] for n in chosen]

    def periodic_times(self, interval: float, jitter: float = 0.02) -> np.ndarray:
        """Return times about ``interval`` seconds apart; ``jitter`` is a share of it."""
        at = np.arange(self.rng.uniform(0, interval), self.span, interval)
        return self.first + at + self.rng.uniform(-jitter, jitter, len(at)) * interval

    def random_times(self, per_day: float, *, working_hours: bool = False) -> np.ndarray:
        """Return random times, ``per_day`` on average; those of people from 7:00 to 19:00."""
        at = np.sort(self.rng.uniform(0, self.span, self.rng.poisson(per_day * self.days)))
        if working_hours:
            at = np.sort(at // DAY * DAY + 7 * HOUR + at % DAY / 2)
        return self.first + at

    def sizes(self, typical: float, count: int, spread: float = 0.5) -> np.ndarray:
        """Return log-normal sizes around a typical one."""
        return typical * self.rng.lognormal(0, spread, count)


def add_hosts(network: RandomNetwork, like: RandomNetwork | None = None) -> None:
    """Add hosts: four of administration, and the rest web, application, data or workstation.

    With ``like`` they have the addresses of that network's hosts, as in overlapping VPCs.
    """
    if like is not None:
        names = [like.traffic.addresses[host] for host in like.hosts]
        network.external_count = like.external_count  # external addresses are not repeated
    else:
        count = network.draw_count(network.settings.hosts)
        numbers = network.rng.choice(250 * 8, count + 4, replace=False)
        prefix = network.settings.internal_prefix
        names = [f"{prefix}.{number // 250}.{4 + number % 250}" for number in numbers]
    network.hosts += [network.traffic.address(name, internal=True) for name in names]
    shares = np.cumsum([0.2, 0.25, 0.15, 0.4])
    count = len(names) - 4
    for i, host in enumerate(network.hosts[4:]):
        role = int(np.searchsorted(shares, i / count, side="right"))
        (network.web, network.app, network.data, network.workstations)[min(role, 3)].append(host)
