"""Queries for domains that indicator lists name, after which no connection was logged.

A domain counts when a client asked for it, for a name below it, or for a name that led to it by
CNAME, in the period in which the indicator was valid. Where a connection with an address of the
answer followed, the contact detector reports it; here are the queries without one: the answer was
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

_ENTRY = ["domain", "kind", "feed", "confidence"]


def find_listed(case: Case) -> pd.DataFrame:
    """Find the listed domains that clients looked up without a connection.

    Returns:
        A row for each client, name looked up and entry of a list, in this order: host, name,
        domain, kind, feed, confidence (0 to 100; missing where the list gives none), first_seen,
        last_seen, queries, answered (queries with an address), blocked (by DNS Firewall), and
        is_logged (whether flow records show the client).
    """
    listed = case.indicators.filter(_.type == "domain", _.kind != ALLOW)
    listed = listed.rename(domain="indicator").select(*_ENTRY, "valid_from", "valid_until")
    dns = dns_clients(case.dns)
    with case.materialized(_names_led_to(dns)) as names:
        matched = _listed_queries(dns, names, listed)
        with case.materialized(matched) as queries:
            keys = ["host", "name", *_ENTRY]
            rows = _without_connection(case, queries).group_by(keys).aggregate(
                first_seen=_.query_time.min(),
                last_seen=_.query_time.max(),
                queries=_.count(),
                answered=((_.answers.length() > 0) & ~_.blocked).sum(),
                blocked=_.blocked.sum(),
            )  # fmt: skip
            found = to_frame(rows.order_by(keys).to_pyarrow())
    return found.assign(is_logged=found["host"].isin(_logged_hosts(case, found["host"])))


def _names_led_to(dns: ibis.Table) -> ibis.Table:
    """Return each name asked (name) with itself and each name that it led to by CNAME (of)."""
    asked = dns.select("name", of=dns.name)
    led = dns.filter(dns.canonical_names.length() > 0)
    led = led.select("name", of=led.canonical_names.unnest())
    return asked.union(led.filter(led.of.notnull())).distinct()


def _listed_queries(dns: ibis.Table, names: ibis.Table, listed: ibis.Table) -> ibis.Table:
    """Return a row for each query that leads to a listed domain, in its period, and list entry."""
    pairs = match_parents(names.select(name="of"), listed).rename(of="name")
    pairs = names.inner_join(pairs, "of").select("name", "domain").distinct()
    blocked = (dns.firewall_action == "BLOCK").fill_null(False)
    queries = dns.select("host", "name", "query_time", "answers", blocked=blocked)
    queries = queries.inner_join(pairs, "name").inner_join(listed, "domain")
    return queries.filter(
        queries.valid_from.isnull() | (queries.query_time >= queries.valid_from),
        queries.valid_until.isnull() | (queries.query_time <= queries.valid_until),
    )


def _without_connection(case: Case, queries: ibis.Table) -> ibis.Table:
    """Drop the domains of a client that it connected to, at an address of an answer and in time."""
    if not case.has("flows"):
        return queries
    asked = queries.select("host", "domain", "query_time", address=queries.answers.unnest())
    c = case.connections.select("first_seen", host=_.initiator, address=_.responder)
    j = c.inner_join(asked.distinct(), ["host", "address"])
    j = j.filter(
        j.first_seen >= j.query_time - ibis.interval(seconds=START_TOLERANCE),
        j.first_seen <= j.query_time + ibis.interval(seconds=ANSWER_LIFETIME),
    )
    return queries.anti_join(j.select("host", "domain").distinct(), ["host", "domain"])


def _logged_hosts(case: Case, hosts: pd.Series) -> set[str]:
    """Return the hosts that flow records show as the initiator of some connection."""
    if hosts.empty or not case.has("flows"):
        return set()
    c = case.connection_summaries
    logged = c.filter(c.initiator.isin(sorted(set(hosts)))).select("initiator").distinct()
    return set(logged.to_pyarrow()["initiator"].to_pylist())
