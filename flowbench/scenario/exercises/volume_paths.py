"""Records of many connections at once, as the interfaces on their paths log them.

Each interface has its own capture windows, one record per window, direction and 5-tuple, with the
times of the window, as busy interfaces have. Internal traffic is logged at both ends; traffic
through a NAT gateway twice each way at the gateway too. An interface shows its primary address for
the addresses of its pods; the packet addresses are the pods' own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from flowbench.scenario.network import Host
from flowbench.scenario.record_lines import EGRESS, EGRESS_INTERNET, INGRESS, Rows

ANSWERED, UNANSWERED, REJECTED = 0, 1, 2  # rejected: by the responder's security group
_FIN, _SYN, _SYN_ACK = 1, 2, 18
_TCP = 6
_HEADERS = 40  # bytes of the smallest packet


class Connections(NamedTuple):
    """Connections as columns; addresses and interfaces are numbers, interface -1 is none.

    Attributes:
        src: Addresses of the initiators.
        dst: Addresses of the responders.
        src_at: Interfaces of the initiators.
        dst_at: Interfaces of the responders.
        nat: Interfaces of the NAT gateways on the path.
        sport: Source ports.
        dport: Service ports.
        protocol: IANA protocol numbers.
        start: Epoch seconds.
        seconds: Durations.
        bytes_out: From the initiators.
        bytes_in: To the initiators.
        state: ANSWERED, UNANSWERED or REJECTED.
        flags: TCP flags of the first packet.
    """

    src: np.ndarray
    dst: np.ndarray
    src_at: np.ndarray
    dst_at: np.ndarray
    nat: np.ndarray
    sport: np.ndarray
    dport: np.ndarray
    protocol: np.ndarray
    start: np.ndarray
    seconds: np.ndarray
    bytes_out: np.ndarray
    bytes_in: np.ndarray
    state: np.ndarray
    flags: np.ndarray

    def take(self, rows: np.ndarray) -> Connections:
        """Return some connections, by a mask or by their numbers."""
        return Connections(*(column[rows] for column in self))

    @classmethod
    def join(cls, parts: Sequence[Connections]) -> Connections:
        """Return the connections of all parts."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _Leg(NamedTuple):
    """What an interface sees of connections in one direction: the columns of Rows for it."""

    src: np.ndarray
    dst: np.ndarray
    pkt_src: np.ndarray
    pkt_dst: np.ndarray
    sport: np.ndarray
    dport: np.ndarray
    way: np.ndarray
    is_outward: bool


class Paths:
    """Which interfaces log a connection, and when."""

    def __init__(
        self,
        hosts: Sequence[Host],
        primary: np.ndarray,
        is_v6: np.ndarray,
        first: int,
        window: int,
    ) -> None:
        """Prepare the interfaces.

        Args:
            hosts: The interfaces, by number.
            primary: The number of each interface's primary IPv4 address.
            is_v6: Whether each address is of IPv6.
            first: Epoch seconds; all windows begin from it on.
            window: The aggregation interval in seconds.
        """
        self._primary, self._is_v6, self._window = primary, is_v6, window
        self._is_public = np.array([host.subnet.public for host in hosts])
        numbers = np.arange(len(hosts))
        self._base = first - window + (_hash(numbers, numbers) % window).astype("int64")

    def bounds(self, at: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return start and end of windows, without overlap: 58 to 61 seconds, or 598 to 601."""
        start = self._base[at] + self._window * number
        chance, following = _hash(at, number), _hash(at, number + 1)
        begin = start + (chance % 2).astype("int64")
        late = (following % 2).astype("int64") - (chance // 2 % 2).astype("int64")
        return begin, start + self._window + late

    def window_of(self, at: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return the numbers of the windows of interfaces at some times."""
        return np.floor((time - self._base[at]) / self._window).astype("int64")

    def records(self, c: Connections) -> Rows:
        """Return the records of all interfaces on the paths."""
        parts: list[Rows] = []
        for column, legs in (
            ("src_at", self._at_initiator),
            ("dst_at", self._at_responder),
            ("nat", self._at_gateway),
        ):
            at = getattr(c, column)
            logged = c.take(at >= 0)
            if len(logged.src):
                parts += self._split(logged, getattr(logged, column), legs(logged))
        return Rows.join(parts)

    def _own(self, address: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the addresses that an interface shows for its own: the primary one for IPv4."""
        return np.where(self._is_v6[address], address, self._primary[at])

    def _egress(self, at: np.ndarray, other: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Return the ways out of interfaces to addresses with the interface ``far``, or none."""
        is_direct = self._is_public[at] | self._is_v6[other]
        return np.where((far < 0) & is_direct, EGRESS_INTERNET, EGRESS)

    def _at_initiator(self, c: Connections) -> list[_Leg]:
        own, ingress = self._own(c.src, c.src_at), np.full(len(c.src), INGRESS)
        way = self._egress(c.src_at, c.dst, c.dst_at)
        return [
            _Leg(own, c.dst, c.src, c.dst, c.sport, c.dport, way, True),
            _Leg(c.dst, own, c.dst, c.src, c.dport, c.sport, ingress, False),
        ]

    def _at_responder(self, c: Connections) -> list[_Leg]:
        own, ingress = self._own(c.dst, c.dst_at), np.full(len(c.src), INGRESS)
        way = self._egress(c.dst_at, c.src, c.src_at)
        return [
            _Leg(c.src, own, c.src, c.dst, c.sport, c.dport, ingress, True),
            _Leg(own, c.src, c.dst, c.src, c.dport, c.sport, way, False),
        ]

    def _at_gateway(self, c: Connections) -> list[_Leg]:
        own = self._primary[c.nat]
        port = 1_024 + (_hash(c.src, c.sport) % 60_000).astype("int64")
        ingress, inner, outer = (
            np.full(len(c.src), way) for way in (INGRESS, EGRESS, EGRESS_INTERNET)
        )
        return [
            _Leg(c.src, own, c.src, c.dst, c.sport, c.dport, ingress, True),
            _Leg(own, c.dst, own, c.dst, port, c.dport, outer, True),
            _Leg(c.dst, own, c.dst, own, c.dport, port, ingress, False),
            _Leg(own, c.src, c.dst, c.src, c.dport, c.sport, inner, False),
        ]

    def _split(self, c: Connections, at: np.ndarray, legs: Sequence[_Leg]) -> Iterator[Rows]:
        """Yield the records of interfaces, a part for each leg."""
        opens = self.window_of(at, c.start)
        count = self.window_of(at, c.start + c.seconds) - opens + 1
        of = np.repeat(np.arange(len(count)), count)
        turn = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
        window = opens[of] + turn
        start, end = self.bounds(at[of], window)
        is_first, is_last = turn == 0, turn == count[of] - 1
        # Of the time that a connection lasts, the share until the end of the window.
        until = self._base[at[of]] + self._window * (window + 1)
        share = (until - c.start[of]) / np.maximum(c.seconds[of], 1e-9)
        is_tcp, is_answered = c.protocol[of] == _TCP, c.state[of] == ANSWERED
        is_rejected = (c.state[of] == REJECTED) & (at[of] == c.dst_at[of])
        for leg in legs:
            packets, size = _divide(c, of, share, is_first, is_last, is_outward=leg.is_outward)
            opening = np.where(leg.is_outward, c.flags[of], _SYN_ACK)
            flags = np.where(is_first, opening, 0) | np.where(is_last & is_answered, _FIN, 0)
            rows = Rows(
                at[of],
                leg.src[of],
                leg.dst[of],
                leg.pkt_src[of],
                leg.pkt_dst[of],
                leg.sport[of],
                leg.dport[of],
                c.protocol[of],
                packets,
                size,
                start,
                end,
                is_rejected,
                np.where(is_tcp, flags, 0),
                leg.way[of],
            )
            has_packets = packets > 0
            yield rows.take(has_packets if leg.is_outward else has_packets & is_answered)


def _divide(
    c: Connections,
    of: np.ndarray,
    share: np.ndarray,
    is_first: np.ndarray,
    is_last: np.ndarray,
    *,
    is_outward: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the packets and bytes of one direction between windows, some of which may have none.

    The first packet is in the first window, the last one in the last. Larger transfers have larger
    packets; an answered TCP connection has three without data.
    """
    data = c.bytes_out if is_outward else c.bytes_in
    packet = np.where(data < 2_000, 350, np.where(data < 50_000, 800, 1_350))
    control = np.where((c.protocol == _TCP) & (c.state == ANSWERED), 3, 0)
    packets = (np.maximum(data, _HEADERS) // packet).astype("int64") + 1 + control
    size = (np.maximum(data, _HEADERS)).astype("int64") + _HEADERS * control
    packets = np.minimum(packets, size // _HEADERS)
    total = packets[of]
    inner = np.clip((total * share).astype("int64"), 1, np.maximum(total - 1, 1))
    sent = np.where(is_last, total, inner)
    before = np.where(is_first, 0, np.roll(sent, 1))
    until = size[of] * sent // total
    return sent - before, until - size[of] * before // total


def _hash(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return pseudo-random numbers that depend on two numbers alone (the finalizer of splitmix64).

    Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    x = first.astype("uint64") * np.uint64(0x9E3779B97F4A7C15) + second.astype("uint64")
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))) >> np.uint64(16)
