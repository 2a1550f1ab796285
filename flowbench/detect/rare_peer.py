"""Rare peer: who first speaks, late, with an outside network that hardly anybody here knows?

Question: which outside networks had their first contact after it was learned what is usual, and by
few hosts only?

Method: destination novelty and rarity, as in the retrospective first-seen searches of hunting
practice (PEAK's baseline hunts; Zeek's and RITA's "rare" signatures). The first half of the logs, a
day at least and a week at most, is for learning. A network (a /24, a /48 of IPv6) is new when no
inside host exchanged anything with it then, whoever opened, and rare when at most ``few`` hosts do
later. Only contacts that an inside host opened and that were answered count. Left out: networks of
known clouds, a host's first ``young`` hours, and hosts for whom new networks are daily business:
who met more than one in ``factor`` of as many new ones in the second half of the learning span.

One finding a host, its most substantial contact first, and low: newness is where to look, not what
to say. Medium when a new network is on a list, or got ``much`` bytes and gave back less.

Fires falsely: a new partner or product, a browser, crawlers, mail servers. Cannot see: a peer met
in the learning span; one that hides in a known cloud; anything in logs of less than a day and a
half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.base import detector, finding, listed, many, port_name, spell, volume
from flowbench.enrich import services
from flowbench.enrich.outside import LOGGED
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_DAY = 86_400
_SHOWN = 4  # networks named in a sentence
_MOST = 500  # peers of a finding that lead to records


@detector(
    id="rare-peer",
    title="First contact with networks nobody here knows",
    question="Which hosts first spoke, late and alone, with an outside network?",
    technique="T1071",
    needs=("srcaddr", "dstaddr", "bytes", "start", "end"),
)
def rare_peer(
    case: Case,
    *,
    few: int = 2,
    factor: float = 3,
    young: float = 24,
    much: float = 10e6,
    most_low: int = 20,
) -> list[dict[str, Any]]:
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
    met = _met(case)
    networks = met.group_by("network").aggregate(
        first=_.first_seen.min(), hosts=_.host.nunique(), called=_.called.sum()
    )
    hosts = met.group_by("host").aggregate(known=_.first_seen.min())
    rare = networks.filter(networks.hosts <= few, networks.called > 0).drop("hosts", "called")
    mine = met.filter(met.called > 0).join(rare, "network").join(hosts, "host")
    half = learned - pd.Timedelta(seconds=lesson / 2)
    old = mine.filter(mine["first"] >= half, mine["first"] < learned)
    habit = old.group_by("host").aggregate(before=_.network.nunique())
    new = mine.filter(
        mine["first"] >= learned,
        mine.first_seen >= mine.known + ibis.interval(seconds=int(young * 3_600)),
    )
    count = new.group_by("host").aggregate(after=_.network.nunique()).left_join(habit, "host")
    scale = factor * (seconds - lesson) / (lesson / 2)
    odd = count.filter(count.after > scale * count.before.fill_null(0)).select("host")
    order = ["host", "network", "peer", "service_port", "protocol"]
    rows = to_frame(new.semi_join(odd, "host").order_by(order).to_pyarrow())
    if rows.empty:
        return []
    flows = case.flows if case.fields & LOGGED else None
    cloud = services.of(sorted(set(rows["peer"])), case.table("cloud_ranges"), flows)
    rows = rows[~rows["peer"].isin(cloud["address"].to_pylist())]
    lists = listed(case, rows["peer"])
    bad = set(lists[["subject", "peer"]].itertuples(index=False, name=None))
    rows["listed"] = [pair in bad for pair in zip(rows["host"], rows["peer"], strict=True)]
    usual = spell(lesson)
    found = [_finding(str(host), mine, usual, much) for host, mine in rows.groupby("host")]
    low = [one for one in found if one["severity"] == "low"]
    low.sort(key=lambda one: (-one["bytes_out"], one["subject"]))
    untold = {one["finding_id"] for one in low[most_low:]}
    return [one for one in found if one["finding_id"] not in untold]


def _met(case: Case) -> ibis.Table:
    """Which inside host dealt with which outside network: a row per host, peer, port, opener.

    ``called`` counts answered connections that the host opened.
    """
    p = case.pairs
    p = p.filter(p.direction.isin(["outbound", "inbound"]), ~p.relay)
    out = p.direction == "outbound"
    p = p.mutate(
        host=out.ifelse(p.initiator, p.responder),
        peer=out.ifelse(p.responder, p.initiator),
        called=out.ifelse(p.answered, 0),
        sent=out.ifelse(p.bytes_out, p.bytes_in),
        got=out.ifelse(p.bytes_in, p.bytes_out),
    )
    p = p.filter(p.answered > 0)
    four = p.peer.re_extract(r"^(\d+\.\d+\.\d+)\.\d+$", 1)
    six = p.peer.re_extract(r"^((?:[0-9a-f]+:){1,3})", 1)
    return p.select(
        "host", "peer", "service_port", "protocol", "first_seen", "last_seen", "connections",
        "called", "sent", "got", network=p.peer.contains(":").ifelse(six, four),
    )  # fmt: skip


def _finding(host: str, rows: pd.DataFrame, usual: str, much: float) -> dict[str, Any]:
    by_network = rows.groupby("network").agg(
        peer=("peer", "first"), port=("service_port", "first"), protocol=("protocol", "first"),
        sent=("sent", "sum"), got=("got", "sum"), first=("first_seen", "min"),
        listed=("listed", "any"),
    )  # fmt: skip
    by_network = by_network.sort_values(["listed", "sent"], ascending=False, kind="stable")
    shown = [
        f"{row.peer} on {port_name(int(row.port), None if pd.isna(row.protocol) else row.protocol)}"
        f" ({volume(row.sent)} out, {volume(row.got)} in, from {row.first:%Y-%m-%d %H:%M} UTC"
        f"{', on a list of indicators' if row.listed else ''})"
        for row in by_network.head(_SHOWN).itertuples()
    ]
    more = f"; and {len(by_network) - _SHOWN} more" if len(by_network) > _SHOWN else ""
    heavy = ((by_network["sent"] >= much) & (by_network["sent"] > by_network["got"])).any()
    order = rows.groupby("peer")["sent"].sum().sort_values(ascending=False, kind="stable").index
    kept = rows[rows["peer"].isin(order[:_MOST])]
    made = finding(
        "rare-peer",
        severity="medium" if heavy or by_network["listed"].any() else "low",
        score=0.3 + 0.2 * heavy + 0.3 * by_network["listed"].any(),
        subject=host,
        peers=order[:_MOST],
        ports=kept["service_port"],
        protocol=int(rows["protocol"].iloc[0]) if rows["protocol"].nunique() == 1 else None,
        first_seen=rows["first_seen"].min(),
        last_seen=rows["last_seen"].max(),
        connections=int(rows["connections"].sum()),
        bytes_out=rows["sent"].sum(),
        bytes_in=rows["got"].sum(),
        why=f"{host} was the first here to speak with {many(len(by_network), 'outside network')}"
        f" that nobody knew in the first {usual} of the logs: {'; '.join(shown)}{more}.",
        caveats="New is not bad: partners, products and people change. Usual is what the first"
        f" {usual} show, good or bad.",
    )
    return made | ({"some_peers": True} if len(order) > _MOST else {})
