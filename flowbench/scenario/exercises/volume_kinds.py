"""The connections of a fleet in a period: who calls whom, how often and how much.

Sizes and durations are log-normal; few clients and pods have most of the connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flowbench.scenario.exercises.volume_paths import (
    ANSWERED,
    REJECTED,
    UNANSWERED,
    Connections,
)
from flowbench.scenario.network import Host

_TCP = 6
_SYN, _SYN_ACK = 2, 18
_SERVICES = 12  # of other organisations, each with an IPv4 and an IPv6 address
_SCANNERS = 4_000
_CLIENTS = (200, 40_000)  # the fewest and the most
_PER_CLIENT = 400  # records, about
_LONGEST = 1_500  # seconds of a connection
_SCANNED = np.array([21, 23, 80, 8443, 445, 3389, 5432, 6379, 8080, 9200])


class _Kind(NamedTuple):
    """One kind of connections; sizes and durations are the median and sigma of a log-normal.

    Attributes:
        share: Of all connections.
        source: Who opens them, a name of a group.
        target: Who is called.
        ports: The service ports.
        seconds: Duration.
        bytes_out: From the source.
        bytes_in: To the source.
        through_nat: Whether a gateway translates the source's address.
        protocol: IANA protocol number.
    """

    share: float
    source: str
    target: str
    ports: tuple[int, ...]
    seconds: tuple[float, float]
    bytes_out: tuple[float, float]
    bytes_in: tuple[float, float]
    through_nat: bool = False
    protocol: int = 6


_KINDS = (
    _Kind(0.22, "client", "alb", (443,), (5, 1.3), (900, 1.1), (2_500, 1.7)),
    _Kind(0.03, "client-v6", "alb-v6", (443,), (5, 1.3), (900, 1.1), (2_500, 1.7)),
    _Kind(0.11, "alb", "pod", (8080,), (10, 1.2), (1_500, 1.3), (4_000, 1.7)),
    _Kind(0.07, "alb", "server", (8080,), (10, 1.2), (1_500, 1.3), (4_000, 1.7)),
    _Kind(0.08, "pod", "pod", (8443, 50051), (8, 1.4), (900, 1.4), (1_500, 1.7)),
    _Kind(0.12, "pod", "dns", (53,), (0.02, 0.5), (75, 0.2), (140, 0.5), protocol=17),
    _Kind(0.04, "pod", "rds", (5432,), (180, 0.9), (6_000, 1.4), (20_000, 1.8)),
    _Kind(0.04, "server", "cache", (6379,), (60, 1.1), (2_500, 1.3), (3_000, 1.6)),
    _Kind(0.04, "ecs-task", "endpoint", (443,), (6, 1.2), (1_500, 1.3), (1_200, 1.4)),
    _Kind(0.02, "server", "ecs-task", (8080,), (5, 1.2), (900, 1.1), (2_000, 1.4)),
    _Kind(0.03, "eks-node", "service", (443,), (6, 1.2), (1_200, 1.3), (5_000, 1.8), True),
    _Kind(0.02, "server-v6", "service-v6", (443,), (6, 1.2), (1_200, 1.3), (5_000, 1.8)),
)
_MONITORED, _SCANS, _BACKSCATTER = 0.02, 0.14, 0.02  # shares of all connections


class Group(NamedTuple):
    """Ends of connections of one role: numbers of their addresses and interfaces (-1: none)."""

    address: np.ndarray
    at: np.ndarray


class Population:
    """The ends of all connections.

    Attributes:
        addresses: All addresses, by number.
        primary: The number of each interface's primary address.
        is_v6: Whether each address is of IPv6.
    """

    def __init__(self, hosts: Sequence[Host], records: int) -> None:
        """Number the addresses of the fleet, and as many clients as the records are for."""
        self.addresses: list[str] = []
        self._groups: dict[str, Group] = {}
        self.primary = self._number([host.address for host in hosts])
        for role in sorted({host.role for host in hosts}):
            own = [(host, n) for n, host in enumerate(hosts) if host.role == role]
            at = np.array([n for _, n in own])
            self._groups[role] = Group(self.primary[at], at)
            dual = [(host.ipv6, n) for host, n in own if host.ipv6]
            self._add(f"{role}-v6", dual)
        nodes = [(host, n) for n, host in enumerate(hosts) if host.role == "eks-node"]
        # The first pod of the first nodes answers the cluster's DNS queries.
        self._add("dns", [(host.secondary[0], n) for host, n in nodes[:2]])
        self._add("pod", [(pod, n) for host, n in nodes for pod in host.secondary[1:]])
        clients = min(max(records // _PER_CLIENT, _CLIENTS[0]), _CLIENTS[1])
        self._add("client", [(f"198.18.{n % 200}.{1 + n // 200}", -1) for n in range(clients)])
        networks = range(max(clients // 8, 10))
        self._add("client-v6", [(f"2001:db8:{0x9000 + n:x}::{n + 1:x}", -1) for n in networks])
        self._add("service", [(f"198.18.250.{n + 1}", -1) for n in range(_SERVICES)])
        self._add("service-v6", [(f"2001:db8:ffff::{n + 1:x}", -1) for n in range(_SERVICES)])
        scanners = range(_SCANNERS)
        self._add("scanner", [(f"198.19.{n % 256}.{1 + n // 256}", -1) for n in scanners])
        self.is_v6 = np.array([":" in address for address in self.addresses])

    def __getitem__(self, name: str) -> Group:
        return self._groups[name]

    def _add(self, name: str, ends: Sequence[tuple[str, int]]) -> None:
        numbers = self._number([address for address, _ in ends])
        self._groups[name] = Group(numbers, np.array([at for _, at in ends], "int64"))

    def _number(self, addresses: Sequence[str]) -> np.ndarray:
        first = len(self.addresses)
        self.addresses += addresses
        return np.arange(first, first + len(addresses))


def draw(
    population: Population, rng: np.random.Generator, count: int, begin: int, length: int
) -> Connections:
    """Draw about ``count`` connections that begin in a period.

    Args:
        population: Their ends.
        rng: The random choices.
        count: How many.
        begin: Epoch seconds.
        length: Seconds.
    """
    parts = [
        *(_draw_kind(kind, population, rng, count, begin, length) for kind in _KINDS),
        _monitoring(population, rng, count * _MONITORED, begin, length),
        *_from_the_internet(population, rng, count, begin, length),
    ]
    joined = Connections.join(parts)
    return joined.take(joined.src != joined.dst)


def _draw_kind(
    kind: _Kind,
    population: Population,
    rng: np.random.Generator,
    count: int,
    begin: int,
    length: int,
) -> Connections:
    n = int(count * kind.share)
    source, target = population[kind.source], population[kind.target]
    from_, to = _unequal(rng, len(source.at), n), rng.integers(0, len(target.at), n)
    nat = population["nat"].at[0] if kind.through_nat else -1
    return _connections(
        rng,
        Group(source.address[from_], source.at[from_]),
        Group(target.address[to], target.at[to]),
        rng.choice(np.array(kind.ports), n),
        begin + rng.random(n) * length,
        seconds=np.minimum(_lognormal(rng, kind.seconds, n), _LONGEST),
        bytes_out=_lognormal(rng, kind.bytes_out, n),
        bytes_in=_lognormal(rng, kind.bytes_in, n),
        nat=nat,
        protocol=kind.protocol,
    )


def _monitoring(
    population: Population, rng: np.random.Generator, count: float, begin: int, length: int
) -> Connections:
    """One monitor reads each machine's metrics, at intervals that are equal but for 2 per cent."""
    groups = [population[role] for role in ("eks-node", "server", "ecs-task")]
    targets = Group(*(np.concatenate(columns) for columns in zip(*groups, strict=True)))
    numbers = np.arange(len(targets.at))
    period = max(15.0, round(len(numbers) * length / max(count, 1) / 15) * 15.0)
    first = np.ceil((begin - numbers) / period)
    turns = (np.ceil((begin + length - numbers) / period) - first).astype("int64")
    of = np.repeat(numbers, turns)
    turn = np.arange(len(of)) - np.repeat(np.cumsum(turns) - turns, turns)
    start = (first[of] + turn) * period + of + rng.random(len(of)) * 0.02 * period
    monitor = population["monitor"]
    source = Group(np.full(len(of), monitor.address[0]), np.full(len(of), monitor.at[0]))
    return _connections(
        rng,
        source,
        Group(targets.address[of], targets.at[of]),
        np.full(len(of), 9_100),
        start,
        bytes_out=np.full(len(of), 700.0),
        bytes_in=_lognormal(rng, (30_000, 0.1), len(of)),
    )


def _from_the_internet(
    population: Population, rng: np.random.Generator, count: int, begin: int, length: int
) -> list[Connections]:
    """Scans of public addresses, which their security groups reject, and backscatter.

    A NAT gateway has no security group: what nobody asked for is accepted and dropped.
    """
    scanners, gateway = population["scanner"], population["nat"]
    public = Group(
        *(np.concatenate(columns) for columns in zip(population["alb"], gateway, strict=True))
    )
    parts = []
    for n, targets in ((int(count * _SCANS), public), (int(count * _BACKSCATTER), gateway)):
        is_scan = targets is public
        from_, to = _unequal(rng, len(scanners.at), n), rng.integers(0, len(targets.at), n)
        high = rng.integers(1_024, 65_536, n)
        port = np.where(
            rng.random(n) < 0.7, rng.choice(_SCANNED[2:] if is_scan else _SCANNED, n), high
        )
        is_dropped = np.isin(targets.at[to], gateway.at)
        drawn = _connections(
            rng,
            Group(scanners.address[from_], scanners.at[from_]),
            Group(targets.address[to], targets.at[to]),
            port if is_scan else high,
            begin + rng.random(n) * length,
            bytes_out=np.full(n, 44.0),
            state=np.where(is_dropped, UNANSWERED, REJECTED),
        )
        if not is_scan:
            sport = rng.choice(np.array([80, 443, 22, 25]), n)
            drawn = drawn._replace(sport=sport, flags=np.full(n, _SYN_ACK))
        parts.append(drawn)
    return parts


def _connections(
    rng: np.random.Generator,
    source: Group,
    target: Group,
    port: np.ndarray,
    start: np.ndarray,
    *,
    bytes_out: np.ndarray,
    bytes_in: np.ndarray | None = None,
    seconds: np.ndarray | None = None,
    nat: int = -1,
    protocol: int = _TCP,
    state: np.ndarray | None = None,
) -> Connections:
    n = len(start)
    return Connections(
        source.address,
        target.address,
        source.at,
        target.at,
        np.full(n, nat),
        rng.integers(32_768, 61_000, n),
        port,
        np.full(n, protocol),
        start,
        np.full(n, 0.2) if seconds is None else seconds,
        bytes_out,
        np.zeros(n) if bytes_in is None else bytes_in,
        np.full(n, ANSWERED) if state is None else state,
        np.full(n, _SYN),
    )


def _unequal(rng: np.random.Generator, size: int, n: int) -> np.ndarray:
    """Draw n of some numbers below size, small ones more often."""
    return (size * rng.random(n) ** 2.5).astype("int64")


def _lognormal(rng: np.random.Generator, median_sigma: tuple[float, float], n: int) -> np.ndarray:
    median, sigma = median_sigma
    return median * np.exp(sigma * rng.standard_normal(n))
