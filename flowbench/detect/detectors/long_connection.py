"""Long-lived connection: which hosts keep one session with an external address open for hours?

Question: does an internal host keep a connection open far longer than its function explains?

Method: the duration of each connection, as Zeek's conn.log and RITA's long connections list it.
Flow logs have no connections: records of the same ends and ports with less than ten minutes between
them are one (flowbench.connections). A session counts from ``hours`` on when both ends sent data.

Most long sessions are benign. Left out are:

* Peers in a known cloud's ranges, or that the logs name as an AWS service (agents, SSM, queues).
* Networks (a /24, or a /48 of IPv6) with which more than ``few`` internal hosts keep such sessions:
  an office's VPN, a vendor's broker, which may have an address for each.
* Ports on which sessions stay open by design while they carry next to nothing (mail, MQTT, XMPP,
  push services, VPN, NTP).
* What begins once a day within one hour of the clock from the first day on (a backup, a batch job).
* Web ports say nothing about a session: chats, streams, calls and notifications are kept open
  there, and so are tunnels. On these, three kinds are left out. What the internal end consumes,
  receiving three times what it sends (``traffic.is_consumer``), for up to ``working`` hours, or for
  any duration from 1 MB an hour on: the internal end of a tunnel or of a reverse shell answers, and
  sends as much or more. What a host from which people browse (``traffic.browsing_hosts``) keeps
  open for up to ``working`` hours, unless it uploads. And what is open for three quarters of the
  host's observed lifetime at less than 1 MB an hour: a device's connection to its maker. An idle
  session that is open all night is reported.

A session on two ephemeral ports may have been opened by either end where the logs have no TCP
flags: it is attributed to the internal one, with a caveat. A session that is open when the logs
begin or end is longer than reported, which the finding states.

Severity: low; medium where more was sent than received, at 1 MB an hour or more, as a tunnel does,
or from ten sessions with the same peer on; high with an indicator match.

False positives: a database or broker elsewhere, a partner's file transfer, a game, a shell that was
left open.

Limitations: not detected are a channel on a web port in working hours that receives more than it
sends (an idle implant that downloaded its tools, an employee's private VPN), or that is idle on a
host with people; one on a web port that is there as long as the host; a rented machine in a
known cloud; a session from before the logs begin that is opened again each day at one hour;
sessions that are cut and opened again (see beacon) or pause for longer than ten minutes. Two
sessions on one reused source port within that time are taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ibis import _

from flowbench.connections import EPHEMERAL
from flowbench.detect.baseline import host_lifetimes
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import has_match
from flowbench.detect.traffic import WEB, browsing_hosts, is_cloud_address, is_consumer
from flowbench.engine import epoch_seconds
from flowbench.enrich.ownership import SITE, neighbourhood_key
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_duration, format_period

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

DETECTOR = Detector(
    id="long-connection",
    title="Long-lived connection",
    question="Which hosts keep a session with an external address open for hours?",
    technique="T1572",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "start", "end"}),
)

_HOUR, _DAY = 3_600, 86_400
_LITTLE = 1e6  # bytes an hour
_MANY = 10  # sessions with one peer
_ALWAYS = 0.75  # of a host's observed lifetime
_EDGE = pd.Timedelta(minutes=20)
# NTP, IMAP (IDLE), IKE (also through NAT), OpenVPN, MQTT, XMPP, Apple's and Google's push
# services, WireGuard
_STAY_OPEN = {123, 143, 500, 993, 1194, 1883, 4500, 5222, 5223, 5228, 5229, 5230, 8883, 51820}
_KEYS = ["host", "peer", "service_port", "protocol"]


def find(case: Case, *, hours: float = 4, working: float = 12, few: int = 2) -> list[Finding]:
    """Return one finding per internal host, external address and port.

    Args:
        case: The case.
        hours: Least duration of a session.
        working: Hours that people keep a session open at most.
        few: Most internal hosts that keep such sessions with one network.
    """
    sessions = _sessions(case.connections)
    long = sessions.filter(sessions.duration >= hours * _HOUR).group_by(_KEYS)
    sums = long.aggregate(
        longest=_.duration.max(),
        total=_.duration.sum().cast("int64"),
        connections=_.count(),
        bytes_out=_.bytes_out.sum().cast("int64"),
        bytes_in=_.bytes_in.sum().cast("int64"),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        ambiguous=_.ambiguous.any(),
        starts=epoch_seconds(_.first_seen).collect(),
    )
    sums = sums.mutate(network=neighbourhood_key(sums.peer, SITE))
    rows = to_frame(sums.order_by(_KEYS).to_pyarrow())
    if rows.empty:
        return []
    rows["matched"] = has_match(case, rows["host"], rows["peer"])
    hosts = rows.groupby("network")["host"].transform("nunique")
    begin, end = case.span
    assert begin is not None
    assert end is not None
    hourly = (rows["bytes_out"] + rows["bytes_in"]) / rows["total"] * _HOUR
    idle = rows["service_port"].isin(_STAY_OPEN) & (hourly < _LITTLE)
    ordinary = rows["service_port"].isin(WEB) & _is_ordinary(case, rows, hourly, working, end)
    rows = rows[(hosts <= few) & ~idle & (~ordinary | rows["matched"])]
    rows = rows[~is_cloud_address(case, rows["peer"])]
    return [
        _finding(row, begin, end)
        for _index, row in rows.iterrows()
        if not is_daily(sorted(row["starts"]), begin.timestamp(), end.timestamp())
    ]


def _is_ordinary(
    case: Case, rows: pd.DataFrame, hourly: pd.Series, working: float, end: pd.Timestamp
) -> pd.Series:
    """Return which sessions on web ports people, streams and the host's own function explain."""
    is_day = rows["longest"] <= working * _HOUR
    consumes = is_consumer(rows["bytes_out"], rows["bytes_in"]) & (is_day | (hourly >= _LITTLE))
    people = to_frame(browsing_hosts(case, end).to_pyarrow())["host"]
    browses = rows["host"].isin(people) & is_day & ~_is_upload(rows)
    lifetimes = to_frame(host_lifetimes(case).to_pyarrow()).set_index("host")
    life = rows["host"].map(lifetimes["gone"] - lifetimes["born"]).dt.total_seconds()
    lasted = (rows["last_seen"] - rows["first_seen"]).dt.total_seconds()
    always = (hourly < _LITTLE) & (np.minimum(rows["total"], lasted) >= _ALWAYS * life)
    return consumes | browses | always


def _is_upload(rows: Any) -> Any:
    """Whether more was sent than received, and at 1 MB an hour or more."""
    sent = rows["bytes_out"]
    return (sent > rows["bytes_in"]) & (sent / rows["total"] * _HOUR >= _LITTLE)


def _sessions(c: ibis.Table) -> ibis.Table:
    """Return the connections of internal hosts with external ones in which both ends sent data."""
    c = c.filter(~c.intermediate, c.answered, c.bytes_out > 0, c.bytes_in > 0)
    c = c.mutate(
        duration=epoch_seconds(c.last_seen) - epoch_seconds(c.first_seen),
        ambiguous=(c.initiator_rule == "higher-port")
        & (c.initiator_port >= EPHEMERAL)
        & (c.service_port >= EPHEMERAL),
    )
    columns = ("protocol", "first_seen", "last_seen", "duration", "ambiguous")
    outbound = c.filter(c.direction == "outbound")
    reversed_ = c.filter(c.direction == "inbound", c.ambiguous)
    return outbound.select(
        *columns, "service_port", "bytes_out", "bytes_in", host="initiator", peer="responder"
    ).union(
        reversed_.select(
            *columns,
            service_port="initiator_port",
            bytes_out="bytes_in",
            bytes_in="bytes_out",
            host="responder",
            peer="initiator",
        )
    )


def is_daily(starts: Sequence[float], begin: float, end: float) -> bool:
    """Whether sessions start once a day, within an hour of the clock, from the first day on.

    Args:
        starts: When the sessions start, ascending, in epoch seconds.
        begin: When the logs begin, in epoch seconds.
        end: When they end. Logs of less than two days show no daily session.
    """
    days = (end - begin) / _DAY
    gaps = [(later - earlier) / _DAY for earlier, later in pairwise(starts)]
    return (
        bool(gaps)
        and starts[0] - begin < 1.1 * _DAY
        and len(starts) >= days - 1.1
        and all(gap > 0.5 and abs(gap - round(gap)) * _DAY <= _HOUR for gap in gaps)
    )


def _finding(row: pd.Series, begin: pd.Timestamp, end: pd.Timestamp) -> Finding:
    matched, count = bool(row["matched"]), int(row["connections"])
    protocol = None if pd.isna(row["protocol"]) else int(row["protocol"])
    sent, received, longest = int(row["bytes_out"]), int(row["bytes_in"]), float(row["longest"])
    hourly = sent / row["total"] * _HOUR
    uploads = bool(_is_upload(row))
    duration = format_duration(longest)
    length = f"the longest {duration}" if count > 1 else f"{duration} long"
    summary = (
        f"{row['host']} had {format_count(count, 'connection')} to {row['peer']} on"
        f" {label(int(row['service_port']), protocol)} from"
        f" {format_period(row['first_seen'], row['last_seen'])}, {length}, sending"
        f" {format_bytes(sent)}"
        f" ({format_bytes(hourly)} an hour) and receiving {format_bytes(received)}."
    )
    if matched:
        summary += " The peer is on an indicator list."
    if row["first_seen"] - begin < _EDGE or end - row["last_seen"] < _EDGE:
        summary += (
            " A connection extends to the start or end of the logs; its duration is a minimum."
        )
    caveats = (
        "Message brokers, file synchronization, VoIP calls and idle SSH sessions can stay open"
        " equally long. Two connections that reuse a source port within ten minutes are counted as"
        " one."
    )
    if row["ambiguous"]:
        caveats += " Both ports are ephemeral and the logs have no TCP flags: either end may have"
        caveats += " opened the connection."
    return make_finding(
        DETECTOR,
        row["host"],
        [row["peer"]],
        Traffic(
            (int(row["service_port"]),),
            protocol,
            row["first_seen"],
            row["last_seen"],
            count,
            sent,
            received,
        ),
        severity="high" if matched else "medium" if uploads or count >= _MANY else "low",
        score=min(1.0, 0.3 + 0.2 * longest / _DAY + 0.2 * uploads + 0.2 * matched),
        scores={
            "duration": min(1.0, longest / _DAY),
            "upload": float(uploads),
            "indicator": float(matched),
        },
        summary=summary,
        caveats=caveats,
    )
