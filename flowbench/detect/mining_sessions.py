"""Sessions of internal hosts with external services that may be those of a mining pool client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.connections.initiator import RELIABLE_RULES
from flowbench.connections.zones import observation_point, with_zones
from flowbench.detect.finding import Traffic
from flowbench.detect.indicators import match_peers
from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import POOL_PORTS
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_SLOT = 600  # seconds
_TCP = 6
_KEYS = ["initiator", "responder", "service_port", "protocol"]
_SUMS = ["first_seen", "last_seen", "connections", "bytes_out", "bytes_in"]
_HEADERS = {"IPv4": 52, "IPv6": 72}  # bytes of a packet before its data: IP, TCP, time stamps
_WEB = (80, 443, 8080, 8443)

Key = tuple[str, str, int, int]


class Session(NamedTuple):
    """The connections of a host with a service, summed."""

    initiator: str
    responder: str
    service_port: int
    protocol: int
    seconds: float  # durations of the connections, summed
    traffic: Traffic
    pool: str | None  # the other names of the pool in matching indicators, and their lists

    @property
    def key(self) -> Key:
        """What identifies the session."""
        return self.initiator, self.responder, self.service_port, self.protocol

    @property
    def sent(self) -> float:
        """Bytes sent a minute."""
        return self.traffic.bytes_out / self.seconds * 60

    @property
    def received(self) -> float:
        """Bytes received a minute."""
        return self.traffic.bytes_in / self.seconds * 60

    @property
    def is_at_pool(self) -> bool:
        """Whether an indicator or the port names a pool."""
        return self.pool is not None or self.service_port in POOL_PORTS


def find_long_sessions(case: Case, shortest: float, most: float, smallest: float) -> list[Session]:
    """Return the answered long connections to external services, summed by service.

    Args:
        case: The case.
        shortest: Seconds that a connection must last to count.
        most: Most bytes a minute, each way.
        smallest: Least mean packet size in bytes, of the direction with the larger packets.
    """
    c = _outbound(case)
    sums = _summed(c.filter(c.seconds >= shortest))
    has_data = (sums.bytes_out >= smallest * sums.packets_out) | (
        sums.bytes_in >= smallest * sums.packets_in
    )
    return _sessions(case, sums.filter(has_data, _is_slow(sums, most)))


def find_pool_connections(
    case: Case, most: float, least_data: int, most_ports: int
) -> list[Session]:
    """Return the answered connections to pools, by port or indicator, of any duration.

    Args:
        case: The case.
        most: Most bytes a minute, each way.
        least_data: Least bytes each way without the headers of packets, as the mean of connections.
        most_ports: A host that connects to external services on more ports than this meets a
            pool's port by chance: a scanner, or a client of a peer-to-peer network.
    """
    c = _outbound(case)
    listed = case.indicator_matches.filter(_.kind == "mining").select("address").distinct()
    addresses = sorted(listed.to_pyarrow()["address"].to_pylist())
    at_pool = c.service_port.isin(sorted(POOL_PORTS))
    sums = _summed(c.filter(at_pool | c.responder.isin(addresses) if addresses else at_pool))
    header = sums.responder.contains(":").ifelse(_HEADERS["IPv6"], _HEADERS["IPv4"])
    sums = sums.filter(
        sums.bytes_out - header * sums.packets_out >= least_data * sums.connections,
        sums.bytes_in - header * sums.packets_in >= least_data * sums.connections,
        _is_slow(sums, most),
    )
    sessions = _sessions(case, sums)
    anywhere = _hosts_with_many_ports(case, {s.initiator for s in sessions}, most_ports)
    return [s for s in sessions if s.pool or s.initiator not in anywhere]


def find_variation(case: Case, sessions: Iterable[Session]) -> dict[Key, float]:
    """Return the coefficient of variation of the bytes sent in ten minutes, by session.

    Ten minutes without traffic count while the connections lasted; the first and the last ten
    minutes do not, since they are only partly covered.
    """
    rows = [(*session.key, session.seconds) for session in sessions]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    wanted = ibis.memtable(pa.table(columns, names=[*_KEYS, "seconds"]))
    sent = _sent_records(case, {row[1] for row in rows}).semi_join(wanted, _KEYS)
    # Traffic logged at two interfaces (one may be a gateway's): that which saw most counts.
    seen = sent.group_by(*_KEYS, "slot", "point").aggregate(sum=sent.bytes.sum())
    slots = seen.group_by(*_KEYS, "slot").aggregate(sum=seen["sum"].max().cast("float64"))
    ends = ibis.window(group_by=_KEYS)
    slots = slots.mutate(first=slots.slot.min().over(ends), last=slots.slot.max().over(ends))
    inner = slots.filter((slots.slot > slots["first"]) & (slots.slot < slots["last"]))
    sums = inner.group_by(_KEYS).aggregate(
        count=_.count(), total=_["sum"].sum(), squares=(_["sum"] ** 2).sum()
    )
    variation = {}
    for row in sums.join(wanted, _KEYS).to_pandas().itertuples():
        count = max(row.count, row.seconds / _SLOT - 2)
        mean = row.total / count
        deviation = max(0.0, row.squares / count - mean**2) ** 0.5
        key = (row.initiator, row.responder, row.service_port, row.protocol)
        variation[key] = deviation / mean if mean else 1.0
    return variation


def _outbound(case: Case) -> ibis.Table:
    """Answered TCP connections of a known initiator to external addresses, with ``seconds``."""
    c = case.connections
    c = c.mutate(seconds=epoch_seconds(c["last_seen"]) - epoch_seconds(c.first_seen))
    return c.filter(
        c.direction == "outbound",
        c.protocol == _TCP,
        ~c.intermediate,
        c.answered,
        c.initiator_rule.isin(RELIABLE_RULES),
    )


def _summed(connections: ibis.Table) -> ibis.Table:
    names = ("seconds", "bytes_out", "bytes_in", "packets_out", "packets_in")
    return connections.group_by(_KEYS).aggregate(
        connections=_.count(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        **{name: connections[name].sum() for name in names},
    )


def _is_slow(sums: ibis.Table, most: float) -> ibis.Value:
    """Whether at most so many bytes a minute went each way."""
    limit = sums.seconds * (most / 60)
    return (sums.seconds > 0) & (sums.bytes_out < limit) & (sums.bytes_in < limit)


def _sessions(case: Case, sums: ibis.Table) -> list[Session]:
    """The rows of ``_summed`` as sessions, with the names of their pools."""
    rows = to_frame(sums.order_by(_KEYS).to_pyarrow())
    matches = match_peers(case, rows["responder"])
    ends = ["subject", "peer", "service_port"]
    pools = {
        key: _name_pool(group, key[1])
        for key, group in matches[matches["kind"] == "mining"].groupby(ends)
    }
    return [
        Session(
            *(key := (row.initiator, row.responder, int(row.service_port))),
            int(row.protocol),
            float(row.seconds),
            Traffic((key[2],), _TCP, *row[-5:]),
            pools.get(key),
        )
        for row in rows[[*_KEYS, "seconds", *_SUMS]].itertuples(index=False)
    ]


def _name_pool(matches: pd.DataFrame, address: str) -> str:
    names = sorted(set(matches["indicator"]) - {address})
    return ", ".join([*names, *(f"list {feed}" for feed in sorted(set(matches["feed"])))])


def _hosts_with_many_ports(case: Case, hosts: set[str], most: int) -> set[str]:
    """Return those of the hosts that connected to external services on more ports than ``most``."""
    s = case.connection_summaries
    wanted = ibis.memtable({"initiator": pa.array(sorted(hosts), pa.string())})
    high = s.filter(
        s.direction == "outbound",
        s.protocol == _TCP,
        s.answered > 0,
        s.service_port >= 1024,
        s.service_port.notin(_WEB),
    )
    many = high.semi_join(wanted, "initiator").group_by("initiator")
    many = many.having(_.service_port.nunique() > most).aggregate()
    return set(many.to_pyarrow()["initiator"].to_pylist())


def _sent_records(case: Case, peers: set[str]) -> ibis.Table:
    """Flow log records to some external addresses: _KEYS, point, slot (of ten minutes), bytes."""
    flows = case.flows
    wanted = ibis.memtable({"responder": pa.array(sorted(peers), pa.string())})
    f = flows.filter(flows.protocol == _TCP)
    # A comparison of one column with few addresses lets the engine skip most of the other columns;
    # of a coalesced one it would read them all.
    sent, rest = (
        some.select(
            "bytes",
            "protocol",
            point=observation_point(some),
            initiator=some.pkt_srcaddr.coalesce(some.srcaddr),
            responder=some[responder],
            service_port=some.dstport,
            slot=epoch_seconds(some.start) // _SLOT,
        ).semi_join(wanted, "responder")
        for some, responder in ((f, "pkt_dstaddr"), (f.filter(f.pkt_dstaddr.isnull()), "dstaddr"))
    )
    return with_zones(sent.union(rest), case.address_zones, "point", "initiator")
