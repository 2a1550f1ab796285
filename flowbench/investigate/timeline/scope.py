"""What a timeline is about: hosts, external addresses, principals, and their findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect import Findings
from flowbench.enrich.namesakes import name_of
from flowbench.investigate import attribution
from flowbench.investigate.indicators import internal_addresses
from flowbench.investigate.pivot import Assignment, Pivot
from flowbench.investigate.timeline.followed import follow
from flowbench.text import is_address

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding
    from flowbench.investigate.trace import Trace


@dataclass(frozen=True)
class Scope:
    """What a timeline is about.

    Attributes:
        findings: The findings that it shows.
        hosts: Internal addresses, each with its period.
        external: External addresses.
        principals: Names of principals, and of roles for their sessions.
        access_key_ids: Access keys.
        interface_ids: Interfaces.
        instance_ids: Instances.
        domain: A domain.
        traces: The attribution of hosts.
        alerted_peers: Remote addresses that GuardDuty reports, beside the peers of findings.
        callers: Principals with the address of their calls (followed.caller_key).
        targets: Users and roles whose permissions and keys are changed.
        is_whole: Whether it is about the whole case: alerts of any host belong to it.
        pivot: What the analyst asked about; None for the timeline of the case.
    """

    findings: Findings
    hosts: tuple[Assignment, ...] = ()
    external: frozenset[str] = frozenset()
    principals: frozenset[str] = frozenset()
    access_key_ids: frozenset[str] = frozenset()
    interface_ids: frozenset[str] = frozenset()
    instance_ids: frozenset[str] = frozenset()
    domain: str | None = None
    traces: tuple[tuple[str, Trace], ...] = field(default=(), repr=False)
    alerted_peers: frozenset[str] = frozenset()
    callers: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    is_whole: bool = False
    pivot: Pivot | None = None

    @property
    def host_addresses(self) -> frozenset[str]:
        """The internal addresses."""
        return frozenset(host.address for host in self.hosts)

    @property
    def addresses(self) -> frozenset[str]:
        """All addresses."""
        return self.host_addresses | self.external

    def has_host(self, address: str | None, first: datetime | None, last: datetime | None) -> bool:
        """Whether one of the hosts had an address at some time of a period."""
        return any(h.address == address and h.overlaps(first, last) for h in self.hosts)


def scope_of_case(case: Case, findings: Findings) -> Scope:
    """Return the scope of a case: what ``followed.follow`` chooses.

    Without findings of high severity these are all subjects and all alerts, and no principal.
    """
    is_whole = not findings.at_least("high")
    followed = follow(case, findings)
    shown = followed.findings
    hosts = {subject for subject in followed.subjects if is_address(subject)}
    internal = internal_addresses(case, hosts) | hosts_without_traffic(case, hosts)
    traced = () if is_whole else attribution.trace_subjects(case, shown)
    traces = tuple((subject, trace) for subject, trace, _ in traced)
    return Scope(
        shown,
        tuple(map(Assignment, sorted(internal))),
        frozenset(hosts - internal) | followed.addresses,
        instance_ids=_traced(traces, "instance") | _instances(case, internal),
        traces=traces,
        alerted_peers=followed.alerted_peers,
        callers=followed.callers,
        targets=followed.names,
        is_whole=is_whole,
    )


def _instances(case: Case, addresses: Iterable[str]) -> frozenset[str]:
    """The instances with some addresses: a followed host may have no finding to be traced."""
    assigned = case.address_assignments
    found = assigned.filter(
        assigned.address.isin(sorted(set(addresses))), assigned.instance_id.notnull()
    )
    rows = found.select("instance_id").distinct().to_pyarrow()
    return frozenset(rows["instance_id"].to_pylist())


def scope_of_pivot(case: Case, pivot: Pivot, findings: Findings) -> Scope:
    """Return the scope of an address, network, interface, instance, name, domain or principal."""
    addresses = pivot.addresses
    internal = internal_addresses(case, addresses) | hosts_without_traffic(case, addresses)
    hosts = tuple(host for host in pivot.assignments if host.address in internal)
    traces = () if pivot.kind == "network" else _trace_hosts(case, hosts)
    # The principals that created a host belong to its timeline with their findings.
    traced = _traced(traces, "principal", "created by")
    creators = frozenset(name_of(principal, case.namesakes) for principal in traced)
    principals = _with_roles(pivot.principals)
    if pivot.kind == "principal":
        principals |= {pivot.text, name_of(pivot.text, case.namesakes)}
    return Scope(
        Findings(f for f in findings if _concerns(f, pivot, principals | creators)),
        hosts,
        frozenset(set(addresses) - internal),
        principals if pivot.kind == "principal" else frozenset(),
        frozenset(pivot.access_key_ids),
        frozenset(pivot.interface_ids),
        frozenset(pivot.instance_ids) | _traced(traces, "instance"),
        pivot.domain,
        traces,
        pivot=pivot,
    )


def _trace_hosts(case: Case, hosts: Iterable[Assignment]) -> tuple[tuple[str, Trace], ...]:
    """Trace each host at the time of each of its assignments: it may have had several owners."""
    traces = []
    for host in hosts:
        times = [host.valid_from] if host.valid_from else _times_of(case, host.address)
        traces += [(host.address, attribution.trace_host(case, host.address, at)) for at in times]
    return tuple(traces)


def _times_of(case: Case, address: str) -> list[pd.Timestamp | None]:
    """Return a time at which each owner had an address; None for the only one or an unknown."""
    table = case.address_assignments
    rows = table.filter(table.address == address)
    rows = rows.select("interface_id", "instance_id", "valid_from", "valid_until")
    order = [rows.valid_from.asc(nulls_first=True), "interface_id"]
    found: dict[tuple[str, str], pd.Timestamp | None] = {}
    for row in rows.order_by(order).to_pyarrow().to_pylist():
        moment = row["valid_from"] or row["valid_until"]
        owner = row["interface_id"], row["instance_id"]
        found.setdefault(owner, None if moment is None else pd.Timestamp(moment))
    return list(found.values()) if len(found) > 1 else [None]


def _concerns(finding: Finding, pivot: Pivot, principals: frozenset[str]) -> bool:
    """Whether a finding is about what the analyst asked about, as subject, target or peer."""
    if finding.subject in principals:
        return True
    if pivot.domain is not None and finding.evidence.dns is not None:
        names = (*finding.evidence.dns.domains, finding.peer or "")
        if any(name == pivot.domain or name.endswith(f".{pivot.domain}") for name in names):
            return True
    ends = (finding.subject, *finding.evidence.targets, *finding.peers)
    return any(pivot.covers(end, finding.first_seen, finding.last_seen) for end in ends)


def hosts_without_traffic(case: Case, addresses: Iterable[str]) -> set[str]:
    """Which of some addresses the inventory has as internal, whether or not there is traffic."""
    assigned = case.address_assignments
    found = assigned.filter(assigned.address.isin(sorted(set(addresses))))
    return set(found.select("address").distinct().to_pyarrow()["address"].to_pylist())


def _traced(traces: Iterable[tuple[str, Trace]], *steps: str) -> frozenset[str]:
    return frozenset(
        step.value for _, trace in traces for step in trace.of(*steps) if step.value is not None
    )


def _with_roles(principals: Iterable[str]) -> frozenset[str]:
    names = set(principals)
    return frozenset(names | {name.partition("/")[0] for name in names})
