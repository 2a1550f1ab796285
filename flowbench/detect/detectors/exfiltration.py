"""Unusual outbound data volume: which host sent far more to an address than on its usual days?

Question: which internal host sent one external address many times what it sends to all others on
an average day?

Method: the volume is compared with the host's own baseline. Bytes that left are counted whoever
opened the connection (an attacker may fetch as well as send). A destination is a candidate when it
received ``factor`` times what the host sent all other peers on an average day of these logs, at
least ``least`` bytes, and nearly all of the exchange (the producer-consumer ratio (out - in)/(out +
in), Bullard and Gerth, is at least ``one_way``), and when at most ``shared_by`` hosts send it such
amounts. The baseline is what the other peers got (without what went to other such destinations),
not the days before, so that a theft spread over all days of the logs is detected too.

Left out is what is itself usual: similar amounts each day at the same hour from the first day on (a
backup, an export), a flow in nearly all hours (logs, metrics), and a few files now and then, each
of the size of an attachment (``attachment``). Logs of less than two days do not show what is usual;
there a transfer is taken for a backup when it runs in the backup window of the monitored network:
at an hour at which at least three other hosts send as much each to a common destination.

Severity: medium; high with an indicator match, or from ``high_factor`` average days and 1 GB on.

False positives: the first backup to a new destination, or a single one in logs of one day; a
migration; one large file sent to a partner by a host that sends little otherwise.

Limitations: not detected are less than ``factor`` average days, a few transfers of the size of an
attachment, a theft distributed over many addresses or many hosts, one on a schedule since before
the logs begin, one through a service that several hosts send to, and in logs of one day one at the
hour and of the size of the others' backups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import match_peers
from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_period

if TYPE_CHECKING:
    from flowbench.case import Case

_DAY = 86_400
_ENDS = ["host", "peer"]
_PAUSE = 1_800  # seconds
_BASELINE_DAYS = 2  # least days of logs that can show a schedule
_BACKUP_WINDOW = pd.Timedelta(minutes=30)
_BACKUP_HOSTS = 3  # hosts that make a backup window


DETECTOR = Detector(
    id="exfiltration",
    title="Unusual outbound data volume",
    question="Which host sent one external address many times its usual daily volume?",
    technique="T1048",
    needs=frozenset({"srcaddr", "dstaddr", "bytes", "start", "end"}),
)


def find(
    case: Case,
    *,
    factor: float = 5,
    least: float = 10e6,
    one_way: float = 0.8,
    shared_by: int = 2,
    attachment: float = 20e6,
    high_factor: float = 10,
) -> list[Finding]:
    """Return one finding per internal host and external address.

    Args:
        case: The case.
        factor: Average days of the host's other traffic that a destination must have received.
        least: Least bytes sent.
        one_way: Least producer-consumer ratio, -1 to 1.
        shared_by: Most hosts that send a tenth of ``least`` to a destination that is not common.
        attachment: Bytes. A few transfers, each of less, are a person's files, not a theft (the
            usual limit of an attachment is 20 to 25 MB).
        high_factor: Average days from which the severity is high.
    """
    begin, end = case.span
    if begin is None or end is None:
        return []
    days = max(1.0, (end - begin).total_seconds() / _DAY)
    transfers = _outbound_bytes(case.connections.mutate(connections=ibis.literal(1, "int64")))
    by_peer = _outbound_bytes(case.connection_summaries).group_by(_ENDS)
    by_peer = by_peer.aggregate(
        sent=_.sent.sum().cast("int64"),
        received=_.received.sum().cast("int64"),
        connections=_.connections.sum().cast("int64"),
        opened=_.opened.sum().cast("int64"),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
    )
    hosts = by_peer.group_by("host").aggregate(all=_.sent.sum().cast("int64"))
    senders = by_peer.filter(by_peer.sent >= least / 10).group_by("peer")
    senders = senders.aggregate(senders=_.host.nunique()).filter(_.senders <= shared_by)
    large = _large_transfers(by_peer, least, one_way)
    large = large.join(hosts, "host").semi_join(senders, "peer")
    candidates = large.group_by("host").aggregate(candidates=_.sent.sum().cast("int64"))
    large = large.join(candidates, "host")
    # At most, nothing that the host sent to candidates belongs to its baseline: see below.
    possible = large.filter(large.sent * days >= factor * (large["all"] - large.candidates))
    rows = to_frame(possible.order_by(_ENDS).to_pyarrow())
    if rows.empty:
        return []
    keys = ibis.memtable(rows[_ENDS].astype("object").to_dict("list"))
    transfers = transfers.semi_join(keys, _ENDS)
    slot = epoch_seconds(transfers.first_seen) // 600 * 600
    slots = transfers.group_by(*_ENDS, slot=slot).aggregate(sent=_.sent.sum().cast("int64"))
    ports = transfers.filter(_.sent > 0).group_by(*_ENDS, "service_port", "protocol").aggregate()
    slots_by_pair = dict(list(to_frame(slots.order_by(*_ENDS, "slot").to_pyarrow()).groupby(_ENDS)))
    services = dict(list(to_frame(ports.to_pyarrow()).groupby(_ENDS)))
    usual = [
        is_scheduled(pair_slots := slots_by_pair[ends], begin.timestamp(), days)
        or is_steady(pair_slots, days)
        or is_occasional(pair_slots, min(attachment, factor * (row["all"] - row["sent"]) / days))
        for row in rows.to_dict("records")
        for ends in [(row["host"], row["peer"])]
    ]
    rows = rows[~np.array(usual)]
    if days < _BASELINE_DAYS:
        common = _transfers_to_common(by_peer, least, one_way, shared_by)
        rows = rows[~is_in_backup_window(rows, common)]
    # Two thefts from one host do not belong to each other's baseline.
    unusual = rows.groupby("host")["sent"].transform("sum")
    rows = rows.assign(baseline=(rows["all"] - unusual) / days)
    rows = rows[rows["sent"] >= factor * rows["baseline"]]
    matches = match_peers(case, rows["peer"])
    matched = set(matches[["subject", "peer"]].itertuples(index=False, name=None))
    return [
        _finding(row, services[ends], days, ends in matched, high_factor)
        for row in rows.to_dict("records")
        for ends in [(row["host"], row["peer"])]
    ]


def is_occasional(slots: pd.DataFrame, attachment: float) -> bool:
    """Return whether the bytes are those of a few files.

    They are when they were sent in less than ten slots of ten minutes, and less than ``attachment``
    bytes without a pause of half an hour. ``slots``: epoch seconds (slot), in order, and bytes
    (sent).
    """
    transfer = (slots["slot"].diff().fillna(0) > _PAUSE).cumsum()
    return bool(len(slots) < 10 and slots.groupby(transfer)["sent"].sum().max() < attachment)


def is_in_backup_window(rows: pd.DataFrame, common: pd.DataFrame) -> np.ndarray:
    """Return which transfers are similar to those of three other hosts to a common destination.

    Similar transfers begin within half an hour of it, send at least as much and last at least half
    as long. ``rows`` and ``common``: host, peer, sent (bytes), first_seen, last_seen.
    """
    is_backup = []
    for row in rows.itertuples():
        others = common[(common["host"] != row.host) & (common["peer"] != row.peer)]
        others = others[(others["first_seen"] - row.first_seen).abs() <= _BACKUP_WINDOW]
        durations = others["last_seen"] - others["first_seen"]
        is_long = durations * 2 >= row.last_seen - row.first_seen
        similar = others[(others["sent"] >= row.sent) & is_long]
        is_backup.append(bool((similar.groupby("peer")["host"].nunique() >= _BACKUP_HOSTS).any()))
    return np.array(is_backup, bool)


def is_scheduled(slots: pd.DataFrame, begin: float, days: float) -> bool:
    """Return whether similar amounts are sent each day of the logs at the same hour.

    ``slots``: epoch seconds (slot) and bytes (sent). ``begin``: start of the logs, epoch seconds. A
    day begins in the quietest half of the clock, so that no transfer is split at midnight. False
    for less than two days.
    """
    hours = np.bincount(slots["slot"] % _DAY // 3_600, slots["sent"].astype(float), minlength=24)
    half_days = [hours.take(range(h, h + 12), mode="wrap").sum() for h in range(24)]
    day_start = int(np.argmin(half_days)) + 6  # the middle of the quietest half of the clock
    shifted = slots["slot"] - day_start * 3_600
    daily = (
        slots.assign(weighted=(shifted % _DAY).astype(float) * slots["sent"], day=shifted // _DAY)
        .groupby("day")[["sent", "weighted"]]
        .sum()
    )
    daily = daily[daily["sent"] >= 0.02 * slots["sent"].sum()]
    if len(daily) < 2 or len(daily) < days - 1.1:
        return False
    mean_time = daily["weighted"] / daily["sent"]  # seconds since the start of the day
    spread = np.average(
        np.abs((shifted % _DAY) - np.average(shifted % _DAY, weights=slots["sent"])),
        weights=slots["sent"],
    )
    is_similar = daily["sent"].max() <= 2 * daily["sent"].min()
    is_early = slots["slot"].min() - begin < 1.1 * _DAY
    same_hour = mean_time.max() - mean_time.min() <= 3_600 and spread <= 3_600
    return bool(same_hour and is_similar and is_early)


def is_steady(slots: pd.DataFrame, days: float) -> bool:
    """Return whether bytes are sent in three quarters of all hours, without a burst."""
    hourly = slots.groupby(slots["slot"] // 3_600)["sent"].sum()
    return bool(len(hourly) >= 18 * days and hourly.max() <= 5 * hourly.median())


def _large_transfers(by_peer: ibis.Table, least: float, one_way: float) -> ibis.Table:
    """Return the pairs of host and peer with at least so many bytes and such a ratio."""
    total, difference = by_peer.sent + by_peer.received, by_peer.sent - by_peer.received
    return by_peer.filter(by_peer.sent >= least, difference >= one_way * total)


def _transfers_to_common(
    by_peer: ibis.Table, least: float, one_way: float, shared_by: int
) -> pd.DataFrame:
    """Return the large transfers to destinations that several hosts send as much to."""
    large = _large_transfers(by_peer, least, one_way)
    common = large.group_by("peer").aggregate(n=_.host.nunique()).filter(_.n > shared_by)
    columns = ["host", "peer", "sent", "first_seen", "last_seen"]
    return to_frame(large.semi_join(common, "peer").select(columns).order_by(columns).to_pyarrow())


def _outbound_bytes(c: ibis.Table) -> ibis.Table:
    """Return the bytes that internal hosts sent to external peers, whoever opened the connection.

    ``c``: connection summaries, or connections with a column ``connections`` of 1.
    """
    c = c.filter(~c.intermediate)
    columns = ("first_seen", "last_seen", "service_port", "protocol", "connections")
    outbound, inbound = c.filter(c.direction == "outbound"), c.filter(c.direction == "inbound")
    return outbound.select(
        *columns, host=outbound.initiator, peer=outbound.responder, sent=outbound.bytes_out,
        received=outbound.bytes_in, opened=outbound.connections,
    ).union(inbound.select(
        *columns, host=inbound.responder, peer=inbound.initiator, sent=inbound.bytes_in,
        received=inbound.bytes_out, opened=ibis.literal(0, "int64"),
    ))  # fmt: skip


def _finding(
    row: dict[str, Any], services: pd.DataFrame, days: float, matched: bool, high_factor: float
) -> Finding:
    sent, received, baseline = row["sent"], row["received"], row["baseline"]
    times = sent / max(baseline, 1.0)
    first, last = row["first_seen"], row["last_seen"]
    labels = [
        label(int(item.service_port), None if pd.isna(item.protocol) else int(item.protocol))
        for item in services.sort_values(["service_port", "protocol"]).itertuples()
    ]
    opener = "" if row["opened"] == row["connections"] else " (some initiated by the peer)"
    if not row["opened"]:
        opener = " (initiated by the peer)"
    summary = (
        f"{row['host']} sent {format_bytes(sent)} to {row['peer']} ({', '.join(labels[:4])}) and"
        f" received {format_bytes(received)} in"
        f" {format_count(int(row['connections']), 'connection')}{opener} from"
        f" {format_period(first, last)}, {min(times, 9_999):.0f} times its daily average to all"
        f" other external addresses ({format_bytes(baseline)}, {days:.1f} days)."
    )
    if matched:
        summary += " An indicator list names the destination."
    caveats = (
        "Backups to a new destination, migrations and file transfers to partners have the same"
        " traffic pattern."
    )
    if days < 2:
        caveats += " The logs are shorter than two days: a nightly job cannot be distinguished."
    is_high = matched or (times >= high_factor and sent >= 1e9)
    is_single = services["protocol"].nunique() == 1 and services["protocol"].notna().all()
    return make_finding(
        DETECTOR,
        row["host"],
        [row["peer"]],
        Traffic(
            tuple(services["service_port"]),
            int(services["protocol"].iloc[0]) if is_single else None,
            first,
            last,
            row["connections"],
            sent,
            received,
        ),
        severity="high" if is_high else "medium",
        score=min(1.0, 0.5 + 0.25 * np.log10(max(times, 1.0))),
        summary=summary,
        caveats=caveats,
    )
