"""Exchanges in, flow log records out, as the interfaces between two ends would log them.

Every interface has capture windows of its own, 58 to 61 seconds long; what passes in a window is
one record for each direction and 5-tuple. Traffic inside is logged at both ends; traffic through a
NAT gateway at the client and twice each way at the gateway, with the packet addresses that the
gateway knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from flowbench.scenario.network import ACCOUNT, REGION, Estate, Host

# The format string a security team would choose: v5, in the order of AWS's table.
FIELDS = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes "
    "start end action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr "
    "pkt-dstaddr region az-id sublocation-type sublocation-id pkt-src-aws-service "
    "pkt-dst-aws-service flow-direction traffic-path"
)

FIN, SYN, SYN_ACK = 1, 2, 18


@dataclass(frozen=True)
class Exchange:
    """What one end asked of another: times in epoch seconds, sizes in bytes, both ways in all."""

    initiator: str
    responder: str
    port: int
    source_port: int
    start: float
    seconds: float = 1.0
    out: int = 800
    back: int = 2_400
    protocol: int = 6
    refused: bool = False  # by the responder's security group
    answered: bool = True  # False: let in, and nobody replies; a refused one has no reply either
    syns: int = 1  # of an exchange without a reply: how often its first packet was sent
    packet: int = 700  # bytes of a packet, on average: bulk 1,400, typing and mining 130
    straggler: bool = False  # a packet that comes after the close and is rejected
    service: str = "-"  # AWS service of the responder, where it is one


@dataclass(frozen=True)
class Line:
    """A record ready to write, and when it ends: what files are cut by."""

    end: int
    text: str


class Logger:
    """Turns exchanges into records, interface by interface."""

    def __init__(self, estate: Estate, first: int) -> None:
        self.estate = estate
        self.first = first
        self._ports: dict[str, int] = {}

    def source_port(self, address: str) -> int:
        """The next ephemeral port of an address."""
        start = 32_768 + _number(address) % 20_000
        port = self._ports.get(address, start) + 1 + _number(address, self._ports.get(address)) % 3
        self._ports[address] = port if port < 60_999 else 32_768
        return self._ports[address]

    def window(self, interface: str, moment: float) -> int:
        """Which of an interface's windows a moment falls in."""
        return int((moment - self.first - _number(interface) % 60) // 60)

    def bounds(self, interface: str, window: int) -> tuple[int, int]:
        """Start and end of a window: 58 to 61 seconds, and over before the next one starts."""
        start = self.first + _number(interface) % 60 + 60 * window
        chance, following = _number(interface, window), _number(interface, window + 1)
        return start + chance % 2, start + 60 + following % 2 - chance // 2 % 2

    def records(self, exchange: Exchange) -> Iterator[Line]:
        """Every record that some interface makes of an exchange."""
        here = self.estate.by_address.get(exchange.initiator)
        there = self.estate.by_address.get(exchange.responder)
        if here:
            yield from self._side(here, exchange, outgoing=True, accepted=True)
        if there:
            yield from self._side(there, exchange, outgoing=False, accepted=not exchange.refused)
        if here and not there and (gateway := self.estate.nat_of(here)):
            yield from self._through(gateway, exchange)

    def silence(self, host: Host, window: int, *, skipped: bool = False) -> Line:
        """A NODATA record, or the SKIPDATA record that says some were lost."""
        start, end = self.bounds(host.interface, window)
        status = "SKIPDATA" if skipped else "NODATA"
        return self._line(host, "-", "-", "-", "-", "-", "-", start, end, "-", status)

    def _side(self, host: Host, x: Exchange, *, outgoing: bool, accepted: bool) -> Iterator[Line]:
        """What the interface at one end logs."""
        inside = x.initiator in self.estate.by_address and x.responder in self.estate.by_address
        silent = x.refused or not x.answered
        left = x.syns
        for start, end, out, back, first, last in self._shares(host.interface, x):
            flags_out = (SYN * first | FIN * last) if x.protocol == 6 else 0
            flags_back = (SYN_ACK * first | FIN * last) if x.protocol == 6 else 0
            if silent:
                flags_out = SYN if x.protocol == 6 else 0
            # Knocks that fall into two windows are shared out; a single one is sent again.
            knocks = max(1, left if last else (left + 1) // 2) if silent else 0
            left -= knocks
            action = "ACCEPT" if accepted else "REJECT"
            yield self._line(
                host, x.initiator, x.responder, x.source_port, x.port, x.protocol, out, start, end,
                action, flags=flags_out, egress=outgoing, inside=inside, dst_service=x.service,
                knocks=knocks, packet=x.packet,
            )  # fmt: skip
            if not silent:
                yield self._line(
                    host, x.responder, x.initiator, x.port, x.source_port, x.protocol, back, start,
                    end, "ACCEPT", flags=flags_back, egress=not outgoing, inside=inside,
                    src_service=x.service, packet=x.packet,
                )  # fmt: skip
        if x.straggler and outgoing:
            start, end = self.bounds(
                host.interface, self.window(host.interface, x.start + x.seconds) + 1
            )
            yield self._line(
                host, x.responder, x.initiator, x.port, x.source_port, x.protocol, 40, start, end,
                "REJECT", flags=4, egress=False, inside=inside,
            )  # fmt: skip

    def _through(self, gateway: Host, x: Exchange) -> Iterator[Line]:
        """The four records of an exchange at a NAT gateway's interface."""
        given = 1024 + _number(x.initiator, x.source_port) % 60_000
        for start, end, out, back, first, last in self._shares(gateway.interface, x):
            tcp = x.protocol == 6
            go = (SYN * first | FIN * last) if tcp else 0
            come = (SYN_ACK * first | FIN * last) if tcp else 0
            rows = (
                (x.initiator, gateway.address, x.source_port, x.port, out, go, False,
                 x.initiator, x.responder),
                (gateway.address, x.responder, given, x.port, out, go, True,
                 gateway.address, x.responder),
                (x.responder, gateway.address, x.port, given, back, come, False,
                 x.responder, gateway.address),
                (gateway.address, x.initiator, x.port, x.source_port, back, come, True,
                 x.responder, x.initiator),
            )  # fmt: skip
            for src, dst, sport, dport, size, flags, egress, pkt_src, pkt_dst in rows:
                yield self._line(
                    gateway, src, dst, sport, dport, x.protocol, size, start, end, "ACCEPT",
                    flags=flags, egress=egress, inside=dst == x.initiator, pkt=(pkt_src, pkt_dst),
                    packet=x.packet,
                    src_service=x.service if pkt_src == x.responder else "-",
                    dst_service=x.service if pkt_dst == x.responder else "-",
                )  # fmt: skip

    def _shares(
        self, interface: str, x: Exchange
    ) -> Iterator[tuple[int, int, int, int, bool, bool]]:
        """The windows that an exchange touches: bounds, bytes each way, whether first and last."""
        opens = self.window(interface, x.start)
        closes = self.window(interface, x.start + x.seconds)
        left_out, left_back = x.out, x.back
        for window in range(opens, closes + 1):
            lasts = closes - window + 1
            out, back = left_out // lasts, left_back // lasts
            if lasts > 1:  # no two minutes are quite alike
                wobble = 0.9 + _number(interface, window, x.source_port) % 201 / 1000
                out, back = int(out * wobble), int(back * wobble)
            left_out, left_back = left_out - out, left_back - back
            yield (*self.bounds(interface, window), out, back, window == opens, window == closes)

    def _line(  # the columns of a record
        self, host: Host, src: str, dst: str, sport: object, dport: object, protocol: object,
        size: object, start: int, end: int, action: str, status: str = "OK", *, flags: object = "-",
        egress: bool | None = None, inside: bool = False, pkt: tuple[str, str] | None = None,
        src_service: str = "-", dst_service: str = "-", knocks: int = 0, packet: int = 700,
    ) -> Line:  # fmt: skip
        data = status == "OK"
        packets: object = "-"
        if knocks:
            packets, size = knocks, 60 * knocks
        elif isinstance(size, int):
            size = max(size, 40)  # a packet without data
            # Opening and closing take packets of their own; none is smaller than its headers.
            closing = 2 * bool(flags in (3, 19)) + bool(flags)
            packets = min(size // packet + 1 + closing, max(1, size // 40))
        if not egress:
            path: object = "-"
        elif inside and self.estate.by_address[dst].subnet.vpc == host.subnet.vpc:
            path = 1
        elif inside:
            path = 4
        else:
            path = 8 if host.subnet.public else 1
        # AWS does not know the owner of every interface that its services make.
        account = "unknown" if host.role == "endpoint" and _number(host.name) % 2 else ACCOUNT
        columns = (
            5, account, host.interface, src, dst, sport, dport, protocol, packets, size, start, end,
            action, status, host.vpc_id, host.subnet.id, host.instance or "-",
            flags if data else "-", "IPv4" if data else "-",
            pkt[0] if pkt else src, pkt[1] if pkt else dst, REGION,
            f"use1-az{1 + 'ab'.index(host.subnet.zone)}", "-", "-", src_service, dst_service,
            {True: "egress", False: "ingress", None: "-"}[egress], path,
        )  # fmt: skip
        return Line(end, " ".join(map(str, columns)))


def _number(*words: object) -> int:
    """A number that follows from its words: chance that needs no order of drawing."""
    return int.from_bytes(
        hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=6).digest()
    )
