"""Beaconing: which internal hosts connect to an external address at regular intervals?

Question: does an internal host open connections to one external address on a schedule?

Method: after RITA v5 (activecm/rita, analysis/beacons.go): four scores, each 0 to 1, for the
regularity of the intervals between connections, the sameness of the bytes sent, an even count over
time, and the duration; weighted 0.4, 0.2, 0.2, 0.2. Flow logs require these differences:

* Connections are counted, not records: a long session gives one record in each capture window and
  would look perfectly regular. Connections that start within half a minute are one check-in.
* A start is known only to the length w of the capture window, which alone gives intervals a
  variance of w²/6 (two uniform errors). It is subtracted before the coefficient of variation is
  taken, so that intervals of one and a half windows can still be distinguished from chance.
  Regularity is 1 less that coefficient, times the share of intervals near the mean, less 0.5/√n for
  the uncertainty of n intervals.
* Agents and updaters also connect regularly. What at least ``common_service_hosts`` internal
  hosts connect to repeatedly is taken for a common service and reported only with an indicator
  match.

Severity: high if the peer matches an indicator and any connection was answered, else medium.

False positives: a licence check, updater or partner interface that one host alone connects to.
Regular is not malicious: without an indicator match the severity is medium.

Limitations: not detected are intervals under one and a half capture windows (they merge into one
long connection), jitter near the interval itself, a beacon inside one long connection, a command
server at an address that several hosts connect to regularly, beaconing between internal hosts, and
UDP to the ports of NTP and DNS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import match_peers
from flowbench.detect.traffic import aggregation_interval
from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_period

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbench.case import Case

DETECTOR = Detector(
    id="beacon",
    title="Beaconing",
    question="Which internal hosts connect to an external address at regular intervals?",
    technique="T1071",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "start", "end"}),
)

_PERIODIC_SERVICES = ((17, 123), (17, 53))  # protocol and port of NTP and DNS
_BURST = 30  # seconds: connections that start closer together are one check-in
_WEIGHTS = {"regularity": 0.4, "sizes": 0.2, "evenness": 0.2, "persistence": 0.2}
_KEYS = ["initiator", "responder", "service_port", "protocol"]


class _Pair(NamedTuple):
    """An initiator and a service with regular connections."""

    pair: int
    initiator: str
    responder: str
    service_port: int
    protocol: int | None
    host_count: int  # internal hosts that connect to the service repeatedly
    regularity: float
    interval: float  # seconds, mean
    deviation: float  # seconds, median absolute deviation of the intervals

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Iterator[_Pair]:
        """Yield the pairs of a frame with these columns."""
        plain = rows[list(cls._fields)].astype(object)
        for row in plain.where(plain.notna(), None).itertuples(index=False):
            yield cls(*row)


def find(
    case: Case,
    *,
    min_connections: int = 10,
    max_connections: int = 50_000,
    min_score: float = 0.7,
    min_regularity: float = 0.58,
    common_service_hosts: int = 4,
) -> list[Finding]:
    """Return one finding per internal host, external peer and port with regular connections.

    Args:
        case: The case.
        min_connections: Least number of connections of a pair that is judged.
        max_connections: Greatest number of connections of a pair that is judged.
        min_score: Least total score (0 to 1) of a finding.
        min_regularity: Least regularity (0 to 1) of a finding.
        common_service_hosts: A peer with so many internal hosts that connect three times or more
            is a common service.
    """
    window = aggregation_interval(case)
    candidates = _candidates(case, window, min_connections, max_connections, common_service_hosts)
    intervals = _regular_intervals(_check_ins(case.connections, candidates), window, min_regularity)
    regular = intervals.to_pandas()
    numbers = pa.array(regular["pair"])
    pairs = to_frame(candidates.take(numbers)).merge(regular, on="pair")
    matches = match_peers(case, pairs["responder"])
    kinds = {
        key: sorted(set(group["kind"]))
        for key, group in matches.groupby(["subject", "peer", "service_port"])
    }
    check_ins = _check_ins(case.connections, candidates.take(numbers))
    by_pair = dict(
        list(
            to_frame(check_ins.order_by("pair", "first_seen", "bytes_out").to_pyarrow()).groupby(
                "pair"
            )
        )
    )
    found = []
    for pair in _Pair.of(pairs):
        matched = kinds.get((pair.initiator, pair.responder, pair.service_port), [])
        if pair.host_count >= common_service_hosts and not matched:
            continue
        connections = by_pair[pair.pair]
        scores = {"regularity": pair.regularity} | _score_shape(connections, pair.interval)
        if (total := sum(_WEIGHTS[name] * part for name, part in scores.items())) >= min_score:
            found.append(_finding(pair, connections, total, scores, matched, window))
    return found


def _candidates(
    case: Case, window: float, min_connections: int, max_connections: int, common_service_hosts: int
) -> pa.Table:
    """Return the numbered pairs with enough connections to a service of few hosts."""
    summaries = case.connection_summaries
    outbound = summaries.filter(summaries.direction == "outbound")
    frequent = outbound.filter(
        ~outbound.intermediate,
        outbound.connections.between(min_connections, max_connections),
        epoch_seconds(outbound["last_seen"]) - epoch_seconds(outbound.first_seen)
        >= 1.4 * window * (min_connections - 1),
    )
    for protocol, port in _PERIODIC_SERVICES:
        frequent = frequent.filter(
            (frequent.protocol != protocol).fill_null(True) | (frequent.service_port != port)
        )
    service = ["responder", "service_port"]
    hosts = outbound.filter(outbound.connections >= 3).group_by(service)
    hosts = hosts.aggregate(host_count=_.initiator.nunique())
    matches = case.indicator_matches
    matched = matches.filter(matches.in_period.fill_null(True)).address
    rare = hosts.filter((hosts.host_count < common_service_hosts) | hosts.responder.isin(matched))
    pairs = frequent.join(rare, service).select(*_KEYS, "host_count")
    number = ibis.row_number().over(ibis.window(order_by=_KEYS))
    return pairs.mutate(pair=number).to_pyarrow()


def _check_ins(connections: ibis.Table, pairs: pa.Table) -> ibis.Table:
    """Return the connections of numbered pairs: ``check_in`` (bool) where one begins, at ``at``."""
    c, numbered = connections, ibis.memtable(pairs)
    same = [c[name] == numbered[name] for name in _KEYS[:3]]
    same.append(c.protocol.identical_to(numbered.protocol))  # null: unknown, and one pair too
    columns = ["first_seen", "last_seen", "bytes_out", "bytes_in", "answered", "rejected"]
    joined = c.join(numbered, same).select(numbered.pair, *(c[name] for name in columns))
    joined = joined.mutate(at=epoch_seconds(joined.first_seen))
    before = joined["at"].lag().over(ibis.window(group_by="pair", order_by="at"))
    return joined.mutate(check_in=before.isnull() | (joined["at"] - before >= _BURST))


def _regular_intervals(check_ins: ibis.Table, window: float, least: float) -> ibis.Table:
    """Return the pairs of at least so much regularity: pair, regularity, interval, deviation.

    Interval and deviation are in seconds. The interval is the mean of the intervals near the usual
    one: the capture window blurs single intervals, but not their mean.
    """
    starts = check_ins.filter("check_in").select("pair", "at")
    before = starts["at"].lag().over(ibis.window(group_by="pair", order_by="at"))
    gaps = starts.select("pair", gap=starts["at"] - before).filter(_.gap.notnull())
    typical = gaps.group_by("pair").aggregate(
        low=_.gap.quantile(0.25), middle=_.gap.median(), high=_.gap.quantile(0.75), count=_.count()
    )
    # Quartiles of random intervals are 1.1 means apart; with 30 % jitter, 0.4 at most.
    typical = typical.filter(
        typical["count"] >= 3, typical.high - typical.low - window <= 0.7 * typical.middle
    )
    gaps = gaps.join(typical, "pair")
    unbroken = gaps.filter(gaps.gap <= 2.5 * ibis.greatest(gaps.middle, window))  # no pauses
    usual = unbroken.group_by("pair").aggregate(usual=unbroken.gap.mean())
    gaps = gaps.join(usual.filter(usual.usual >= 1.4 * window), "pair")
    near = (gaps.gap - gaps.usual).abs() <= ibis.greatest(0.75 * gaps.usual, window)
    rated = gaps.group_by("pair", "count").aggregate(
        near=gaps.count(where=near),
        interval=gaps.gap.mean(where=near),
        # Of whole numbers, and so the same in whatever order they are added.
        squares=(gaps.gap * gaps.gap).mean(where=near),
        deviation=(gaps.gap - gaps.middle).abs().median(),
    )
    variance = rated.squares - rated.interval**2 - window**2 / 6
    variation = ibis.greatest(0.0, variance).sqrt() / rated.interval
    even = ibis.greatest(0.0, 1 - variation) * rated.near / rated["count"]
    rated = rated.mutate(regularity=even - 0.5 / rated["count"].sqrt())
    regular = rated.filter(rated.regularity >= least)
    return regular.select("pair", "regularity", "interval", "deviation").order_by("pair")


def _score_shape(connections: pd.DataFrame, interval: float) -> dict[str, float]:
    """Score the sameness of sizes, the evenness and the persistence of a pair's connections."""
    at = connections.loc[connections["check_in"], "at"].to_numpy()
    median = float(connections["bytes_out"].median())
    deviation = float((connections["bytes_out"] - median).abs().median())
    counts = np.bincount(((at - at[0]) // max(3_600, 4 * interval)).astype(int))
    inner = counts[1:-1] if len(counts) > 3 else counts
    duration = min(1.0, float(at[-1] - at[0]) / (6 * 3_600))
    return {
        "sizes": max(0.0, 1 - deviation / median) if median else 0.0,
        "evenness": max(0.0, 1 - inner.std() / inner.mean()) if inner.mean() else 0.0,
        "persistence": duration * float((counts > 0).mean()),
    }


def _finding(
    pair: _Pair,
    connections: pd.DataFrame,
    total: float,
    scores: dict[str, float],
    kinds: list[str],
    window: float,
) -> Finding:
    first, last = connections["first_seen"].min(), connections["last_seen"].max()
    count, rejected = len(connections), int(connections["rejected"].sum())
    failed = not connections["answered"].any()
    outcome = ("rejected" if rejected == count else "failed") if failed else None
    opened = format_count(count, "connection")
    if (check_ins := int(connections["check_in"].sum())) < count:
        opened += f" in {format_count(check_ins, 'check-in')}"
    size = format_bytes(float(connections["bytes_out"].median()))
    verb = "attempted" if failed else "opened"
    aggregation = f"{window / 60:.0f} min"
    jitter = f"median deviation {pair.deviation:.0f} s"
    if pair.deviation < window:
        jitter = f"jitter below the aggregation interval of {aggregation}"
    summary = (
        f"{pair.initiator} {verb} {opened} to {pair.responder} on"
        f" {label(pair.service_port, pair.protocol)} from {format_period(first, last)}, at a mean"
        f" interval of {pair.interval / 60:.1f} min ({jitter}), sending a median of {size} each."
    )
    if kinds:
        summary += f" Indicator match: {', '.join(kinds)}."
    if failed:
        summary += f" None was answered; {rejected:,} were rejected."
    others = (
        "no other internal host connects"
        if pair.host_count == 1
        else f"{pair.host_count} internal hosts connect"
    )
    return make_finding(
        DETECTOR,
        pair.initiator,
        [pair.responder],
        Traffic(
            (pair.service_port,),
            pair.protocol,
            first,
            last,
            count,
            connections["bytes_out"].sum(),
            connections["bytes_in"].sum(),
        ),
        severity="high" if kinds and not failed else "medium",
        score=total,
        scores=scores,
        summary=summary,
        caveats=(
            f"Agents and updaters also connect at regular intervals; {others} to this service"
            f" repeatedly. Start times are accurate to the aggregation interval ({aggregation}), so"
            " jitter below that cannot be measured."
        ),
        title=f"Beaconing, {outcome}" if outcome else None,
        technique="T1090.003" if "tor" in kinds else None,
    )
