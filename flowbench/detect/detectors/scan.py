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

from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.logins import DATABASES, LOGINS
from flowbench.engine import epoch_seconds
from flowbench.text import format_bytes, format_count, format_period, list_some

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
_SUMMED = [
    *("answered", "rejected", "first_seen", "last_seen", "connections", "bytes_out", "bytes_in"),
]
INTERNET = "internet"  # the subject of what many addresses outside do alike


DETECTOR = Detector(
    id="scan",
    title="Port scan",
    question="Which source attempted many services, of which hardly any answered?",
    technique="T1046",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end"}),
)


def find(
    case: Case, *, fewest: int = 8, anyone: int = 10, largest: int = 100, apart: int = 5
) -> list[Finding]:
    """One finding per source that tried doors in vain, ``fewest`` more than it found open.

    What an inside host does inside and what it does outside are counted apart. The sources outside
    that got nothing are one finding, whose subject is ``INTERNET`` and whose peers they are. A door
    that spoke to ``anyone`` addresses outside is open to all; fewer than ``largest`` doors do not
    stand out.
    """
    with case.materialized(_doors(case.connections)) as tried:
        doors = tried.anti_join(_backscatter(tried), ["initiator", "from_port"])
        with case.materialized(_searches(doors, fewest, anyone)) as rows:
            return _told(case, rows, largest, apart)


def _doors(connections: ibis.Table) -> ibis.Table:
    """What each source tried: a row per source, host, port and protocol, failed or not."""
    c = connections.filter(~connections.intermediate, connections.direction != "external")
    # UDP and the rest count only where something rejected them.
    c = c.filter((c.protocol == _TCP) | (c.rejected & (c.protocol == _UDP)))
    mute = ~c.answered | ((c.bytes_in <= _HEADERS * c.packets_in) & (c.packets_in <= 3))
    brief = (c.packets_out <= 6) & (c.bytes_out <= _HEADERS * c.packets_out)
    lasted = epoch_seconds(c["last_seen"]) - epoch_seconds(c.first_seen)
    grand = (c.bytes_in > _SESSION_BYTES) | (lasted >= _SESSION_SECONDS)
    doors = c.mutate(failed=mute & brief, grand=grand).group_by("initiator", "direction", *_DOOR)
    return doors.aggregate(
        failed=_.failed.all(),
        answered=_.answered.any(),
        rejected=_.rejected.any(),
        grand=_.grand.any(),
        from_port=_.initiator_port.min(),
        last_from_port=_.initiator_port.max(),  # counting different ones costs twice all the rest
        connections=_.count(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        bytes_out=_.bytes_out.sum(),
        bytes_in=_.bytes_in.sum(),
    )


def _backscatter(doors: ibis.Table) -> ibis.Table:
    """Sources and service ports that speak to about as many ports as hosts: forged senders'."""
    spread = doors.filter(doors.from_port < 1_024, doors.from_port == doors.last_from_port)
    spread = spread.group_by("initiator", "from_port").aggregate(
        hosts=_.responder.nunique(), ports=_.service_port.nunique()
    )
    spread = spread.filter(spread.hosts >= 3, spread.ports * 2 >= spread.hosts)
    return spread.filter(spread.hosts * 2 >= spread.ports).select("initiator", "from_port")


def _searches(doors: ibis.Table, fewest: int, anyone: int) -> ibis.Table:
    """The doors of each search; ``let_in``: it answered its source, as it answers only a few.

    A source's doors that led nowhere all belong to its search; of those it reached, those of the
    same hosts found meanwhile: what a scanner outside does on them later is what it searched for.
    """
    source = ["initiator", "direction"]
    able = doors.group_by(source).aggregate(failed=_.failed.sum(), led=(~_.failed).sum())
    able = able.filter(able.failed >= fewest)
    # Who failed so much more often in all came to it at some time: only the others' order matters.
    sure = able.failed - able.led >= fewest
    walk = doors.semi_join(able.filter(~sure), source)
    so_far = ibis.cumulative_window(group_by=source, order_by=["first_seen", *_DOOR])
    walk = walk.mutate(count=(walk.failed.cast("int64") * 2 - 1).sum().over(so_far))
    walk = walk.mutate(least=walk["count"].min().over(so_far))
    walk = walk.filter(walk["count"] - ibis.least(walk["least"], 0) >= fewest)
    reached = able.filter(sure).select(source).union(walk.select(source), distinct=True)
    rows = doors.semi_join(reached, source).mutate(internal=_.direction != "inbound")

    who = ["initiator", "internal"]
    vain = rows.filter(rows.failed)
    spans = vain.group_by(who).aggregate(begin=_.first_seen.min(), until=_.first_seen.max())
    hosts = vain.select(*who, "responder").distinct()
    spoke = rows.filter(~rows.failed).semi_join(hosts, [*who, "responder"]).join(spans, who)
    meanwhile = spoke.first_seen.between(spoke.begin, spoke.until)
    spoke = spoke.filter(ibis.ifelse(spoke.internal, meanwhile, spoke.first_seen >= spoke.begin))
    public = doors.filter(doors.direction == "inbound", ~doors.failed).group_by(_DOOR)
    public = public.aggregate(callers=_.initiator.nunique())
    spoke = spoke.left_join(public.filter(public.callers >= anyone), _DOOR)
    session = spoke.grand & spoke.service_port.isin(sorted(_LOGINS))
    spoke = spoke.mutate(let_in=spoke.callers.isnull() | session)
    columns = [*who, *_DOOR, "failed", *_SUMMED, "let_in"]
    return vain.mutate(let_in=False).select(columns).union(spoke.select(columns))


def _told(case: Case, rows: ibis.Table, largest: int, apart: int) -> list[Finding]:
    """The findings: which sources have one of their own, and which are told together."""
    found = _.service_port.first(where=_.let_in, order_by=[_.bytes_in.desc(), _.service_port])
    searches = rows.group_by("initiator", "internal").aggregate(_sums(rows), found=found)
    searches = searches.order_by("initiator", "internal").to_pyarrow().to_pylist()
    outside = [one for one in searches if not one["internal"]]
    listed = _listed(case, [one["initiator"] for one in outside])
    much = _much([one["vain"] for one in outside], largest)
    groups: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
    own = []
    for one in searches:
        if one["internal"] or one["initiator"] in listed or one["vain"] >= much:
            own.append(one)
        else:
            groups[one["found"]].append(one)
    for port in [port for port in groups if port is not None and len(groups[port]) <= apart]:
        own += groups.pop(port)
    return _together(rows, groups) + _alone(rows, own)


def _sums(rows: ibis.Table) -> dict[str, ibis.Value]:
    """What a finding says of all its doors together."""
    return {
        "doors": rows.count(),
        "vain": rows.failed.sum(),
        "opened": rows.answered.sum(where=rows.failed),
        "rejected": rows.rejected.sum(where=rows.failed),
        "let_in": rows.let_in.sum(),
        "ports": rows.service_port.collect(distinct=True),
        "protocol": (rows.protocol.min() == rows.protocol.max()).ifelse(
            rows.protocol.min(), ibis.null("int32")
        ),
        "first_seen": rows.first_seen.min(),
        "last_seen": rows.last_seen.max(),
        **{name: rows[name].sum() for name in ("connections", "bytes_out", "bytes_in")},
    }


def _listed(case: Case, sources: list[str]) -> set[str]:
    """Which of these addresses a list names that says more than that they scan."""
    if not sources or not case.has("indicators"):
        return set()
    wanted = ibis.memtable({"wanted": pa.array(sources, pa.string())})
    named: set[str] = set()
    for lists in (
        case.indicator_matches.filter(case.indicator_matches.kind != "scanner"),
        case.allow_list_matches,
    ):
        now = lists.filter(lists.in_period.fill_null(True))
        said = now.semi_join(wanted, now.address == wanted.wanted).select("address").distinct()
        named.update(said.to_pyarrow().column("address").to_pylist())
    return named


def _much(counts: list[int], largest: int) -> int:
    """From how many doors in vain on a source stands out among those of these counts."""
    if len(counts) < 2:  # alone it has nobody to stand out among
        return largest
    return max(largest, _TIMES * sorted(counts)[int(0.95 * (len(counts) - 1))])


def _of(rows: ibis.Table, searches: list[dict[str, Any]]) -> ibis.Table:
    """The doors of some of the searches."""
    who = {name: [one[name] for one in searches] for name in ("initiator", "internal")}
    types = pa.schema({"initiator": pa.string(), "internal": pa.bool_()})
    return rows.semi_join(ibis.memtable(pa.table(who, types)), list(who))


def _together(rows: ibis.Table, groups: dict[int | None, list[dict[str, Any]]]) -> list[Finding]:
    """One finding for all sources outside that got nothing, and for each port that let many in."""
    ports = list(groups)
    members = [(one["initiator"], at) for at, port in enumerate(ports) for one in groups[port]]
    columns = [pa.array([one[place] for one in members]) for place in (0, 1)]
    types = pa.schema({"initiator": pa.string(), "at": pa.int64()})
    member = ibis.memtable(pa.table(columns, names=types.names).cast(types))
    rows = rows.filter(~rows.internal).join(member, "initiator")
    vain = rows.filter(rows.failed)
    tried = vain.select("at", *_DOOR).distinct().group_by("at")
    tried = tried.aggregate(tried=_.count(), hosts=_.responder.collect(distinct=True))
    sought = vain.group_by("at", "service_port").aggregate(sources=_.initiator.nunique())
    order = [_.sources.desc(), _.service_port]
    sought = sought.group_by("at").aggregate(
        sought=_.service_port.collect(order_by=order), by=_.sources.collect(order_by=order)
    )
    sums = rows.group_by("at").aggregate(_sums(rows)).join(tried, "at").join(sought, "at")
    return [
        _group(ports[one["at"]], groups[ports[one["at"]]], one)
        for one in sums.order_by("at").to_pyarrow().to_pylist()
    ]


def _group(port: int | None, searches: list[dict[str, Any]], sums: dict[str, Any]) -> Finding:
    """One finding for all sources outside that got nothing, or that ``port`` let in."""
    hosts = sums["hosts"]
    busiest = sorted(searches, key=lambda one: (-one["vain"], one["initiator"]))
    named = list_some(f"{one['initiator']} ({one['vain']:,})" for one in busiest)
    why = (
        f"{format_count(len(searches), 'external address', 'external addresses')} attempted"
        f" {format_count(sums['tried'], 'service')} of {format_count(len(hosts), 'host')} from"
        f" {_period(sums)} and failed ({sums['vain']:,} pairs of source and service:"
        f" {sums['rejected']:,} rejected, {sums['opened']:,} answered without data)"
    )
    if port is None:
        why += "; none reached a service that answers few."
        if spoke := sum(one["doors"] > one["vain"] for one in searches):
            why += f" {spoke:,} of them reached a service that many external addresses use."
        caveats = "A compromise through a service that is open to all would not show here."
    else:
        why += f"; port {port} answered each of them, and few or no other external addresses."
        most = sorted(searches, key=lambda one: (-one["bytes_in"], one["initiator"]))
        back = (f"{one['initiator']} ({format_bytes(one['bytes_in'])})" for one in most)
        why += f" The largest answers went to {list_some(back)}."
        caveats = "Customers who also try closed ports look alike: see who should reach this port."
    why += f" Most failed services: {named}."
    ports = (f"{one} (by {by:,})" for one, by in zip(sums["sought"], sums["by"], strict=True))
    why += f" Most attempted ports: {list_some(ports)}."
    return make_finding(
        DETECTOR,
        INTERNET,
        [one["initiator"] for one in searches],
        _traffic(sums),
        targets=hosts,
        severity="low" if port is None else "medium",
        score=0.3 if port is None else 0.5,  # below a source that has a finding of its own
        summary=why,
        caveats=f"Every public address is scanned all day. The peers are the sources. {caveats}",
        title="Internet background scanning"
        if port is None
        else f"Internet background scanning, answered on port {port}",
        technique="T1595.001",
        about="" if port is None else str(port),
    )


def _alone(rows: ibis.Table, searches: list[dict[str, Any]]) -> list[Finding]:
    """A finding for each of these searches."""
    sums = {(one["initiator"], one["internal"]): one for one in searches}
    rows = _of(rows, searches).select(
        "initiator",
        "internal",
        "responder",
        "service_port",
        "failed",
        at=epoch_seconds(rows.first_seen),
    )
    doors = rows.order_by("initiator", "internal").to_pyarrow().to_pylist()
    return [
        _finding(sums[who], list(mine))
        for who, mine in groupby(doors, key=itemgetter("initiator", "internal"))
    ]


def _finding(sums: dict[str, Any], rows: list[dict[str, Any]]) -> Finding:
    source, internal = sums["initiator"], sums["internal"]
    vain = [row for row in rows if row["failed"]]
    tried = sorted({row["service_port"] for row in vain})
    hosts, ports = len({row["responder"] for row in vain}), len(tried)
    quick = _quickest(vain)
    led = sums["doors"] - sums["vain"]
    severity = "high" if internal else "medium" if sums["let_in"] or quick else "low"
    why = (
        f"{source} attempted {format_count(len(rows), 'service')} ({format_count(hosts, 'host')},"
        f" {format_count(ports, 'port')}: {list_some(tried, 12)}) from {_period(sums)}:"
        f" {len(vain):,} failed ({sums['rejected']:,} rejected, {sums['opened']:,} answered without"
        f" data), {led:,} answered."
    )
    if not internal and sums["let_in"]:
        why += (
            f" It reached {format_count(sums['let_in'], 'service')} that few or no other external"
        )
        why += " addresses use, or where a login port had a session."
    if quick:
        why += f" At most {quick}."
    caveats = "An authorised scanner, discovery service or monitor looks the same."
    if not internal:
        caveats = "Every public address is scanned all day: check what the source did next."
    return make_finding(
        DETECTOR,
        source,
        [row["responder"] for row in rows],
        _traffic(sums),
        severity=severity,
        score=min(1.0, 0.5 + 0.5 * (len(vain) - led) / 50),
        summary=why,
        caveats=caveats,
        title=None if internal else "Port scan from an external address",
        technique=None if internal else "T1595.001",
    )


def _quickest(vain: list[dict[str, Any]]) -> str:
    """The busiest five minutes, said in words, if they pass Zeek's thresholds; '' otherwise."""
    ports, hosts = defaultdict(set), defaultdict(set)
    for row in vain:
        slot = row["at"] // _QUICK
        ports[slot, row["responder"]].add(row["service_port"])
        hosts[slot, row["service_port"]].add(row["responder"])
    if (count := max(map(len, ports.values()))) >= _QUICK_PORTS:
        return f"{count} ports of one host in 5 min"
    count = max(map(len, hosts.values()))
    return f"{count} hosts on one port in 5 min" if count >= _QUICK_HOSTS else ""


def _period(sums: dict[str, Any]) -> str:
    return format_period(sums["first_seen"], sums["last_seen"])


def _traffic(sums: dict[str, Any]) -> Traffic:
    """Those of the sums that are the traffic of a finding."""
    times = [pd.Timestamp(sums[name]) for name in ("first_seen", "last_seen")]
    volume = [sums[name] for name in ("connections", "bytes_out", "bytes_in")]
    return Traffic(tuple(sums["ports"]), sums["protocol"], *times, *volume)
