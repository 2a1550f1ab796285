"""Beaconing: which internal hosts connect to one address on a schedule?

Question: does an internal host check in with one external address, or with one internal service
that nobody else uses, on a schedule?

Method: a pair of host and service is reported when one of three statistics passes its threshold
(detect/check_ins.py has their definitions):

* Intervals of 1.4 capture windows and more: after RITA v5 (activecm/rita, analysis/beacons.go),
  four scores, each 0 to 1, for the regularity of the intervals, the sameness of the bytes sent, an
  even count over time, and the duration; weighted 0.4, 0.2, 0.2, 0.2.
* Shorter intervals, by size: dozens of connections with hardly a pause, nearly all of the same
  size in both directions. An implant without tasks sends the same request and gets the same
  reply; what people and programs fetch varies. The score is the geometric mean of the largest
  shares of connections of nearly equal size, sent and received. RITA's data size score and BAYWATCH
  (Hu et al., DSN 2016) rest on the same observation.
* Shorter intervals, by count: a nearly constant number of connections in each capture window. The
  statistic is the index of dispersion of counts, which is near 1 for independent events, above it
  for people and near 0 for a schedule, whatever the sizes.

The interval is the mean of the intervals where these can be measured, else the time of the
windows divided by the connections in them.

What is not reported without an indicator match: shared services, as detect/sharing.py defines
them; between internal hosts, services with three or more clients, clients of
several such services (health checks, monitoring), data and directory services, and what went on
from the first quarter of the logs to the last where these are a day or longer.

One host that checks in equally often with three addresses or more, on one port, is one finding.

Severity: high if the peer matches an indicator and any connection was answered, or if four or more
hosts check in with it; low if as many short-lived hosts, which started and ended within the logs
and replaced each other, check in for their whole observed lifetime (workers of one deployment); low
for internal peers, for several addresses at the same intervals, for connections that send more than
20 kB (median), and where only the timing is regular and the sizes vary; else medium.
RITA up to v4 also scores small sizes higher.

False positives: a licence check, updater, telemetry agent or partner interface that one host alone
connects to. Regular is not malicious.

Limitations: not detected are jitter near the interval itself where sizes vary too, a beacon inside
one long connection, check-ins spread over many addresses, a command server that four hosts called
from the first day on, one behind an address of a cloud that many hosts use, and UDP to the ports of
NTP and DNS. Fewer than 24 check-ins at intervals shorter than 1.4 capture windows are not judged.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.beacon_scores import VARIED, Beacon, Limits, Pair, score_pairs
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import match_peers
from flowbench.detect.traffic import aggregation_interval
from flowbench.detect.worker_fleets import find_workers
from flowbench.enrich.ports import label
from flowbench.text import format_bytes, format_count, format_duration, format_period, list_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbench.case import Case

DETECTOR = Detector(
    id="beacon",
    title="Beaconing",
    question="Which internal hosts connect to one address on a schedule?",
    technique="T1071",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "start", "end"}),
)

_IN_STEP = 3  # addresses with which one host checks in equally often
_BULK = 20_000  # bytes: more than a check-in sends


def find(  # noqa: PLR0913  # thresholds
    case: Case,
    *,
    min_connections: int = 10,
    max_connections: int = 500_000,
    min_score: float = 0.7,
    min_regularity: float = 0.58,
    min_regularity_varied: float = 0.74,
    min_check_ins: int = 24,
    min_equal_sizes: float = 0.66,
    max_dispersion: float = 0.35,
    min_windows: int = 24,
    campaign_hosts: int = 4,
) -> list[Finding]:
    """Return one finding per internal host, peer and port with connections on a schedule.

    Args:
        case: The case.
        min_connections: Least number of connections of a pair that is judged.
        max_connections: Greatest number of connections of a pair that is judged.
        min_score: Least total score (0 to 1) by intervals.
        min_regularity: Least regularity (0 to 1) by intervals.
        min_regularity_varied: The same where less than half of the sizes are equal.
        min_check_ins: Least number of connections by size or count.
        min_equal_sizes: Least share of equal sizes (0 to 1) by size.
        max_dispersion: Greatest index of dispersion by count.
        min_windows: Least number of capture windows by count.
        campaign_hosts: Hosts that check in with one service, at least ``min_check_ins`` times
            each, from which the severity is high.
    """
    window = aggregation_interval(case)
    limits = Limits(
        min_score,
        min_regularity,
        min_regularity_varied,
        min_check_ins,
        min_equal_sizes,
        max_dispersion,
        min_windows,
        window,
    )
    beacons = list(score_pairs(case, min_connections, max_connections, limits))
    matches = match_peers(case, [beacon.pair.responder for beacon in beacons])
    kinds = {
        key: sorted(set(group["kind"]))
        for key, group in matches.groupby(["subject", "peer", "service_port"])
    }
    steady = [b for b in beacons if len(b.connections) >= min_check_ins and not b.pair.shared]
    workers = find_workers(case, steady, campaign_hosts)
    hosts = Counter(beacon.service for beacon in steady if beacon.pair not in workers)
    deployments = Counter(beacon.service for beacon in steady if beacon.pair in workers)
    found, alone = [], []
    for beacon in beacons:
        matched = kinds.get((beacon.pair.initiator, *beacon.service), [])
        campaign, deployment = (
            count[beacon.service] if count[beacon.service] >= campaign_hosts else 0
            for count in (hosts, deployments)
        )
        if matched or (not beacon.pair.shared and (campaign or deployment)):
            found.append(_finding([beacon], window, matched, campaign, deployment))
        elif not beacon.pair.shared:
            alone.append(beacon)
    return found + [_finding(group, window) for group in _in_step(alone)]


def _in_step(beacons: list[Beacon]) -> list[list[Beacon]]:
    """Group the beacons of one host that check in with several addresses equally often.

    A client of a service with several addresses does so, and an implant with several servers.
    """
    clients: dict[tuple[object, ...], list[Beacon]] = {}
    for beacon in beacons:
        pair = beacon.pair
        key = (pair.initiator, pair.service_port, pair.protocol, pair.direction)
        clients.setdefault(key, []).append(beacon)
    groups = []
    for same in clients.values():
        counts = [len(beacon.connections) for beacon in same]
        if len(same) >= _IN_STEP and max(counts) <= 1.1 * min(counts):
            groups.append(same)
        else:
            groups += [[beacon] for beacon in same]
    return groups


def _finding(
    group: list[Beacon],
    window: float,
    kinds: Sequence[str] = (),
    campaign: int = 0,
    deployment: int = 0,
) -> Finding:
    """The finding of one beacon, or of several of one host at the same intervals."""
    pair = group[0].pair
    connections = pd.concat([beacon.connections for beacon in group])
    best = max(group, key=lambda beacon: beacon.score)
    count, rejected = len(connections), int(connections["rejected"].sum())
    failed = not connections["answered"].any()
    outcome = ("rejected" if rejected == count else "failed") if failed else None
    summary = _describe(group, connections, window)
    if campaign:
        summary += f" {campaign} internal hosts check in with this service."
    if kinds:
        summary += f" Indicator match: category {', '.join(kinds)}."
    if failed:
        some = f" None was answered; {rejected:,} {'was' if rejected == 1 else 'were'} rejected."
        summary += " All were rejected." if rejected == count else some
    caveats = _caveats(pair, window)
    severity = "low" if deployment else _severity(group, connections)
    if campaign or (kinds and not failed):
        severity = "high"
    if deployment:
        caveats += (
            f" {deployment} short-lived hosts connected to this service for their whole observed"
            " lifetime, as the workers of one deployment do. Check who started them."
        )
    return make_finding(
        DETECTOR,
        pair.initiator,
        [beacon.pair.responder for beacon in group],
        Traffic(
            (pair.service_port,),
            pair.protocol,
            connections["first_seen"].min(),
            connections["last_seen"].max(),
            count,
            connections["bytes_out"].sum(),
            connections["bytes_in"].sum(),
        ),
        severity=severity,
        score=best.score,
        scores=best.parts,
        summary=summary,
        caveats=caveats,
        title=f"Beaconing, {outcome}" if outcome else None,
        technique="T1090.003" if "tor" in kinds else None,
    )


def _severity(group: list[Beacon], connections: pd.DataFrame) -> str:
    parts = group[0].parts
    only_timing = parts["equal_sizes"] < VARIED and "steady_count" in parts
    is_bulk = float(connections["bytes_out"].median()) > _BULK
    is_internal = group[0].pair.direction == "internal"
    return "low" if is_internal or only_timing or is_bulk or len(group) > 1 else "medium"


def _describe(group: list[Beacon], connections: pd.DataFrame, window: float) -> str:
    """The sentence of a finding: who, how often, where to, when, at which interval, how much."""
    pair, has_intervals = group[0].pair, "regularity" in group[0].parts
    count, check_in_count = len(connections), int(connections["check_in"].sum())
    opened = format_count(count, "connection")
    if has_intervals and check_in_count < count:
        opened += f" in {format_count(check_in_count, 'check-in')}"
    if has_intervals:
        interval = pair.interval or 0.0
        jitter = f"median deviation {pair.deviation:.0f} s"
        if (pair.deviation or 0.0) < window:
            jitter = f"jitter below the aggregation interval of {window / 60:.0f} min"
    else:
        interval = (pair.windows or 0) * window / (pair.counted or 1)
        jitter = f"estimated from {pair.rate:.1f} connections per capture window"
    verb = "opened" if connections["answered"].any() else "attempted"
    period = format_period(connections["first_seen"].min(), connections["last_seen"].max())
    peers = list_some(beacon.pair.responder for beacon in group)
    return (
        f"{pair.initiator} {verb} {opened} to {peers} on"
        f" {label(pair.service_port, pair.protocol)} from {period}, at a mean interval of"
        f" {format_duration(interval)}{' to each' if len(group) > 1 else ''} ({jitter}), sending a"
        f" median of {format_bytes(float(connections['bytes_out'].median()))} per connection."
    )


def _caveats(pair: Pair, window: float) -> str:
    others = (
        "no other internal host connects"
        if pair.host_count == 1
        else f"{pair.host_count} internal hosts connect"
    )
    ordinary = (
        "Health checks, monitoring and connection pools"
        if pair.direction == "internal"
        else "Agents and updaters"
    )
    return (
        f"{ordinary} also connect at regular intervals; {others} to {pair.responder} on this port"
        " repeatedly. Start times are accurate to the aggregation interval"
        f" ({window / 60:.0f} min), so jitter below that cannot be measured."
    )
