"""First contact with a rare destination: which hosts reach networks that few hosts contact?

Question: which external networks had their first connection after the baseline period, from few
internal hosts only?

Method: novelty and rarity of destinations, as in the first-seen searches of threat hunting (PEAK's
baseline hunts; the "rare" signatures of Zeek and RITA). The baseline period of a host is the first
half of its observed lifetime, at least a day and at most a week. A network (a /24, or a /48 of
IPv6) is new when no internal host exchanged traffic with it before the end of that, whoever
connected, and rare when at most ``few`` hosts do at all. Only answered connections that an internal
host opened count. Left out are networks of known clouds, queries of time servers (their pools
answer with other addresses each time), and what is usual for a host:

* Where people browse, new web sites are expected, and on web ports the port says nothing. A host
  has people when it connected to networks of its own on web ports (``traffic.browsing_hosts``).
  There two kinds of contact on web ports only do not count, then or later. Page visits: three times
  as much received as sent, 10 kB a connection or more (``traffic.is_page_visit``). And what pages
  bring along: one or two connections, or all within an hour, with less than 10 MB sent
  (``traffic.is_in_passing``). The same contact by a host that never browses is reported: servers do
  not browse. So is what browsing does not look like: another port, a contact that returns and
  sends more than a visit, or gets the small answers to a check-in; an upload.
* Of what remains, web ports and others apart, the new networks of hosts that reached more than one
  in ``factor`` of as many new ones in the second half of the baseline period: a mail server, a
  crawler, a client of a peer-to-peer network.

One finding per host, the connection with most data first, with at most 20 peers. A finding states
how many new sites were taken for browsing.

Severity: low, since novelty says where to look, not what happened; medium with an indicator match,
or when a new network received ``much`` bytes and sent less.

False positives: a new partner or product, a correspondent who is sent a file for the first time, a
server's new mirror, a new mail provider.

Limitations: not detected are what looks like a page visit or happens in passing from a host with
people (tools downloaded from a web site, a phishing page, a single check-in); a peer of the
baseline period; a peer in a known cloud; anything from a host that was seen for less than a day and
a half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.baseline import host_baselines
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, make_finding, sum_traffic
from flowbench.detect.indicators import has_match
from flowbench.detect.traffic import (
    WEB,
    browsing_hosts,
    host_traffic,
    is_cloud_address,
    is_in_passing,
    is_page_visit,
    is_time_service,
)
from flowbench.engine import epoch_seconds
from flowbench.enrich.ownership import SITE, neighbourhood_key
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="rare-peer",
    title="First contact with a rare destination",
    question="Which hosts first contacted, after the baseline period, an external network that few"
    " other internal hosts contact?",
    technique="T1071",
    needs=frozenset({"srcaddr", "dstaddr", "bytes", "start", "end"}),
)

_NAMED = 4  # networks in a summary
_MOST_PEERS = 20  # of a finding


def find(
    case: Case,
    *,
    few: int = 2,
    factor: float = 3,
    much: float = 10e6,
    most_low: int = 20,
) -> list[Finding]:
    """Return one finding per internal host, for all networks that it reached first.

    Args:
        case: The case.
        few: Most hosts of a rare network.
        factor: How many times more networks than expected must be new to a host.
        much: Bytes sent to a network that make the severity medium.
        most_low: Most findings of severity low: those in which most was sent.
    """
    new = _beyond_expected(_rare_networks(case, few=few), factor)
    order = ["host", "network", "peer", "service_port", "protocol"]
    rows = to_frame(new.order_by(order).to_pyarrow())
    if rows.empty:
        return []
    rows = rows[~is_cloud_address(case, rows["peer"])]
    rows = rows.assign(matched=has_match(case, rows["host"], rows["peer"]))
    rows = rows[rows["host"].isin(_select_hosts(rows, much, most_low))]
    return [_finding(str(host), of_host, much) for host, of_host in rows.groupby("host")]


def _contacts(case: Case) -> ibis.Table:
    """Return which internal host communicated with which external network, a row per port.

    ``opened`` counts the answered connections that the host opened.
    """
    p = case.connection_summaries
    p = host_traffic(p.filter(p.answered > 0))
    p = p.filter(~is_time_service(p))
    return p.select(
        "host",
        "peer",
        "service_port",
        "protocol",
        "first_seen",
        "last_seen",
        "connections",
        "sent",
        "received",
        opened=p.opened.ifelse(p.answered, 0),
        network=neighbourhood_key(p.peer, SITE),
    )


def _rare_networks(case: Case, *, few: int) -> ibis.Table:
    """Return contacts with rare networks first reached in the baseline's second half, or later.

    The rows of ``_contacts`` with the host's baseline period (``host_baselines``), ``is_new``
    (whether no host had traffic with the network before its end), ``web`` (whether on web ports
    only) and ``visit`` (whether it is a page visit by a host with people, to no address of an
    indicator).
    """
    contacts, baselines = _contacts(case), host_baselines(case)
    # In two steps: a distinct count costs more than all the rest.
    hosts = contacts.group_by("network", "host").aggregate(
        first=_.first_seen.min(), opened=_.opened.sum()
    )
    networks = hosts.group_by("network").aggregate(
        first=_["first"].min(), hosts=_.count(), opened=_.opened.sum()
    )
    rare = networks.filter(_.hosts <= few, _.opened > 0)
    opened = contacts.filter(contacts.opened > 0)
    reached = opened.join(rare.drop("hosts", "opened"), "network").join(baselines, "host")
    reached = reached.filter(reached["first"] >= reached.middle)
    reached = reached.mutate(is_new=reached["first"] >= reached.until)
    people = browsing_hosts(case, baselines, max_visitors=few).mutate(people=True)
    reached = reached.left_join(people, "host").drop("host_right")
    ends = ibis.window(group_by=["host", "network"])
    sent, received, connections = (
        reached[name].sum().over(ends) for name in ("sent", "received", "connections")
    )
    lasted = epoch_seconds(_.last_seen.max().over(ends)) - epoch_seconds(
        _.first_seen.min().over(ends)
    )
    passing = is_in_passing(sent, connections, lasted)
    matched = reached.peer.isin(case.indicator_matches.address).any().over(ends)
    by_people = _.web & _.people.fill_null(False) & ~matched
    return reached.mutate(web=_.service_port.isin(WEB).all().over(ends)).mutate(
        visit=by_people & (is_page_visit(sent, received, connections) | passing)
    )


def _beyond_expected(contacts: ibis.Table, factor: float) -> ibis.Table:
    """Return new contacts of hosts with more than the end of the baseline period lets expect.

    Page visits are left out; ``sites`` counts the host's new networks with page visits only.
    """
    no_visits = contacts.filter(~contacts.visit)
    counts = no_visits.group_by("host", "web").aggregate(
        before=_.network.nunique(where=~_.is_new),
        after=_.network.nunique(where=_.is_new),
        scale=_.scale.max(),
    )
    counts = counts.filter(counts.after > factor * counts.scale * counts.before)
    sites = contacts.filter(contacts.visit, contacts.is_new).group_by("host")
    sites = sites.aggregate(sites=_.network.nunique())
    new = no_visits.filter(no_visits.is_new).semi_join(counts, ["host", "web"])
    return new.left_join(sites, "host").drop("host_right")


def _select_hosts(rows: pd.DataFrame, much: float, most_low: int) -> set[str]:
    """Return the hosts to report: all of medium severity, of the others those that sent most."""
    networks = rows.groupby(["host", "network"])[["sent", "received", "matched"]].sum()
    networks["medium"] = (networks["matched"] > 0) | _is_upload(networks, much)
    hosts = networks.groupby("host").agg(sent=("sent", "sum"), medium=("medium", "any"))
    low = (
        hosts[~hosts["medium"]].reset_index().sort_values(["sent", "host"], ascending=[False, True])
    )
    return {*hosts.index[hosts["medium"]], *low["host"].head(most_low)}


def _is_upload(networks: pd.DataFrame, much: float) -> pd.Series:
    return (networks["sent"] >= much) & (networks["sent"] > networks["received"])


def _finding(host: str, rows: pd.DataFrame, much: float) -> Finding:
    until = format_utc(rows["until"].iloc[0])
    networks = rows.groupby("network").agg(
        peer=("peer", "first"),
        port=("service_port", "first"),
        protocol=("protocol", "first"),
        sent=("sent", "sum"),
        received=("received", "sum"),
        first=("first_seen", "min"),
        matched=("matched", "any"),
    )
    networks = networks.sort_values(["matched", "sent"], ascending=False, kind="stable")
    upload, matched = bool(_is_upload(networks, much).any()), bool(networks["matched"].any())
    named = [
        f"{row.peer} on {label(int(row.port), None if pd.isna(row.protocol) else row.protocol)}"
        f" from {format_utc(row.first)} ({format_bytes(row.sent)} sent,"
        f" {format_bytes(row.received)} received{', on an indicator list' * row.matched})"
        for row in networks.itertuples()
    ]
    caveats = (
        "A new destination is not evidence of compromise. The baseline is the logs before"
        f" {until}; it may contain malicious traffic."
    )
    if sites := int(rows["sites"].fillna(0).iloc[0]):
        others = format_count(sites, "other new network")
        caveats += f" Web browsing to {others} is left out."
    order = rows.groupby("peer")["sent"].sum().sort_values(ascending=False, kind="stable").index
    kept = rows[rows["peer"].isin(order[:_MOST_PEERS])]
    traffic = sum_traffic(rows, bytes_out="sent", bytes_in="received")
    return make_finding(
        DETECTOR,
        host,
        order[:_MOST_PEERS],
        traffic._replace(ports=tuple(kept["service_port"])),
        severity="medium" if upload or matched else "low",
        score=0.3 + 0.2 * upload + 0.3 * matched,
        scores={"upload": float(upload), "indicator": float(matched)},
        summary=f"{host} connected to {format_count(len(networks), 'external network')} with which"
        f" no internal host had traffic before {until}:"
        f" {list_some(named, _NAMED, separator='; ')}.",
        caveats=caveats,
        peers_complete=len(order) <= _MOST_PEERS,
    )
