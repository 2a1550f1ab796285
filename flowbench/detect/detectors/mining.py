"""Crypto-mining traffic: which hosts keep sessions like those of a mining pool client?

Question: which internal hosts keep long connections to an external address that carry little data,
evenly and in both directions, or reconnect to a mining pool's port or to an indicator of a pool?

Method: the behaviour of the stratum protocol as flow data shows it: a message a few times a minute
each way for hours, which makes 100 to 1,000 bytes a minute, about as much each way, without bursts.
The thresholds are this project's, set by measurement (benchmarks/detection.md). Scores, 0 to 1,
with their weights:

* ``duration`` (0.15): reaches 1 at 4 h.
* ``throughput`` (0.2): how well the bytes a minute of each direction fit the range ``throughput``.
* ``symmetry`` (0.2): the smaller direction's share, 1 from half as much on.
* ``steadiness`` (0.25): 1 less the coefficient of variation of the bytes sent in ten minutes; in
  one minute they are too random.
* ``destination`` (0.2): 1 for an indicator match, 0.8 for a pool's port, else 0.4.

Packets must carry data: in a session of keep-alives alone their mean size is below ``smallest``.
Where neither port nor indicator names a pool, more is required: ``elsewhere`` seconds of sessions
in total, ``steady`` bytes, no threefold answer (detect.traffic.is_consumer: browsing, downloads),
and a service whose sharing does not excuse it (detect.sharing).

Where port or indicator names a pool, less is enough: miners that the pool rejects or that switch
pools have short sessions. Several connections (``reconnects``), or one of ``brief`` seconds, with
data both ways and no more than ten times as much in one direction are reported, unless the host
connects to external services on more than ``most_ports`` ports, and so uses a pool's by chance.
The ports (enrich.ports.POOL_PORTS) are those of the public configurations of supportxmr, hashvault,
nanopool, MoneroOcean and NiceHash miners.

Severity: high with an indicator match or a pool's port, medium on a port without known use, low on
a port where long sessions are common. Of short sessions: medium with an indicator match, else low.

False positives: chat, push notifications and remote shells with even traffic; any other service on
a pool's port (development servers on 8888, games on 7777, IRC on 6666).

Limitations: not detected are a proxy of many miners, pools on web ports without an
indicator in less than two hours (mining in a browser), a single brief connection, and a host that
is also a client of a peer-to-peer network, in short sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, limit_low, make_finding
from flowbench.detect.mining_sessions import (
    Session,
    find_long_sessions,
    find_pool_connections,
    find_variation,
)
from flowbench.detect.sharing import KEYS, shared_services
from flowbench.detect.traffic import is_consumer
from flowbench.enrich.ports import label
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
    "duration": 0.15,
    "throughput": 0.2,
    "symmetry": 0.2,
    "steadiness": 0.25,
    "destination": 0.2,
}
_FAR_OFF = 10  # times the range of a miner: nothing else can make a finding of it


def find(  # noqa: PLR0913  # the thresholds
    case: Case,
    *,
    shortest: float = 1_800,
    throughput: tuple[float, float] = (30, 3_000),
    smallest: float = 80,
    elsewhere: float = 7_200,
    steady: float = 0.62,
    score: float = 0.72,
    reconnects: int = 2,
    brief: float = 600,
    least_data: int = 60,
    most_ports: int = 20,
    most_low: int = 20,
) -> list[Finding]:
    """Return one finding per internal host, external peer and port.

    Args:
        case: The case.
        shortest: Seconds that a connection must last to count as a long session.
        throughput: Bytes a minute, each way, of a miner: least and most.
        smallest: Least mean packet size in bytes, of the direction with the larger packets.
        elsewhere: Least seconds of all sessions where neither an indicator nor the port names a
            pool.
        steady: Least steadiness (0 to 1) there.
        score: Least total score (0 to 1) of long sessions.
        reconnects: Least number of short connections to a pool.
        brief: Least seconds of all of them, where they are fewer.
        least_data: Least bytes each way that a connection carries on average, without headers:
            the first line of a miner has more.
        most_ports: Most ports of external services that a host with short connections uses.
        most_low: Most findings of severity low: those with the highest scores.
    """
    most = throughput[1] * _FAR_OFF
    sessions = find_long_sessions(case, shortest, most, smallest)
    found = _rate_long(case, sessions, throughput, elsewhere, steady, score)
    reported = {(f.subject, f.peer, f.service_port) for f in found}
    for session in find_pool_connections(case, most, least_data, most_ports):
        if session.key[:3] not in reported and _is_exchange(session, reconnects, brief):
            found.append(_brief_finding(session, _score(session, 1.0, throughput)))
    return limit_low(
        found,
        most_low,
        lambda f: (-f.score, f.subject, f.peer, f.service_port),
        "pairs of host and service have such connections",
    )


def _rate_long(
    case: Case,
    sessions: list[Session],
    throughput: tuple[float, float],
    elsewhere: float,
    steady: float,
    score: float,
) -> list[Finding]:
    """Return the findings of long sessions."""
    # With the best steadiness the others would not suffice: their records need not be read.
    possible = [
        s
        for s in sessions
        if _total(_score(s, 0.0, throughput)) >= score
        and (s.is_at_pool or (s.seconds >= elsewhere and not is_consumer(s.sent, s.received)))
    ]
    if not all(session.is_at_pool for session in possible):
        shared = shared_services(case).select(KEYS).to_pyarrow().to_pylist()
        excused = {tuple(row[name] for name in KEYS) for row in shared}
        possible = [s for s in possible if s.is_at_pool or s.key[1:] not in excused]
    if not possible:
        return []
    variation = find_variation(case, possible)
    found = []
    for session in possible:
        scores = _score(session, variation.get(session.key, 1.0), throughput)
        if _total(scores) >= score and (session.is_at_pool or scores["steadiness"] >= steady):
            found.append(_finding(session, scores))
    return found


def _is_exchange(session: Session, reconnects: int, brief: float) -> bool:
    """Whether there is enough of short connections, about as much each way."""
    enough = session.traffic.connections >= reconnects or session.seconds >= brief
    less, more = sorted((session.sent, session.received))
    return enough and more <= _FAR_OFF * less


def _score(session: Session, variation: float, throughput: tuple[float, float]) -> dict[str, float]:
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


def _finding(session: Session, scores: dict[str, float]) -> Finding:
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


def _brief_finding(session: Session, scores: dict[str, float]) -> Finding:
    """Return the finding of short connections to a pool."""
    traffic = session.traffic
    summary = (
        f"{session.initiator} opened {format_count(traffic.connections, 'connection')} to"
        f" {session.responder} on {label(session.service_port, session.protocol)}"
        f" from {format_period(*traffic[2:4])}, sending {format_bytes(traffic.bytes_out)} and"
        f" receiving {format_bytes(traffic.bytes_in)}."
    )
    if session.pool:
        summary += f" Indicator match: mining pool ({session.pool})."
        caveats = "The connections are too short to show whether the host mines."
    else:
        summary += " Mining pools use this port."
        caveats = (
            "No indicator list names the peer, and other services use the port too. The connections"
            " are too short to show whether the host mines."
        )
    return make_finding(
        DETECTOR,
        session.initiator,
        [session.responder],
        traffic,
        severity="medium" if session.pool else "low",
        score=_total(scores),
        scores=scores,
        summary=summary,
        caveats=caveats,
    )
