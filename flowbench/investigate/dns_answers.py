"""DNS queries by host and name: those that resolved to addresses, and those in a domain."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import ibis

from flowbench.engine import epoch_seconds
from flowbench.investigate.pivot import is_in_domain

if TYPE_CHECKING:
    from flowbench.case import Case

_PLACE = ("evidence_id", "line", "item")
_TIME = ("query_time", *_PLACE)
_KEY = ("srcaddr", "name")


class Resolution(NamedTuple):
    """A host's queries for one name, of those that are of interest."""

    host: str | None
    name: str
    answers: list[str]  # addresses of interest in the answers, sorted
    rcode: str | None  # of the first query
    first_seen: datetime
    last_seen: datetime
    queries: int
    mean: float | None  # of the intervals between queries, in seconds
    deviation: float | None  # standard deviation of the intervals
    evidence_id: str  # of the first query
    line: int
    item: int | None


def find_resolutions(case: Case, addresses: Collection[str]) -> list[Resolution]:
    """Find the names that resolved to these addresses, by host and name."""
    if not addresses:
        return []
    dns = case.dns
    rows = dns.select(*_KEY, "rcode", *_TIME, answer=dns.answers.unnest())
    rows = rows.filter(rows.answer.isin(sorted(addresses)))
    answered = rows.group_by(*_KEY, *_TIME, "rcode").aggregate(
        answers=rows.answer.collect(distinct=True)
    )
    return _by_name(answered)


def find_queries(case: Case, domain: str) -> list[Resolution]:
    """Find the queries for a domain and the names below it, by host and name."""
    dns = case.dns
    rows = dns.filter(is_in_domain(dns.name, domain))
    return _by_name(rows.select(*_KEY, "rcode", "answers", *_TIME))


def _by_name(rows: ibis.Table) -> list[Resolution]:
    by_time = ibis.window(group_by=_KEY, order_by=_TIME)
    before = epoch_seconds(rows.query_time.lag().over(by_time))
    rows = rows.mutate(interval=epoch_seconds(rows.query_time) - before)
    order = [rows[name] for name in _TIME]
    found = rows.group_by(_KEY).aggregate(
        answers=rows.answers.collect().flatten(),
        rcode=rows.rcode.first(order_by=order),
        first_seen=rows.query_time.min(),
        last_seen=rows.query_time.max(),
        queries=rows.count(),
        mean=rows.interval.mean(),
        deviation=rows.interval.std(how="pop"),
        **{name: rows[name].first(order_by=order) for name in _PLACE},
    )
    found = found.mutate(answers=found.answers.unique())
    found = found.rename(host="srcaddr").select(*Resolution._fields).order_by("host", "name")
    return [
        Resolution(**row | {"answers": sorted(filter(None, row["answers"] or ()))})
        for row in found.to_pyarrow().to_pylist()
    ]
