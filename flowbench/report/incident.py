"""The first screen of the report: what happened, how severe and sure, whether it is contained.

Each value is computed from findings, traces and logs; what they do not show is stated as unknown.

Confidence: the number of independent data sources that support the incident. Independent are flow
logs, CloudTrail and DNS logs. GuardDuty reads its own copy of these, and an indicator list observed
nothing here: they count as support but not as sources. Three: high; two: medium; one: low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from flowbench.case.provenance import api_event_condition
from flowbench.detect import Findings
from flowbench.detect.finding import SEVERITIES
from flowbench.investigate.dns_answers import find_resolutions
from flowbench.investigate.indicators import internal_addresses
from flowbench.report.actions import Action, propose_actions
from flowbench.report.containment import Containment, find_containment
from flowbench.report.events import tell_events, write_headline
from flowbench.report.extent import describe_end, describe_outbound, sum_outbound
from flowbench.text import format_bytes, format_count, format_period, is_address, join_words

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.detect import Finding
    from flowbench.investigate.attribution import SubjectTrace
    from flowbench.investigate.trace import Trace

CONFIDENCE = {0: "none", 1: "low", 2: "medium"}  # by the number of data sources; more: high

_DISRUPTING = ("contact", "mining", "beacon", "exfiltration", "lateral-movement", "scan")


@dataclass(frozen=True)
class Incident:
    """What the first screen says.

    Attributes:
        headline: What it is about, in a sentence.
        happened: What happened, in order of time: (period, sentence).
        more: How many further subjects have findings of high severity or above.
        severity: The highest severity of the findings.
        confidence: 'high', 'medium', 'low' or 'none'.
        sources: The independent data sources.
        scope: What is concerned: (label, values).
        containment: Whether it is contained.
        remaining: The instances and access keys that no API event stops or disables, in words.
        last_seen: The last connection and API call, and how long the logs are silent afterwards.
        outbound: How much its hosts sent to its external addresses.
        actions: What to do now.
    """

    headline: str
    happened: Sequence[tuple[str, str]]
    more: int
    severity: str
    confidence: str
    sources: Sequence[str]
    scope: Sequence[tuple[str, str]]
    containment: Containment
    remaining: Sequence[str]
    last_seen: Sequence[str]
    outbound: str
    actions: Sequence[Action]


def summarize_incident(
    case: Case, findings: Findings, traces: Sequence[SubjectTrace], links: pd.DataFrame
) -> Incident | None:
    """Summarize the findings of high severity or above as one incident; None without any.

    Args:
        case: The case.
        findings: All findings.
        traces: The traces of their subjects (attribution.trace_subjects).
        links: The links of finding groups (detect.link_groups).
    """
    severe = findings.at_least("high")
    if not severe:
        return None
    concerned = _concerned(findings, severe)
    own = [trace for _, trace, _ in traces]
    instances = _values(own, "instance")
    used = _credentials(own)
    creators = [pair for pair in _signing_keys(case, severe, own) if pair not in used]
    last = max((f.last_seen for f in concerned if _is_traffic(f)), default=None)
    external = _external_peers(case, severe)
    suspected = [peer for peer in _external_peers(case, concerned) if peer not in external]
    containment = find_containment(case, instances, used, creators, last)
    lines, more = tell_events(case, concerned, traces, links)
    sources = _data_sources(case, severe)
    sent = sum_outbound(case, {f.subject for f in severe if is_address(f.subject)}, external)
    return Incident(
        headline=write_headline(severe),
        happened=lines,
        more=more,
        severity=max((f.severity for f in severe), key=SEVERITIES.index),
        confidence=CONFIDENCE.get(len(sources), "high"),
        sources=sources,
        scope=_scope(case, findings, instances, external, sent),
        containment=containment,
        remaining=_name_remaining(containment.remaining, [*used, *creators]),
        last_seen=describe_end(case, last, external),
        outbound=describe_outbound(case, sent),
        actions=propose_actions(
            instances,
            [name for name in instances if name in containment.remaining],
            used,
            [pair for pair in used if pair[1] in containment.remaining],
            [pair for pair in creators if pair[1] in containment.remaining],
            external,
            suspected,
        ),
    )


def _concerned(findings: Findings, severe: Findings) -> Findings:
    """The severe findings, and those of medium severity about what the same hosts sent."""
    hosts = {finding.subject for finding in severe if is_address(finding.subject)}
    return Findings(
        finding
        for finding in findings.at_least("medium")
        if finding in severe or (finding.subject in hosts and _is_traffic(finding))
    )


def _name_remaining(names: Sequence[str], keys: Sequence[tuple[str, str]]) -> list[str]:
    """Say what each id is: 'access key AKIA… of ada', 'instance i-…'."""
    users = {key: user for user, key in keys}
    return [
        f"access key {name} of {users[name]}" if name in users else f"instance {name}"
        for name in names
    ]


def _is_traffic(finding: Finding) -> bool:
    """Whether a finding is about what a host itself sends: it goes on until it is stopped."""
    return finding.detector in _DISRUPTING and finding.evidence.flows


def _values(traces: Sequence[Trace], step: str) -> list[str]:
    found = (value for trace in traces for s in trace.of(step) if (value := s.value) is not None)
    return list(dict.fromkeys(found))


def _credentials(traces: Sequence[Trace]) -> list[tuple[str, str]]:
    """User and access key of the call that created each subject."""
    pairs = [
        (trace.name(arn), key)
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
    }
    return [name for name, supports in sources.items() if supports]


def _scope(
    case: Case,
    findings: Findings,
    instances: Sequence[str],
    external: Sequence[str],
    sent: Mapping[str, int],
) -> list[tuple[str, str]]:
    severe = findings.at_least("high")
    hosts = sorted({f.subject for f in severe if is_address(f.subject)})
    principals = sorted({f.subject for f in severe if not is_address(f.subject)})
    first, last = min(f.first_seen for f in severe), max(f.last_seen for f in severe)
    alerts = case.alerts.count().to_pyarrow().as_py()
    rows = [
        ("period", format_period(first, last)),
        ("hosts", join_words(hosts)),
        ("instances", join_words(instances)),
        ("principals", join_words(principals)),
        ("external addresses", join_words(external)),
        ("sent to them", join_words(f"{format_bytes(n)} to {peer}" for peer, n in sent.items())),
        ("findings", f"{len(findings):,}, of which high or critical: {len(severe):,}"),
        ("GuardDuty", format_count(alerts, "finding") if alerts else ""),
    ]
    return [(name, value) for name, value in rows if value]
