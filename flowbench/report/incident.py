"""The first screen of the report: what happened, how severe and sure, whether it is contained.

Each value is computed from findings, traces and logs; what they do not show is stated as unknown.

Confidence: the number of independent data sources that support the incident. Independent are flow
logs, CloudTrail, DNS logs and indicator lists; GuardDuty reads its own copy of the first three, so
it counts as support but not as a source. Three or more: high; two: medium; one: low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis

from flowbench.case.provenance import api_event_condition
from flowbench.detect.finding import SEVERITIES
from flowbench.investigate.dns_answers import find_resolutions
from flowbench.investigate.indicators import internal_addresses
from flowbench.report.actions import Action, propose_actions
from flowbench.report.containment import Containment, find_containment
from flowbench.report.phrases import describe_finding
from flowbench.text import format_count, format_period, format_utc, is_address, list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding, Findings
    from flowbench.investigate.attribution import SubjectTrace
    from flowbench.investigate.trace import Trace

MOST_LINES = 5
CONFIDENCE = {0: "none", 1: "low", 2: "medium"}  # by the number of data sources; more: high

_DISRUPTING = ("contact", "mining", "beacon", "exfiltration", "lateral-movement", "scan")


@dataclass(frozen=True)
class Incident:
    """What the first screen says.

    Attributes:
        happened: What happened, in order of time: (period, sentence).
        more: How many further subjects have findings of high severity or above.
        severity: The highest severity of the findings.
        confidence: 'high', 'medium', 'low' or 'none'.
        sources: The independent data sources.
        scope: What is concerned: (label, values).
        containment: Whether it is contained.
        actions: What to do now.
    """

    happened: Sequence[tuple[str, str]]
    more: int
    severity: str
    confidence: str
    sources: Sequence[str]
    scope: Sequence[tuple[str, str]]
    containment: Containment
    actions: Sequence[Action]


def summarize_incident(
    case: Case, findings: Findings, traces: Sequence[SubjectTrace]
) -> Incident | None:
    """Summarize the findings of high severity or above as one incident; None without any.

    Args:
        case: The case.
        findings: All findings.
        traces: The traces of their subjects (attribution.trace_subjects).
    """
    severe = findings.at_least("high")
    if not severe:
        return None
    own = [trace for _, trace, _ in traces]
    instances = _values(own, "instance")
    used = _credentials(own)
    creators = [pair for pair in _signing_keys(case, severe, own) if pair not in used]
    last = max((f.last_seen for f in severe if _is_traffic(f)), default=None)
    external = _external_peers(case, severe)
    containment = find_containment(case, instances, used, creators, last)
    lines, more = _describe_events(severe, traces)
    sources = _data_sources(case, severe)
    return Incident(
        happened=lines,
        more=more,
        severity=max((f.severity for f in severe), key=SEVERITIES.index),
        confidence=CONFIDENCE.get(len(sources), "high"),
        sources=sources,
        scope=_scope(case, severe, instances, external),
        containment=containment,
        actions=propose_actions(
            instances,
            [name for name in instances if name in containment.remaining],
            used,
            [pair for pair in used if pair[1] in containment.remaining],
            [pair for pair in creators if pair[1] in containment.remaining],
            external,
        ),
    )


def _describe_events(
    findings: Findings, traces: Sequence[SubjectTrace]
) -> tuple[list[tuple[str, str]], int]:
    """Return a line for each subject, of the most severe, in order of time; and how many more."""
    by_subject: dict[str, list[Finding]] = {}
    for finding in findings:
        by_subject.setdefault(finding.subject, []).append(finding)
    created = [_creation_line(traced) for traced in traces]
    lines: list[tuple[datetime, str, str]] = [line for line in created if line is not None]
    room = max(1, MOST_LINES - len(lines))
    shown = dict(list(by_subject.items())[:room])
    for subject, group in shown.items():
        lines += _subject_lines(subject, group, 2 if len(shown) + len(lines) < MOST_LINES else 1)
    lines.sort()
    shown_lines = [(period, sentence) for _, period, sentence in lines[:MOST_LINES]]
    return shown_lines, len(by_subject) - len(shown)


def _creation_line(traced: SubjectTrace) -> tuple[datetime, str, str] | None:
    """State who launched the instance of a subject, and who created that principal."""
    trace = traced.trace
    created = next((step for step in trace.of("creation") if step.time is not None), None)
    principal = trace.value("principal")
    if created is None or created.time is None or principal is None:
        return None
    name = principal.rpartition("/")[2]
    what = trace.value("instance") or trace.value("interface") or "the interface"
    verb = "launched" if trace.value("instance") else "created"
    origin = f" from {address}" if (address := trace.value("source address")) else ""
    maker = trace.value("created by")
    by = f", which {maker.rpartition('/')[2]} had created," if maker else ""
    sentence = f"{name}{by} {verb} {what} ({traced.subject}){origin}."
    return created.time, format_utc(created.time), sentence


def _subject_lines(
    subject: str, group: Sequence[Finding], most: int
) -> list[tuple[datetime, str, str]]:
    """State what a subject did: what came in before what it did itself, where there is room."""
    incoming = [f for f in group if f.detector in ("remote-access", "brute-force")]
    others = [f for f in group if f not in incoming]
    parts = [part for part in (incoming, others) if part]
    if most < len(parts):
        parts = [list(group)]
    lines = []
    for part in parts:
        first, last = min(f.first_seen for f in part), max(f.last_seen for f in part)
        phrases = list(dict.fromkeys(map(describe_finding, _once_each(part))))
        sentence = f"{subject} {_join(phrases)}."
        lines.append((first, format_period(first, last), sentence))
    return lines


def _once_each(findings: Sequence[Finding]) -> list[Finding]:
    """Findings in order of time; of those about one peer the most telling."""
    order = ["mining", "exfiltration", "beacon", "lateral-movement", "remote-access", "api-abuse"]
    rank = {name: number for number, name in enumerate(order)}
    chosen: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda f: rank.get(f.detector, len(rank))):
        key = finding.finding_id if finding.detector == "api-abuse" else finding.peers
        chosen.setdefault(key or finding.finding_id, finding)
    return sorted(chosen.values(), key=lambda f: (f.first_seen, f.finding_id))


def _join(phrases: Sequence[str]) -> str:
    """Join phrases: 'called A, B and C from X' where they begin and end alike."""
    calls = [phrase for phrase in phrases if phrase.startswith("called ") and " from " in phrase]
    origins = {phrase.rpartition(" from ")[2] for phrase in calls}
    if len(calls) > 1 and len(origins) == 1:
        names = [phrase.removeprefix("called ").rpartition(" from ")[0] for phrase in calls]
        one = f"called {_list(names)} from {origins.pop()}"
        phrases = [one, *(phrase for phrase in phrases if phrase not in calls)]
    if any(", " in phrase for phrase in phrases[:-1]):
        return "; and ".join(["; ".join(phrases[:-1]), phrases[-1]])
    return _list(phrases)


def _list(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _is_traffic(finding: Finding) -> bool:
    """Whether a finding is about what a host itself sends: it goes on until it is stopped."""
    return finding.detector in _DISRUPTING and finding.evidence.flows


def _values(traces: Sequence[Trace], step: str) -> list[str]:
    found = (value for trace in traces for s in trace.of(step) if (value := s.value) is not None)
    return list(dict.fromkeys(found))


def _credentials(traces: Sequence[Trace]) -> list[tuple[str, str]]:
    """User and access key of the call that created each subject."""
    pairs = [
        (arn.rpartition("/")[2], key)
        for trace in traces
        if (arn := trace.value("principal")) and (key := trace.value("access key"))
    ]
    return list(dict.fromkeys(pairs))


def _signing_keys(case: Case, findings: Findings, traces: Sequence[Trace]) -> list[tuple[str, str]]:
    """User and access key of the API events of findings, and of those that created principals."""
    table = case.api_events
    cited = sorted({event for trace in traces for event in trace.event_ids("created by")})
    conditions = [table.event_id.isin(cited)] if cited else []
    conditions += [
        api_event_condition(table, finding.evidence.api_events)
        for finding in findings
        if finding.evidence.api_events is not None and not is_address(finding.subject)
    ]
    if not conditions:
        return []
    rows = table.filter(ibis.or_(*(each.fill_null(False) for each in conditions)))
    rows = rows.filter(rows.access_key_id.notnull()).select("principal_name", "access_key_id")
    rows = rows.distinct().order_by("principal_name", "access_key_id")
    return [(r["principal_name"] or "", r["access_key_id"]) for r in rows.to_pyarrow().to_pylist()]


def _external_peers(case: Case, findings: Findings) -> list[str]:
    peers = dict.fromkeys(peer for finding in findings for peer in finding.peers)
    peers = {peer: None for peer in peers if is_address(peer)}
    internal = internal_addresses(case, list(peers))
    return [peer for peer in peers if peer not in internal]


def _data_sources(case: Case, findings: Findings) -> list[str]:
    """The independent data sources that support the findings."""
    peers = {peer for finding in findings for peer in finding.peers}
    sources = {
        "flow logs": any(finding.evidence.flows for finding in findings),
        "CloudTrail": any(finding.evidence.api_events for finding in findings),
        "DNS logs": any(finding.evidence.dns for finding in findings)
        or bool(find_resolutions(case, peers)),
        "indicator lists": any("ndicator match" in f.title + f.summary for f in findings),
    }
    return [name for name, supports in sources.items() if supports]


def _scope(
    case: Case, findings: Findings, instances: Sequence[str], external: Sequence[str]
) -> list[tuple[str, str]]:
    hosts = sorted({f.subject for f in findings if is_address(f.subject)})
    principals = sorted({f.subject for f in findings if not is_address(f.subject)})
    first, last = min(f.first_seen for f in findings), max(f.last_seen for f in findings)
    alerts = case.alerts.count().to_pyarrow().as_py()
    rows = [
        ("period", format_period(first, last)),
        ("hosts", list_some(hosts)),
        ("instances", list_some(instances)),
        ("principals", list_some(principals)),
        ("external addresses", list_some(external)),
        ("findings", f"{len(findings)} of high or critical severity"),
        ("GuardDuty", format_count(alerts, "finding") if alerts else ""),
    ]
    return [(name, value) for name, value in rows if value]
