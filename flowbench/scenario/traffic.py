"""Flow log records of simulated connections, as the interfaces on the path would log them.

Each interface has its own capture windows, 58 to 61 seconds long (598 to 601 with an aggregation
interval of ten minutes), and one record per window, direction and 5-tuple. Internal traffic is
logged at both ends; traffic through a NAT gateway at the client, and twice each way at the gateway,
with the packet addresses that the gateway knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from flowbench.scenario.network import ACCOUNT, REGION, Host, Network
from flowbench.scenario.record_format import FIELD_COUNTS, count_packets, later_fields

FIN, SYN, RST, SYN_ACK = 1, 2, 4, 18
TCP = 6


@dataclass(frozen=True)
class Connection:
    """A simulated connection: times in epoch seconds, total sizes in bytes."""

    initiator: str
    responder: str
    port: int
    source_port: int
    start: float
    seconds: float = 1.0
    bytes_out: int = 800
    bytes_in: int = 2_400
    protocol: int = 6
    rejected: bool = False  # by the responder's security group
    answered: bool = True  # False: accepted without a reply; a rejected one has no reply either
    attempts: int = 1  # without a reply: how often the first packet was sent
    packet_bytes: int = 700  # on average: bulk transfers 1,400, shells and mining 130
    late_packet: bool = False  # one arrives after the close and is rejected
    service: str = "-"  # AWS service of the responder


@dataclass(frozen=True)
class Record:
    """A record ready to write, and its end, which decides its file."""

    end: int
    text: str


class FiveTuple(NamedTuple):
    """Source and destination address and port, and protocol."""

    src: str
    dst: str
    sport: int
    dport: int
    protocol: int

    @classmethod
    def of(cls, x: Connection) -> FiveTuple:
        """Return the flow from a connection's initiator to its responder."""
        return cls(x.initiator, x.responder, x.source_port, x.port, x.protocol)

    def reversed(self) -> FiveTuple:
        """Return the flow in the other direction."""
        return FiveTuple(self.dst, self.src, self.dport, self.sport, self.protocol)


class WindowPart(NamedTuple):
    """The part of a connection in one capture window."""

    times: tuple[int, int]  # start and end of the window
    bytes_out: int
    bytes_in: int
    is_first: bool
    is_last: bool


class FlowLogger:
    """Turns connections into records, interface by interface."""

    def __init__(
        self, network: Network, first: int, *, version: int = 5, interval: int = 60
    ) -> None:
        """Log from ``first`` on.

        Args:
            network: The network.
            first: Epoch seconds.
            version: Of the records, one of record_format.FIELD_COUNTS.
            interval: The aggregation interval, one of record_format.INTERVALS.
        """
        self.network = network
        self.first = first
        self.version = version
        self.interval = interval
        self._ports: dict[str, int] = {}

    def source_port(self, address: str) -> int:
        """Return the next ephemeral port of an address."""
        start = 32_768 + _hash(address) % 20_000
        port = self._ports.get(address, start) + 1 + _hash(address, self._ports.get(address)) % 3
        self._ports[address] = port if port < 60_999 else 32_768
        return self._ports[address]

    def window(self, interface: str, time: float) -> int:
        """Return the number of an interface's capture window at a time."""
        return int((time - self._window_start(interface, 0)) // self.interval)

    def bounds(self, interface: str, window: int) -> tuple[int, int]:
        """Return start and end of a window, without overlap: 58 to 61 seconds, or 598 to 601."""
        start = self._window_start(interface, window)
        chance, following = _hash(interface, window), _hash(interface, window + 1)
        return start + chance % 2, start + self.interval + following % 2 - chance // 2 % 2

    def next_window(self, interface: str, time: float) -> int:
        """Return when the first window begins that does not begin before a time."""
        start = self._window_start(interface, self.window(interface, time))
        return start if start >= time else start + self.interval

    def _window_start(self, interface: str, window: int) -> int:
        return self.first + _hash(interface) % self.interval + self.interval * window

    def records(self, connection: Connection) -> Iterator[Record]:
        """Yield the records of all interfaces on a connection's path."""
        initiator = self.network.by_address.get(connection.initiator)
        responder = self.network.by_address.get(connection.responder)
        if initiator:
            yield from self._endpoint_records(initiator, connection, is_initiator=True)
        if responder:
            yield from self._endpoint_records(responder, connection, is_initiator=False)
        if initiator and not responder and (gateway := self.network.nat_of(initiator)):
            yield from self._nat_records(gateway, connection)

    def empty_record(self, host: Host, window: int, *, skipped: bool = False) -> Record:
        """Return the NODATA or SKIPDATA record of a window."""
        times = self.bounds(host.interface, window)
        return self._record(host, None, times, status="SKIPDATA" if skipped else "NODATA")

    def _endpoint_records(
        self, host: Host, connection: Connection, *, is_initiator: bool
    ) -> Iterator[Record]:
        """Yield the records at one end of a connection."""
        x, outward = connection, FiveTuple.of(connection)
        internal = x.initiator in self.network.by_address and x.responder in self.network.by_address
        has_reply = x.answered and not x.rejected
        remaining = x.attempts
        for part in self._split(host.interface, x):
            flags_out, flags_in = _tcp_flags(x, part)
            attempts = 0
            if not has_reply:
                flags_out = SYN if x.protocol == TCP else 0
                # Attempts in two windows are divided between them; a single one is repeated.
                attempts = max(1, remaining if part.is_last else (remaining + 1) // 2)
                remaining -= attempts
            yield self._record(
                host,
                outward,
                part.times,
                attempts=attempts,
                size=part.bytes_out,
                action="REJECT" if x.rejected and not is_initiator else "ACCEPT",
                flags=flags_out,
                egress=is_initiator,
                dst_service=x.service,
                internal=internal,
                packet_bytes=x.packet_bytes,
            )
            if has_reply:
                yield self._record(
                    host,
                    outward.reversed(),
                    part.times,
                    size=part.bytes_in,
                    flags=flags_in,
                    egress=not is_initiator,
                    src_service=x.service,
                    internal=internal,
                    packet_bytes=x.packet_bytes,
                )
        if x.late_packet and is_initiator:
            window = self.window(host.interface, x.start + x.seconds) + 1
            times = self.bounds(host.interface, window)
            yield self._record(
                host,
                outward.reversed(),
                times,
                size=40,
                action="REJECT",
                flags=RST,
                egress=False,
                internal=internal,
            )

    def _nat_records(self, gateway: Host, connection: Connection) -> Iterator[Record]:
        """Yield the four records per window at a NAT gateway's interface."""
        x = connection
        nat_port = 1024 + _hash(x.initiator, x.source_port) % 60_000
        client, server, own = x.initiator, x.responder, gateway.address
        inner = FiveTuple(client, own, x.source_port, x.port, x.protocol)
        outer = FiveTuple(own, server, nat_port, x.port, x.protocol)
        for part in self._split(gateway.interface, x):
            flags_out, flags_in = _tcp_flags(x, part)
            for flow, packet_addresses, egress in (
                (inner, (client, server), False),
                (outer, (own, server), True),
                (outer.reversed(), (server, own), False),
                (FiveTuple(own, client, x.port, x.source_port, x.protocol), (server, client), True),
            ):
                is_outward = packet_addresses[1] == server
                yield self._record(
                    gateway,
                    flow,
                    part.times,
                    size=part.bytes_out if is_outward else part.bytes_in,
                    flags=flags_out if is_outward else flags_in,
                    egress=egress,
                    internal=flow.dst == client,
                    packet_addresses=packet_addresses,
                    packet_bytes=x.packet_bytes,
                    src_service="-" if is_outward else x.service,
                    dst_service=x.service if is_outward else "-",
                )

    def _split(self, interface: str, connection: Connection) -> Iterator[WindowPart]:
        """Yield a connection's part in each capture window of an interface."""
        x = connection
        opens = self.window(interface, x.start)
        closes = self.window(interface, x.start + x.seconds)
        left_out, left_in = x.bytes_out, x.bytes_in
        for window in range(opens, closes + 1):
            remaining = closes - window + 1
            out, in_ = left_out // remaining, left_in // remaining
            if remaining > 1:  # the rate varies
                factor = 0.9 + _hash(interface, window, x.source_port) % 201 / 1000
                out, in_ = int(out * factor), int(in_ * factor)
            left_out, left_in = left_out - out, left_in - in_
            times = self.bounds(interface, window)
            yield WindowPart(times, out, in_, window == opens, window == closes)

    def _record(
        self,
        host: Host,
        flow: FiveTuple | None,
        times: tuple[int, int],
        *,
        size: int = 0,
        attempts: int = 0,
        action: str = "ACCEPT",
        status: str = "OK",
        flags: int = 0,
        egress: bool = False,
        internal: bool = False,
        packet_addresses: tuple[str, str] | None = None,
        packet_bytes: int = 700,
        src_service: str = "-",
        dst_service: str = "-",
    ) -> Record:
        """Return one record; without ``flow`` one of a window without data."""
        # AWS writes "unknown" for some interfaces of its services.
        account = "unknown" if host.role == "endpoint" and _hash(host.name) % 2 else ACCOUNT
        subnet = (host.vpc_id, host.subnet.id, host.instance or "-")
        zone = (REGION, f"use1-az{1 + 'ab'.index(host.subnet.zone)}", "-", "-")
        columns: list[object] = [self.version, account, host.interface]
        if flow is None:
            columns += ["-"] * 7 + [*times, "-", status, *subnet] + ["-"] * 4
            columns += [*zone, "-", "-", "-", "-"]
        else:
            packets, size = count_packets(size, attempts, flags, packet_bytes)
            columns += [*flow, packets, size, *times, action, status, *subnet, flags, "IPv4"]
            columns += [*(packet_addresses or flow[:2]), *zone, src_service, dst_service]
            path = self._traffic_path(host, flow.dst, internal=internal) if egress else "-"
            columns += ["egress" if egress else "ingress", path]
        columns += later_fields(host)
        text = " ".join(map(str, columns[: FIELD_COUNTS[self.version]]))
        return Record(times[1], text)

    def _traffic_path(self, host: Host, destination: str, *, internal: bool) -> int:
        """Return AWS's number for the path of egress traffic."""
        if internal:
            same_vpc = self.network.by_address[destination].subnet.vpc == host.subnet.vpc
            return 1 if same_vpc else 4  # through another resource in the VPC, or VPC peering
        return 8 if host.subnet.public else 1  # through an internet gateway


def _tcp_flags(connection: Connection, part: WindowPart) -> tuple[int, int]:
    """Return the TCP flags of both directions in a window."""
    if connection.protocol != TCP:
        return 0, 0
    end = FIN * part.is_last
    return SYN * part.is_first | end, SYN_ACK * part.is_first | end


def _hash(*words: object) -> int:
    """Return a pseudo-random number that depends on the words alone, not on any order."""
    return int.from_bytes(
        hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=6).digest()
    )
