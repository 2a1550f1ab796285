"""Allow lists: which findings they suppress, and the reason that they give.

A finding is suppressed when an allow list covers its subject, or each of its peers. Where an allow
list and an indicator list both name an address, the more specific one decides, and the allow list
when they are equal: the range of a whole cloud does not suppress an indicator match in it. A domain
that resolved to an address is the least specific on an allow list and the most specific on an
indicator list, since many names share one address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import ibis
import pyarrow as pa

from flowbench.detect.finding import Finding

if TYPE_CHECKING:
    from flowbench.case import Case

_ADDRESS_BITS = 128  # at least as many as any address has
_COLUMNS = ["address", "indicator", "type", "port", "feed", "description"]
_ORDER = ["address", "feed", "evidence_id", "line", "indicator"]


class _Match(NamedTuple):
    """An entry of a list that names an address."""

    address: str
    indicator: str
    type: str
    port: int | None
    feed: str | None
    description: str | None

    def prefix_length(self, *, domain: int) -> int:
        """Return how specific the entry is, in bits; ``domain`` where it names a domain."""
        if self.type == "domain":
            return domain
        _network, slash, bits = self.indicator.partition("/")
        return int(bits) if slash else _ADDRESS_BITS


def suppress(case: Case, findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, those that allow lists cover with the lists and their reasons."""
    findings = list(findings)
    if not findings or not case.has("indicators"):
        return findings
    addresses = {address for f in findings for address in (f.subject, *f.peers)}
    allowed = _matches(case.allow_list_matches, addresses)
    if not allowed:
        return findings
    listed = _matches(case.indicator_matches, set(allowed))

    def allowing(address: str, port: int | None) -> _Match | None:
        """The allow list's entry for an address, unless an indicator is more specific."""
        allows, indicators = (
            [match for match in matches.get(address, ()) if match.port in (None, port)]
            for matches in (allowed, listed)
        )
        best = min(allows, key=lambda match: -match.prefix_length(domain=-1), default=None)
        worst = max((m.prefix_length(domain=_ADDRESS_BITS + 1) for m in indicators), default=-1)
        return best if best and best.prefix_length(domain=-1) >= worst else None

    def covering(finding: Finding) -> list[_Match]:
        """The entries that cover a finding by its subject, or else by all of its peers."""
        port = finding.service_port
        if subject := allowing(finding.subject, port):
            return [subject]
        peers = [allowing(peer, port) for peer in finding.peers]
        entries = [entry for entry in peers if entry]
        # Nothing is known of the peers that a finding does not name.
        return entries if finding.peers_complete and len(entries) == len(peers) else []

    return [
        _suppressed(finding, entries) if (entries := covering(finding)) else finding
        for finding in findings
    ]


def _suppressed(finding: Finding, entries: list[_Match]) -> Finding:
    reasons = {entry.feed or "": entry.description or "" for entry in reversed(entries)}
    return replace(
        finding,
        suppressed_by=", ".join(sorted(reasons)),
        suppression_reason="; ".join(sorted({reason for reason in reasons.values() if reason})),
    )


def _matches(matches: ibis.Table, addresses: set[str]) -> dict[str, list[_Match]]:
    """Return the entries that name each of these addresses at the time of some connection."""
    wanted = ibis.memtable({"wanted": pa.array(sorted(addresses), pa.string())})
    valid = matches.filter(matches.in_period.fill_null(True))
    valid = valid.semi_join(wanted, valid.address == wanted.wanted).order_by(_ORDER)
    by_address: dict[str, list[_Match]] = {}
    for row in valid.select(_COLUMNS).to_pyarrow().to_pylist():
        by_address.setdefault(row["address"], []).append(_Match(**row))
    return by_address
