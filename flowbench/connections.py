"""From records to connections: who talked to whom, counted once.

A flow log record is one direction at one interface in one window. A connection here is every
record between two (address, port) ends with one protocol, both directions, all windows and all
interfaces, until it is silent for longer than ``idle``.

How, and what for (the traps are those of AWS's flow log limitations page):

* The ends are the packet's own addresses (pkt-srcaddr, pkt-dstaddr) where the log has them, so that
  a client behind a NAT or transit gateway talks to its true peer.
* The same record from overlapping flow logs counts once.
* Traffic between two logged interfaces is recorded at both: each direction's bytes and packets are
  those of the interface that saw most of it, never the sum.
* The initiator is told, in this order, by ``flags`` (a SYN without ACK leaves it, a SYN-ACK comes
  back), by ``ports`` (just one end's port is a service's, or just one is ephemeral), by ``one-way``
  (only one end ever spoke), by ``order`` (the first record's source; at a tie the higher port).
* Refused means that what the initiator sent was rejected and nothing was accepted in return. Where
  flags are logged, a rejected TCP packet without SYN is a straggler of a closed connection and
  refuses nothing. A security group refuses at the responder's interface only: the initiator's own
  record of the same SYN says ACCEPT.

Known limits: windows blur every time by up to a minute (ten on old instances); two connections
that re-use a source port within ``idle`` seconds count as one; without flags, a service on an
unusual port may be taken for the client.
"""

from __future__ import annotations

import ibis
from ibis import _

from flowbench.enrich.addresses import is_inside, own_addresses
from flowbench.schema import Table

IDLE = 600  # seconds of silence after which the same ends talk anew; one window of an old instance

TABLE = Table.of(
    "connections",
    ("initiator", "string", "address that opened it"),
    ("initiator_port", "int32", "its port"),
    ("responder", "string", "address that was called"),
    ("service_port", "int32", "its port: what was asked for; 0 where there are no ports"),
    ("protocol", "int32", "IANA protocol number"),
    ("first_seen", "time", "start of the first window"),
    ("last_seen", "time", "end of the last window"),
    (
        "interface_id",
        "string",
        "where it was seen; the initiator's own interface if that is logged",
    ),
    ("bytes_out", "int64", "bytes from initiator to responder"),
    ("bytes_in", "int64", "bytes from responder to initiator"),
    ("packets_out", "int64", "packets from initiator to responder"),
    ("packets_in", "int64", "packets from responder to initiator"),
    ("records", "int64", "flow log records joined"),
    ("refused", "bool", "the initiator was rejected and nothing was accepted in return"),
    ("refused_records", "int64", "records with REJECT, of either direction"),
    ("answered", "bool", "something from the responder was accepted"),
    ("direction", "string", "inbound, outbound, internal or external (neither end is ours)"),
    ("relay", "bool", "one end is a NAT gateway's own address: its clients have rows of their own"),
    ("decided_by", "string", "how the initiator was told: flags, ports, one-way, order"),
)

PAIRS = Table.of(
    "pairs",
    ("initiator", "string", "address that opened the connections"),
    ("responder", "string", "address that was called"),
    ("service_port", "int32", "port that was asked for"),
    ("protocol", "int32", "IANA protocol number"),
    ("direction", "string", "inbound, outbound, internal or external"),
    ("relay", "bool", "one end is a NAT gateway's own address"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last"),
    ("connections", "int64", "how many"),
    ("refused", "int64", "how many of them were refused"),
    ("answered", "int64", "how many were answered"),
    ("bytes_out", "int64", "bytes from initiator to responder"),
    ("bytes_in", "int64", "bytes from responder to initiator"),
    ("packets_out", "int64", "packets from initiator to responder"),
    ("packets_in", "int64", "packets from responder to initiator"),
    ("records", "int64", "flow log records joined"),
)

# Ports below 1024 are services. So are these above, which clients are not given: databases, admin
# and file services, proxies and web servers, queues, Tor relays, and what mining pools listen on.
SERVICE_PORTS = (
    1433, 1521, 2049, 2375, 2376, 3000, 3128, 3268, 3306, 3333, 3389, 4444, 5432, 5439, 5555, 5671,
    5672, 5900, 5985, 5986, 6379, 6443, 7777, 8000, 8080, 8081, 8088, 8333, 8443, 8883, 8888, 9000,
    9001, 9030, 9042, 9090, 9092, 9094, 9200, 9300, 9999, 10250, 11211, 14433, 14444, 27017, 45700,
)  # fmt: skip
EPHEMERAL = 32_768  # where Linux and, higher still, Windows clients take their source ports from

_FIN_OR_RST, _SYN, _ACK = 5, 2, 16
_ENDS = ["low", "low_port", "high", "high_port", "protocol"]


def build(flows: ibis.Table, interfaces: ibis.Table, *, idle: int = IDLE) -> ibis.Table:
    """The connections (TABLE) in flow log records (schema.FLOWS), as an expression.

    ``interfaces`` (load.inventory.TABLE, may be empty) tells whose address is whose; what it does
    not know is learned from the records. ``idle`` is in seconds.
    """
    own = own_addresses(flows, interfaces)
    seen = _at_each_interface(_with_session(_records(flows), idle), own)
    return _described(_joined(seen), own, interfaces)


def pairs(connections: ibis.Table) -> ibis.Table:
    """Connections (TABLE) summed up by ends, service port and protocol (PAIRS)."""
    c = connections
    return (
        c.group_by("initiator", "responder", "service_port", "protocol", "direction", "relay")
        .aggregate(
            first_seen=c.first_seen.min(),
            last_seen=c.last_seen.max(),
            connections=c.count(),
            refused=c.count(where=c.refused),
            answered=c.count(where=c.answered),
            **{
                name: c[name].sum()
                for name in ("bytes_out", "bytes_in", "packets_out", "packets_in", "records")
            },
        )
        .select(*PAIRS.columns)
    )


def _records(flows: ibis.Table) -> ibis.Table:
    """Records of traffic, each once, its ends put in one order whichever way it went."""
    f = flows.filter(flows.srcaddr.notnull(), flows.dstaddr.notnull(), flows.start.notnull())
    records = f.select(
        "interface_id",
        "action",
        "tcp_flags",
        "start",
        "end",
        src=ibis.coalesce(f.pkt_srcaddr, f.srcaddr),
        dst=ibis.coalesce(f.pkt_dstaddr, f.dstaddr),
        srcport=f.srcport.fill_null(0),
        dstport=f.dstport.fill_null(0),
        protocol=f.protocol.fill_null(-1),
        packets=f.packets.fill_null(0),
        bytes=f.bytes.fill_null(0),
        raw_src=f.srcaddr,
        raw_dst=f.dstaddr,
    ).distinct()
    up = (records.src < records.dst) | (
        (records.src == records.dst) & (records.srcport <= records.dstport)
    )
    return records.select(
        "interface_id",
        "action",
        "tcp_flags",
        "start",
        "end",
        "packets",
        "bytes",
        "protocol",
        up=up,
        low=up.ifelse(records.src, records.dst),
        low_port=up.ifelse(records.srcport, records.dstport),
        high=up.ifelse(records.dst, records.src),
        high_port=up.ifelse(records.dstport, records.srcport),
    )


def _with_session(records: ibis.Table, idle: int) -> ibis.Table:
    """Number the talks of the same two ends that a silence of more than ``idle`` sets apart.

    Sorting every record is what costs here, and most ends talk once and briefly: only those whose
    records lie further apart than ``idle`` are sorted.
    """
    ends = records.group_by(_ENDS).aggregate(first=_.start.min(), last=_.start.max())
    spread = ends.filter(ends["last"].epoch_seconds() - ends["first"].epoch_seconds() > idle)
    brief = records.anti_join(spread, _ENDS).mutate(session=ibis.literal(0, "int64"))
    long = records.semi_join(spread, _ENDS)
    earlier = ibis.window(
        group_by=_ENDS, order_by=["start", "end"], preceding=(None, 1), following=None
    )
    long = long.mutate(before=long["end"].max().over(earlier))
    silence = long.start.epoch_seconds() - long.before.epoch_seconds()
    long = long.mutate(fresh=(silence > idle).fill_null(False).cast("int64"))
    so_far = ibis.cumulative_window(group_by=_ENDS, order_by=["start", "end"])
    long = long.mutate(session=long.fresh.sum().over(so_far)).drop("before", "fresh")
    return brief.union(long)


def _at_each_interface(records: ibis.Table, own: ibis.Table) -> ibis.Table:
    """One row per connection and interface: what that interface saw of it, each way."""
    r = records
    flags = r.tcp_flags.fill_null(0)
    syn = ((flags & _SYN) == _SYN) & ((flags & _ACK) == 0)
    syn_ack = (flags & (_SYN | _ACK)) == (_SYN | _ACK)
    rejected = (r.action == "REJECT").fill_null(False)
    # What can refuse: any reject but that of a TCP packet known to carry no SYN.
    refusing = rejected & ((r.protocol != 6) | r.tcp_flags.isnull() | ((flags & _SYN) == _SYN))
    measures: dict[str, ibis.Value] = {}
    for way, here in (("up", r.up), ("down", ~r.up)):
        measures |= {
            f"bytes_{way}": r.bytes.sum(where=here).fill_null(0),
            f"packets_{way}": r.packets.sum(where=here).fill_null(0),
            f"any_{way}": here.any(),
            f"accepted_{way}": (here & ~rejected).any(),
            f"refusing_{way}": (here & refusing).any(),
            f"syn_{way}": (here & syn).any(),
            f"syn_ack_{way}": (here & syn_ack).any(),
            f"first_{way}": r.start.min(where=here),
        }
    seen = r.group_by([*_ENDS, "session", "interface_id"]).aggregate(
        first_seen=r.start.min(),
        last_seen=r["end"].max(),
        records=r.count(),
        refused_records=r.count(where=rejected),
        **measures,
    )
    for end in ("low", "high"):
        mine = own.select(interface_id=own.interface_id, **{end: own.address}).mutate(
            **{f"is_{end}": True}
        )
        seen = seen.left_join(mine, ["interface_id", end]).drop(
            "interface_id_right", f"{end}_right"
        )
    return seen


def _joined(seen: ibis.Table) -> ibis.Table:
    """One row per connection: each direction as the interface saw it that saw most."""
    s = seen
    measures: dict[str, ibis.Value] = {}
    for way in ("up", "down"):
        measures |= {f"{n}_{way}": s[f"{n}_{way}"].max() for n in ("bytes", "packets")}
        measures |= {
            f"{n}_{way}": s[f"{n}_{way}"].any()
            for n in ("any", "accepted", "refusing", "syn", "syn_ack")
        }
        measures[f"first_{way}"] = s[f"first_{way}"].min()
    return s.group_by([*_ENDS, "session"]).aggregate(
        first_seen=s.first_seen.min(),
        last_seen=s.last_seen.max(),
        records=s.records.sum(),
        refused_records=s.refused_records.sum(),
        interface_low=s.interface_id.min(where=s.is_low.fill_null(False)),
        interface_high=s.interface_id.min(where=s.is_high.fill_null(False)),
        interface_any=s.interface_id.min(),
        **measures,
    )


def _service(port: ibis.Value) -> ibis.Value:
    return (port < 1024) | port.isin(SERVICE_PORTS)


def _told_by(c: ibis.Table) -> tuple[ibis.Value, ibis.Value]:
    """Whether the low end is the initiator, and what told so."""
    low_serves, high_serves = _service(c.low_port), _service(c.high_port)
    low_brief, high_brief = c.low_port >= EPHEMERAL, c.high_port >= EPHEMERAL
    has_ports = c.protocol.isin([6, 17, 132])
    rules: list[tuple[ibis.Value, ibis.Value, str]] = [
        (c.syn_up & ~c.syn_down, ibis.literal(True), "flags"),
        (c.syn_down & ~c.syn_up, ibis.literal(False), "flags"),
        (c.syn_ack_down & ~c.syn_ack_up, ibis.literal(True), "flags"),
        (c.syn_ack_up & ~c.syn_ack_down, ibis.literal(False), "flags"),
        (has_ports & (low_serves != high_serves), high_serves, "ports"),
        (has_ports & (low_brief != high_brief), low_brief, "ports"),
        (c.any_up != c.any_down, c.any_up, "one-way"),
        (c.first_up != c.first_down, c.first_up < c.first_down, "order"),
    ]
    low_opened = ibis.cases(
        *((when, then) for when, then, _ in rules), else_=c.low_port >= c.high_port
    )
    told = ibis.cases(*((when, word) for when, _, word in rules), else_="order")
    return low_opened, told


def _described(joined: ibis.Table, own: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """Low and high become initiator and responder; what follows from that is worked out."""
    low_opened, told = _told_by(joined)
    j = joined.mutate(low_opened=low_opened, decided_by=told)

    def sides(low: str, high: str) -> tuple[ibis.Value, ibis.Value]:
        return j.low_opened.ifelse(j[low], j[high]), j.low_opened.ifelse(j[high], j[low])

    initiator, responder = sides("low", "high")
    initiator_port, service_port = sides("low_port", "high_port")
    bytes_out, bytes_in = sides("bytes_up", "bytes_down")
    packets_out, packets_in = sides("packets_up", "packets_down")
    refusing_out, refusing_in = sides("refusing_up", "refusing_down")
    spoke, _any_in = sides("any_up", "any_down")
    _accepted_out, answered = sides("accepted_up", "accepted_down")
    own_interface, _other = sides("interface_low", "interface_high")
    c = j.select(
        "first_seen",
        "last_seen",
        "records",
        "refused_records",
        "decided_by",
        initiator=initiator,
        initiator_port=initiator_port.cast("int32"),
        responder=responder,
        service_port=service_port.cast("int32"),
        protocol=j.protocol.nullif(-1).cast("int32"),
        interface_id=ibis.coalesce(own_interface, j.interface_any),
        bytes_out=bytes_out.cast("int64"),
        bytes_in=bytes_in.cast("int64"),
        packets_out=packets_out.cast("int64"),
        packets_in=packets_in.cast("int64"),
        # A reply that was rejected (a network ACL) refuses too, if there was something to reply to.
        refused=~answered & (refusing_out | (refusing_in & spoke)),
        answered=answered,
    )
    ours = own.select("address").distinct().mutate(ours=True)
    relays = interfaces.filter(interfaces.service == "nat-gateway")
    relays = relays.select(address=relays.private_address).distinct().mutate(relays=True)
    for end in ("initiator", "responder"):
        for name, known in (("ours", ours), ("relays", relays)):
            c = c.left_join(known, c[end] == known.address).drop("address")
            c = c.rename({f"{end}_{name}": name})
    inside = {
        end: is_inside(c[end]) | c[f"{end}_ours"].fill_null(False)
        for end in ("initiator", "responder")
    }
    direction = ibis.cases(
        (inside["initiator"] & inside["responder"], "internal"),
        (inside["initiator"], "outbound"),
        (inside["responder"], "inbound"),
        else_="external",
    )
    relay = c.initiator_relays.fill_null(False) | c.responder_relays.fill_null(False)
    return c.mutate(direction=direction, relay=relay).select(*TABLE.columns)
