"""Bursts of queries for domains that do not exist, as domain generation algorithms cause them.

Method: malware with a domain generation algorithm queries many domains of which its operator has
registered few, so that most do not exist (NXDOMAIN): Antonakakis et al., "From throw-away traffic
to bots" (USENIX Security 2012). Counted are the distinct registered domains in an hour that a
client queried addresses of, and that no client of the case ever had another answer for: a missing
name of an existing domain (a typing error, a search suffix) and a single label (Chrome's three
random names) do not count.

The count alone would report mail servers and crawlers, which meet dead domains among many live
ones. So either most domains of the hour must not exist, or most of those that do not must look
random: as a second measure the share of their letter pairs that are common in English
(COMMON_PAIRS; words have about 0.6, random letters 0.15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.dns_tunnelling import dns_clients
from flowbench.engine import epoch_seconds
from flowbench.enrich.domain_names import is_public_name, registered_domain
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

# The hundred most frequent letter pairs of English text (P. Norvig, English letter frequency
# counts: Mayzner revisited, 2013).
COMMON_PAIRS = frozenset(
    """
    th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le
    ve co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec
    pr no ct us ac ot il tr ly nc et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na
    ul ni ts mo ow pa im mi ai sh
    """.split()
)

_HOUR = 3_600
_ADDRESS_TYPES = ("A", "AAAA", "HTTPS", "TYPE65", "65", "ANY")
_MIN_LABEL = 6  # characters; shorter labels cannot be judged
_RANDOM = 0.35  # share of common pairs below which a label looks random


def find_generated(case: Case, *, hourly_domains: int, share: float) -> pd.DataFrame:
    """Find the clients that looked up many domains that do not exist within an hour.

    Args:
        case: The case.
        hourly_domains: Least distinct registered domains of an hour that do not exist.
        share: Their least share among the client's domains of the hour, or of them that look
            random.

    Returns:
        A row for each client, ordered by host: host, first_seen, last_seen, queries (for domains
        that do not exist, in the hours that qualify), domains (their number), most (domains of the
        hour with most), missing_share and random_share (of that hour), hours (that qualify),
        examples (domains, in order of time), resolved (random-looking domains of the same hours
        that do exist).
    """
    queries = _address_queries(case.dns)
    missing = _missing_by_hour(queries, hourly_domains)
    if missing.empty:
        return missing
    rows = _mark_existing(queries, missing)
    rows["random"] = [looks_random(domain) for domain in rows["domain"]]
    found = []
    for host, group in rows.groupby("host", sort=True):
        by_hour = {hour: _judge_hour(domains) for hour, domains in group.groupby("hour")}
        kept = {
            hour: measures
            for hour, measures in by_hour.items()
            if max(measures["missing_share"], measures["random_share"]) >= share
        }
        if kept:
            busiest = max(kept.values(), key=lambda measures: measures["most"])
            summary = _summarize(group[group["hour"].isin(list(kept))])
            found.append({"host": host, "hours": len(kept)} | busiest | summary)
    return pd.DataFrame(found)


def looks_random(domain: str) -> bool:
    """Return whether the first label of a domain has few letter pairs that are common in English.

    False for labels of fewer than six characters and for internationalized ones (xn--…).
    """
    label = domain.partition(".")[0]
    if len(label) < _MIN_LABEL or label.startswith("xn--"):
        return False
    pairs = [label[i : i + 2] for i in range(len(label) - 1)]
    return sum(pair in COMMON_PAIRS for pair in pairs) < _RANDOM * len(pairs)


def _address_queries(dns: ibis.Table) -> ibis.Table:
    """Return the queries for addresses: host, name, query_time, hour, and whether it is missing."""
    d = dns_clients(dns).filter(_.query_type.isin(_ADDRESS_TYPES), is_public_name(_.name))
    # DNS Firewall answers NXDOMAIN too, for domains that exist.
    missing = (d.rcode == "NXDOMAIN") & (d.firewall_action.fill_null("") != "BLOCK")
    hour = epoch_seconds(d.query_time) // _HOUR
    return d.select("host", "name", "query_time", hour=hour, missing=missing.fill_null(False))


def _missing_by_hour(queries: ibis.Table, hourly_domains: int) -> pd.DataFrame:
    """Return the domains that do not exist, of each client and hour that has enough of them.

    Columns: host, hour, domain, first_seen, last_seen, queries.
    """
    missing = queries.filter(queries.missing).mutate(domain=registered_domain(_.name))
    by_hour = missing.group_by("host", "hour", "domain").aggregate(
        first_seen=_.query_time.min(), last_seen=_.query_time.max(), queries=_.count()
    )
    counts = _.count().over(group_by=["host", "hour"])
    rows = to_frame(by_hour.mutate(n=counts).filter(_.n >= hourly_domains).to_pyarrow())
    names = queries.filter(~queries.missing).select("name").distinct()
    candidates = ibis.memtable({"domain": sorted(set(rows["domain"]))}, schema={"domain": "string"})
    exist = names.select(domain=registered_domain(names.name)).semi_join(candidates, "domain")
    existing = exist.distinct().to_pyarrow()["domain"].to_pylist()
    rows = rows[~rows["domain"].isin(existing)].drop(columns="n")
    return rows[rows.groupby(["host", "hour"])["domain"].transform("size") >= hourly_domains]


def _mark_existing(queries: ibis.Table, missing: pd.DataFrame) -> pd.DataFrame:
    """Return all domains of the hours of ``missing``, with ``missing``, in order of time."""
    hours = missing[["host", "hour"]].drop_duplicates()
    wanted = ibis.memtable({"host": hours["host"].tolist(), "hour": hours["hour"].tolist()})
    rows = queries.semi_join(wanted, ["host", "hour"]).mutate(domain=registered_domain(_.name))
    rows = rows.group_by("host", "hour", "domain").aggregate(
        first_seen=_.query_time.min(), last_seen=_.query_time.max(), queries=_.count()
    )
    frame = to_frame(rows.order_by(["host", "hour", "first_seen", "domain"]).to_pyarrow())
    return frame.assign(missing=frame["domain"].isin(set(missing["domain"])))


def _judge_hour(domains: pd.DataFrame) -> dict[str, Any]:
    missing = domains[domains["missing"]]
    return {
        "most": len(missing),
        "missing_share": len(missing) / len(domains),
        "random_share": float(missing["random"].mean()) if len(missing) else 0.0,
    }


def _summarize(domains: pd.DataFrame) -> dict[str, Any]:
    missing = domains[domains["missing"]]
    exist = domains[~domains["missing"] & domains["random"]]
    return {
        "first_seen": missing["first_seen"].min(),
        "last_seen": missing["last_seen"].max(),
        "queries": int(missing["queries"].sum()),
        "domains": missing["domain"].nunique(),
        "examples": list(missing["domain"].drop_duplicates()),
        "resolved": sorted(set(exist["domain"])),
    }
