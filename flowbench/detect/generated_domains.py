"""Bursts of look-ups of domains that do not exist, as domain generation algorithms cause them.

Method: malware with a domain generation algorithm looks up many domains of which its operator has
registered few, so that most do not exist (NXDOMAIN): Antonakakis et al., "From throw-away traffic
to bots" (USENIX Security 2012). Counted are the distinct registered domains in an hour that a
client asked addresses of, and that no client of the case ever had another answer for: a missing
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
        examples (domains, in order of time), resolved (random-looking domains that do exist, in the
        same hours).
    """
    with case.materialized(_domains_by_hour(case.dns)) as domains:
        counts = domains.group_by("host", "hour").aggregate(
            missing=_.count(where=_.missing), all=_.count()
        )
        hours = counts.filter(counts.missing >= hourly_domains).drop("all")
        rows = domains.semi_join(hours, ["host", "hour"])
        rows = to_frame(rows.order_by(["host", "hour", "first_seen", "domain"]).to_pyarrow())
    rows["random"] = [looks_random(domain) for domain in rows["domain"]]
    found = []
    for host, group in rows.groupby("host", sort=True):
        by_hour = {hour: _judge_hour(domains) for hour, domains in group.groupby("hour")}
        kept = {
            hour: measures
            for hour, measures in by_hour.items()
            if measures["missing_share"] >= share or measures["random_share"] >= share
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


def _domains_by_hour(dns: ibis.Table) -> ibis.Table:
    """Return a row for each client, hour and registered domain that it asked addresses of."""
    d = dns_clients(dns).filter(is_public_name(dns.name))
    blocked = (d.firewall_action == "BLOCK").fill_null(False)
    d = d.select("host", "name", "query_time", "query_type", "rcode", blocked=blocked)
    by_name = d.mutate(hour=epoch_seconds(d.query_time) // _HOUR).group_by(
        "host", "hour", "name"
    ).aggregate(
        first_seen=_.query_time.min(),
        last_seen=_.query_time.max(),
        queries=_.count(),
        addresses=_.query_type.isin(_ADDRESS_TYPES).any(),
        # DNS Firewall answers so too, for domains that exist.
        exists=((_.rcode != "NXDOMAIN").fill_null(True) | _.blocked).any(),
    )  # fmt: skip
    by_name = by_name.mutate(domain=registered_domain(by_name.name))
    by_domain = by_name.group_by("host", "hour", "domain").aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        queries=_.queries.sum().cast("int64"),
        addresses=_.addresses.any(),
        exists=_.exists.any(),
    )
    exists = by_domain.exists.any().over(group_by="domain")
    by_domain = by_domain.filter(by_domain.addresses).mutate(missing=~exists)
    return by_domain.drop("addresses", "exists")


def _judge_hour(domains: pd.DataFrame) -> dict[str, Any]:
    missing = domains[domains["missing"]]
    return {
        "most": len(missing),
        "missing_share": len(missing) / len(domains),
        "random_share": float(missing["random"].mean()) if len(missing) else 0.0,
    }


def _summarize(domains: pd.DataFrame) -> dict[str, Any]:
    missing = domains[domains["missing"]]
    exist = domains[~domains["missing"].astype(bool) & domains["random"]]
    return {
        "first_seen": missing["first_seen"].min(),
        "last_seen": missing["last_seen"].max(),
        "queries": int(missing["queries"].sum()),
        "domains": missing["domain"].nunique(),
        "examples": list(missing["domain"].drop_duplicates()),
        "resolved": sorted(set(exist["domain"])),
    }
