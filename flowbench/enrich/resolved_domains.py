"""Addresses that listed domains resolved to, by the Resolver query logs."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.enrich.dns_names import ANSWER_LIFETIME
from flowbench.enrich.domain_names import match_parents
from flowbench.schema import TYPES


def find_resolved(addresses: pa.ChunkedArray, listed: pa.Table, dns: ibis.Table) -> pa.Table | None:
    """Find the addresses that listed domains, or names below them, resolved to, and when.

    Args:
        addresses: The addresses seen.
        listed: Indicators, of which those of type domain are used.
        dns: Resolver query log records (resolver.TABLE).

    Returns:
        A row for each continuous period in which some answer was valid: at (position of the
        address), row (of ``listed``), length (-1: less specific than any network), resolved_from,
        resolved_until; None if there is none.
    """
    domains = np.flatnonzero(pc.equal(listed["type"], "domain").to_numpy(zero_copy_only=False))
    if not len(domains):
        return None
    lookups = dns.select("query_time", "answers", name=dns.name).union(
        dns.select("query_time", "answers", name=dns.canonical_names.unnest())
    )
    lookups = lookups.filter(lookups.name.notnull(), lookups.answers.length() > 0)
    wanted = pa.table({"domain": listed["indicator"].take(pa.array(domains)), "row": domains})
    found = match_parents(lookups, ibis.memtable(wanted)).to_pyarrow()
    hits = found.join(wanted, "domain", join_type="inner").select(["name", "row"])
    if not hits.num_rows:
        return None
    answers = lookups.inner_join(ibis.memtable(hits), "name")
    answers = answers.select("row", "query_time", address=answers.answers.unnest()).distinct()
    frame = answers.to_pyarrow().to_pandas()
    frame["at"] = pd.Index(addresses.to_pandas()).get_indexer(frame["address"])
    return _join_periods(frame[frame["at"] >= 0])


def _join_periods(answers: pd.DataFrame) -> pa.Table:
    """Join the lifetimes of answers (at, row, query_time) that overlap into periods."""
    key, lifetime = ["at", "row"], pd.Timedelta(seconds=ANSWER_LIFETIME)
    answers = answers.sort_values([*key, "query_time"], ignore_index=True)
    since_last = answers.groupby(key)["query_time"].diff()
    is_new = since_last.isna() | (since_last > lifetime)
    periods = answers.groupby([*key, is_new.cumsum().rename("period")], as_index=False)
    times = periods["query_time"].agg(resolved_from="min", resolved_until="max")
    return pa.table(
        {
            "at": pa.array(times["at"], pa.int64()),
            "row": pa.array(times["row"], pa.int64()),
            "length": pa.array(np.full(len(times), -1)),
            "resolved_from": pa.array(times["resolved_from"], TYPES["time"]),
            "resolved_until": pa.array(times["resolved_until"] + lifetime, TYPES["time"]),
        }
    )
