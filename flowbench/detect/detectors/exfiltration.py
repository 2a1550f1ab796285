"""Exfiltration: where did far more go out than a host's days are used to?

Question: which inside host sent one outside address many times what it sends to all others on a
usual day?

Method: volume against the host's own habit. Bytes that left are counted whoever opened the
connection (a thief may fetch as well as send). A destination is a candidate when it got ``factor``
times what the host sent everybody else on an average day of these logs, at least ``least`` bytes,
and nearly all of the exchange (the producer-consumer ratio (out - in)/(out + in), Bullard and
Gerth, is ``one_way`` or more), and when no more than ``shared_by`` hosts send it such amounts. The
others' bytes are the habit (without what goes to other such destinations), and not the days before,
so that a theft spread over all the days of the logs is seen too.

Left out is what is a habit itself: what comes each day at the same hour in like amounts from the
first day on (a backup, an export), what flows hour by hour all the time (logs, metrics), and a few
files now and then, each of the size of an attachment (``lump``). Logs of less than two days show no
habit; there a transfer is taken for a backup when it runs in the estate's backup window: at an hour
at which three other hosts at least feed a place that is common to them, with as much each.

Severity: medium; high for a listed destination, or from ``grave`` times a usual day and 1 GB on.

Fires falsely: the first backup to a new place, or a lone one in logs of one day; a migration; one
large file sent to a partner by a host that is quiet otherwise. Cannot see: less than ``factor``
usual days, a few pieces of the size of an attachment, a theft shared out over many addresses or
many hosts, one on the clock since before the logs begin, one that hides in a service that several
hosts feed, and in logs of one day one that keeps to the hour and the size of the others' backups.
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
_SILENCE = 1_800  # seconds
_TELLING = 2  # days of logs in which a habit can show
_WINDOW = pd.Timedelta(minutes=30)
_TOGETHER = 3  # hosts that make a backup window


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
    lump: float = 20e6,
    grave: float = 10,
) -> list[Finding]:
    """One finding per inside host and outside address.

    ``factor`` and ``grave``: usual days. ``least``: bytes. ``one_way``: least producer-consumer
    ratio, -1 to 1. ``shared_by``: the most hosts that send a tenth of ``least`` to a destination
    that is nobody's common one. ``lump``: bytes; what goes out a few times, and less of it in any
    hour, is a person's files, not a theft (the usual limit of an attachment is 20 to 25 MB).
    """
    begin, end = case.span
    if begin is None or end is None:
        return []
    days = max(1.0, (end - begin).total_seconds() / _DAY)
    left = _left(case.connections.mutate(connections=ibis.literal(1, "int64")))
    by_peer = _left(case.connection_summaries).group_by(_ENDS)
    by_peer = by_peer.aggregate(
        sent=_.sent.sum().cast("int64"),
        got=_.got.sum().cast("int64"),
        connections=_.connections.sum().cast("int64"),
        opened=_.opened.sum().cast("int64"),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
    )
    hosts = by_peer.group_by("host").aggregate(all=_.sent.sum().cast("int64"))
    senders = by_peer.filter(by_peer.sent >= least / 10).group_by("peer")
    senders = senders.aggregate(senders=_.host.nunique()).filter(_.senders <= shared_by)
    much = by_peer.filter(
        by_peer.sent >= least, by_peer.sent - by_peer.got >= one_way * (by_peer.sent + by_peer.got)
    )
    much = much.join(hosts, "host").semi_join(senders, "peer")
    own = much.group_by("host").aggregate(aside=_.sent.sum().cast("int64"))
    much = much.join(own, "host")
    # At best, all that the host sent to places of its own alone is no habit: see below.
    able = much.filter(much.sent * days >= factor * (much["all"] - much.aside))
    rows = to_frame(able.order_by(_ENDS).to_pyarrow())
    if rows.empty:
        return []
    keys = ibis.memtable(rows[_ENDS].astype("object").to_dict("list"))
    parts = left.semi_join(keys, _ENDS)
    slot = epoch_seconds(parts.first_seen) // 600 * 600
    slots = parts.group_by(*_ENDS, slot=slot).aggregate(sent=_.sent.sum().cast("int64"))
    ports = parts.filter(parts.sent > 0).group_by(*_ENDS, "service_port", "protocol").aggregate()
    times = dict(list(to_frame(slots.order_by(*_ENDS, "slot").to_pyarrow()).groupby(_ENDS)))
    doors = dict(list(to_frame(ports.to_pyarrow()).groupby(_ENDS)))
    habit = [
        scheduled(mine := times[ends], begin.timestamp(), days)
        or steady(mine, days)
        or now_and_then(mine, min(lump, factor * (row["all"] - row["sent"]) / days))
        for row in rows.to_dict("records")
        for ends in [(row["host"], row["peer"])]
    ]
    rows = rows[~np.array(habit)]
    if days < _TELLING:
        rows = rows[~in_backup_window(rows, _fed_together(by_peer, least, one_way, shared_by))]
    # Two thefts from one host are not each other's habit.
    odd = rows.groupby("host")["sent"].transform("sum")
    rows = rows.assign(usual=(rows["all"] - odd) / days)
    rows = rows[rows["sent"] >= factor * rows["usual"]]
    lists = match_peers(case, rows["peer"])
    bad = set(lists[["subject", "peer"]].itertuples(index=False, name=None))
    return [
        _finding(row, doors[ends], days, ends in bad, grave)
        for row in rows.to_dict("records")
        for ends in [(row["host"], row["peer"])]
    ]


def now_and_then(slots: pd.DataFrame, lump: float) -> bool:
    """Whether bytes are those of a few files: under ten times ten minutes, no sitting of ``lump``.

    A sitting ends with half an hour of silence. ``slots``: epoch seconds (slot) in order and bytes
    (sent).
    """
    sitting = (slots["slot"].diff().fillna(0) > _SILENCE).cumsum()
    return bool(len(slots) < 10 and slots.groupby(sitting)["sent"].sum().max() < lump)


def in_backup_window(rows: pd.DataFrame, fed: pd.DataFrame) -> np.ndarray:
    """Which transfers are like those of three other hosts, or more, to a place common to them.

    Like: begun within half an hour of them, no more bytes, and not over twice as long. ``rows``
    and ``fed``: host, peer, sent (bytes), first_seen, last_seen.
    """
    found = []
    for row in rows.itertuples():
        others = fed[(fed["host"] != row.host) & (fed["peer"] != row.peer)]
        near = others[(others["first_seen"] - row.first_seen).abs() <= _WINDOW]
        length = row.last_seen - row.first_seen
        lasted = near["last_seen"] - near["first_seen"]
        near = near[(near["sent"] >= row.sent) & (lasted * 2 >= length)]
        found.append(bool((near.groupby("peer")["host"].nunique() >= _TOGETHER).any()))
    return np.array(found, bool)


def scheduled(slots: pd.DataFrame, begin: float, days: float) -> bool:
    """Whether bytes come by the clock: each day of the logs, at one hour, in like amounts.

    ``slots``: epoch seconds (slot) and bytes (sent). ``begin``: the logs' first moment. A day is
    counted from the quietest hour, so that midnight parts nothing. Needs two days at least.
    """
    hours = np.bincount(slots["slot"] % _DAY // 3_600, slots["sent"].astype(float), minlength=24)
    quiet = [hours.take(range(h, h + 12), mode="wrap").sum() for h in range(24)]
    turn = int(np.argmin(quiet)) + 6  # the middle of the emptiest half of the clock
    moment = slots["slot"] - turn * 3_600
    daily = (
        slots.assign(weighed=(moment % _DAY).astype(float) * slots["sent"], day=moment // _DAY)
        .groupby("day")[["sent", "weighed"]]
        .sum()
    )
    daily = daily[daily["sent"] >= 0.02 * slots["sent"].sum()]
    if len(daily) < 2 or len(daily) < days - 1.1:
        return False
    at = daily["weighed"] / daily["sent"]
    spread = np.average(
        np.abs((moment % _DAY) - np.average(moment % _DAY, weights=slots["sent"])),
        weights=slots["sent"],
    )
    alike = daily["sent"].max() <= 2 * daily["sent"].min()
    early = slots["slot"].min() - begin < 1.1 * _DAY
    return bool(at.max() - at.min() <= 3_600 and spread <= 3_600 and alike and early)


def steady(slots: pd.DataFrame, days: float) -> bool:
    """Whether bytes flow hour by hour: in three quarters of all hours, and never in one lump."""
    hourly = slots.groupby(slots["slot"] // 3_600)["sent"].sum()
    return bool(len(hourly) >= 18 * days and hourly.max() <= 5 * hourly.median())


def _fed_together(
    by_peer: ibis.Table, least: float, one_way: float, shared_by: int
) -> pd.DataFrame:
    """What hosts sent, much and one way, to places that several of them feed."""
    much = by_peer.filter(
        by_peer.sent >= least, by_peer.sent - by_peer.got >= one_way * (by_peer.sent + by_peer.got)
    )
    common = much.group_by("peer").aggregate(n=_.host.nunique()).filter(_.n > shared_by)
    columns = ["host", "peer", "sent", "first_seen", "last_seen"]
    return to_frame(much.semi_join(common, "peer").select(columns).order_by(columns).to_pyarrow())


def _left(c: ibis.Table) -> ibis.Table:
    """What left for whom, by connection (with ``connections`` as 1) or pair, whoever opened it."""
    c = c.filter(~c.intermediate)
    both = ("first_seen", "last_seen", "service_port", "protocol", "connections")
    out, inn = c.filter(c.direction == "outbound"), c.filter(c.direction == "inbound")
    sent = out.select(
        *both, host=out.initiator, peer=out.responder, sent=out.bytes_out, got=out.bytes_in,
        opened=out.connections,
    )  # fmt: skip
    fetched = inn.select(
        *both, host=inn.responder, peer=inn.initiator, sent=inn.bytes_in, got=inn.bytes_out,
        opened=ibis.literal(0, "int64"),
    )  # fmt: skip
    return sent.union(fetched)


def _finding(
    row: dict[str, Any], doors: pd.DataFrame, days: float, bad: bool, grave: float
) -> Finding:
    sent, got, usual = row["sent"], row["got"], row["usual"]
    times = sent / max(usual, 1.0)
    first, last = row["first_seen"], row["last_seen"]
    shown = [
        label(int(door.service_port), None if pd.isna(door.protocol) else int(door.protocol))
        for door in doors.sort_values(["service_port", "protocol"]).itertuples()
    ]
    opener = "that it opened" if row["opened"] == row["connections"] else "opened by either"
    if not row["opened"]:
        opener = "that the peer opened"
    why = (
        f"{row['host']} sent {format_bytes(sent)} to {row['peer']} ({', '.join(shown[:4])}) and"
        f" received {format_bytes(got)} in {format_count(int(row['connections']), 'connection')}"
        f" {opener}, from {format_period(first, last)}: {min(times, 9_999):.0f} times what it sends"
        f" all other peers in a day ({format_bytes(usual)}, average of {days:.1f} days)."
    )
    if bad:
        why += " An indicator list names the destination."
    caveats = "Backups to a new place, migrations and large files for partners look the same."
    if days < 2:
        caveats += " The logs are shorter than two days: a nightly job cannot be distinguished."
    high = bad or (times >= grave and sent >= 1e9)
    one = doors["protocol"].nunique() == 1 and doors["protocol"].notna().all()
    return make_finding(
        DETECTOR,
        row["host"],
        [row["peer"]],
        Traffic(
            tuple(doors["service_port"]),
            int(doors["protocol"].iloc[0]) if one else None,
            first,
            last,
            row["connections"],
            sent,
            got,
        ),
        severity="high" if high else "medium",
        score=min(1.0, 0.5 + 0.25 * np.log10(max(times, 1.0))),
        summary=why,
        caveats=caveats,
    )
