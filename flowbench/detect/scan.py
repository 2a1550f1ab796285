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

From inside it is high: somebody looks around. From outside every public address sees it all day, so
all sources there that got nothing are one finding of low severity, the noise of the internet. A
finding of its own has a source from outside that

* was let in: a door of a searched host spoke to it, then or later, to which fewer than ``anyone``
  addresses outside ever came (a site that all may visit lets nobody in), or a login door held a
  session longer or larger than an attempt (medium; more than ``apart`` of them at one port are told
  together: the port is the matter then);
* stands on a list, other than of mere scanners, or an allow list, which hides it;
* tried at least ``largest`` doors, and ten times as many as all but one in twenty sources outside
  (medium if it was quick).

Backscatter is no scan: answers of a flooded victim to senders that were forged as ours. They come
from one service port to as many ports as hosts; that is left out, also where no flags tell it.

Fires falsely: vulnerability scanners and discovery of one's own, monitoring of many dead hosts.
Cannot see: fewer than ``fewest`` doors a source, scans shared out among many sources, scans by UDP
that nothing rejects (half of all UDP has no answer), sources behind one NAT address apart, a
scanner that broke into a site that anyone may visit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.base import DATABASES, LOGINS, detector, finding, many, some, spell, volume
from flowbench.engine import seconds

if TYPE_CHECKING:
    from flowbench.case import Case

_TCP, _UDP = 6, 17
_HEADERS = 80  # bytes: a packet up to that size carries no data to speak of
_QUICK = 300  # seconds
_QUICK_PORTS, _QUICK_HOSTS = 15, 25
_SESSION_BYTES, _SESSION_SECONDS = 20_000, 1_200  # more than a login attempt
_LOGINS = LOGINS.keys() | DATABASES.keys()
_TIMES = 10  # so many times what nearly all others tried stands out
_DOOR = ["responder", "service_port", "protocol"]
INTERNET = "internet"  # the subject of what many addresses outside do alike


@detector(
    id="scan",
    title="Door after door",
    question="Who tried many doors that led nowhere?",
    technique="T1046",
    needs=("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end"),
)
def scan(
    case: Case, *, fewest: int = 8, anyone: int = 10, largest: int = 100, apart: int = 5
) -> list[dict[str, Any]]:
    """One finding per source that tried doors in vain, ``fewest`` more than it found open.

    What an inside host does inside and what it does outside are counted apart. The sources outside
    that got nothing are one finding, whose subject is ``INTERNET`` and whose peers they are. A door
    that spoke to ``anyone`` addresses outside is open to all; fewer than ``largest`` doors do not
    stand out.
    """
    doors = _doors(case.connections)
    source = ["initiator", "direction"]
    tried = doors.group_by(source).aggregate(failed=_.count(where=_.failed))
    tried = doors.semi_join(tried.filter(tried.failed >= fewest), source)
    order = ["first_seen", *_DOOR]
    so_far = ibis.cumulative_window(group_by=source, order_by=order)
    walk = tried.mutate(count=(tried.failed.cast("int64") * 2 - 1).sum().over(so_far))
    walk = walk.mutate(least=walk["count"].min().over(so_far))
    reached = walk.filter(walk["count"] - ibis.least(walk["least"], 0) >= fewest)
    rows = doors.semi_join(reached, source).mutate(inside=_.direction != "inbound")
    spoke = doors.filter(doors.direction == "inbound", ~doors.failed)
    public = spoke.group_by(_DOOR).aggregate(callers=_.initiator.nunique())
    public = public.filter(public.callers >= anyone).select(*_DOOR, public=ibis.literal(True))
    rows = rows.left_join(public, _DOOR).drop(*(f"{name}_right" for name in _DOOR))
    # Plain rows, and no frame each: the internet's scanners are thousands, of a few doors each.
    # Times are seconds in them: a quarter of the work is making objects of times otherwise.
    times = {name: seconds(rows[name]) for name in ("first_seen", "last_seen")}
    rows = rows.order_by("initiator", "inside", *order).mutate(**times).to_pyarrow().to_pylist()
    searches = [
        _search(who, inside, list(mine))
        for (who, inside), mine in groupby(rows, key=itemgetter("initiator", "inside"))
    ]
    outside = [one for one in searches if not one.inside]
    listed = _listed(case, [one.source for one in outside])
    much = _much([len(one.vain) for one in outside], largest)
    groups: dict[int | None, list[_Search]] = defaultdict(list)
    own = []
    for one in searches:
        if one.inside or one.source in listed or len(one.vain) >= much:
            own.append(one)
        else:
            groups[one.found].append(one)
    noise = groups.pop(None, [])
    found = [_together(noise, None)] if noise else []
    for port, let_in in sorted(groups.items()):
        if len(let_in) > apart:
            found.append(_together(let_in, port))
        else:
            own += let_in
    return [*map(_finding, own), *found]


def _doors(connections: ibis.Table) -> ibis.Table:
    """What each source tried: a row per source, host, port and protocol, failed or not."""
    c = connections.filter(~connections.relay, connections.direction != "external")
    # UDP and the rest count only where something rejected them.
    c = c.filter((c.protocol == _TCP) | (c.refused & (c.protocol == _UDP)))
    mute = ~c.answered | ((c.bytes_in <= _HEADERS * c.packets_in) & (c.packets_in <= 3))
    brief = (c.packets_out <= 6) & (c.bytes_out <= _HEADERS * c.packets_out)
    lasted = seconds(c["last_seen"]) - seconds(c.first_seen)
    grand = (c.bytes_in > _SESSION_BYTES) | (lasted >= _SESSION_SECONDS)
    doors = c.mutate(failed=mute & brief, grand=grand).group_by("initiator", "direction", *_DOOR)
    doors = doors.aggregate(
        failed=_.failed.all(),
        answered=_.answered.any(),
        refused=_.refused.any(),
        grand=_.grand.any(),
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


@dataclass(frozen=True)
class _Search:
    """What a source tried, in the order of its first contacts."""

    source: str
    inside: bool
    rows: list[dict[str, Any]]  # the doors that belong to the search
    vain: list[dict[str, Any]]  # those that led nowhere
    let_in: int  # how many let it in, as only a few or for a session
    found: int | None  # the port of these that answered most


def _search(source: str, inside: bool, rows: list[dict[str, Any]]) -> _Search:
    vain = [row for row in rows if row["failed"]]
    searched = {row["responder"] for row in vain}
    # Of what it reached, only doors of the same hosts, found meanwhile, belong to the search; what
    # a scanner outside does on them later is what it searched for.
    begin, until = vain[0]["first_seen"], vain[-1]["first_seen"]
    rows = [
        row
        for row in rows
        if row["failed"]
        or (
            row["responder"] in searched
            and begin <= row["first_seen"]
            and (not inside or row["first_seen"] <= until)
        )
    ]
    let_in = [
        row
        for row in rows
        if not row["failed"]
        and (not row["public"] or (row["grand"] and row["service_port"] in _LOGINS))
    ]
    most = max(let_in, key=lambda row: (row["bytes_in"], -row["service_port"]), default=None)
    found = most["service_port"] if most else None
    return _Search(source, inside, rows, vain, len(let_in), found)


def _listed(case: Case, sources: list[str]) -> set[str]:
    """Which of these addresses a list names that says more than that they scan."""
    if not sources or not case.has("indicators"):
        return set()
    wanted = ibis.memtable({"wanted": pa.array(sources, pa.string())})
    named: set[str] = set()
    for lists in (case.matches.filter(case.matches.kind != "scanner"), case.allowed):
        now = lists.filter(lists.in_period.fill_null(True))
        said = now.semi_join(wanted, now.address == wanted.wanted).select("address").distinct()
        named.update(said.to_pyarrow().column("address").to_pylist())
    return named


def _much(counts: list[int], largest: int) -> int:
    """From how many doors in vain on a source stands out among those of these counts."""
    if len(counts) < 2:  # alone it has nobody to stand out among
        return largest
    return max(largest, _TIMES * sorted(counts)[int(0.95 * (len(counts) - 1))])


def _together(searches: list[_Search], port: int | None) -> dict[str, Any]:
    """One finding for all sources outside that got nothing, or that ``port`` let in."""
    vain = [row for one in searches for row in one.vain]
    rows = [row for one in searches for row in one.rows]
    hosts = {row["responder"] for row in vain}
    doors = len({tuple(row[name] for name in _DOOR) for row in vain})
    opened, rejected = (sum(row[name] for row in vain) for name in ("answered", "refused"))
    sums = _sums(rows)
    lasted = spell((sums["last_seen"] - sums["first_seen"]).total_seconds())
    busiest = sorted(searches, key=lambda one: (-len(one.vain), one.source))
    told = some(f"{one.source} ({many(len(one.vain), 'door')})" for one in busiest)
    sought = Counter(p for one in searches for p in {row["service_port"] for row in one.vain})
    ports = sorted(sought, key=lambda one: (-sought[one], one))
    why = (
        f"{many(len(searches), 'address', 'addresses')} outside tried {many(doors, 'door')} of"
        f" {many(len(hosts), 'host')} in vain within {lasted}"
        f" ({many(len(vain), 'door')} source by source: {rejected:,} rejected, {opened:,} answered"
        " without data)"
    )
    if port is None:
        why += ", and none was let in."
        if spoke := sum(len(one.rows) > len(one.vain) for one in searches):
            why += f" To {spoke:,} a service spoke that many outside use."
        caveats = "A break-in through a service that is open to all would not show here."
    else:
        why += f", and port {port} let each of them in, as it does few or none else outside."
        back = {one.source: sum(row["bytes_in"] for row in one.rows) for one in searches}
        most = sorted(back, key=lambda one: (-back[one], one))
        why += f" Most was answered to {some(f'{one} ({volume(back[one])})' for one in most)}."
        caveats = "Customers who also try closed ports look alike: see who should reach this port."
    why += f" Busiest: {told}."
    why += f" Most sought ports: {some(f'{p} (by {sought[p]:,})' for p in ports)}."
    return finding(
        "scan",
        severity="low" if port is None else "medium",
        score=0.3 if port is None else 0.5,  # below a source that has a finding of its own
        subject=INTERNET,
        peers=[one.source for one in searches],
        targets=hosts,
        **sums,
        why=why,
        caveats=f"Every public address is scanned all day. The peers are the sources. {caveats}",
        title="Internet noise: door after door, from outside"
        if port is None
        else f"Door after door, from outside, until {port} opened",
        technique="T1595.001",
        about="" if port is None else str(port),
    )


def _finding(search: _Search) -> dict[str, Any]:
    source, inside, rows, vain = search.source, search.inside, search.rows, search.vain
    searched = {row["responder"] for row in vain}
    tried = sorted({row["service_port"] for row in vain})
    hosts, ports = len(searched), len(tried)
    sums = _sums(rows)
    lasted = spell((sums["last_seen"] - sums["first_seen"]).total_seconds())
    quick = _quickest(vain)
    led = len(rows) - len(vain)
    opened, rejected = (sum(row[name] for row in vain) for name in ("answered", "refused"))
    severity = "high" if inside else "medium" if search.let_in or quick else "low"
    shape = "one host's ports" if hosts == 1 else "one port of many hosts" if ports == 1 else "both"
    shown = ", ".join(str(port) for port in tried[:12])
    more = f" and {ports - 12} more" if ports > 12 else ""
    why = (
        f"{source} tried {many(len(rows), 'door')} ({many(hosts, 'host')}, {many(ports, 'port')}:"
        f" {shown}{more}; {shape}) within {lasted}:"
        f" {len(vain)} led nowhere ({rejected} rejected, {opened} answered"
        f" without data), {led} to a conversation."
    )
    if not inside and search.let_in:
        why += f" Let in at {many(search.let_in, 'door')} that few or none else outside come to"
        why += " or where a login held a session."
    if quick:
        why += f" At its quickest {quick}."
    caveats = "A scanner, a discovery service or a monitor of one's own looks the same."
    if not inside:
        caveats = "Every public address is scanned all day: what matters is what it did next."
    return finding(
        "scan",
        severity=severity,
        score=min(1.0, 0.5 + 0.5 * (len(vain) - led) / 50),
        subject=source,
        peers=[row["responder"] for row in rows],
        **sums,
        why=why,
        caveats=caveats,
        title=None if inside else "Door after door, from outside",
        technique=None if inside else "T1595.001",
    )


def _quickest(vain: list[dict[str, Any]]) -> str:
    """The busiest five minutes, said in words, if they pass Zeek's thresholds; '' otherwise."""
    ports, hosts = defaultdict(set), defaultdict(set)
    for row in vain:
        slot = row["first_seen"] // _QUICK
        ports[slot, row["responder"]].add(row["service_port"])
        hosts[slot, row["service_port"]].add(row["responder"])
    if (count := max(map(len, ports.values()))) >= _QUICK_PORTS:
        return f"{count} ports of one host in 5 min"
    count = max(map(len, hosts.values()))
    return f"{count} hosts on one port in 5 min" if count >= _QUICK_HOSTS else ""


def _sums(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a finding says of all its doors together."""
    protocols = {row["protocol"] for row in rows}
    ends = min(row["first_seen"] for row in rows), max(row["last_seen"] for row in rows)
    first, last = (pd.Timestamp(second, unit="s", tz="UTC") for second in ends)
    return {
        "ports": [row["service_port"] for row in rows],
        "protocol": protocols.pop() if len(protocols) == 1 else None,
        "first_seen": first,
        "last_seen": last,
        **{n: sum(row[n] for row in rows) for n in ("connections", "bytes_out", "bytes_in")},
    }
