"""Who opened a connection: the rules, the strongest first."""

from __future__ import annotations

import ibis
from ibis import _

# Ports below 1024 are services. So are these above, which clients are not given: databases, admin
# and file services, proxies and web servers, queues, Tor relays, WireGuard, and what mining pools
# listen on.
SERVICE_PORTS = (
    1433, 1521, 2049, 2375, 2376, 3000, 3128, 3268, 3306, 3333, 3389, 4444, 5432, 5439, 5555,
    5671, 5672, 5900, 5985, 5986, 6379, 6443, 7777, 8000, 8080, 8081, 8088, 8333, 8443, 8883,
    8888, 9000, 9001, 9030, 9042, 9090, 9092, 9094, 9200, 9300, 9999, 10250, 11211, 14433, 14444,
    27017, 45700, 51820,
)  # fmt: skip
EPHEMERAL = 32_768  # where Linux and, higher still, Windows clients take their source ports from
# Services whose clients call from a reserved port, to show that root does: NFS (nfs(5): resvport)
# and its mount daemon, GlusterFS.
_FOR_ROOT = (2049, 20_048, 24_007)
_RESERVED = (512, 1023)  # where such clients take theirs from


def with_inside(c: ibis.Table, addresses: ibis.Table) -> ibis.Table:
    """Join what is known of either end: ``low_internal``, ``low_intermediate``, ``high_…``."""
    for end in ("low", "high"):
        known = addresses.select(
            **{end: _.id, f"{end}_internal": _.internal, f"{end}_intermediate": _.intermediate}
        )
        c = c.join(known, end)
    return c


def rules(c: ibis.Table) -> list[tuple[ibis.Value, ibis.Value, str]]:
    """What tells that the low end is the initiator: (when, whether it is, name of the rule).

    ``c`` has the ends (low_port, high_port, protocol), whether each is inside (see with_inside),
    and what either sent: syn_up (a SYN without ACK from the low end), syn_ack_up, midway_up (TCP
    known to carry no SYN), refusing_up (it was rejected, and not as a straggler), first_up (start
    of its first record, null if it never spoke), and the same ``_down`` from the high end.
    """
    low_serves, high_serves = _service(c.low_port), _service(c.high_port)
    low_rooted = c.low_port.between(*_RESERVED) & c.high_port.isin(_FOR_ROOT)
    high_rooted = c.high_port.between(*_RESERVED) & c.low_port.isin(_FOR_ROOT)
    low_brief, high_brief = c.low_port >= EPHEMERAL, c.high_port >= EPHEMERAL
    has_ports = c.protocol.isin([6, 17, 132])
    spoke_up, spoke_down = c.first_up.notnull(), c.first_down.notnull()
    alone = spoke_up != spoke_down
    return [
        (c.syn_up & ~c.syn_down, ibis.literal(True), "flags"),
        (c.syn_down & ~c.syn_up, ibis.literal(False), "flags"),
        (c.syn_ack_down & ~c.syn_ack_up, ibis.literal(True), "flags"),
        (c.syn_ack_up & ~c.syn_ack_down, ibis.literal(False), "flags"),
        (has_ports & (low_rooted | high_rooted), low_rooted, "ports"),
        (has_ports & (low_serves != high_serves), high_serves, "ports"),
        (alone & (c.refusing_up | c.refusing_down), spoke_up, "rejected"),
        (has_ports & (low_brief != high_brief), low_brief, "ports"),
        # Half a connection that is under way is no call that nobody answers: its other half is
        # missing from the log.
        (alone & ~(c.midway_up | c.midway_down), spoke_up, "one-way"),
        (has_ports & (c.low_port != c.high_port), c.low_port > c.high_port, "higher-port"),
        (c.low_internal != c.high_internal, c.low_internal, "internal"),
        (c.first_up != c.first_down, c.first_up < c.first_down, "order"),
        (alone, spoke_up, "one-way"),
        (ibis.literal(True), ibis.literal(True), "order"),  # at random, but always the same
    ]


def initiator_rule(c: ibis.Table) -> tuple[ibis.Value, ibis.Value]:
    """Whether the low end is the initiator, and the name of the rule that told so."""
    found = rules(c)
    low_opened = ibis.cases(*((when, then) for when, then, _name in found))
    return low_opened, ibis.cases(*((when, name) for when, _low, name in found))


def _service(port: ibis.Value) -> ibis.Value:
    return (port < 1024) | port.isin(SERVICE_PORTS)
