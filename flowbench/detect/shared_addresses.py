"""Findings about hosts that share their address with others: which VPC, account and interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowbench.detect.finding import Finding
from flowbench.text import format_count, list_some, split_zone

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST_HOSTS = 3  # of a finding that are described


def describe_hosts(case: Case, findings: Iterable[Finding]) -> list[Finding]:
    """Add a caveat to findings about hosts whose address has a zone (connections.zones)."""
    findings = list(findings)
    hosts = {host for finding in findings for host in _shared(finding)}
    if not hosts:
        return findings
    zones = case.address_zones
    rows = zones.filter(zones.own, zones.host.isin(sorted(hosts)))
    interfaces: dict[str, list[str]] = {}
    places: dict[str, list[str]] = {}
    for row in rows.order_by("host", "interface_id").to_pyarrow().to_pylist():
        interfaces.setdefault(row["host"], []).append(row["interface_id"])
        place = [f"VPC {row['vpc_id']}" if row["vpc_id"] else "a VPC that no record names"]
        place += [f"account {row['account_id']}"] if row["account_id"] else []
        places[row["host"]] = place
    return [_describe(finding, interfaces, places) for finding in findings]


def _shared(finding: Finding) -> list[str]:
    """The hosts of a finding whose address has a zone."""
    ends = dict.fromkeys((finding.subject, *finding.evidence.targets, *finding.peers))
    return [end for end in ends if "%" in end]


def _describe(
    finding: Finding, interfaces: dict[str, list[str]], places: dict[str, list[str]]
) -> Finding:
    hosts = [host for host in _shared(finding) if host in interfaces]
    if not hosts:
        return finding
    words = [
        f"{host} is {split_zone(host)[0]} in {', '.join(places[host])}"
        f" ({list_some(interfaces[host], _MOST_HOSTS)})"
        for host in hosts[:_MOST_HOSTS]
    ]
    more = len(hosts) - len(words)
    words += [f"{format_count(more, 'more host')} with a zone"] if more else []
    return finding.add_caveat(f"Several hosts have the same address: {'; '.join(words)}.")
