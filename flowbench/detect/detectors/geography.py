"""Geography: which hosts sent traffic to prohibited countries, or to a country for the first time?

Question: did an internal host communicate with addresses in a country that the case's policy
prohibits, or with which no internal host communicated during the baseline period?

Method: every external address that an internal host connected to is located (enrich.geography).
With a policy (``countries`` in segmentation.policy) all of them are compared with it. Without one,
a host's baseline period (the first half of its observed lifetime, at least a day and at most a
week) shows which countries are usual. A country that is first reached later, by ``few`` hosts at
most and in no known cloud, is new.

People visit web sites in any country, which must not hide the first traffic of another host to it.
Two kinds of traffic on web ports from a host from which people browse (``traffic.browsing_hosts``)
are not reported and make no country usual: page visits (three times as much received as sent, 10 kB
a connection or more, ``traffic.is_page_visit``) and what pages bring along (one or two connections,
or all within an hour, with less than 10 MB sent, ``traffic.is_in_passing``). That more than ``few``
hosts reach a country makes it usual. The same traffic of a host that never browses counts.

New countries must be rare for the host. One that was itself the first in more than one in
``factor`` of as many countries in the second half of the baseline period, over as long a time,
reaches them as part of its work (a crawler, a mail server) and is not reported. Of the findings of
severity low, the ``most_low`` in which most was sent are kept. A finding names at most 20
addresses in new countries.

Severity: medium if a connection with a prohibited country was answered, low for an attempt. Low for
a new country, which is a reason to look.

False positives: content networks whose nodes move, a travelling colleague's address, a new partner.

Limitations: not detected are traffic through a proxy, intermediate device or content network; a
country that an attacker used from the first day on, or that is usual here; what looks like browsing
from a host with people; new countries of a host that was seen for less than a day and a half. A
network is not always used where it is registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.baseline import host_baselines
from flowbench.detect.country_traffic import (
    locate_outbound,
    prohibited_countries,
    read_summaries,
    tabulate_countries,
)
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, make_finding, sum_traffic
from flowbench.detect.traffic import (
    WEB,
    browsing_hosts,
    is_cloud_address,
    is_in_passing,
    is_page_visit,
)
from flowbench.schema import to_frame
from flowbench.segmentation import parse_policy
from flowbench.text import format_bytes, format_count, format_period, format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.segmentation import Policy

DETECTOR = Detector(
    id="geography",
    title="Traffic to an unusual country",
    question="Which hosts sent traffic to a prohibited country, or first to some country?",
    technique="T1071",
)

_NAMED = 6  # addresses in a summary
_MOST_PEERS, _MOST_NEW = 1_000, 20  # of a finding about prohibited countries, about new ones


def find(case: Case, *, few: int = 3, factor: float = 3, most_low: int = 20) -> list[Finding]:
    """Return per internal host one finding for all prohibited countries and one for all new ones.

    Args:
        case: The case.
        few: Most hosts that reach a new country.
        factor: How many times more countries than expected must be new to a host.
        most_low: Most findings of severity low about new countries.
    """
    p = locate_outbound(case)
    policy = parse_policy(case.policy, "the case's policy") if case.policy else None
    found = []
    if policy is not None and (prohibited := prohibited_countries(p, policy)):
        found += _prohibited_findings(p.filter(p.country.isin(prohibited)))
        p = p.filter(~p.country.isin(prohibited))
    new = _new_countries(case, p, few, factor)
    new = new[~is_cloud_address(case, new["responder"], by_records=False)]
    low = []
    for host, rows in new.groupby("initiator"):
        until = format_utc(rows["until"].iloc[0])
        reason = f"No internal host had traffic with it, web browsing aside, before {until}."
        low.append(_finding(str(host), rows, reason, prohibited=False))
    low.sort(key=lambda finding: (-finding.bytes_out, finding.subject))
    return found + low[:most_low]


def check_countries(case: Case, policy: Policy) -> tuple[list[Finding], pd.DataFrame]:
    """Return the findings about countries that a policy prohibits, as ``find`` does.

    With them, the result of the policy's countries (country_traffic.tabulate_countries).
    """
    p = locate_outbound(case)
    p = p.filter(p.country.isin(prohibited_countries(p, policy)))
    return _prohibited_findings(p), tabulate_countries(policy, read_summaries(p))


def _prohibited_findings(summaries: ibis.Table) -> list[Finding]:
    return [
        _finding(str(host), rows, "The case's policy prohibits this.", prohibited=True)
        for host, rows in read_summaries(summaries).groupby("initiator")
    ]


def _new_countries(case: Case, summaries: ibis.Table, few: int, factor: float) -> pd.DataFrame:
    """Return the summaries to countries first reached after the host's baseline period.

    With the columns of ``host_baselines``.
    """
    answered = summaries.filter(summaries.answered > 0)
    countries = answered.group_by("country").aggregate(hosts=_.initiator.nunique())
    rows = read_summaries(answered.semi_join(countries.filter(countries.hosts <= few), "country"))
    baselines = host_baselines(case)
    if rows["service_port"].isin(WEB).any():
        browsing = to_frame(browsing_hosts(case, baselines).to_pyarrow())["host"]
        rows = rows[~(_is_browsing(rows) & rows["initiator"].isin(browsing))]
    first = rows.groupby("country")["first_seen"].transform("min")
    hosts = ibis.memtable({"host": pa.array(sorted(set(rows["initiator"])), pa.string())})
    periods = to_frame(baselines.semi_join(hosts, "host").to_pyarrow())
    rows = rows.assign(first=first).merge(periods, left_on="initiator", right_on="host")
    late = rows[(rows["first"] >= rows["middle"]) & (rows["first"] < rows["until"])]
    new = rows[rows["first"] >= rows["until"]]
    before, after = (part.groupby("initiator")["country"].nunique() for part in (late, new))
    scale = new.groupby("initiator")["scale"].first()
    expected = factor * scale * before.reindex(after.index, fill_value=0)
    return new[new["initiator"].isin(after[after > expected].index)]


def _is_browsing(rows: pd.DataFrame) -> pd.Series:
    """Return which summaries look like web browsing: page visits, or what happens in passing."""
    ends = rows.groupby(["initiator", "country"])
    lasted = ends["last_seen"].transform("max") - ends["first_seen"].transform("min")
    sent, connections = (ends[name].transform("sum") for name in ("bytes_out", "connections"))
    web = rows["service_port"].isin(WEB).groupby([rows["initiator"], rows["country"]])
    passing = web.transform("all") & is_in_passing(sent, connections, lasted.dt.total_seconds())
    visit = is_page_visit(rows["bytes_out"], rows["bytes_in"], rows["connections"])
    return (rows["service_port"].isin(WEB) & visit) | passing


def _finding(host: str, rows: pd.DataFrame, reason: str, *, prohibited: bool) -> Finding:
    """Return the finding of one host for some countries."""
    peers = rows.groupby("responder").agg(
        country=("country", "first"), bytes_out=("bytes_out", "sum")
    )
    peers = peers.sort_values(["bytes_out", "country"], ascending=[False, True], kind="stable")
    kept = peers.head(_MOST_PEERS if prohibited else _MOST_NEW).index
    answered = int(rows["answered"].sum())
    whole = sum_traffic(rows)
    traffic = sum_traffic(rows[rows["responder"].isin(kept)])._replace(
        first_seen=whole.first_seen,
        last_seen=whole.last_seen,
        bytes_out=whole.bytes_out,
        bytes_in=whole.bytes_in,
    )
    named = list_some((f"{row.Index} ({row.country})" for row in peers.itertuples()), _NAMED)
    sources = ", ".join(sorted(set(rows["country_source"])))
    return make_finding(
        DETECTOR,
        host,
        kept,
        traffic,
        severity="medium" if prohibited and answered else "low",
        score=0.6 if prohibited else 0.3,
        summary=f"{host} opened {format_count(whole.connections, 'connection')} to"
        f" {format_count(len(peers), 'address', 'addresses')} in"
        f" {', '.join(sorted(set(rows['country'])))} from"
        f" {format_period(whole.first_seen, whole.last_seen)}: {named}. {answered:,}"
        f" {'was' if answered == 1 else 'were'} answered,"
        f" {format_bytes(whole.bytes_out)} sent, {format_bytes(whole.bytes_in)} received. {reason}",
        caveats=f"The country is where the network is registered or used, according to {sources}."
        " Content networks, proxies and VPNs carry traffic of other countries.",
        title="Traffic to a prohibited country" if prohibited else "First traffic to a country",
        about="forbidden" if prohibited else "new",
        peers_complete=len(peers) == len(kept),
    )
