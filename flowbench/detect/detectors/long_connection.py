"""Long connection: who keeps one session with one outside address open for hours?

Question: which inside host held a connection open far longer than its business explains?

Method: the length of each connection, as Zeek's conn.log and RITA's long connections list it. Flow
logs have no connections: records of the same ends and ports that follow each other within ten
minutes are one (flowbench.connections). A session counts from ``hours`` on when both ends sent.

Long sessions are mostly harmless, so what explains one leaves it out:

* Peers in a known cloud's ranges or named as an AWS service by the logs (agents, SSM, queues).
* Networks (a /24, a /48 of IPv6) that more than ``few`` inside hosts hold so long: an office's VPN,
  a vendor's broker, which may have an address for each.
* Ports on which sessions stay open by design when hardly a thing passes on them (MQTT, XMPP, push
  services, VPN, NTP).
* What begins once a day within one hour of the clock from the first day on (a backup, a batch).
* A web port on which the inside end takes, three times what it sends or more (base.takes): a chat,
  a stream, a call, which people keep open for as long as they work. The inside end of a tunnel or
  of a shell from outside is the one that answers, and sends as much or more. That excuses up to
  ``working`` hours only, or, for any length, a feed of a MB an hour: what waits all night and gets
  next to nothing is told.

A session on two ephemeral ports may have been opened by either end where the log has no flags; it
counts for the inside one, and that is said. A session that is still open when the logs begin or end
is longer than told, and that is said too.

Low; medium where more went out than came in, at a MB an hour or more, or from ten sessions of that
length on to the same peer: a tunnel carries things. High for a listed peer.

Fires falsely: a database or broker elsewhere, a partner's file transfer that stays open, a game, a
shell left open. Cannot see: a way out that takes more than it gives, on a web port in working
hours (an idle implant that fetched its tools, an employee's private VPN); a rented machine in a
known cloud; one held since before the logs begin that is opened anew each day at one hour; sessions
cut and opened anew (see beacon), those that pause for longer than ten minutes. Two sessions on one
re-used source port within that time are taken for one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
from ibis import _

from flowbench.connections import EPHEMERAL
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import match_peers
from flowbench.detect.traffic import WEB, is_consumer, network
from flowbench.engine import seconds
from flowbench.enrich import cloud_services
from flowbench.enrich.address_context import AWS_SERVICE_FIELDS
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis

    from flowbench.case import Case

_HOUR, _DAY = 3_600, 86_400
_TRICKLE = 1e6  # bytes an hour
# ntp, ike (and behind nat), openvpn, mqtt, xmpp, push services of Apple and Google, wireguard
_STAY_OPEN = {123, 500, 1194, 1883, 4500, 5222, 5223, 5228, 5229, 5230, 8883, 51820}
_KEYS = ["host", "peer", "service_port", "protocol"]


DETECTOR = Detector(
    id="long-connection",
    title="A session that lasts for hours",
    question="Who keeps a session with an outside address open for hours?",
    technique="T1572",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "start", "end"}),
)


def find(case: Case, *, hours: float = 4, working: float = 12, few: int = 2) -> list[Finding]:
    """One finding per inside host, outside address and port.

    ``hours``: from which length on. ``working``: hours that people keep at a session at most.
    ``few``: inside hosts that may hold such sessions with a network.
    """
    c = _held(case.connections)
    long = c.filter(c.length >= hours * _HOUR).group_by(_KEYS).aggregate(
        longest=_.length.max(), total=_.length.sum().cast("int64"), connections=_.count(),
        **{name: _[name].sum().cast("int64") for name in ("bytes_out", "bytes_in")},
        first_seen=_.first_seen.min(), last_seen=_.last_seen.max(), guessed=_.guessed.any(),
        begun=seconds(_.first_seen).collect(),
    )  # fmt: skip
    long = long.mutate(network=network(long.peer))
    rows = to_frame(long.order_by(_KEYS).to_pyarrow())
    if rows.empty:
        return []
    lists = match_peers(case, rows["peer"])
    bad = set(lists[["subject", "peer"]].itertuples(index=False, name=None))
    ends = zip(rows["host"], rows["peer"], strict=True)
    rows["listed"] = pd.Series([one in bad for one in ends], rows.index, dtype=bool)
    holders = rows.groupby("network")["host"].transform("nunique")
    rate = (rows["bytes_out"] + rows["bytes_in"]) / rows["total"] * _HOUR
    idle = rows["service_port"].isin(_STAY_OPEN) & (rate < _TRICKLE)
    asks = rows["service_port"].isin(WEB) & is_consumer(rows["bytes_out"], rows["bytes_in"])
    asks &= (rows["longest"] <= working * _HOUR) | (rate >= _TRICKLE)
    rows = rows[(holders <= few) & ~idle & (~asks | rows["listed"])]
    flows = case.flows if case.fields & AWS_SERVICE_FIELDS else None
    cloud = cloud_services.find_services(
        sorted(set(rows["peer"])), case.table("cloud_ranges"), flows
    )
    rows = rows[~rows["peer"].isin(cloud["address"].to_pylist())]
    begin, end = case.span
    assert begin is not None
    assert end is not None
    return [
        _finding(row, begin, end)
        for row in rows.to_dict("records")
        if not daily(sorted(row["begun"]), begin.timestamp(), end.timestamp())
    ]


def _held(c: ibis.Table) -> ibis.Table:
    """The connections of inside hosts with outside addresses in which both ends sent something."""
    c = c.filter(~c.intermediate, c.answered, c.bytes_out > 0, c.bytes_in > 0)
    length = seconds(c.last_seen) - seconds(c.first_seen)
    c = c.mutate(
        length=length,
        guessed=(c.initiator_rule == "higher-port")
        & (c.initiator_port >= EPHEMERAL)
        & (c.service_port >= EPHEMERAL),
    )
    both = ("protocol", "first_seen", "last_seen", "length", "guessed")
    out = c.filter(c.direction == "outbound")
    turned = c.filter(c.direction == "inbound", c.guessed)
    return out.select(
        *both, "service_port", "bytes_out", "bytes_in", host=out.initiator, peer=out.responder
    ).union(turned.select(
        *both, service_port=turned.initiator_port, bytes_out=turned.bytes_in,
        bytes_in=turned.bytes_out, host=turned.responder, peer=turned.initiator,
    ))  # fmt: skip


def daily(begun: Sequence[float], begin: float, end: float) -> bool:
    """Whether sessions begin once a day, within an hour of the clock, from the first day on.

    Epoch seconds; ``begin`` and ``end`` are the logs'. It takes two days at least to tell.
    """
    days = (end - begin) / _DAY
    gaps = [(later - sooner) / _DAY for sooner, later in pairwise(begun)]
    early = begun[0] - begin < 1.1 * _DAY
    return (
        bool(gaps)
        and early
        and len(begun) >= days - 1.1
        and all(gap > 0.5 and abs(gap - round(gap)) * _DAY <= _HOUR for gap in gaps)
    )


def _finding(row: dict[str, Any], begin: pd.Timestamp, end: pd.Timestamp) -> Finding:
    host, peer, bad = row["host"], row["peer"], row["listed"]
    protocol = None if pd.isna(row["protocol"]) else int(row["protocol"])
    count, out, got = int(row["connections"]), int(row["bytes_out"]), int(row["bytes_in"])
    hourly = out / row["total"] * _HOUR
    carries = out > got and hourly >= _TRICKLE
    held = f"a session of {format_duration(row['longest'])}"
    if count > 1:
        held = f"{count} sessions of up to {format_duration(row['longest'])}"
    why = (
        f"{host} held {held} open to {peer} on {label(int(row['service_port']), protocol)}:"
        f" {format_bytes(out)} out ({format_bytes(hourly)} an hour), {format_bytes(got)} in."
    )
    if bad:
        why += " The peer is on a list of indicators."
    caveats = (
        "Brokers, synchronisation, calls and shells left open stay open as long. One source port"
        " used again within ten minutes looks like one session."
    )
    if row["guessed"]:
        caveats += (
            " Both ports are ephemeral and there are no flags: either end may have opened it."
        )
    edge = pd.Timedelta(minutes=20)
    if row["first_seen"] - begin < edge or end - row["last_seen"] < edge:
        why += " It reaches to the edge of the logs: it may be longer."
    return make_finding(
        DETECTOR,
        host,
        [peer],
        Traffic(
            (int(row["service_port"]),),
            protocol,
            row["first_seen"],
            row["last_seen"],
            count,
            out,
            got,
        ),
        severity="high" if bad else "medium" if carries or count >= 10 else "low",
        score=min(1.0, 0.3 + 0.2 * row["longest"] / 86_400 + 0.2 * carries + 0.2 * bad),
        summary=why,
        caveats=caveats,
    )
