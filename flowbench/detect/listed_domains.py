"""Look-ups of domains that indicator lists name, after which no connection was logged.

A domain counts when a client asked for it, for a name below it, or for a name that led to it by
CNAME, in the period in which the indicator was valid. Where a connection with an address of the
answer followed, the contact detector reports it; here are the look-ups without one: the answer was
empty or blocked, the connection went another way (a proxy, an interface that is not logged), or
only DNS is logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.dns_tunnelling import dns_clients
from flowbench.enrich.dns_names import ANSWER_LIFETIME, START_TOLERANCE
from flowbench.enrich.domain_names import match_parents
from flowbench.loaders.intel.indicators import ALLOW
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_LIST = ["domain", "kind", "feed", "confidence"]


def find_listed(case: Case) -> pd.DataFrame:
    """Find the pairs of a client and a listed domain that it looked up without a connection.

    Returns:
        A row for each pair, ordered by host and domain: host, domain, kinds and feeds (lists of
        texts), confidence (0 to 100, the highest given; missing where no list gives one),
        first_seen, last_seen, queries, answered (queries with an address), blocked (by DNS
        Firewall), names (those looked up), is_logged (whether flow records show the client).
    """
    listed = case.indicators.filter(_.type == "domain", _.kind != ALLOW)
    listed = listed.select("valid_from", "valid_until", "kind", "feed", "confidence",
                           domain=listed.indicator)  # fmt: skip
    matched = _listed_queries(dns_clients(case.dns), listed)
    order = ["host", "domain", "kind", "feed", "query_time", "name"]
    rows = to_frame(matched.order_by(order).to_pyarrow())
    if rows.empty:
        return pd.DataFrame()
    rows["connected"] = _has_connection(case, rows)
    connected = rows.groupby(["host", "domain"])["connected"].transform("any")
    rows = rows[~connected.astype(bool)]
    logged = _logged_hosts(case, rows["host"])
    found = []
    for (host, domain), group in rows.groupby(["host", "domain"], sort=True):
        queries = group.drop_duplicates(["query_time", "name", "query_type"])
        is_blocked = queries["firewall_action"] == "BLOCK"
        found.append(
            {
                "host": host,
                "domain": domain,
                "kinds": sorted(set(group["kind"].dropna())),
                "feeds": sorted(set(group["feed"].dropna())),
                "confidence": group["confidence"].max(),
                "first_seen": queries["query_time"].min(),
                "last_seen": queries["query_time"].max(),
                "queries": len(queries),
                "answered": int((queries["answers"].str.len() > 0)[~is_blocked].sum()),
                "blocked": int(is_blocked.sum()),
                "names": sorted(set(queries["name"])),
                "is_logged": host in logged,
            }
        )
    return pd.DataFrame(found)


def _listed_queries(dns: ibis.Table, listed: ibis.Table) -> ibis.Table:
    """Return a row for each query that leads to a listed domain, in its period, and list entry."""
    asked = dns.select("name", of=dns.name)
    led = dns.select("name", of=dns.canonical_names.unnest())
    names = asked.union(led.filter(led.of.notnull())).distinct()
    pairs = match_parents(names.select(name="of"), listed).rename(of="name")
    pairs = names.inner_join(pairs, "of").select("name", "domain").distinct()
    columns = ["host", "name", "query_time", "query_type", "answers", "firewall_action"]
    queries = dns.select(*columns).inner_join(pairs, "name").inner_join(listed, "domain")
    return queries.filter(
        queries.valid_from.isnull() | (queries.query_time >= queries.valid_from),
        queries.valid_until.isnull() | (queries.query_time <= queries.valid_until),
    )


def _has_connection(case: Case, rows: pd.DataFrame) -> pd.Series:
    """Return for each query whether its client connected to an address of the answer in time."""
    if not case.has("flows"):
        return pd.Series(False, rows.index)
    answers = rows[["host", "query_time", "answers"]].explode("answers").dropna()
    if answers.empty:
        return pd.Series(False, rows.index)
    asked = ibis.memtable(
        {
            "row": answers.index.tolist(),
            "host": answers["host"].tolist(),
            "address": answers["answers"].tolist(),
            "query_time": answers["query_time"].tolist(),
        }
    )
    c = case.connections.select("first_seen", host=_.initiator, address=_.responder)
    j = c.inner_join(asked, ["host", "address"])
    j = j.filter(
        j.first_seen >= j.query_time - ibis.interval(seconds=START_TOLERANCE),
        j.first_seen <= j.query_time + ibis.interval(seconds=ANSWER_LIFETIME),
    )
    return rows.index.to_series().isin(j.select("row").distinct().to_pyarrow()["row"].to_pylist())


def _logged_hosts(case: Case, hosts: pd.Series) -> set[str]:
    """Return the hosts that flow records show as the initiator of some connection."""
    if not case.has("flows"):
        return set()
    c = case.connection_summaries
    logged = c.filter(c.initiator.isin(sorted(set(hosts)))).select("initiator").distinct()
    return set(logged.to_pyarrow()["initiator"].to_pylist())
