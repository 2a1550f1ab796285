"""Crypto-mining traffic: which hosts keep sessions like those of a mining pool client?

Question: which internal hosts keep long connections to an external address that carry little data,
evenly and in both directions, on a mining pool's port or to an indicator of a pool?

Method: the behaviour of the stratum protocol as flow data shows it: a line a few times a minute
each way for hours, which makes 100 to 1,000 bytes a minute, about as much each way, without bursts.
The thresholds are this project's, set by measurement (benchmarks/detection.md). Scores, 0 to 1,
with their weights:

* ``duration`` (0.15): reaches 1 at 4 h.
* ``throughput`` (0.2): how well the bytes a minute of each direction fit the range ``throughput``.
* ``symmetry`` (0.2): the smaller direction's share, 1 from half as much on.
* ``steadiness`` (0.25): 1 less the coefficient of variation of the bytes sent in ten minutes; in
  one minute they are too random.
* ``destination`` (0.2): 1 for an indicator match, 0.8 for a pool's port, else 0.4.

Packets must carry data: a session that is merely kept alive has none larger than ``smallest``. On
other ports than a pool's, a peer that ``shared_by`` hosts connect to is a common service.

Severity: high with an indicator match or a pool's port, medium on a port without known use, low on
a port where long sessions are common.

False positives: chat, push notifications and remote shells with even traffic.

Limitations: not detected are a proxy that gathers many miners, mining for less than half an hour,
and a pool without an indicator on a web port that several hosts use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

import ibis
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import match_peers
from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import POOL_PORTS, label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_duration, format_period

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="mining",
    title="Crypto-mining traffic",
    question="Which hosts keep sessions like those of a mining pool client?",
    technique="T1496.001",
    needs=frozenset(
        {"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "bytes", "start", "end"}
    ),
)

# Ports where long sessions are common: shells, web, push notifications, chat.
_LONG_SESSION_PORTS = (22, 80, 443, 1883, 3389, 5222, 5228, 8443, 8883)

_WEIGHTS = {
    "duration": 0.15, "throughput": 0.2, "symmetry": 0.2, "steadiness": 0.25, "destination": 0.2,
}  # fmt: skip
_SLOT = 600  # seconds
_TCP = 6
_KEYS = ["initiator", "responder", "service_port", "protocol"]
_SUMS = ["first_seen", "last_seen", "connections", "bytes_out", "bytes_in"]

_Key = tuple[str, str, int, int]


class _Session(NamedTuple):
    """The long connections of a host with a service, summed."""

    initiator: str
    responder: str
    service_port: int
    protocol: int
    seconds: float  # durations of the connections, summed
    traffic: Traffic
    pool: str | None  # the other names of the pool in matching indicators, and their lists

    @property
    def key(self) -> _Key:
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
        return self.pool is not None or self.service_port in POOL_PORTS


def find(
    case: Case,
    *,
    shortest: float = 1_800,
    throughput: tuple[float, float] = (30, 3_000),
    smallest: float = 80,
    shared_by: int = 4,
    steady: float = 0.62,
    score: float = 0.72,
) -> list[Finding]:
    """Return one finding per internal host, external peer and port.

    Args:
        case: The case.
        shortest: Seconds that a connection must last to count.
        throughput: Bytes a minute, each way, of a miner: least and most.
        smallest: Least mean packet size in bytes, of the direction with the larger packets.
        shared_by: Hosts that make a peer on another port than a pool's a common service.
        steady: Least steadiness (0 to 1) where neither an indicator nor the port names a pool.
        score: Least total score (0 to 1).
    """
    sessions = _long_sessions(case, shortest, throughput, smallest)
    # With the best steadiness the others would not suffice: their records need not be read.
    possible = [s for s in sessions if _total(_score(s, 0.0, throughput)) >= score]
    elsewhere = {session.responder for session in possible if not session.is_at_pool}
    common = _find_common(case.connection_summaries, elsewhere, shared_by)
    possible = [s for s in possible if s.is_at_pool or s.responder not in common]
    if not possible:
        return []
    variation = _variation(case.flows, possible)
    found = []
    for session in possible:
        scores = _score(session, variation.get(session.key, 1.0), throughput)
        if _total(scores) >= score and (session.is_at_pool or scores["steadiness"] >= steady):
            found.append(_finding(session, scores))
    return found


def _long_sessions(
    case: Case, shortest: float, throughput: tuple[float, float], smallest: float
) -> list[_Session]:
    """Return the sessions whose packets carry data, at a rate that may score."""
    c = case.connections
    seconds = epoch_seconds(c["last_seen"]) - epoch_seconds(c.first_seen)
    outbound_tcp = (c.direction == "outbound") & (c.protocol == _TCP) & ~c.intermediate
    long = c.mutate(seconds=seconds).filter(outbound_tcp, c.answered, seconds >= shortest)
    sums = long.group_by(_KEYS).aggregate(
        connections=_.count(),
        seconds=_.seconds.sum(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        bytes_out=_.bytes_out.sum(),
        bytes_in=_.bytes_in.sum(),
        packets_out=_.packets_out.sum(),
        packets_in=_.packets_in.sum(),
    )
    sums = sums.filter(
        (_.bytes_out >= smallest * _.packets_out) | (_.bytes_in >= smallest * _.packets_in),
        # At ten times the range, no other part can make a finding of it.
        _.bytes_out / _.seconds * 60 < throughput[1] * 10,
        _.bytes_in / _.seconds * 60 < throughput[1] * 10,
    )
    rows = to_frame(sums.order_by(_KEYS).to_pyarrow())
    matches = match_peers(case, rows["responder"])
    pools = {
        key: ", ".join(
            [
                *sorted(set(group["indicator"]) - {str(key[1])}),
                *(f"list {feed}" for feed in sorted(set(group["feed"]))),
            ]
        )
        for key, group in matches[matches["kind"] == "mining"].groupby(
            ["subject", "peer", "service_port"]
        )
    }
    return [
        _Session(
            *(key := (row.initiator, row.responder, int(row.service_port))),
            int(row.protocol),
            float(row.seconds),
            Traffic((key[2],), _TCP, *row[-5:]),
            pools.get(key),
        )
        for row in rows[[*_KEYS, "seconds", *_SUMS]].itertuples(index=False)
    ]


def _find_common(summaries: ibis.Table, responders: Collection[str], hosts: int) -> set[str]:
    """Return those of some external addresses that at least so many hosts connect to."""
    if not responders:
        return set()
    wanted = ibis.memtable({"responder": pa.array(sorted(responders), pa.string())})
    outbound = summaries.filter(summaries.direction == "outbound").semi_join(wanted, "responder")
    common = outbound.group_by("responder").having(_.initiator.nunique() >= hosts).aggregate()
    return set(common.to_pyarrow()["responder"].to_pylist())


def _score(
    session: _Session, variation: float, throughput: tuple[float, float]
) -> dict[str, float]:
    least, most = throughput
    rates = (session.sent, session.received)
    fits = [min(1.0, rate / least, most / rate) if rate else 0.0 for rate in rates]
    return {
        "duration": min(1.0, session.seconds / (4 * 3_600)),
        "throughput": min(fits),
        "symmetry": min(1.0, 2 * min(rates) / max(rates)) if all(rates) else 0.0,
        "steadiness": max(0.0, 1 - variation),
        "destination": 1.0 if session.pool else 0.8 if session.is_at_pool else 0.4,
    }


def _total(scores: dict[str, float]) -> float:
    return sum(_WEIGHTS[name] * part for name, part in scores.items())


def _variation(flows: ibis.Table, sessions: Iterable[_Session]) -> dict[_Key, float]:
    """Return the coefficient of variation of the bytes sent in ten minutes, by session.

    Ten minutes without traffic count while the connections lasted; the first and the last ten
    minutes do not, since they are only partly covered.
    """
    rows = [(*session.key, session.seconds) for session in sessions]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    wanted = ibis.memtable(pa.table(columns, names=[*_KEYS, "seconds"]))
    responders = ibis.memtable({"responder": sorted({row[1] for row in rows})})
    f = flows.filter(flows.protocol == _TCP)
    # A comparison of one column with few addresses lets the engine skip most of the other columns;
    # of a coalesced one it would read them all.
    sent, rest = (
        some.select(
            "interface_id",
            "bytes",
            "protocol",
            initiator=some.pkt_srcaddr.coalesce(some.srcaddr),
            responder=some[responder],
            service_port=some.dstport,
            slot=epoch_seconds(some.start) // _SLOT,
        ).semi_join(responders, "responder")
        for some, responder in ((f, "pkt_dstaddr"), (f.filter(f.pkt_dstaddr.isnull()), "dstaddr"))
    )
    sent = sent.union(rest).semi_join(wanted, _KEYS)
    # Traffic logged at two interfaces (one may be a gateway's): that which saw most counts.
    seen = sent.group_by(*_KEYS, "slot", "interface_id").aggregate(sum=sent.bytes.sum())
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


def _finding(session: _Session, scores: dict[str, float]) -> Finding:
    unusual = "low" if session.service_port in _LONG_SESSION_PORTS else "medium"
    summary = (
        f"{session.initiator} kept {format_count(session.traffic.connections, 'connection')} to"
        f" {session.responder} on {label(session.service_port, session.protocol)} open for"
        f" {format_duration(session.seconds)} in total from"
        f" {format_period(*session.traffic[2:4])}, sending"
        f" {format_bytes(session.sent)}/min and receiving {format_bytes(session.received)}/min."
    )
    if session.pool:
        summary += f" Indicator match: mining pool ({session.pool})."
    caveats = (
        "Flow logs have no payload. Other long-lived connections with little traffic (message"
        " queue, remote session) can have the same traffic pattern."
    )
    caveats += "" if session.pool else " No indicator list names the peer."
    return make_finding(
        DETECTOR,
        session.initiator,
        [session.responder],
        session.traffic,
        severity="high" if session.is_at_pool else unusual,
        score=_total(scores),
        scores=scores,
        summary=summary,
        caveats=caveats,
    )
