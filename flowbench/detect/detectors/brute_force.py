"""Brute force: who tries to log in again and again?

Question: which source opened connection after connection to a login port, short and all alike?

Method: a login that fails is a short exchange of nearly the same size each time, and guessing needs
many (SSH Compromise Detection using NetFlow: Hofstede et al., 2014: many flows with few, near
constant packets to one port). Attempts are answered TCP connections to a login port that moved more
than a probe (a handshake, a banner) and less than ``largest`` each way. A pair counts when it made
``fewest`` attempts within an hour, hardly anything else in that time, and the middle half of the
attempts' sizes lies within ``alike`` of their median.

Severity: high from inside; from outside medium, for every open login port gets this; high when a
longer or larger session from the same source follows, which may be the guess that was right.

Fires falsely: deployment tools that log in for each task with like results, monitoring that logs
in, a job with an expired password. Cannot see: guessing shared out among many sources (each is
judged alone), slower than ``fewest`` an hour, inside a protocol's one connection, or on web forms;
a refused attempt is a scan's matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.logins import DATABASES, LOGINS
from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_period, format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_SLOT = 600  # seconds
_PAIR = ["initiator", "responder", "service_port", "direction"]


DETECTOR = Detector(
    id="brute-force",
    title="Login brute force",
    question="Which source opened many short, similar connections to a login port?",
    technique="T1110.001",
    needs=frozenset(
        {"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "bytes", "start", "end"}
    ),
)


def find(
    case: Case,
    *,
    fewest: int = 30,
    largest: float = 10_000,
    alike: float = 0.5,
    share: float = 0.8,
) -> list[Finding]:
    """One finding per inside address (or outside target of one) and login port.

    ``fewest``: attempts in an hour. ``largest``: bytes of an attempt each way. ``alike``: the
    middle half's width, as a share of the median. ``share``: of all connections of the pair in
    those hours, the least that are attempts.
    """
    tries = _tries(case.connections, largest)
    slots = tries.group_by(*_PAIR, "slot").aggregate(tries=_.count(where=_.attempt), all=_.count())
    # An hour is six slots: a pair that never has a sixth of ``fewest`` in one cannot qualify.
    busy = slots.filter(slots.tries * 6 >= fewest).select(_PAIR).distinct()
    hours = to_frame(slots.semi_join(busy, _PAIR).order_by(*_PAIR, "slot").to_pyarrow())
    found = [
        dict(zip(_PAIR, key, strict=True)) | period
        for key, group in hours.groupby(_PAIR, sort=True)
        if (period := _period(group, fewest, share))
    ]
    if not found:
        return []
    pairs = pd.DataFrame(found)
    sizes = _sizes(tries, pairs)
    sizes = sizes[sizes["width"] <= alike * sizes["middle"]]
    sizes["subject"] = sizes["responder"].where(sizes["direction"] == "inbound", sizes["initiator"])
    return [
        _finding(str(subject), int(port), str(direction), group)
        for (subject, port, direction), group in sizes.groupby(
            ["subject", "service_port", "direction"], sort=True
        )
    ]


def _tries(connections: ibis.Table, largest: float) -> ibis.Table:
    """Answered connections to login ports; whether each is an attempt, and its ten minutes."""
    c = connections.filter(
        ~connections.intermediate, connections.protocol == 6, connections.answered
    )
    floor = ibis.cases(
        *((c.service_port == port, least) for port, least in (LOGINS | DATABASES).items())
    )
    outside = (c.direction == "inbound") & c.service_port.isin(list(DATABASES))
    c = c.mutate(floor=floor).filter(
        c.service_port.isin(list(LOGINS)) | outside, c.direction != "external"
    )
    attempt = (c.bytes_in >= c.floor) & (c.bytes_in <= largest) & (c.bytes_out <= largest)
    return c.mutate(attempt=attempt, slot=epoch_seconds(c.first_seen) // _SLOT)


def _period(slots: pd.DataFrame, fewest: int, share: float) -> dict[str, int]:
    """First and last slot of the hours with ``fewest`` attempts each; {} if there are none."""
    counts = pd.Series(slots["tries"].to_numpy(), index=slots["slot"].to_numpy())
    whole = counts.reindex(
        range(int(counts.index.min()), int(counts.index.max()) + 7), fill_value=0
    )
    ends = whole.rolling(6).sum()
    ends = ends[ends >= fewest]
    if ends.empty:
        return {}
    # A slot without attempts at either end is none of it.
    tried = counts[(counts > 0) & (counts.index > ends.index[0] - 6)]
    tried = tried[tried.index <= ends.index[-1]]
    begin, until = int(tried.index[0]), int(tried.index[-1])
    inside = slots[slots["slot"].between(begin, until)]
    if inside["tries"].sum() < share * inside["all"].sum():
        return {}
    return {"begin": begin, "until": until}


def _sizes(tries: ibis.Table, pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per pair: its attempts, their sizes, and the grandest session that came after some."""
    periods = ibis.memtable(pairs.astype(dict.fromkeys(_PAIR, "object")).to_dict("list"))
    periods = periods.mutate(service_port=periods.service_port.cast("int32"))
    t = tries.join(periods, _PAIR)
    mine = t.attempt & t.slot.between(t.begin, t.until)
    lasted = epoch_seconds(t["last_seen"]) - epoch_seconds(t.first_seen)
    # What came through: after the first attempts, and more than an attempt could be.
    grand = ~t.attempt & (t.slot >= t.begin) & ((t.bytes_in > 20_000) | (lasted >= 2 * _SLOT))
    return to_frame(
        t.group_by(_PAIR)
        .aggregate(
            attempts=_.count(where=mine),
            middle=_.bytes_in.quantile(0.5, where=mine),
            width=_.bytes_in.quantile(0.75, where=mine) - _.bytes_in.quantile(0.25, where=mine),
            bytes_out=_.bytes_out.sum(where=mine).cast("int64"),
            bytes_in=_.bytes_in.sum(where=mine).cast("int64"),
            first_seen=_.first_seen.min(where=mine),
            last_seen=_.last_seen.max(where=mine),
            sessions=_.count(where=grand),
            session_at=_.first_seen.max(where=grand),
        )
        .order_by(_PAIR)
        .to_pyarrow()
    )


def _finding(subject: str, port: int, direction: str, rows: pd.DataFrame) -> Finding:
    inbound = direction == "inbound"
    peers = rows["initiator" if inbound else "responder"]
    attempts, sessions = int(rows["attempts"].sum()), int(rows["sessions"].sum())
    first, last = rows["first_seen"].min(), rows["last_seen"].max()
    lasted = max((last - first).total_seconds(), 1.0)
    named = list_some(sorted(peers))
    source, target = (named, subject) if inbound else (subject, named)
    summary = (
        f"{source} made {format_count(attempts, 'login attempt')} on {label(port, 6)} of {target}"
        f" from {format_period(first, last)} ({attempts / lasted * 60:.1f} a minute), of similar"
        f" size: half of the answers within {format_bytes(float(rows['width'].max()))} around"
        f" {format_bytes(float(rows['middle'].median()))}."
    )
    if sessions:
        summary += (
            f" {format_count(sessions, 'longer or larger session')} followed, the last at"
            f" {format_utc(rows['session_at'].max())}: a login may have succeeded."
        )
    caveats = (
        "A tool that logs in for each task, or a job with an expired password, looks the same."
    )
    if inbound and not sessions:
        caveats += " Every login port that is open to the internet gets attempts all day."
    sent, received = int(rows["bytes_out"].sum()), int(rows["bytes_in"].sum())
    volume = (received, sent) if inbound else (sent, received)
    return make_finding(
        DETECTOR,
        subject,
        peers,
        Traffic((port,), 6, first, last, attempts, *volume),
        severity="medium" if inbound and not sessions else "high",
        score=min(1.0, 0.6 + attempts / 1_000),
        summary=summary,
        caveats=caveats,
    )
