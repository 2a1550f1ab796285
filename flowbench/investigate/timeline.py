"""The timeline of a case: findings, sessions, API events, alerts, DNS and notes in one order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from flowbench import detect
from flowbench.investigate import attribution
from flowbench.investigate.api_events import read_events
from flowbench.investigate.dns_answers import find_resolutions
from flowbench.investigate.filters import Filters, is_rejected
from flowbench.investigate.indicators import INDICATORS, collect_indicators
from flowbench.investigate.timeline_sessions import read_sessions
from flowbench.schema import ITEM, ORIGIN, Table
from flowbench.text import is_address, split_zone

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Findings
    from flowbench.investigate.trace import Trace

__all__ = ["INDICATORS", "TABLE", "build", "collect_indicators"]

TABLE = Table.of(
    "timeline",
    ("time", "time", "when it happened or began"),
    ("end", "time", "when it ended; null for a moment"),
    (
        "data_source",
        "string",
        "flowbench (findings), flow logs (administrative sessions), CloudTrail, GuardDuty, DNS or"
        " notes",
    ),
    ("severity", "string", "of a finding or an alert"),
    ("activity", "string", "what happened, in one sentence"),
    ("subject", "string", "the internal address or principal concerned"),
    ("peer", "string", "the other address or domain, if there is one"),
    ("principal", "string", "the caller of an API event; who called from a session's address"),
    ("reference", "string", "finding id, event id or alert id"),
    *ORIGIN,
    ITEM,
)
_EVERYTHING = Filters()
_ORDER = ["time", "data_source", "reference", "activity", "evidence_id", "line", "item"]


class Event(NamedTuple):
    """One row of TABLE, and the values for filters."""

    time: datetime | None
    data_source: str
    activity: str
    subject: str | None
    end: datetime | None = None
    severity: str | None = None
    peer: str | None = None
    principal: str | None = None
    reference: str | None = None
    evidence_id: str | None = None
    line: int | None = None
    item: int | None = None
    peers: tuple[str, ...] = ()
    ports: tuple[int | None, ...] = ()
    rejected: bool = False

    def matches(self, filters: Filters) -> bool:
        """Whether it is in the period, with the peer, on a port, and rejected, as wanted."""
        return (
            filters.overlaps(self.time, self.end)
            and (filters.peer is None or filters.peer in (self.subject, self.peer, *self.peers))
            and (not filters.ports or not set(filters.ports).isdisjoint(self.ports))
            and (self.rejected or not filters.rejected)
        )


def build(
    case: Case,
    about: str | None = None,
    findings: Findings | None = None,
    filters: Filters = _EVERYTHING,
) -> pd.DataFrame:
    """Build the timeline of a case, or of one address.

    Args:
        case: The case.
        about: An address: the timeline has what concerns it, its instance and the principals that
            created it. Without one, the subjects of findings of high severity or above are
            followed; if there are none, the timeline has all findings and alerts, and no API event.
        findings: The result of detect.run; without it, the detectors are run.
        filters: Which rows are wanted. They do not restrict which subjects are followed.

    Returns:
        Rows of TABLE, ordered by time.

    Raises:
        InputError: Several hosts have the address.
    """
    if about is not None:
        case.check_host(about)
    if findings is None:
        findings = detect.run(case, keep=False)
    if about is None:
        followed = findings.at_least("high")
        subjects = list(dict.fromkeys(finding.subject for finding in followed))
        shown = followed if subjects else findings
    else:
        followed = shown = detect.Findings(f for f in findings if f.subject == about)
        subjects = [about]
    traced = attribution.trace_subjects(case, followed)
    traces = [(subject, trace) for subject, trace, _ in traced]
    if about is not None and not traces and is_address(about):
        traces = [(about, attribution.trace(case, about))]
    if about is not None:
        principals = _principal_names(traces)
        shown = detect.Findings(f for f in findings if f.subject in {about, *principals})
    peers = {finding.peer for finding in shown if finding.peer is not None}
    hosts = subjects or {finding.subject for finding in findings}
    events = [
        *_finding_events(shown),
        *_session_events(case, hosts),
        *_api_events(case, traces),
        *_alert_events(case, subjects, traces),
        *_dns_events(case, hosts, peers),
        *_note_events(case, about),
    ]
    frame = TABLE.frame(event._asdict() for event in events if event.matches(filters))
    return frame.sort_values(_ORDER, ignore_index=True, kind="stable")


def _finding_events(findings: Findings) -> Iterator[Event]:
    for finding in findings:
        yield Event(
            finding.first_seen,
            "flowbench",
            f"{finding.title}: {finding.summary}",
            finding.subject,
            end=finding.last_seen,
            severity=finding.severity,
            peer=finding.peer,
            reference=finding.finding_id,
            peers=finding.peers,
            ports=finding.evidence.ports,
            rejected=is_rejected(finding),
        )


def _principal_names(traces: Iterable[tuple[str, Trace]]) -> set[str]:
    """The names, as findings have them, of the principals that created what was traced."""
    arns = [
        step.value or ""
        for _, trace in traces
        for step in (*trace.of("principal"), *trace.of("created by"))
    ]
    roles = {arn.partition(":assumed-role/")[2] for arn in arns}
    return (roles | {arn.rpartition("/")[2] for arn in arns}) - {""}


def _session_events(case: Case, hosts: Collection[str]) -> Iterator[Event]:
    """Administrative sessions of external addresses with the hosts."""
    for session in read_sessions(case, hosts):
        yield Event(
            session.first_seen,
            "flow logs",
            session.activity,
            session.host,
            end=session.last_seen,
            peer=session.peer,
            principal=session.principals,
            evidence_id=session.evidence_id,
            line=session.line,
            item=session.item,
            ports=(session.service_port,),
        )


def _api_events(case: Case, traces: Iterable[tuple[str, Trace]]) -> list[Event]:
    """API events of the traced principals, of who created them, and of others about them."""
    table = case.api_events
    events: dict[tuple[str, int, int | None], Event] = {}
    for subject, trace in traces:
        about = [table.instance_ids.contains(step.value) for step in trace.of("instance")]
        about += [
            table.target_user == (step.value or "").rpartition("/")[2]
            for step in trace.of("principal")
        ]
        cited = trace.event_ids("creation", "created by", "creator activity", "principal activity")
        selected = table.event_id.isin(cited)
        for condition in about:
            # Others' read-only calls about an instance are routine; their changes are not.
            selected |= condition.fill_null(False) & ~table.read_only.fill_null(False)
        for event in read_events(table.filter(selected)):
            events[event.evidence_id, event.line, event.item] = Event(
                event.event_time,
                "CloudTrail",
                event.describe(),
                subject,
                principal=event.principal_name,
                reference=event.event_id,
                evidence_id=event.evidence_id,
                line=event.line,
                item=event.item,
                peers=(event.source_ip,) if event.source_ip else (),
                rejected=event.error_code is not None,
            )
    return list(events.values())


def _alert_events(
    case: Case, subjects: Collection[str], traces: Iterable[tuple[str, Trace]]
) -> Iterator[Event]:
    """GuardDuty findings about the subjects and their instances; all of them without subjects."""
    subject_of = {step.value: subject for subject, trace in traces for step in trace.of("instance")}
    alerts = case.alerts
    if subjects:
        selected = alerts.local_address.isin(list(subjects))
        # An alert without its instance may be about any host with the address.
        selected |= alerts.instance_id.isnull() & alerts.local_address.isin(_shared(subjects))
        selected |= alerts.instance_id.isin(list(subject_of))
        for subject in subjects:
            selected |= alerts.local_addresses.contains(subject)
        alerts = alerts.filter(selected.fill_null(False))
    for alert in alerts.order_by("first_seen", "alert_id").to_pyarrow().to_pylist():
        peer = alert["remote_address"] or alert["domain"]
        others = len({*(alert["remote_addresses"] or ()), *(alert["domains"] or ())} - {peer})
        target = f" ({peer}{f' and {others} more' if others else ''})" if peer else ""
        count = f", count {alert['count']:,}" if alert["count"] else ""
        yield Event(
            alert["first_seen"] or alert["created_at"] or alert["updated_at"],
            "GuardDuty",
            f"GuardDuty reported {alert['type']}{target}{count}.",
            _subject(alert, subject_of),
            end=alert["last_seen"],
            severity=alert["severity_label"],
            peer=peer,
            reference=alert["alert_id"],
            evidence_id=alert["evidence_id"],
            line=alert["line"],
            item=alert["item"],
            peers=(*(alert["remote_addresses"] or ()), *(alert["domains"] or ())),
            ports=tuple(map(int, [*(alert["local_ports"] or ()), *(alert["remote_ports"] or ())])),
            rejected=bool(alert["blocked"]),
        )


def _shared(subjects: Iterable[str]) -> list[str]:
    """The addresses of the subjects that share theirs with other hosts."""
    return sorted({split_zone(subject)[0] for subject in subjects if "%" in subject})


def _subject(alert: Mapping[str, Any], subject_of: Mapping[str | None, str]) -> str | None:
    """The subject that an alert is about: the traced host of its instance, if it has one."""
    traced: str | None = subject_of.get(alert["instance_id"])
    address: str | None = alert["local_address"]
    if address is None or (traced and split_zone(traced)[0] == address):
        return traced
    return address


def _dns_events(case: Case, hosts: Collection[str], peers: Collection[str]) -> Iterator[Event]:
    """The first query of each name that hosts resolved to a finding's peer, and how many came."""
    for found in find_resolutions(case, peers):
        if found.host in hosts:
            repeated = f" ({found.queries:,} queries)" if found.queries > 1 else ""
            yield Event(
                found.first_seen,
                "DNS",
                f"{found.host} resolved {found.name} to {', '.join(found.answers)}{repeated}.",
                found.host,
                end=found.last_seen if found.queries > 1 else None,
                peer=found.answers[0],
                evidence_id=found.evidence_id,
                line=found.line,
                item=found.item,
                peers=(*found.answers, found.name),
            )


def _note_events(case: Case, about: str | None) -> Iterator[Event]:
    for note in case.notes:
        if about is None or note["about"] in (None, about):
            time = pd.Timestamp(note["at"] or note["written"])
            yield Event(time, "notes", note["text"], note["about"])
