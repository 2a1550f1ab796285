"""Choice of the initiator of a connection: the rules, the most reliable first."""

from __future__ import annotations

import ibis

from flowbench.connections.staging import is_intermediate, is_internal

# Rules that show which end opened a connection; the others guess it.
RELIABLE_RULES = ("flags", "ports", "rejected", "constant-port", "one-way")
FIRST_UNRESERVED = 1024
# Ports below 1024 are services. So are these above, of TCP: databases, administration, file
# services, proxies, web servers, queues, Tor relays and mining pools.
SERVICE_PORTS = (
    1433, 1521, 2049, 2375, 2376, 3000, 3128, 3268, 3306, 3333, 3389, 4444, 5432, 5439, 5555,
    5671, 5672, 5900, 5985, 5986, 6379, 6443, 7777, 8000, 8080, 8081, 8088, 8333, 8443, 8883,
    8888, 9000, 9001, 9030, 9042, 9090, 9092, 9094, 9200, 9300, 9999, 10250, 11211, 14433, 14444,
    27017, 45700,
)  # fmt: skip
UDP_SERVICE_PORTS = (  # a UDP packet from 8080 or 8081 is seldom an answer of a web server
    1194,  # OpenVPN
    1434,  # SQL Server Browser
    1701,  # L2TP
    1812,  # RADIUS
    1813,
    1900,  # SSDP
    2049,  # NFS
    3389,  # RDP
    3478,  # STUN
    3702,  # WS-Discovery
    4500,  # IPsec through NAT
    4789,  # VXLAN
    5060,  # SIP
    5353,  # mDNS
    5355,  # LLMNR
    6081,  # GENEVE: gateway load balancers
    8125,  # StatsD
    11211,  # Memcached
    51820,  # WireGuard
)
EPHEMERAL = 32_768  # first source port of Linux clients; that of Windows clients is higher
# Services whose clients use a reserved port, which only root can: NFS (nfs(5): resvport), its mount
# daemon, and GlusterFS.
_ROOT_SERVICES = (2049, 20_048, 24_007)
_RESERVED = (512, 1023)  # source ports of such clients
_UDP = 17


def with_ownership(c: ibis.Table) -> ibis.Table:
    """Add ``low_internal``, ``low_intermediate``, ``high_internal``, ``high_intermediate``.

    Args:
        c: Connections of which ``low`` and ``high`` are ids of addresses (staging.Staged).
    """
    for end in ("low", "high"):
        facts = {"internal": is_internal(c[end]), "intermediate": is_intermediate(c[end])}
        c = c.mutate(**{f"{end}_{name}": fact for name, fact in facts.items()})
    return c


def initiator_rules(c: ibis.Table) -> list[tuple[ibis.Value, ibis.Value, str]]:
    """The rules as (when it applies, whether the low end is the initiator, name of the rule).

    Args:
        c: Connections with low_port, high_port, protocol, low_internal, high_internal (see
            with_ownership), and what the low end sent: syn_up (a SYN without ACK), syn_ack_up,
            midstream_up (TCP without SYN), rejecting_up (rejected, and no late packet), first_up
            (start of its first record, null without any); the same ``_down`` of the high end;
            low_clients, high_clients (see service_ports).
    """
    low_serves, high_serves = (is_service_port(c.protocol, c[f"{e}_port"]) for e in ("low", "high"))
    low_is_root = c.low_port.between(*_RESERVED) & c.high_port.isin(_ROOT_SERVICES)
    high_is_root = c.high_port.between(*_RESERVED) & c.low_port.isin(_ROOT_SERVICES)
    low_ephemeral, high_ephemeral = c.low_port >= EPHEMERAL, c.high_port >= EPHEMERAL
    has_ports = c.protocol.isin([6, 17, 132])
    sent_up, sent_down = c.first_up.notnull(), c.first_down.notnull()
    one_way = sent_up != sent_down
    return [
        (c.syn_up & ~c.syn_down, ibis.literal(True), "flags"),
        (c.syn_down & ~c.syn_up, ibis.literal(False), "flags"),
        (c.syn_ack_down & ~c.syn_ack_up, ibis.literal(True), "flags"),
        (c.syn_ack_up & ~c.syn_ack_down, ibis.literal(False), "flags"),
        (has_ports & (low_is_root | high_is_root), low_is_root, "ports"),
        (has_ports & (low_serves != high_serves), high_serves, "ports"),
        (one_way & (c.rejecting_up | c.rejecting_down), sent_up, "rejected"),
        (
            ~one_way & (c.low_clients != c.high_clients),
            c.high_clients > c.low_clients,
            "constant-port",
        ),
        (has_ports & (low_ephemeral != high_ephemeral), low_ephemeral, "ports"),
        # A connection in midstream has an answer: its other direction is missing from the log.
        (one_way & ~(c.midstream_up | c.midstream_down), sent_up, "one-way"),
        (has_ports & (c.low_port != c.high_port), c.low_port > c.high_port, "higher-port"),
        (c.low_internal != c.high_internal, c.low_internal, "internal"),
        (c.first_up != c.first_down, c.first_up < c.first_down, "order"),
        (one_way, sent_up, "one-way"),
        (ibis.literal(True), ibis.literal(True), "order"),  # arbitrary, but repeatable
    ]


def choose_initiator(c: ibis.Table) -> tuple[ibis.Value, ibis.Value]:
    """Whether the low end is the initiator, and the name of the rule that decided."""
    rules = initiator_rules(c)
    low_opened = ibis.cases(*((when, is_low) for when, is_low, _name in rules))
    return low_opened, ibis.cases(*((when, name) for when, _is_low, name in rules))


def is_service_port(protocol: ibis.Value, port: ibis.Value) -> ibis.Value:
    """Whether a port is known as a service port."""
    known = (protocol == _UDP).ifelse(port.isin(UDP_SERVICE_PORTS), port.isin(SERVICE_PORTS))
    return (port < FIRST_UNRESERVED) | known
