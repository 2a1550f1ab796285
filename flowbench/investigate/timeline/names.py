"""DNS queries as rows of the timeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowbench.investigate.dns_answers import Resolution, find_queries, find_resolutions
from flowbench.investigate.timeline.event import Event
from flowbench.investigate.timeline.repetition import describe_repetition
from flowbench.text import list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.investigate.timeline.scope import Scope


_MOST_PEERS = 20  # of a finding: of a scan's thousands no look-ups are wanted


def dns_rows(case: Case, scope: Scope) -> Iterator[Event]:
    """Yield a row for each host and name of DNS queries in a scope.

    These are the names that its hosts resolved to a finding's peer, those that any host resolved to
    one of its external addresses, and the names in its domain.
    """
    if scope.domain is not None:
        for found in find_queries(case, scope.domain):
            yield _to_row(found)
        return
    peers = {peer for f in scope.findings if len(f.peers) <= _MOST_PEERS for peer in f.peers}
    peers |= scope.alerted_peers
    subjects = {finding.subject for finding in scope.findings}
    hosts = scope.host_addresses or subjects
    for found in find_resolutions(case, peers | scope.external):
        is_external = not scope.external.isdisjoint(found.answers)
        if is_external or (found.host in hosts and _is_its_own(scope, found)):
            yield _to_row(found)


def _is_its_own(scope: Scope, found: Resolution) -> bool:
    return not scope.hosts or scope.has_host(found.host, found.first_seen, found.last_seen)


def _to_row(found: Resolution) -> Event:
    interval = describe_repetition(found.queries, found.mean, found.deviation).partition(", ")[2]
    times = f" ({found.queries:,} queries{f', {interval}' if interval else ''})"
    answered = (
        f" to {list_some(found.answers)}" if found.answers else f": {found.rcode or 'no answer'}"
    )
    verb = "resolved" if found.answers else "queried"
    return Event(
        found.first_seen,
        "DNS",
        "DNS query",
        f"{found.host} {verb} {found.name}{answered}{times if found.queries > 1 else ''}.",
        actor=found.host,
        object=found.name,
        end=found.last_seen if found.queries > 1 else None,
        count=found.queries,
        evidence_id=found.evidence_id,
        line=found.line,
        item=found.item,
        peers=(*found.answers, found.name),
    )
