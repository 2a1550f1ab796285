"""Geography: who reached countries that are forbidden, or that nobody here used to reach?

Question: which inside host spoke with addresses in a country that the case's policy forbids, or
that no host of the estate spoke with while it was learned what is usual?

Method: every outside address that an inside host called and got an answer from is put into its
country (enrich.geography). A policy (``countries`` in segmentation.policy) is held against all of
them: what was answered is medium, what was only tried is low. Without one, the first half of the
logs, a day at least and a week at most, tells which countries are usual; one that is first reached
later, by ``few`` hosts at most and in no cloud that is known, is new, and low: a reason to look.

People come upon sites in any country, and that hides nobody else's first step there: a visit (a web
port, three times as much got as sent, 10 kB a connection or more; base.visits) by a host from which
people browse (base.browsing) is not told, and makes no country usual: only that more than ``few``
hosts go there does. A visit by a host that never browses counts.

New must be rare for the host: one that was itself first here in more than one in ``factor`` of as
many countries in the second half of the learning span, over as long a time, meets them by trade (a
crawler, a mail server), and newness says nothing of it. It is silent, the others are not. Of
findings of severity low the ``most_low`` in which most was sent are told.

Fires falsely: content networks whose nodes move, a roaming colleague's address, a new partner.
Cannot see: what lies behind a proxy, relay or content network; a country that a thief used from the
first day on, or that is usual here; what looks like a visit from a host with people. Where a
network is registered is not always where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, make_finding, sum_traffic
from flowbench.detect.traffic import WEB, browsing_hosts, is_page_visit
from flowbench.enrich import cloud_services
from flowbench.enrich.geography import locate
from flowbench.schema import to_frame
from flowbench.segmentation import parse_policy
from flowbench.text import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from flowbench.case import Case

_DAY = 86_400
_SHOWN = 6  # addresses named in a sentence
_MOST = 1_000  # addresses of a finding that lead to records


DETECTOR = Detector(
    id="geography",
    title="Traffic with an unusual country",
    question="Who reached countries that the policy forbids, or that are new here?",
    technique="T1071",
)


def find(case: Case, *, few: int = 3, factor: float = 3, most_low: int = 20) -> list[Finding]:
    """One finding per inside host for all forbidden countries, one for all new ones.

    ``few``: hosts that a new country may have. ``factor``: how many times more countries than to
    be expected must be new to a host. ``most_low``: findings of severity low about new countries.
    """
    p = case.connection_summaries
    p = p.filter(p.direction == "outbound", ~p.intermediate, p.bytes_out > 0)
    asked = p.select("responder").distinct().order_by("responder").to_pyarrow()
    places = locate(asked["responder"].to_pylist(), case.table("geography"))
    places = places.select(["address", "country", "country_source"]).drop_null()
    if not places.num_rows:
        return []
    where = ibis.memtable(places)
    p = p.join(where, p.responder == where.address)
    policy = parse_policy(case.policy, "the case's policy") if case.policy else None
    found = []
    if policy is not None and policy.countries:
        codes = sorted(set(places["country"].to_pylist()))
        forbidden = [code for code in codes if not policy.allows(code)]
        found += [
            _finding(host, rows, "The case's policy forbids it.", forbidden=True)
            for host, rows in _hosts(p.filter(p.country.isin(forbidden)))
        ]
        p = p.filter(~p.country.isin(forbidden))
    mine, learned = _new(case, p, few, factor)
    if len(mine):
        cloud = cloud_services.find_services(
            sorted(set(mine["responder"])), case.table("cloud_ranges")
        )
        mine = mine[~mine["responder"].isin(cloud["address"].to_pylist())]
        lesson = format_duration(learned)
        why = f"But for visits, nobody here reached it in the first {lesson} of the logs."
        low = [
            _finding(str(host), rows, why, forbidden=False)
            for host, rows in mine.groupby("initiator", sort=True)
        ]
        low.sort(key=lambda finding: (-finding.bytes_out, finding.subject))
        found += low[:most_low]
    return found


def _hosts(pairs: ibis.Table) -> list[tuple[str, pd.DataFrame]]:
    rows = to_frame(pairs.order_by("initiator", "responder", "service_port").to_pyarrow())
    return [(str(host), mine) for host, mine in rows.groupby("initiator", sort=True)]


def _new(case: Case, pairs: ibis.Table, few: int, factor: float) -> tuple[pd.DataFrame, float]:
    """Pairs in countries first reached after the learning span, and how long that is (seconds)."""
    begin, end = case.span
    seconds = 0.0 if begin is None or end is None else (end - begin).total_seconds()
    if seconds < 1.5 * _DAY:  # it teaches nothing
        return pd.DataFrame(), 0.0
    lesson = min(7 * _DAY, max(_DAY, seconds / 2))
    learned = begin + pd.Timedelta(seconds=lesson)
    half = learned - pd.Timedelta(seconds=lesson / 2)
    answered = pairs.filter(pairs.answered > 0)
    countries = answered.group_by("country").aggregate(hosts=_.initiator.nunique())
    mine = answered.semi_join(countries.filter(countries.hosts <= few), "country")
    mine = to_frame(mine.order_by("initiator", "responder", "service_port").to_pyarrow())
    visit = mine["service_port"].isin(WEB)
    visit &= is_page_visit(mine["bytes_out"], mine["bytes_in"], mine["connections"])
    if visit.any():
        people = to_frame(browsing_hosts(case, learned).to_pyarrow())["host"]
        mine = mine[~(visit & mine["initiator"].isin(people))]
    first = mine.groupby("country")["first_seen"].transform("min")
    mine = mine.assign(first=first)[first >= half]
    late, new = mine[mine["first"] < learned], mine[mine["first"] >= learned]
    before, after = [part.groupby("initiator")["country"].nunique() for part in (late, new)]
    scale = factor * (seconds - lesson) / (lesson / 2)
    odd = after[after > scale * before.reindex(after.index, fill_value=0)]
    return new[new["initiator"].isin(odd.index)], lesson


def _finding(host: str, rows: pd.DataFrame, reason: str, *, forbidden: bool) -> Finding:
    """All that one host had to do with some countries."""
    peers = rows.groupby("responder").agg(
        country=("country", "first"), out=("bytes_out", "sum"), answered=("answered", "sum")
    )
    peers = peers.sort_values(["out", "country"], ascending=[False, True], kind="stable")
    countries = sorted(set(rows["country"]))
    answered = int(rows["answered"].sum())
    first, last = rows["first_seen"].min(), rows["last_seen"].max()
    sent, got = int(rows["bytes_out"].sum()), int(rows["bytes_in"].sum())
    shown = [f"{peer} ({country})" for peer, country in peers["country"].head(_SHOWN).items()]
    more = f" and {len(peers) - _SHOWN} more" if len(peers) > _SHOWN else ""
    why = (
        f"{host} called {', '.join(shown)}{more} in {', '.join(countries)}"
        f" {format_count(int(rows['connections'].sum()), 'time')} within"
        f" {format_duration((last - first).total_seconds())}: {answered} answered,"
        f" {format_bytes(sent)} out,"
        f" {format_bytes(got)} in. {reason}"
    )
    kept = peers.head(_MOST).index
    traffic = sum_traffic(rows[rows["responder"].isin(kept)])
    return make_finding(
        DETECTOR,
        host,
        kept,
        traffic._replace(first_seen=first, last_seen=last, bytes_out=sent, bytes_in=got),
        severity="medium" if forbidden and answered else "low",
        score=0.6 if forbidden else 0.3,
        summary=why,
        caveats=(
            "A country is where a network is registered or used, as told by"
            f" {', '.join(sorted(set(rows['country_source'])))}; content networks, relays and"
            " VPNs stand for others."
        ),
        title="A forbidden country" if forbidden else "A country that is new here",
        about="forbidden" if forbidden else "new",
        peers_complete=len(peers) <= _MOST,
    )
