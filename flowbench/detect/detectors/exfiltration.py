"""Unusual outbound data volume: which host sent far more to an address than on its usual days?

Question: which internal host sent one external address many times what it sends to all others on
an average day?

Method: the volume is compared with the host's own baseline. Bytes that left are counted whoever
opened the connection (an attacker may fetch as well as send). A destination is a candidate when it
received ``factor`` times what the host sent all other peers on an average day of its observed
lifetime, at least ``least`` bytes, and nearly all of the exchange (the producer-consumer ratio
(out - in)/(out + in), Bullard and Gerth, PCR: a new flow metric, FloCon 2014, is at least
``one_way``). The baseline is what the other peers got (without what went to other such
destinations), not the days before, so that exfiltration spread over all days is detected too.

A host that was seen for less than half of the logs has little baseline of its own. What hosts like
it send on a day (``baseline.typical_volumes``: same Auto Scaling group, name or subnet) is its
baseline if that is more. It has one finding for all destinations.

Left out is what is itself usual (``routine_transfers``): similar amounts each day at the same hour
from the host's first day on (a backup, an export); a flow in nearly all hours (logs, metrics); a
few files now and then, each of the size of an attachment (``attachment``); more of them, if people
browse from the host and sent them in half of the clock. A host seen for less
than half of the logs that sends steadily in its whole lifetime, less than ``large`` an hour, is a
worker: a host launched only to take data out sends it in a burst. Workers are left out below a
tenth of ``large``, if they run for four hours at least, and where ``several`` of them were launched
over more than a quarter of the logs; else the severity is low.

That several hosts send to an address excuses nothing, unless ``sharing.shared_services`` does, or,
in logs of less than two days, ``common_destinations``. Where ``several`` hosts send to an address
and none did in the first quarter of the logs, they need to reach ``least`` only together.

Severity: medium; high with an indicator match, from ``high_factor`` average days and ``large``
bytes on, unless it is a schedule with one more transfer of its size, or if ``several`` hosts began
to send to the address, unless steadily ever since (a new agent or log shipper).

False positives: the first backup to a new destination, or a single one in logs of one day; a
migration; one large file sent to a partner by a host that sends little otherwise.

Limitations: not detected are less than ``factor`` average days, a few transfers of the size of an
attachment, exfiltration distributed over many addresses, on a schedule since the host's
first day or through a shared service, and in logs of one day that at the hour and of the size of
other hosts' backups. Tunnels over DNS are not one-way, since each query is answered: see dns.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import ibis
import numpy as np
import pandas as pd
from ibis import _

from flowbench.detect.baseline import typical_volumes
from flowbench.detect.common_destinations import drop_common
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import has_match
from flowbench.detect.outbound_volumes import ENDS, OutboundVolumes
from flowbench.detect.routine_transfers import (
    is_occasional,
    is_persons_files,
    is_scheduled,
    is_scheduled_but_once,
    is_steady,
    is_workers_flow,
)
from flowbench.detect.traffic import browsing_hosts
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_duration, format_period, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_HOUR, _DAY = 3_600, 86_400
_BASELINE_DAYS = 2  # least days of logs that show a schedule, and what people use
_BRIEF, _NAMED = 0.5, 4  # share of the logs; destinations in a summary

DETECTOR = Detector(
    id="exfiltration",
    title="Unusual outbound data volume",
    question="Which host sent one external address many times its usual daily volume?",
    technique="T1048",
    needs=frozenset({"srcaddr", "dstaddr", "bytes", "start", "end"}),
)


class _Limits(NamedTuple):
    """The parameters of ``find``."""

    factor: float
    least: float
    one_way: float
    several: int
    attachment: float
    large: float
    high_factor: float


def find(
    case: Case,
    *,
    factor: float = 5,
    least: float = 10e6,
    one_way: float = 0.8,
    several: int = 3,
    attachment: float = 25e6,
    large: float = 1e9,
    high_factor: float = 10,
) -> list[Finding]:
    """Return one finding per internal host and external address.

    Args:
        case: The case.
        factor: Average days of the host's other traffic that a destination must have received.
        least: Least bytes sent.
        one_way: Least producer-consumer ratio, -1 to 1.
        several: Hosts that make a new destination more severe.
        attachment: Bytes. A few transfers, each of less, are a person's files, not exfiltration
            (the usual limit of an attachment is 20 to 25 MB).
        large: Bytes from which the severity can be high.
        high_factor: Average days from which the severity is high.
    """
    begin, end = case.span
    if begin is None or end is None:
        return []
    limits = _Limits(factor, least, one_way, several, attachment, large, high_factor)
    days = (end - begin).total_seconds() / _DAY
    volumes = OutboundVolumes(case)
    large_pairs = volumes.large_pairs(least, one_way, several if days >= _BASELINE_DAYS else None)
    rows = _candidates(large_pairs, volumes, limits, days)
    if rows.empty:
        return []
    keys = ibis.memtable(rows[ENDS].astype("object").to_dict("list"))
    people = frozenset(browsing_hosts(case, end).to_pyarrow()["host"].to_pylist())
    rows = _judge_form(rows, volumes.slots(keys), people, limits)
    rows = rows[~(rows["is_routine"] | _is_fleets(rows, several, (end - begin) / 4))]
    if days < _BASELINE_DAYS:
        rows = drop_common(case, rows, large_pairs, end)
    rows = _beyond_baseline(case, rows, volumes, begin + (end - begin) / 4, factor)
    if rows.empty:
        return []
    rows["matched"] = has_match(case, rows["host"], rows["peer"])
    services = volumes.services(keys)
    groups = rows.groupby(["host", rows["peer"].where(~rows["is_brief"], "")])
    return [_finding(pairs, services.merge(pairs[ENDS]), days, limits) for _key, pairs in groups]


def _candidates(
    large_pairs: ibis.Table, volumes: OutboundVolumes, limits: _Limits, days: float
) -> pd.DataFrame:
    """Return the large pairs that may be beyond the baselines of their hosts.

    With the columns of ``OutboundVolumes.hosts``, and is_brief (whether the host was seen for less
    than half of the logs).
    """
    rows = large_pairs.join(volumes.hosts, "host")
    to_candidates = large_pairs.group_by("host").aggregate(candidates=_.sent.sum().cast("int64"))
    rows = rows.join(to_candidates, "host")
    # At most, nothing that the host sent to candidates belongs to its baseline.
    least_baseline = (rows.total - rows.candidates) / rows.days
    rows = rows.filter(rows.sent >= limits.factor * least_baseline)
    rows = rows.mutate(is_brief=rows.seconds < _BRIEF * days * _DAY)
    return to_frame(rows.order_by(ENDS).to_pyarrow())


def _judge_form(
    rows: pd.DataFrame,
    slots: dict[tuple[str, str], pd.DataFrame],
    people: Collection[str],
    limits: _Limits,
) -> pd.DataFrame:
    """Return rows with whether their form is routine; ``people`` are the hosts of people.

    Columns: is_routine, is_workers (a worker's steady flow), is_steady (for as long as it lasts),
    is_repeated (a schedule and one more transfer), slots (ten minutes with bytes sent).
    """
    forms = []
    for row in rows.itertuples():
        pair = slots[row.host, row.peer]
        own = limits.factor * (row.total - row.sent) / row.days
        is_workers = row.is_brief and is_workers_flow(pair, row.seconds, limits.large)
        is_routine = (
            is_scheduled(pair, row.born.timestamp(), row.seconds / _DAY)
            or is_occasional(pair, min(limits.attachment, own))
            or (row.host in people and not row.is_new and is_persons_files(pair, limits.attachment))
            or (not row.is_brief and is_steady(pair, row.seconds, least=18))
            or (is_workers and row.sent < limits.large / 10 and row.seconds >= 4 * _HOUR)
        )
        is_repeated = is_scheduled_but_once(pair, row.born.timestamp(), row.seconds / _DAY)
        is_flow = is_steady(pair, (row.last_seen - row.first_seen).total_seconds(), least=18)
        forms.append((is_routine, is_workers, is_flow, is_repeated, len(pair)))
    columns = ["is_routine", "is_workers", "is_steady", "is_repeated", "slots"]
    return rows.join(pd.DataFrame(forms, rows.index, columns))


def _is_fleets(rows: pd.DataFrame, several: int, spread: pd.Timedelta) -> pd.Series:
    """Return which rows are of workers launched one after the other, with one destination."""
    workers = rows[rows["is_workers"]].groupby("peer")
    fleets = workers.agg(hosts=("host", "nunique"), first=("born", "min"), last=("born", "max"))
    fleets = fleets[(fleets["hosts"] >= several) & (fleets["last"] - fleets["first"] >= spread)]
    return rows["is_workers"] & rows["peer"].isin(fleets.index)


def _beyond_baseline(
    case: Case, rows: pd.DataFrame, volumes: OutboundVolumes, before: pd.Timestamp, factor: float
) -> pd.DataFrame:
    """Return the rows beyond the baseline, with own (the host's) and typical (of hosts like it)."""
    # Two exfiltrations from one host do not belong to each other's baseline.
    unusual = rows.groupby("host")["sent"].transform("sum")
    own = (rows["total"] - unusual) / rows["days"]
    brief = sorted(set(rows.loc[rows["is_brief"], "host"]))
    typical = rows["host"].map(typical_volumes(case, brief, volumes.hosts, before)).fillna(0.0)
    rows = rows.assign(own=own, typical=typical)
    return rows[rows["sent"] >= factor * rows[["own", "typical"]].max(axis=1)].copy()


def _finding(pairs: pd.DataFrame, services: pd.DataFrame, days: float, limits: _Limits) -> Finding:
    """Return the finding of one host and its destinations."""
    first = pairs.iloc[0]
    sent, received = int(pairs["sent"].sum()), int(pairs["received"].sum())
    baseline, floor = float(pairs[["own", "typical"]].max(axis=1).iloc[0]), limits.least / 10
    times = sent / max(baseline, floor)
    matched = bool(pairs["matched"].any())
    is_new = bool((pairs["is_new"] & ~pairs["is_steady"]).any())
    is_large = times >= limits.high_factor and sent >= limits.large
    is_high = matched or is_new or (is_large and not pairs["is_repeated"].all())
    is_low = bool(pairs["is_workers"].all()) and not matched
    caveats = (
        "Backups to a new destination, migrations and file transfers to partners have the same"
        " traffic pattern."
    )
    if days < _BASELINE_DAYS:
        caveats += " The logs are shorter than two days: a nightly job looks the same in them."
    if first["is_brief"]:
        caveats += " The host was seen for less than half of the logs: its baseline is short."
    is_single = services["protocol"].nunique() == 1 and services["protocol"].notna().all()
    score = 0.3 if is_low else 0.5 + 0.25 * np.log10(max(times, 1.0))
    return make_finding(
        DETECTOR,
        first["host"],
        pairs["peer"],
        Traffic(
            tuple(services["service_port"]),
            int(services["protocol"].iloc[0]) if is_single else None,
            pairs["first_seen"].min(),
            pairs["last_seen"].max(),
            int(pairs["connections"].sum()),
            sent,
            received,
        ),
        severity="low" if is_low else "high" if is_high else "medium",
        score=min(1.0, score),
        scores={
            "volume": min(1.0, np.log10(max(times, 1.0)) / 2),
            "one_way": (sent - received) / (sent + received),
            "indicator": float(matched),
            "several_hosts": float(is_new),
        },
        summary=_describe(pairs, services, times, floor),
        caveats=caveats,
    )


def _describe(pairs: pd.DataFrame, services: pd.DataFrame, times: float, floor: float) -> str:
    first, connections = pairs.iloc[0], int(pairs["connections"].sum())
    ports = services[["service_port", "protocol"]].drop_duplicates()
    labels = [
        label(int(item.service_port), None if pd.isna(item.protocol) else int(item.protocol))
        for item in ports.sort_values(["service_port", "protocol"]).itertuples()
    ]
    opened = int(pairs["opened"].sum())
    opener = "" if opened == connections else " (some initiated by the peer)"
    if not opened:
        opener = " (initiated by the peer)"
    own, typical = float(first["own"]), float(first["typical"])
    seen = f"{first['days']:.1f} days" if first["days"] > 1 else format_duration(first["seconds"])
    if typical > own:
        rest = f", {times:.0f} times the daily median of similar hosts ({format_bytes(typical)})"
    elif own >= floor:
        rest = f", {times:.0f} times its daily average to all other external addresses"
        rest += f" ({format_bytes(own)} over {seen})"
    else:
        rest = f"; it sent {format_bytes(own * first['days'])} to all other external addresses in"
        rest += f" the {seen} in which it was seen"
    summary = (
        f"{first['host']} sent {format_bytes(int(pairs['sent'].sum()))} to"
        f" {list_some(list(pairs['peer']), _NAMED)} ({list_some(labels, _NAMED)}) and received"
        f" {format_bytes(int(pairs['received'].sum()))} in"
        f" {format_count(connections, 'connection')}{opener} from"
        f" {format_period(pairs['first_seen'].min(), pairs['last_seen'].max())}{rest}."
    )
    if pairs["is_new"].any():
        new = pairs[pairs["is_new"]].iloc[0]
        summary += f" {new['senders']} internal hosts sent data to {new['peer']}, none of them in"
        summary += " the first quarter of the logs."
    if pairs["matched"].any():
        summary += " Indicator match: a destination is on an indicator list."
    return summary
