"""Rare peer: who first speaks, late, with an outside network that hardly anybody here knows?

Question: which outside networks had their first contact after it was learned what is usual, and by
few hosts only?

Method: destination novelty and rarity, as in the retrospective first-seen searches of hunting
practice (PEAK's baseline hunts; Zeek's and RITA's "rare" signatures). The first half of the logs, a
day at least and a week at most, is for learning. A network (a /24, a /48 of IPv6) is new when no
inside host exchanged anything with it then, whoever opened, and rare when at most ``few`` hosts do
later. Only contacts that an inside host opened and that were answered count. Left out: networks of
known clouds, a host's first ``young`` hours, and what is daily business for a host:

* Where people browse, new sites are no news. A host has people when it visited five networks or
  more in the learning span that hardly another host visits (base.browsing); there a visit (web
  ports alone, three times as much got as sent, 10 kB a connection or more; base.visits) counts for
  nothing, then or later. The same visit by a host that never browses is told: servers have no
  curiosity. So is what browsing does not look like: another port, more sent than a visit sends, the
  small answers of something that checks in.
* Of what remains, web ports and others apart, that of hosts which met more than one in ``factor``
  of as many new ones in the second half of the learning span: a mail server, a crawler, a desk
  where pages bring dozens of small contacts with them.

One finding a host, its most substantial contact first, and low: newness is where to look, not what
to say. Medium when a new network is on a list, or got ``much`` bytes and gave back less. How many
new sites were taken for browsing is said where there is a finding anyway.

Fires falsely: a new partner or product, a correspondent to whom a file is sent for the first time,
a server's new mirror. Cannot see: what looks like a visit from a host with people (tools fetched
from a web site, a page that steals a password); a peer met in the learning span; one that hides in
a known cloud; anything in logs of less than a day and a half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, make_finding, sum_traffic
from flowbench.detect.indicators import match_peers
from flowbench.detect.traffic import WEB, browsing_hosts, is_page_visit, network
from flowbench.enrich import cloud_services
from flowbench.enrich.address_context import AWS_SERVICE_FIELDS
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from flowbench.case import Case

_DAY = 86_400
_SHOWN = 4  # networks named in a sentence
_MOST = 500  # peers of a finding that lead to records


DETECTOR = Detector(
    id="rare-peer",
    title="First contact with networks nobody here knows",
    question="Which hosts first spoke, late and alone, with an outside network?",
    technique="T1071",
    needs=frozenset({"srcaddr", "dstaddr", "bytes", "start", "end"}),
)


def find(
    case: Case,
    *,
    few: int = 2,
    factor: float = 3,
    young: float = 24,
    much: float = 10e6,
    most_low: int = 20,
) -> list[Finding]:
    """One finding per inside host, for all the networks that it met first.

    ``few``: hosts that a rare network has. ``factor``: how many times more networks than to be
    expected must be new to a host. ``young``: hours. ``much``: bytes. ``most_low``: so many
    findings of severity low are told, those in which most was sent.
    """
    begin, end = case.span
    if begin is None or end is None:
        return []
    seconds = (end - begin).total_seconds()
    if seconds < 1.5 * _DAY:
        return []
    lesson = min(7 * _DAY, max(_DAY, seconds / 2))
    learned = begin + pd.Timedelta(seconds=lesson)
    rows = to_frame(
        _new(case, learned, lesson, few=few, young=young)
        .pipe(_beyond_habit, learned, factor * (seconds - lesson) / (lesson / 2))
        .order_by("host", "network", "peer", "service_port", "protocol")
        .to_pyarrow()
    )
    if rows.empty:
        return []
    flows = case.flows if case.fields & AWS_SERVICE_FIELDS else None
    cloud = cloud_services.find_services(
        sorted(set(rows["peer"])), case.table("cloud_ranges"), flows
    )
    rows = rows[~rows["peer"].isin(cloud["address"].to_pylist())]
    lists = match_peers(case, rows["peer"])
    bad = set(lists[["subject", "peer"]].itertuples(index=False, name=None))
    rows["listed"] = [pair in bad for pair in zip(rows["host"], rows["peer"], strict=True)]
    usual = format_duration(lesson)
    rows = rows[rows["host"].isin(_told(rows, much, most_low))]
    return [_finding(str(host), mine, usual, much) for host, mine in rows.groupby("host")]


def _told(rows: pd.DataFrame, much: float, most_low: int) -> set[str]:
    """The hosts that are told of: all of more than severity low, and those of it that sent most."""
    networks = rows.groupby(["host", "network"])[["sent", "got", "listed"]].sum()
    networks["grave"] = (networks["listed"] > 0) | _heavy(networks, much)
    hosts = networks.groupby("host").agg(sent=("sent", "sum"), grave=("grave", "any")).reset_index()
    grave = hosts["grave"]
    low = hosts[~grave].sort_values(["sent", "host"], ascending=[False, True])
    return {*hosts.loc[grave, "host"], *low["host"].head(most_low)}


def _heavy(networks: pd.DataFrame, much: float) -> pd.Series:
    return (networks["sent"] >= much) & (networks["sent"] > networks["got"])


def _new(case: Case, learned: pd.Timestamp, lesson: float, *, few: int, young: float) -> ibis.Table:
    """Contacts with rare networks that were first met in the second half of the lesson, or later.

    The rows of ``_met`` with ``first`` (contact of anybody with the network), ``web`` (on no other
    ports) and ``visit`` (as people make them, by a host that has people, to no listed address).
    """
    met = _met(case)
    networks = met.group_by("network").aggregate(
        first=_.first_seen.min(), hosts=_.host.nunique(), called=_.called.sum()
    )
    half = learned - pd.Timedelta(seconds=lesson / 2)
    rare = networks.filter(_.hosts <= few, _.called > 0, _["first"] >= half)
    hosts = met.group_by("host").aggregate(known=_.first_seen.min())
    mine = met.filter(met.called > 0).join(rare.drop("hosts", "called"), "network")
    mine = mine.join(hosts, "host").filter(
        (_["first"] < learned)
        | (_.first_seen >= _.known + ibis.interval(seconds=int(young * 3_600)))
    )
    people = browsing_hosts(case, learned, max_visitors=few).mutate(people=True)
    mine = mine.left_join(people, "host").drop("host_right")
    ends = ibis.window(group_by=["host", "network"])
    sent, got, calls = (mine[name].sum().over(ends) for name in ("sent", "got", "connections"))
    named = mine.peer.isin(case.indicator_matches.address).any().over(ends)
    return mine.mutate(web=_.service_port.isin(WEB).all().over(ends)).mutate(
        visit=_.web & is_page_visit(sent, got, calls) & _.people.fill_null(False) & ~named
    )


def _beyond_habit(contacts: ibis.Table, learned: pd.Timestamp, scale: float) -> ibis.Table:
    """New contacts, but visits, of hosts that had so many more than in the end of the lesson.

    ``scale``: how many times more. ``sites``: networks of the host that got visits only.
    """
    new = contacts["first"] >= learned
    odd = contacts.filter(~contacts.visit)
    count = odd.group_by("host", "web").aggregate(
        before=_.network.nunique(where=~new), after=_.network.nunique(where=new)
    )
    count = count.filter(count.after > scale * count.before)
    visited = contacts.filter(contacts.visit, new).group_by("host")
    visited = visited.aggregate(sites=_.network.nunique())
    told = odd.filter(odd["first"] >= learned).semi_join(count, ["host", "web"])
    return told.left_join(visited, "host").drop("host_right")


def _met(case: Case) -> ibis.Table:
    """Which inside host dealt with which outside network: a row per host, peer, port, opener.

    ``called`` counts answered connections that the host opened.
    """
    p = case.connection_summaries
    p = p.filter(p.direction.isin(["outbound", "inbound"]), ~p.intermediate)
    out = p.direction == "outbound"
    p = p.mutate(
        host=out.ifelse(p.initiator, p.responder),
        peer=out.ifelse(p.responder, p.initiator),
        called=out.ifelse(p.answered, 0),
        sent=out.ifelse(p.bytes_out, p.bytes_in),
        got=out.ifelse(p.bytes_in, p.bytes_out),
    )
    p = p.filter(p.answered > 0)
    return p.select(
        "host", "peer", "service_port", "protocol", "first_seen", "last_seen", "connections",
        "called", "sent", "got", network=network(p.peer),
    )  # fmt: skip


def _finding(host: str, rows: pd.DataFrame, usual: str, much: float) -> Finding:
    by_network = rows.groupby("network").agg(
        peer=("peer", "first"), port=("service_port", "first"), protocol=("protocol", "first"),
        sent=("sent", "sum"), got=("got", "sum"), first=("first_seen", "min"),
        listed=("listed", "any"),
    )  # fmt: skip
    by_network = by_network.sort_values(["listed", "sent"], ascending=False, kind="stable")
    shown = [
        f"{row.peer} on {label(int(row.port), None if pd.isna(row.protocol) else row.protocol)}"
        f" ({format_bytes(row.sent)} out, {format_bytes(row.got)} in, from"
        f" {row.first:%Y-%m-%d %H:%M} UTC"
        f"{', on a list of indicators' if row.listed else ''})"
        for row in by_network.head(_SHOWN).itertuples()
    ]
    more = f"; and {len(by_network) - _SHOWN} more" if len(by_network) > _SHOWN else ""
    heavy = _heavy(by_network, much).any()
    sites = int(rows["sites"].fillna(0).iloc[0])
    caveats = (
        "New is not bad: partners, products and people change. Usual is what the first"
        f" {usual} show, good or bad."
    )
    if sites:
        visited = format_count(sites, "more new network")
        caveats += f" {visited} got a visit as people browse, not told here."
    order = rows.groupby("peer")["sent"].sum().sort_values(ascending=False, kind="stable").index
    kept = rows[rows["peer"].isin(order[:_MOST])]
    traffic = sum_traffic(rows, bytes_out="sent", bytes_in="got")
    return make_finding(
        DETECTOR,
        host,
        order[:_MOST],
        traffic._replace(ports=tuple(kept["service_port"])),
        severity="medium" if heavy or by_network["listed"].any() else "low",
        score=0.3 + 0.2 * heavy + 0.3 * by_network["listed"].any(),
        summary=f"{host} was the first here to speak with"
        f" {format_count(len(by_network), 'outside network')}"
        f" that nobody knew in the first {usual} of the logs: {'; '.join(shown)}{more}.",
        caveats=caveats,
        peers_complete=len(order) <= _MOST,
    )
