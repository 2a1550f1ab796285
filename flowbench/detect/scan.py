"""Scan: who tries door after door?

Question: which host tried many doors (a port of a host), of which hardly any led to a conversation?

Method: after TRW (Jung et al., IEEE S&P 2004), reduced to what flow logs hold: each first contact
with a door is a failure (rejected, never answered, or answered with packets that carry no data: a
reset, or a handshake and no more) or a success. Failures less successes is what TRW's likelihood
ratio counts when a failure says as much as a success (θ 0.8 and 0.2 make it 4 to that power). TRW
stops at 4 (99 to 1 odds); here ``fewest`` is higher, because the internet knocks at every address
now and then. The count runs in the order of first contacts and never falls below nothing (CUSUM),
so that what a busy host reached before does not excuse it. Doors count once, however often they are
tried: a client whose server is down is none. ``quick`` are Zeek's older thresholds (15 ports of a
host, or 25 hosts on a port, within 5 minutes).

From inside it is high: somebody looks around. From outside it is what every public address sees:
low; medium if doors spoke to it, or if it was quick.

Backscatter is no scan: answers of a flooded victim to senders that were forged as ours. They come
from one service port to as many ports as hosts; that is left out, also where no flags tell it.

Fires falsely: vulnerability scanners and discovery of one's own, monitoring of many dead hosts.
Cannot see: fewer than ``fewest`` doors a source, scans shared out among many sources, scans by UDP
that nothing rejects (half of all UDP has no answer), sources behind one NAT address apart.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.base import detector, finding, many, spell

if TYPE_CHECKING:
    from flowbench.case import Case

_TCP, _UDP = 6, 17
_HEADERS = 80  # bytes: a packet up to that size carries no data to speak of
_QUICK = 300  # seconds
_QUICK_PORTS, _QUICK_HOSTS = 15, 25


@detector(
    id="scan",
    title="Door after door",
    question="Who tried many doors that led nowhere?",
    technique="T1046",
    needs=("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end"),
)
def scan(case: Case, *, fewest: int = 8) -> list[dict[str, Any]]:
    """One finding per source that tried doors in vain, ``fewest`` more than it found open.

    What an inside host does inside and what it does outside are counted apart.
    """
    doors = _doors(case.connections)
    source = ["initiator", "direction"]
    tried = doors.group_by(source).aggregate(failed=_.count(where=_.failed))
    tried = doors.semi_join(tried.filter(tried.failed >= fewest), source)
    order = ["first_seen", "responder", "service_port", "protocol"]
    so_far = ibis.cumulative_window(group_by=source, order_by=order)
    walk = tried.mutate(count=(tried.failed.cast("int64") * 2 - 1).sum().over(so_far))
    walk = walk.mutate(least=walk["count"].min().over(so_far))
    reached = walk.filter(walk["count"] - ibis.least(walk["least"], 0) >= fewest)
    rows = doors.semi_join(reached, source).mutate(inside=_.direction != "inbound")
    rows = rows.order_by("initiator", "inside", *order).to_pyarrow().to_pylist()
    # Plain rows, and no frame each: the internet's scanners are thousands, of a few doors each.
    return [
        _finding(who, inside, list(mine))
        for (who, inside), mine in groupby(rows, key=itemgetter("initiator", "inside"))
    ]


def _doors(connections: ibis.Table) -> ibis.Table:
    """What each source tried: a row per source, host, port and protocol, failed or not."""
    c = connections.filter(~connections.relay, connections.direction != "external")
    # UDP and the rest count only where something rejected them.
    c = c.filter((c.protocol == _TCP) | (c.refused & (c.protocol == _UDP)))
    mute = ~c.answered | ((c.bytes_in <= _HEADERS * c.packets_in) & (c.packets_in <= 3))
    brief = (c.packets_out <= 6) & (c.bytes_out <= _HEADERS * c.packets_out)
    doors = c.mutate(failed=mute & brief).group_by(
        "initiator", "direction", "responder", "service_port", "protocol"
    )
    doors = doors.aggregate(
        failed=_.failed.all(),
        answered=_.answered.any(),
        refused=_.refused.any(),
        from_port=_.initiator_port.min(),
        from_ports=_.initiator_port.nunique(),
        connections=_.count(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        bytes_out=_.bytes_out.sum(),
        bytes_in=_.bytes_in.sum(),
    )
    return doors.anti_join(_backscatter(doors), ["initiator", "from_port"])


def _backscatter(doors: ibis.Table) -> ibis.Table:
    """Sources and service ports that speak to about as many ports as hosts: forged senders'."""
    spread = doors.filter(doors.from_port < 1_024, doors.from_ports == 1)
    spread = spread.group_by("initiator", "from_port").aggregate(
        hosts=_.responder.nunique(), ports=_.service_port.nunique()
    )
    spread = spread.filter(spread.hosts >= 3, spread.ports * 2 >= spread.hosts)
    return spread.filter(spread.hosts * 2 >= spread.ports).select("initiator", "from_port")


def _finding(source: str, inside: bool, rows: list[dict[str, Any]]) -> dict[str, Any]:
    vain = [row for row in rows if row["failed"]]
    searched = {row["responder"] for row in vain}
    # Of what it reached, only doors of the same hosts, found meanwhile, belong to the search.
    begin, until = vain[0]["first_seen"], vain[-1]["first_seen"]
    rows = [
        row
        for row in rows
        if row["failed"] or (row["responder"] in searched and begin <= row["first_seen"] <= until)
    ]
    tried = sorted({row["service_port"] for row in vain})
    hosts, ports = len(searched), len(tried)
    first = pd.Timestamp(min(row["first_seen"] for row in rows))
    last = pd.Timestamp(max(row["last_seen"] for row in rows))
    quick = _quickest(vain)
    led = len(rows) - len(vain)
    opened, rejected = (sum(row[name] for row in vain) for name in ("answered", "refused"))
    severity = "high" if inside else "medium" if led or quick else "low"
    shape = "one host's ports" if hosts == 1 else "one port of many hosts" if ports == 1 else "both"
    shown = ", ".join(str(port) for port in tried[:12])
    more = f" and {ports - 12} more" if ports > 12 else ""
    why = (
        f"{source} tried {many(len(rows), 'door')} ({many(hosts, 'host')}, {many(ports, 'port')}:"
        f" {shown}{more}; {shape}) within {spell((last - first).total_seconds())}:"
        f" {len(vain)} led nowhere ({rejected} rejected, {opened} answered"
        f" without data), {led} to a conversation."
    )
    if quick:
        why += f" At its quickest {quick}."
    caveats = "A scanner, a discovery service or a monitor of one's own looks the same."
    if not inside:
        caveats = "Every public address is scanned all day: what matters is what it did next."
    protocols = {row["protocol"] for row in rows}
    return finding(
        "scan",
        severity=severity,
        score=min(1.0, 0.5 + 0.5 * (len(vain) - led) / 50),
        subject=source,
        peers=[row["responder"] for row in rows],
        ports=[row["service_port"] for row in rows],
        protocol=protocols.pop() if len(protocols) == 1 else None,
        first_seen=first,
        last_seen=last,
        connections=sum(row["connections"] for row in rows),
        bytes_out=sum(row["bytes_out"] for row in rows),
        bytes_in=sum(row["bytes_in"] for row in rows),
        why=why,
        caveats=caveats,
        title=None if inside else "Door after door, from outside",
        technique=None if inside else "T1595.001",
    )


def _quickest(vain: list[dict[str, Any]]) -> str:
    """The busiest five minutes, said in words, if they pass Zeek's thresholds; '' otherwise."""
    ports, hosts = defaultdict(set), defaultdict(set)
    for row in vain:
        slot = row["first_seen"].timestamp() // _QUICK
        ports[slot, row["responder"]].add(row["service_port"])
        hosts[slot, row["service_port"]].add(row["responder"])
    if (count := max(map(len, ports.values()))) >= _QUICK_PORTS:
        return f"{count} ports of one host in 5 min"
    count = max(map(len, hosts.values()))
    return f"{count} hosts on one port in 5 min" if count >= _QUICK_HOSTS else ""
