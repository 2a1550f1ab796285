"""Caveats about the hosts of a finding: those that share an address, and own public addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowbench.detect.finding import Finding
from flowbench.enrich.inventory import AssignmentLookup
from flowbench.text import format_count, list_some, split_zone

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST_HOSTS = 3  # of a finding that are described


def describe_hosts(case: Case, findings: Iterable[Finding]) -> list[Finding]:
    """Add caveats to findings about hosts that share their address, or own public addresses.

    An address with a zone (connections.zones) gets its VPC, account and interfaces; a public
    address of the monitored network the interface that it maps to.
    """
    findings = _describe_shared(case, list(findings))
    ends = {end for finding in findings for end in _ends(finding)}
    if not ends or not any(map(case.has, ("interfaces", "elastic_ips", "instances"))):
        return findings
    lookup = AssignmentLookup(case.address_assignments, ends)
    return [_describe_public(finding, lookup) for finding in findings]


def _describe_shared(case: Case, findings: list[Finding]) -> list[Finding]:
    hosts = {host for finding in findings for host in _shared(finding)}
    if not hosts:
        return findings
    zones = case.address_zones
    rows = zones.filter(zones.own, zones.host.isin(sorted(hosts)))
    interfaces: dict[str, list[str]] = {}
    places: dict[str, list[str]] = {}
    for row in rows.order_by("host", "interface_id").to_pyarrow().to_pylist():
        interfaces.setdefault(row["host"], []).append(row["interface_id"])
        place = [f"VPC {row['vpc_id']}" if row["vpc_id"] else "an unknown VPC"]
        place += [f"account {row['account_id']}"] if row["account_id"] else []
        places[row["host"]] = place
    return [_describe(finding, interfaces, places) for finding in findings]


def _ends(finding: Finding) -> list[str]:
    """The addresses of a finding, in order."""
    return list(dict.fromkeys((finding.subject, *finding.evidence.targets, *finding.peers)))


def _shared(finding: Finding) -> list[str]:
    """The hosts of a finding whose address has a zone."""
    return [end for end in _ends(finding) if "%" in end]


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


def _describe_public(finding: Finding, lookup: AssignmentLookup) -> Finding:
    words = []
    for end in _ends(finding):
        assignment = lookup.at(end, finding.first_seen)
        if assignment is None or not assignment.get("private_address"):
            continue
        parts = (assignment["private_address"], assignment["instance_id"])
        interface = assignment["interface_id"] or "an interface"
        words.append(f"{end} is a public address of {interface} ({', '.join(filter(None, parts))})")
    if not words:
        return finding
    return finding.add_caveat(f"In the monitored network, {list_some(words, _MOST_HOSTS)}.")
