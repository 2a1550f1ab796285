"""Login brute force: which source attempts to log in again and again?

Question: which source opened many short connections of similar size to a login port?

Method: a failed login is a short exchange of nearly the same size each time, and guessing needs
many of them (SSH Compromise Detection using NetFlow: Hofstede et al., 2014: many flows with few,
near constant packets to one port). Login attempts are established TCP connections to a login port
that carried more than a probe (a handshake, a banner) and less than ``largest`` each way. A pair of
source and target counts when it made ``fewest`` attempts within an hour, hardly any other
connection in that time, and the interquartile range of the attempts' sizes is at most ``similar``
of their median.

Severity: high from an internal source. From an external source medium, since password guessing at
login ports that are open to the internet is common; high when a longer or larger session from the
same source follows, which may be a successful login.

What belongs to which detector: many short accepted connections to one login port are brute-force;
attempts at many services that failed are a scan, also at login ports; an accepted session from an
external address at an administrative port that lasts or transfers is remote-access.

False positives: deployment tools that log in for each task with similar results, monitoring that
logs in, a job with an expired password.

Limitations: not detected are attempts distributed among many sources (each is judged alone), fewer
than ``fewest`` an hour, inside one connection of the protocol, or on web forms. A rejected or
unanswered attempt belongs to the detector scan.
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
    similar: float = 0.5,
    share: float = 0.8,
) -> list[Finding]:
    """Return one finding per internal target, or internal source, and login port.

    Args:
        case: The case.
        fewest: Least login attempts in an hour.
        largest: Most bytes of an attempt, each way.
        similar: Most interquartile range of the attempts' sizes, as a share of their median.
        share: Least share of attempts among all connections of the pair in those hours.
    """
    logins = _login_connections(case.connections, largest)
    slots = logins.group_by(*_PAIR, "slot").aggregate(
        attempts=_.count(where=_.is_attempt), connections=_.count()
    )
    # An hour is six slots: a pair that never has a sixth of ``fewest`` in one cannot qualify.
    busy = slots.filter(slots.attempts * 6 >= fewest).select(_PAIR).distinct()
    hours = to_frame(slots.semi_join(busy, _PAIR).order_by(*_PAIR, "slot").to_pyarrow())
    periods = [
        dict(zip(_PAIR, key, strict=True)) | period
        for key, group in hours.groupby(_PAIR, sort=True)
        if (period := _period(group, fewest, share))
    ]
    if not periods:
        return []
    sizes = _summarize_sizes(logins, pd.DataFrame(periods))
    sizes["spread"] = sizes["range"] / (similar * sizes["median"])  # at most 1
    sizes = sizes[sizes["spread"] <= 1]
    sizes["subject"] = sizes["responder"].where(sizes["direction"] == "inbound", sizes["initiator"])
    return [
        _finding(str(subject), int(port), str(direction), group)
        for (subject, port, direction), group in sizes.groupby(
            ["subject", "service_port", "direction"], sort=True
        )
    ]


def _login_connections(connections: ibis.Table, largest: float) -> ibis.Table:
    """Return the established connections to login ports.

    Added columns: ``is_attempt``, whether the size is that of a login attempt, and ``slot``, the
    ten minutes since the epoch in which it began.
    """
    c = connections.filter(
        ~connections.intermediate, connections.protocol == 6, connections.answered
    )
    floor = ibis.cases(
        *((c.service_port == port, least) for port, least in (LOGINS | DATABASES).items())
    )
    external = (c.direction == "inbound") & c.service_port.isin(list(DATABASES))
    c = c.mutate(floor=floor).filter(
        c.service_port.isin(list(LOGINS)) | external, c.direction != "external"
    )
    is_attempt = (c.bytes_in >= c.floor) & (c.bytes_in <= largest) & (c.bytes_out <= largest)
    return c.mutate(is_attempt=is_attempt, slot=epoch_seconds(c.first_seen) // _SLOT)


def _period(slots: pd.DataFrame, fewest: int, share: float) -> dict[str, int]:
    """Return the first and last slot of the hours with ``fewest`` attempts; {} without such."""
    counts = pd.Series(slots["attempts"].to_numpy(), index=slots["slot"].to_numpy())
    whole = counts.reindex(
        range(int(counts.index.min()), int(counts.index.max()) + 7), fill_value=0
    )
    ends = whole.rolling(6).sum()
    ends = ends[ends >= fewest]
    if ends.empty:
        return {}
    # Slots without attempts at either end do not belong to the period.
    attempted = counts[(counts > 0) & (counts.index > ends.index[0] - 6)]
    attempted = attempted[attempted.index <= ends.index[-1]]
    begin, until = int(attempted.index[0]), int(attempted.index[-1])
    within = slots[slots["slot"].between(begin, until)]
    if within["attempts"].sum() < share * within["connections"].sum():
        return {}
    return {"begin": begin, "until": until}


def _summarize_sizes(logins: ibis.Table, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return a row per pair: its attempts, their sizes, and the sessions that followed them."""
    periods = ibis.memtable(pairs.astype(dict.fromkeys(_PAIR, "object")).to_dict("list"))
    periods = periods.mutate(service_port=periods.service_port.cast("int32"))
    t = logins.join(periods, _PAIR)
    counted = t.is_attempt & t.slot.between(t.begin, t.until)
    seconds = epoch_seconds(t["last_seen"]) - epoch_seconds(t.first_seen)
    # A session after the first attempts that is larger or longer than an attempt can be.
    is_session = (t.slot >= t.begin) & ((t.bytes_in > 20_000) | (seconds >= 2 * _SLOT))
    is_session &= ~t.is_attempt
    return to_frame(
        t.group_by(_PAIR)
        .aggregate(
            attempts=_.count(where=counted),
            median=_.bytes_in.quantile(0.5, where=counted),
            range=_.bytes_in.quantile(0.75, where=counted)
            - _.bytes_in.quantile(0.25, where=counted),
            bytes_out=_.bytes_out.sum(where=counted).cast("int64"),
            bytes_in=_.bytes_in.sum(where=counted).cast("int64"),
            first_seen=_.first_seen.min(where=counted),
            last_seen=_.last_seen.max(where=counted),
            sessions=_.count(where=is_session),
            session_at=_.first_seen.max(where=is_session),
        )
        .order_by(_PAIR)
        .to_pyarrow()
    )


def _finding(subject: str, port: int, direction: str, rows: pd.DataFrame) -> Finding:
    inbound = direction == "inbound"
    peers = rows["initiator" if inbound else "responder"]
    attempts, sessions = int(rows["attempts"].sum()), int(rows["sessions"].sum())
    first, last = rows["first_seen"].min(), rows["last_seen"].max()
    seconds = max((last - first).total_seconds(), 1.0)
    peer_names = list_some(sorted(peers))
    source, target = (peer_names, subject) if inbound else (subject, peer_names)
    summary = (
        f"{source} opened {format_count(attempts, 'short connection')} to {target} on"
        f" {label(port, 6)} from {format_period(first, last)} ({attempts / seconds * 60:.1f} per"
        " minute), consistent with login attempts. Half of the answers are within"
        f" {format_bytes(float(rows['range'].max()))} around"
        f" {format_bytes(float(rows['median'].median()))}."
    )
    if sessions:
        summary += (
            f" {format_count(sessions, 'longer or larger session')} followed, the last at"
            f" {format_utc(rows['session_at'].max())}: a login may have succeeded."
        )
    caveats = (
        "A tool that logs in for each task, or a job with an expired password, can have the same"
        " traffic pattern."
    )
    if inbound and not sessions:
        caveats += (
            " Password guessing at login ports that are open to the internet is common; no longer"
            " or larger session from the source followed."
        )
    sent, received = int(rows["bytes_out"].sum()), int(rows["bytes_in"].sum())
    volume = (received, sent) if inbound else (sent, received)
    return make_finding(
        DETECTOR,
        subject,
        peers,
        Traffic((port,), 6, first, last, attempts, *volume),
        severity="medium" if inbound and not sessions else "high",
        score=min(1.0, 0.6 + attempts / 1_000),
        scores={
            "attempts": min(1.0, attempts / 400),
            "similarity": 1 - float(rows["spread"].max()),
            "session": float(sessions > 0),
        },
        summary=summary,
        caveats=caveats,
    )
