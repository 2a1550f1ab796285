"""DNS queries whose answers were given addresses: which host resolved which name to them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flowbench.case import Case

_PLACE = ("evidence_id", "line", "item")


class Resolution(NamedTuple):
    """A host's queries for one name that were answered with addresses of interest."""

    host: str
    name: str
    answers: list[str]  # those addresses, sorted
    first_seen: datetime
    last_seen: datetime
    queries: int
    evidence_id: str  # of the first query
    line: int
    item: int | None


def find_resolutions(case: Case, addresses: Collection[str]) -> list[Resolution]:
    """Find the names that resolved to these addresses, by host and name."""
    if not addresses:
        return []
    dns = case.dns
    rows = dns.select("name", "srcaddr", "query_time", *_PLACE, answer=dns.answers.unnest())
    rows = rows.filter(rows.answer.isin(list(addresses)))
    order = [rows[name] for name in ("query_time", *_PLACE)]
    found = rows.group_by("srcaddr", "name").aggregate(
        answers=rows.answer.collect(distinct=True),
        first_seen=rows.query_time.min(),
        last_seen=rows.query_time.max(),
        queries=rows.count(),
        **{name: rows[name].first(order_by=order) for name in _PLACE},
    )
    found = found.rename(host="srcaddr").select(*Resolution._fields).order_by("host", "name")
    return [
        Resolution(**row | {"answers": sorted(row["answers"])})
        for row in found.to_pyarrow().to_pylist()
    ]
