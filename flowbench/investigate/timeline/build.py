"""Building the timeline: what a scope's data sources recorded, in one order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from flowbench import detect
from flowbench.enrich.namesakes import split_account
from flowbench.investigate.filters import Filters, is_rejected
from flowbench.investigate.indicators import internal_addresses
from flowbench.investigate.pivot import Pivot, resolve
from flowbench.investigate.timeline.alerts import alert_rows
from flowbench.investigate.timeline.api_events import api_rows
from flowbench.investigate.timeline.event import ORDER, TABLE, Event
from flowbench.investigate.timeline.names import dns_rows
from flowbench.investigate.timeline.scope import Scope, scope_of_case, scope_of_pivot
from flowbench.investigate.timeline.sessions import session_rows
from flowbench.investigate.timeline.traffic import connection_rows, turning_points
from flowbench.text import is_address, list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding, Findings

_EVERYTHING = Filters()
_BEFORE = pd.Timedelta("1h")  # before a finding, in which sessions between hosts count
_EARLIEST = pd.Timestamp(0, tz="UTC")


def build(
    case: Case,
    about: str | Pivot | None = None,
    findings: Findings | None = None,
    filters: Filters = _EVERYTHING,
    *,
    unfold: bool = False,
) -> pd.DataFrame:
    """Build the timeline of a case, or of what an analyst asks about.

    Args:
        case: The case.
        about: What ``pivot.resolve`` takes: an address, network, interface, instance, Name tag,
            domain, principal or access key. The timeline has the findings and alerts about it, its
            API events, DNS queries and sessions; of an external address also its connections; of an
            internal one also the principals that created it. Without it, the subjects of findings
            of high severity or above are followed, and what they lead to (see ``followed``); if
            there are none, the timeline has all findings and alerts, and no API event.
        findings: The result of detect.run; without it, the detectors are run.
        filters: Which rows are wanted. They do not restrict which subjects are followed.
        unfold: Whether repeated API events have a row each; else a run of them shares one.

    Returns:
        Rows of TABLE, ordered by time.

    Raises:
        InputError: ``about`` is nothing in this case, or several hosts have the address.
    """
    pivot = resolve(case, about) if isinstance(about, str) else about
    if findings is None:
        findings = detect.run(case, keep=False)
    if pivot is None:
        scope = scope_of_case(case, findings)
    else:
        scope = scope_of_pivot(case, pivot, findings)
    events = [
        *finding_rows(case, scope.findings),
        *_own_sessions(case, scope),
        *turning_points(case, scope.findings),
        *(connection_rows(case, scope.external) if pivot is not None else ()),
        *api_rows(case, scope, unfold=unfold),
        *alert_rows(case, scope),
        *dns_rows(case, scope),
        *_note_rows(case, scope),
        *_decision_rows(case, scope, findings),
    ]
    frame = TABLE.frame(vars(event) for event in events if event.matches(filters))
    return frame.sort_values(ORDER, ignore_index=True, kind="stable")


def finding_rows(case: Case, findings: Findings) -> Iterator[Event]:
    """Yield the row of each finding; the peers of a remote access are the actors."""
    inbound = [finding for finding in findings if finding.is_target]
    internal = internal_addresses(case, {peer for f in inbound for peer in f.peers})
    for finding in findings:
        is_target = finding.is_target and internal.isdisjoint(finding.peers)
        yield _finding_row(finding, is_target=is_target)


def _finding_row(finding: Finding, *, is_target: bool) -> Event:
    peers = finding.peers if not finding.evidence.targets else finding.evidence.targets
    actor: str | None = finding.subject
    target: str | None = list_some(peers, 3) or None
    decision = finding.decision_text
    if is_target:
        actor, target = target, actor
    elif not is_address(finding.subject) and finding.evidence.api_events is not None:
        target = None  # the peers are the addresses that a principal called from
    return Event(
        finding.first_seen,
        "flowbench",
        finding.title,
        f"{finding.summary} Decision: {decision}." if decision else finding.summary,
        actor=actor,
        object=target,
        end=finding.last_seen,
        severity=finding.severity,
        technique=finding.technique,
        count=finding.connections or None,
        evidence=finding.finding_id,
        peers=(finding.subject, *finding.peers),
        ports=finding.evidence.ports,
        rejected=is_rejected(finding),
    )


def _own_sessions(case: Case, scope: Scope) -> Iterator[Event]:
    """The sessions of the scope's addresses, where a host had its address at the time.

    Those between internal hosts count from an hour before the first finding about one of them on;
    in the timeline of a host, all of them.
    """
    addresses = scope.addresses or {finding.subject for finding in scope.findings}
    since = dict.fromkeys(scope.host_addresses, _EARLIEST)
    if scope.pivot is None:
        since = {
            finding.subject: finding.first_seen - _BEFORE
            for finding in sorted(scope.findings, key=lambda f: f.first_seen, reverse=True)
            if is_address(finding.subject)
        }
    for event in session_rows(case, addresses, since):
        ends = (event.actor, event.object)
        is_external = event.actor in scope.external
        is_own = any(scope.has_host(host, event.time, event.end) for host in ends)
        if not scope.hosts or is_external or is_own:
            yield event


def _note_rows(case: Case, scope: Scope) -> Iterator[Event]:
    """The notes about the scope, and those about nothing in particular; all of a whole case."""
    subjects = _names(scope)
    for note in case.notes:
        if scope.pivot is None or note["about"] is None or note["about"] in subjects:
            yield Event(
                pd.Timestamp(note["at"] or note["written"]),
                "notes",
                "Note",
                note["text"],
                actor=note["by"],
                object=note["about"],
            )


def _decision_rows(case: Case, scope: Scope, findings: Findings) -> Iterator[Event]:
    """The decisions about findings of the scope, dismissed ones and replaced decisions included."""
    names = _names(scope)
    by_id = {finding.finding_id: finding for finding in findings.all}
    for entry in case.decisions:
        finding = by_id.get(entry["finding_id"])
        ends = (finding.subject, *finding.peers) if finding else ()
        if scope.pivot is not None and names.isdisjoint(ends):
            continue
        named = f" ({finding.title}, {finding.subject})" if finding else ""
        reason = f": {entry['reason']}" if entry.get("reason") else ""
        yield Event(
            pd.Timestamp(entry["written"]),
            "notes",
            f"Finding {entry['decision']}",
            f"Finding {entry['finding_id']}{named} was {entry['decision']} by {entry['by']}"
            f"{reason}.",
            actor=entry["by"],
            object=entry["finding_id"],
            evidence=entry["finding_id"],
            peers=ends,
        )


def _names(scope: Scope) -> set[str]:
    """Everything that a note about the scope may be about."""
    named: set[str] = set(scope.addresses | scope.principals | scope.access_key_ids)
    # A note may be older than the evidence of another account with the name. A recorded name that
    # looks as if it had an account may be what tables call another principal.
    recorded = {split_account(name)[0] for name in scope.principals}
    named |= {name for name in recorded if split_account(name)[1] is None}
    named |= scope.instance_ids | scope.interface_ids
    named |= {finding.finding_id for finding in scope.findings}
    if scope.pivot is not None:
        named.add(scope.pivot.text)
    return named
