"""Spike: which host did far more in an hour than its hours are used to?

Question: in which hours did an inside host send out, call out or get refused far above what the
hour explains?

Method: each hour of a host is held against its own others by the modified z-score, 0.6745 (x -
median) / MAD (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), for bytes sent to the
outside, for connections opened to it, and for refused tries (at inside doors as well). What an hour
is held against is as much like it as the logs allow: the same hour of the same weekday where there
are three other weeks, the same hour of other days where there are four, else all other hours. The
MAD has a floor (a tenth of the median, a fiftieth of what counts at all), or quiet hosts would
always stand out. An hour that another day had at the same time, give or take an hour, and half as
high is no spike (a nightly job in few days of logs); a host that has more than ``often`` of them is
one that goes by fits.

What several hosts do now and then is the estate's business, not one host's: of an hour is taken off
what went to an address with which ``shared_by`` other hosts or more did a tenth as much, at least,
in some hour of the logs. A registry gets releases, a store backups, a service that is down refuses
all its clients. What is left must count, and be far above the median, by itself.

Low; medium from ten times the least amount on. How much a host sends in days is exfiltration's
question; this one looks at hours, at counts and at refusals.

Fires falsely: a restore, a load test, one large upload, the first release to a new place. Cannot
see: what is slow; what the first days of the logs hold already every day; what a host sends in the
hour of its own nightly job, wherever to; what goes to a place that several hosts feed with as much
(a theft by way of the house's own store), or what several hosts did to one address, a flood or a
theft shared out. A connection counts in the hour in which it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ibis
import numpy as np
import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, make_finding, sum_traffic
from flowbench.engine import seconds
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count

if TYPE_CHECKING:
    from flowbench.case import Case

_HOUR = 3_600
_DAY, _WEEK = 24, 168  # hours
_MOST = 200  # peers of a finding that lead to records
_LEAST = {"sent": 100e6, "calls": 1_000.0, "rejected": 200.0}  # what counts at all in an hour


class Hour(NamedTuple):
    """An hour that stands out of a host's own."""

    hour: int  # since the logs' first
    amount: float
    score: float  # modified z-score
    median: float
    held_to: str


DETECTOR = Detector(
    id="spike",
    title="Far more than its hours explain",
    question="Which host sent, called or was refused far more in an hour than it is used to?",
    technique="T1030",
    needs=frozenset({"srcaddr", "dstaddr", "bytes", "start", "end"}),
)


def find(
    case: Case, *, least: float = 10, factor: float = 5, often: int = 3, shared_by: int = 3
) -> list[Finding]:
    """One finding per inside host, for all its spikes.

    ``least``: the modified z-score from which an hour stands out; ``factor``: how many times the
    median it must be. ``often``: so many spikes, hours that touch taken as one, are still rare.
    ``shared_by``: other hosts that make a thing the estate's.
    """
    begin, end = case.span
    if begin is None or end is None or (end - begin).total_seconds() < _DAY * _HOUR:
        return []
    first = int(begin.timestamp()) // _HOUR
    length = int(end.timestamp()) // _HOUR - first + 1
    c = _acts(case.connections)
    hourly = c.group_by("host", hour=seconds(c.first_seen) // _HOUR - first).aggregate(
        sent=_.sent.sum().cast("int64"), calls=_.calls.sum(), rejected=_.rejected.sum()
    )
    high = ibis.or_(*(hourly[name] >= floor for name, floor in _LEAST.items()))
    hosts = hourly.filter(high).select("host").distinct()
    rows = to_frame(hourly.semi_join(hosts, "host").order_by("host", "hour").to_pyarrow())
    spikes: dict[str, dict[str, list[Hour]]] = {}
    for host, mine in rows.groupby("host", sort=True):
        told = {}
        for name, floor in _LEAST.items():
            series = np.zeros(length)
            series[mine["hour"].to_numpy(int)] = mine[name].to_numpy(float)
            if hours := standing_out(series, floor, least, factor):
                told[name] = hours
        if told:
            spikes[str(host)] = told
    if not spikes:
        return []
    rows = _peers(c, spikes, first)
    spikes = _own(spikes, rows, _shared(c, rows, first), shared_by, factor)
    found = []
    for host, each in spikes.items():
        told = {
            n: hours for n, hours in each.items() if 0 < _runs([h.hour for h in hours]) <= often
        }
        if told:
            at = {one.hour for hours in told.values() for one in hours}
            mine = rows[(rows["host"] == host) & rows["hour"].isin(at)]
            found.append(_finding(host, told, mine, first))
    return found


def standing_out(series: np.ndarray, floor: float, least: float, factor: float) -> list[Hour]:
    """The hours of a series (one value an hour, without gaps) that stand out."""
    found = []
    for hour in np.flatnonzero(series >= floor):
        x = series[hour]
        others = np.delete(np.arange(len(series)), hour)
        away = np.abs((others - hour + _DAY // 2) % _DAY - _DAY // 2)  # on the clock
        if (series[others[(away <= 1) & (np.abs(others - hour) > 2)]] >= x / 2).any():
            continue
        weekly, daily = others[(others - hour) % _WEEK == 0], others[away == 0]
        if len(weekly) >= 3:
            alike, what = weekly, "the same hour of other weeks"
        elif len(daily) >= 4:
            alike, what = daily, "the same hour of other days"
        else:  # not the hours that touch it: a spike may last
            alike, what = others[np.abs(others - hour) > 2], "its other hours"
        median = float(np.median(series[alike]))
        mad = float(np.median(np.abs(series[alike] - median)))
        score = 0.6745 * (x - median) / max(mad, median / 10, floor / 50)
        if score >= least and x >= factor * median:
            found.append(Hour(int(hour), float(x), float(score), median, what))
    return found


def _acts(connections: ibis.Table) -> ibis.Table:
    """What each inside host did: bytes it sent out, connections it opened, tries refused."""
    c = connections.filter(~connections.intermediate, connections.direction != "external")
    fetched = c.filter(c.direction == "inbound")
    own = c.filter(c.direction != "inbound")
    out = own.direction == "outbound"
    return own.select(
        "first_seen", "service_port", "protocol", host=own.initiator, peer=own.responder,
        sent=out.ifelse(own.bytes_out, 0), got=out.ifelse(own.bytes_in, 0),
        calls=out.cast("int64"), rejected=own.rejected.cast("int64"), count=ibis.literal(1),
    ).union(fetched.select(
        "first_seen", "service_port", "protocol", host=fetched.responder, peer=fetched.initiator,
        sent=fetched.bytes_in, got=fetched.bytes_out, calls=ibis.literal(0, "int64"),
        rejected=ibis.literal(0, "int64"), count=ibis.literal(1),
    ))  # fmt: skip


def _runs(hours: list[int]) -> int:
    """How many runs of hours that touch."""
    return sum(hour - 1 not in hours for hour in hours)


def _peers(acts: ibis.Table, spikes: dict[str, dict[str, list[Hour]]], first: int) -> pd.DataFrame:
    """Whom each host dealt with in each hour of its spikes, by port."""
    at = sorted(
        {
            (host, one.hour)
            for host, told in spikes.items()
            for each in told.values()
            for one in each
        }
    )
    columns = {"host": [host for host, _h in at], "hour": [hour for _h, hour in at]}
    wanted = ibis.memtable(columns, schema={"host": "string", "hour": "int64"})
    acts = acts.mutate(hour=seconds(acts.first_seen) // _HOUR - first)
    mine = acts.semi_join(wanted, ["host", "hour"])
    keys = ["host", "hour", "peer", "service_port", "protocol"]
    sums = {name: mine[name].sum().cast("int64") for name in ("sent", "got", "calls", "rejected")}
    summed = mine.group_by(keys).aggregate(
        **sums, count=_.count(), first_seen=_.first_seen.min(), last_seen=_.first_seen.max()
    )
    return to_frame(summed.order_by(keys).to_pyarrow())


def _shared(acts: ibis.Table, rows: pd.DataFrame, first: int) -> pd.DataFrame:
    """The most that each host did in an hour with those who had much of some spike."""
    most = rows.groupby(["host", "hour", "peer"])[[*_LEAST]].sum()
    much = (most >= pd.Series(_LEAST) / 10).any(axis=1)
    peers = sorted(set(most[much].index.get_level_values("peer")))
    acts = acts.filter(acts.peer.isin(peers))
    hourly = acts.group_by("peer", "host", hour=seconds(acts.first_seen) // _HOUR - first)
    hourly = hourly.aggregate(**{name: _[name].sum().cast("int64") for name in _LEAST})
    best = hourly.group_by("peer", "host").aggregate(**{name: _[name].max() for name in _LEAST})
    return to_frame(best.order_by("peer", "host").to_pyarrow())


def _own(
    spikes: dict[str, dict[str, list[Hour]]],
    rows: pd.DataFrame,
    shared: pd.DataFrame,
    shared_by: int,
    factor: float,
) -> dict[str, dict[str, list[Hour]]]:
    """The spikes that remain without what other hosts do as well."""
    amounts = rows.groupby(["host", "hour", "peer"])[[*_LEAST]].sum()
    others = {peer: of_peer.set_index("host") for peer, of_peer in shared.groupby("peer")}

    def left(host: str, name: str, hour: Hour) -> bool:
        rest = 0.0
        for peer, amount in amounts.loc[(host, hour.hour), name].items():
            alike = 0
            if amount >= _LEAST[name] / 10 and peer in others:
                best = others[peer][name].drop(host, errors="ignore")
                alike = int((best >= amount / 10).sum())
            rest += amount if alike < shared_by else 0
        return rest >= max(_LEAST[name], factor * hour.median)

    return {
        host: {name: [one for one in each if left(host, name, one)] for name, each in told.items()}
        for host, told in spikes.items()
    }


def _finding(host: str, told: dict[str, list[Hour]], rows: pd.DataFrame, first: int) -> Finding:
    rows = rows[(rows[list(told)] > 0).any(axis=1)]
    by_peer = rows.groupby("peer")[list(told)].sum()
    share = (by_peer / by_peer.sum()).max(axis=1).sort_values(ascending=False, kind="stable")
    kept = rows[rows["peer"].isin(share.index[:_MOST])]
    hours = [(name, one) for name, each in told.items() for one in each]
    grave = any(one.amount >= 10 * _LEAST[name] for name, one in hours)
    words = "; it ".join(_said(name, each, first) for name, each in told.items())
    traffic = sum_traffic(rows, connections="count", bytes_out="sent", bytes_in="got")
    last = traffic.last_seen + pd.Timedelta(minutes=1)
    return make_finding(
        DETECTOR,
        host,
        share.index[:_MOST],
        traffic._replace(ports=tuple(kept["service_port"]), last_seen=last),
        severity="medium" if grave else "low",
        score=0.3 + 0.4 * min(1.0, max(one.score for _name, one in hours) / 100),
        summary=f"{host} {words}. {share.index[0]} has {share.iloc[0]:.0%} of it, the most of"
        f" {format_count(len(share), 'peer')}.",
        caveats="Releases, restores and load tests look the same. A connection counts in the hour"
        " in which it began.",
        peers_complete=len(share) <= _MOST,
    )


def _said(name: str, hours: list[Hour], first: int) -> str:
    """A measure's spikes in words, the greatest with its numbers."""
    best = max(hours, key=lambda one: (one.score, -one.hour))
    at = pd.Timestamp((first + best.hour) * _HOUR, unit="s", tz="UTC")
    amount, usual = (
        [format_bytes(value) for value in (best.amount, best.median)]
        if name == "sent"
        else [f"{value:,.0f}" for value in (best.amount, best.median)]
    )
    did = {
        "sent": f"sent {amount} out",
        "calls": f"opened {amount} connections to the outside",
        "rejected": f"was refused {amount} times",
    }[name]
    more = f" (and far more than usual in {format_count(len(hours) - 1, 'other hour')})"
    return (
        f"{did} in the hour from {at:%Y-%m-%d %H:%M} UTC, where the median of {best.held_to} is"
        f" {usual} (modified z-score {min(best.score, 9_999):.0f})"
        f"{more if len(hours) > 1 else ''}"
    )
