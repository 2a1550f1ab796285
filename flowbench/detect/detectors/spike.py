"""Traffic spike: in which hour did a host have far more traffic or rejections than in others?

Question: in which hours did an internal host send bytes to external addresses, open connections to
them or get rejected far more than its other hours let expect?

Method: each hour of a host is compared with its other hours by the modified z-score, 0.6745 (x -
median) / MAD (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), for bytes sent to
external addresses, for connections opened to them, and for rejected connection attempts (at
internal services as well). The baseline lies in the host's observed lifetime (a day at least) and
is as similar as that allows: the same hour of the same weekday where there are three other weeks,
the same hour of other days where there are four, else all other hours. The MAD is at least a tenth
of the median and a fiftieth of the least amount that counts, or quiet hosts would always be
outliers. An hour is no spike if another day had half as much at the same time, give or take an hour
(a nightly job in few days of logs). A host with more than ``often`` spikes has bursts as its
baseline and is not reported.

What several hosts do occasionally is common activity. The traffic of an hour with a peer is
subtracted if at least ``shared_by`` other hosts had at least a tenth as much with that peer in some
hour of the logs: a registry gets releases, a store backups, a failed service rejects all its
clients. An external peer must also be a shared service (``sharing.shared_services``): several hosts
that send to an unknown address have a spike each. The rest must itself reach the least amount and
be far above the median.

The finding names the peers with which most (``_MOST``) of the spike was, five by measure at most.

Severity: low; medium from ten times the least amount on. The volume of whole days belongs to the
detector exfiltration; this one compares hours, connection counts and rejections.

False positives: a restore, a load test, one large upload, the first release to a new destination.

Limitations: not detected are slow transfers, traffic that the first days of the logs already have
every day, what a host sends in the hour of its own nightly job (to any destination), traffic with a
shared service to which several hosts send as much (data theft through a store that the monitored
network uses). A connection counts in the hour in which it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
from ibis import _

from flowbench.detect.baseline import host_lifetimes
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, make_finding, sum_traffic
from flowbench.detect.hourly_outliers import Hour, count_runs, find_outliers
from flowbench.detect.sharing import shared_services
from flowbench.detect.traffic import host_traffic
from flowbench.engine import epoch_seconds
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_HOUR = 3_600
_DAY = 24  # hours
_MOST, _MAX_PEERS = 0.8, 5  # of a measure in the spike: the share and number of named peers
# The least amount in an hour that counts, by measure.
_LEAST = {"sent": 100e6, "opened": 1_000.0, "rejected": 200.0}

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
    measures = _measure_hosts(case.connections)
    hours = _high_hosts(case, measures, first)
    spikes = {
        str(host): outliers
        for host, host_rows in hours.groupby("host", sort=True)
        if (outliers := _find_spikes(host_rows, least, factor))
    }
    if not spikes:
        return []
    rows = _sum_by_peer(measures, spikes, first)
    maxima = _hourly_maxima(case, measures, rows, first)
    spikes = _drop_common(spikes, rows, maxima, shared_by, factor)
    findings = []
    for host, by_measure in spikes.items():
        rare = {
            name: hours
            for name, hours in by_measure.items()
            if 0 < count_runs([h.hour for h in hours]) <= often
        }
        if rare:
            spike_hours = {h.hour for hours in rare.values() for h in hours}
            host_rows = rows[(rows["host"] == host) & rows["hour"].isin(spike_hours)]
            findings.append(_finding(host, rare, host_rows, first))
    return findings


def _find_spikes(rows: pd.DataFrame, least: float, factor: float) -> _Spikes:
    """Return the spikes of one host; ``rows`` as of ``_high_hosts``. None in less than a day."""
    born, gone = int(rows["born"].iloc[0]), int(rows["gone"].iloc[0])
    if gone - born < _DAY - 1:
        return {}
    spikes = {}
    for name, floor in _LEAST.items():
        series = np.zeros(gone - born + 1)
        series[rows["hour"].to_numpy(int) - born] = rows[name].to_numpy(float)
        if outliers := find_outliers(series, floor, least, factor):
            spikes[name] = [hour._replace(hour=hour.hour + born) for hour in outliers]
    return spikes


def _high_hosts(case: Case, measures: ibis.Table, first: int) -> pd.DataFrame:
    """Return the hourly sums of hosts that reach a least amount, with their lifetimes.

    Columns: host, hour, the measures, born and gone; hours since the first of the logs.
    """
    hour = epoch_seconds(measures.first_seen) // _HOUR - first
    hourly = measures.group_by("host", hour=hour).aggregate(
        **{name: _[name].sum().cast("int64") for name in _LEAST}
    )
    high = ibis.or_(*(hourly[name] >= floor for name, floor in _LEAST.items()))
    hosts = hourly.filter(high).select("host").distinct()
    lifetimes = host_lifetimes(case).semi_join(hosts, "host")
    lifetimes = lifetimes.mutate(
        born=epoch_seconds(lifetimes.born) // _HOUR - first,
        gone=epoch_seconds(lifetimes.gone) // _HOUR - first,
    )
    return to_frame(hourly.join(lifetimes, "host").order_by("host", "hour").to_pyarrow())


def _measure_hosts(connections: ibis.Table) -> ibis.Table:
    """Return the measures of each connection (external bytes, opened, rejected) of a host."""
    c = host_traffic(connections, internal=True)
    is_external = c.direction != "internal"
    return c.select(
        "first_seen",
        "service_port",
        "protocol",
        "host",
        "peer",
        is_external=is_external,
        sent=is_external.ifelse(c.sent, 0),
        received=is_external.ifelse(c.received, 0),
        opened=(is_external & c.opened).cast("int64"),
        rejected=(c.opened & c.rejected).cast("int64"),
        count=ibis.literal(1),
    )


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


def _hourly_maxima(
    case: Case, measures: ibis.Table, rows: pd.DataFrame, first: int
) -> pd.DataFrame:
    """Return each host's largest hour, by measure, with each peer that has much of some spike.

    Only internal peers and shared services.
    """
    amounts = rows.groupby(["host", "hour", "peer"])[[*_LEAST]].sum()
    much = (amounts >= pd.Series(_LEAST) / 10).any(axis=1)
    peers = sorted(set(amounts[much].index.get_level_values("peer")))
    of_peers = measures.filter(measures.peer.isin(peers))
    shared = shared_services(case, min_connections=1).select(peer="responder").distinct()
    of_peers = of_peers.left_join(shared.mutate(is_shared=True), "peer").drop("peer_right")
    of_peers = of_peers.filter(of_peers.is_shared.fill_null(False) | ~of_peers.is_external)
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
    peers = sorted({peer for name in spikes for peer in _main_peers(by_peer[name])})
    share = float((by_peer.loc[peers].sum() / by_peer.sum()).max())
    hours = [(name, hour) for name, each in spikes.items() for hour in each]
    large = any(hour.amount >= 10 * _LEAST[name] for name, hour in hours)
    sentence = "; it ".join(_describe(name, each, first) for name, each in spikes.items())
    named = rows[rows["peer"].isin(peers)]
    traffic = sum_traffic(named, connections="count", bytes_out="sent", bytes_in="received")
    last = traffic.last_seen + pd.Timedelta(minutes=1)
    scores = {name: max(hour.score for hour in each) / 100 for name, each in spikes.items()}
    return make_finding(
        DETECTOR,
        host,
        peers,
        traffic._replace(last_seen=last),
        severity="medium" if large else "low",
        score=0.3 + 0.4 * min(1.0, max(scores.values())),
        scores={name: min(1.0, score) for name, score in scores.items()} | {"main_peers": share},
        summary=f"{host} {sentence}. {share:.0%} of this was with {list_some(peers, _MAX_PEERS)}"
        f" (of {format_count(len(by_peer), 'peer')}).",
        caveats="Releases, restores and load tests have the same traffic pattern. A connection"
        " counts in the hour in which it began.",
        peers_complete=len(peers) == len(by_peer),
    )


def _main_peers(amounts: pd.Series) -> list[str]:
    """Return the peers with most of a measure, the fewest that have ``_MOST`` of it."""
    ordered = amounts.sort_values(ascending=False, kind="stable")
    count = int((ordered.cumsum() < _MOST * ordered.sum()).sum()) + 1
    return [str(peer) for peer in ordered.index[: min(count, _MAX_PEERS)]]


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
        f"{more if len(hours) > 1 else ''}"
    )
