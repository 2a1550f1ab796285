"""Traffic spike: in which hour did a host have far more traffic or rejections than in others?

Question: in which hours did an internal host send bytes to external addresses, open connections to
them or get rejected far more than its other hours let expect?

Method: each hour of a host is compared with its other hours by the modified z-score, 0.6745 (x -
median) / MAD (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), for bytes sent to
external addresses, for connections opened to them, and for rejected connection attempts (at
internal services as well). The baseline is as similar as the logs allow: the same hour of the same
weekday where there are three other weeks, the same hour of other days where there are four, else
all other hours. The MAD is at least a tenth of the median and a fiftieth of the least amount that
counts, or quiet hosts would always be outliers. An hour is no spike if another day had half as much
at the same time, give or take an hour (a nightly job in few days of logs). A host with more than
``often`` spikes has bursts as its baseline and is not reported.

What several hosts do occasionally is common activity. The traffic of an hour with a peer is
subtracted if at least ``shared_by`` other hosts had at least a tenth as much with that peer in some
hour of the logs: a registry gets releases, a store backups, a failed service rejects all its
clients. The rest must itself reach the least amount and be far above the median.

Severity: low; medium from ten times the least amount on. The volume of whole days belongs to the
detector exfiltration; this one compares hours, connection counts and rejections.

False positives: a restore, a load test, one large upload, the first release to a new destination.

Limitations: not detected are slow transfers, traffic that the first days of the logs already have
every day, what a host sends in the hour of its own nightly job (to any destination), traffic with a
peer to which several hosts send as much (data theft through a store that the monitored network
uses), and what several hosts did to one address (a flood, a distributed theft). A connection counts
in the hour in which it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ibis
import numpy as np
import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, make_finding, sum_traffic
from flowbench.engine import epoch_seconds
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_utc

if TYPE_CHECKING:
    from flowbench.case import Case

_HOUR = 3_600
_DAY, _WEEK = 24, 168  # hours
_MAX_PEERS = 200  # peers of a finding whose records support it
# The least amount in an hour that counts, by measure.
_LEAST = {"sent": 100e6, "opened": 1_000.0, "rejected": 200.0}


class Hour(NamedTuple):
    """An hour in which a host's amount is an outlier."""

    hour: int  # hours since the first of the logs
    amount: float
    score: float  # modified z-score
    median: float  # of the baseline
    baseline: str  # the hours that it was compared with, in words


_Spikes = dict[str, list[Hour]]  # a host's, by measure


DETECTOR = Detector(
    id="spike",
    title="Traffic spike",
    question="In which hours did volume, connections or rejections exceed the baseline?",
    technique="T1030",
    needs=frozenset({"srcaddr", "dstaddr", "bytes", "start", "end"}),
)


def find(
    case: Case, *, least: float = 10, factor: float = 5, often: int = 3, shared_by: int = 3
) -> list[Finding]:
    """Return one finding per internal host, for all its spikes.

    Args:
        case: The case.
        least: Least modified z-score of a spike.
        factor: How many times the median the amount must be.
        often: Most spikes of a host, by measure; consecutive hours count as one.
        shared_by: Other hosts that make traffic with a peer common activity.
    """
    begin, end = case.span
    if begin is None or end is None or (end - begin).total_seconds() < _DAY * _HOUR:
        return []
    first = int(begin.timestamp()) // _HOUR
    length = int(end.timestamp()) // _HOUR - first + 1
    c = _measure_hosts(case.connections)
    hourly = c.group_by("host", hour=epoch_seconds(c.first_seen) // _HOUR - first).aggregate(
        sent=_.sent.sum().cast("int64"), opened=_.opened.sum(), rejected=_.rejected.sum()
    )
    high = ibis.or_(*(hourly[name] >= floor for name, floor in _LEAST.items()))
    hosts = hourly.filter(high).select("host").distinct()
    rows = to_frame(hourly.semi_join(hosts, "host").order_by("host", "hour").to_pyarrow())
    spikes: dict[str, _Spikes] = {}
    for host, host_rows in rows.groupby("host", sort=True):
        outliers = {}
        for name, floor in _LEAST.items():
            series = np.zeros(length)
            series[host_rows["hour"].to_numpy(int)] = host_rows[name].to_numpy(float)
            if hours := find_outliers(series, floor, least, factor):
                outliers[name] = hours
        if outliers:
            spikes[str(host)] = outliers
    if not spikes:
        return []
    rows = _sum_by_peer(c, spikes, first)
    spikes = _drop_common(spikes, rows, _hourly_maxima(c, rows, first), shared_by, factor)
    findings = []
    for host, by_measure in spikes.items():
        rare = {
            name: hours
            for name, hours in by_measure.items()
            if 0 < _count_runs([h.hour for h in hours]) <= often
        }
        if rare:
            spike_hours = {h.hour for hours in rare.values() for h in hours}
            host_rows = rows[(rows["host"] == host) & rows["hour"].isin(spike_hours)]
            findings.append(_finding(host, rare, host_rows, first))
    return findings


def find_outliers(series: np.ndarray, floor: float, least: float, factor: float) -> list[Hour]:
    """Return the hours whose amount is an outlier.

    Args:
        series: Amounts, one an hour, without gaps.
        floor: Least amount that counts.
        least: Least modified z-score.
        factor: How many times the median the amount must be.
    """
    outliers = []
    for hour in np.flatnonzero(series >= floor):
        x = series[hour]
        others = np.delete(np.arange(len(series)), hour)
        # Difference of the times of day in hours, whatever the day.
        offset = np.abs((others - hour + _DAY // 2) % _DAY - _DAY // 2)
        if (series[others[(offset <= 1) & (np.abs(others - hour) > 2)]] >= x / 2).any():
            continue
        weekly, daily = others[(others - hour) % _WEEK == 0], others[offset == 0]
        if len(weekly) >= 3:
            similar, baseline = weekly, "the same hour of other weeks"
        elif len(daily) >= 4:
            similar, baseline = daily, "the same hour of other days"
        else:  # without the neighbouring hours: a spike may last
            similar, baseline = others[np.abs(others - hour) > 2], "its other hours"
        median = float(np.median(series[similar]))
        mad = float(np.median(np.abs(series[similar] - median)))
        score = 0.6745 * (x - median) / max(mad, median / 10, floor / 50)
        if score >= least and x >= factor * median:
            outliers.append(Hour(int(hour), float(x), float(score), median, baseline))
    return outliers


def _measure_hosts(connections: ibis.Table) -> ibis.Table:
    """Return the measures of each connection (external bytes, opened, rejected) of a host."""
    c = connections.filter(~connections.intermediate, connections.direction != "external")
    inbound = c.filter(c.direction == "inbound")
    initiated = c.filter(c.direction != "inbound")
    outbound = initiated.direction == "outbound"
    return initiated.select(
        "first_seen", "service_port", "protocol", host=initiated.initiator,
        peer=initiated.responder, sent=outbound.ifelse(initiated.bytes_out, 0),
        received=outbound.ifelse(initiated.bytes_in, 0), opened=outbound.cast("int64"),
        rejected=initiated.rejected.cast("int64"), count=ibis.literal(1),
    ).union(inbound.select(
        "first_seen", "service_port", "protocol", host=inbound.responder, peer=inbound.initiator,
        sent=inbound.bytes_in, received=inbound.bytes_out, opened=ibis.literal(0, "int64"),
        rejected=ibis.literal(0, "int64"), count=ibis.literal(1),
    ))  # fmt: skip


def _count_runs(hours: list[int]) -> int:
    """Count the runs of consecutive hours."""
    return sum(hour - 1 not in hours for hour in hours)


def _sum_by_peer(measures: ibis.Table, spikes: dict[str, _Spikes], first: int) -> pd.DataFrame:
    """Sum each host's traffic in each hour of its spikes by peer, port and protocol."""
    host_hours = sorted(
        {
            (host, h.hour)
            for host, by_measure in spikes.items()
            for hours in by_measure.values()
            for h in hours
        }
    )
    columns = {"host": [host for host, _h in host_hours], "hour": [hour for _h, hour in host_hours]}
    wanted = ibis.memtable(columns, schema={"host": "string", "hour": "int64"})
    measures = measures.mutate(hour=epoch_seconds(measures.first_seen) // _HOUR - first)
    in_spikes = measures.semi_join(wanted, ["host", "hour"])
    keys = ["host", "hour", "peer", "service_port", "protocol"]
    summed = in_spikes.group_by(keys).aggregate(
        **{name: _[name].sum().cast("int64") for name in ("sent", "received", "opened")},
        rejected=_.rejected.sum().cast("int64"),
        count=_.count(),
        first_seen=_.first_seen.min(),
        last_seen=_.first_seen.max(),
    )
    return to_frame(summed.order_by(keys).to_pyarrow())


def _hourly_maxima(measures: ibis.Table, rows: pd.DataFrame, first: int) -> pd.DataFrame:
    """Return each host's largest hour, by measure, with each peer that has much of some spike."""
    amounts = rows.groupby(["host", "hour", "peer"])[[*_LEAST]].sum()
    much = (amounts >= pd.Series(_LEAST) / 10).any(axis=1)
    peers = sorted(set(amounts[much].index.get_level_values("peer")))
    of_peers = measures.filter(measures.peer.isin(peers))
    hourly = of_peers.group_by(
        "peer", "host", hour=epoch_seconds(of_peers.first_seen) // _HOUR - first
    )
    hourly = hourly.aggregate(**{name: _[name].sum().cast("int64") for name in _LEAST})
    maxima = hourly.group_by("peer", "host").aggregate(**{name: _[name].max() for name in _LEAST})
    return to_frame(maxima.order_by("peer", "host").to_pyarrow())


def _drop_common(
    spikes: dict[str, _Spikes],
    rows: pd.DataFrame,
    maxima: pd.DataFrame,
    shared_by: int,
    factor: float,
) -> dict[str, _Spikes]:
    """Return the spikes that remain without the activity that other hosts have as well."""
    amounts = rows.groupby(["host", "hour", "peer"])[[*_LEAST]].sum()
    by_peer = {peer: group.set_index("host") for peer, group in maxima.groupby("peer")}

    def remains(host: str, name: str, hour: Hour) -> bool:
        rest = 0.0
        for peer, amount in amounts.loc[(host, hour.hour), name].items():
            similar = 0
            if amount >= _LEAST[name] / 10 and peer in by_peer:
                others = by_peer[peer][name].drop(host, errors="ignore")
                similar = int((others >= amount / 10).sum())
            rest += amount if similar < shared_by else 0
        return rest >= max(_LEAST[name], factor * hour.median)

    return {
        host: {name: [h for h in hours if remains(host, name, h)] for name, hours in each.items()}
        for host, each in spikes.items()
    }


def _finding(host: str, spikes: _Spikes, rows: pd.DataFrame, first: int) -> Finding:
    rows = rows[(rows[list(spikes)] > 0).any(axis=1)]
    by_peer = rows.groupby("peer")[list(spikes)].sum()
    share = (by_peer / by_peer.sum()).max(axis=1).sort_values(ascending=False, kind="stable")
    peers = share.index[:_MAX_PEERS]
    hours = [(name, hour) for name, each in spikes.items() for hour in each]
    large = any(hour.amount >= 10 * _LEAST[name] for name, hour in hours)
    sentence = "; it ".join(_describe(name, each, first) for name, each in spikes.items())
    traffic = sum_traffic(rows, connections="count", bytes_out="sent", bytes_in="received")
    return make_finding(
        DETECTOR,
        host,
        peers,
        traffic._replace(
            ports=tuple(rows[rows["peer"].isin(peers)]["service_port"]),
            last_seen=traffic.last_seen + pd.Timedelta(minutes=1),
        ),
        severity="medium" if large else "low",
        score=0.3 + 0.4 * min(1.0, max(hour.score for _name, hour in hours) / 100),
        summary=f"{host} {sentence}. {share.iloc[0]:.0%} of this was with {share.index[0]} (of"
        f" {format_count(len(share), 'peer')}).",
        caveats="Releases, restores and load tests have the same traffic pattern. A connection"
        " counts in the hour in which it began.",
        peers_complete=len(share) <= _MAX_PEERS,
    )


def _describe(name: str, hours: list[Hour], first: int) -> str:
    """Describe the spikes of a measure, the largest with its numbers."""
    top = max(hours, key=lambda hour: (hour.score, -hour.hour))
    begin = pd.Timestamp((first + top.hour) * _HOUR, unit="s", tz="UTC")
    amount, median = (
        format_bytes(value) if name == "sent" else f"{value:,.0f}"
        for value in (top.amount, top.median)
    )
    activity = {
        "sent": f"sent {amount} to external addresses",
        "opened": f"opened {amount} connections to external addresses",
        "rejected": f"had {amount} connections rejected",
    }[name]
    others = len(hours) - 1
    more = f"; {format_count(others, 'other hour')} {'is' if others == 1 else 'are'} also"
    more += " an outlier" if others == 1 else " outliers"
    return (
        f"{activity} in the hour from {format_utc(begin)}; the median of {top.baseline} is {median}"
        f" (modified z-score {min(top.score, 9_999):.0f})"
        f"{more if len(hours) > 1 else ''}"
    )
