"""What happened, for a manager: one sentence about the incident, and a line for each subject.

The lines are in order of time. A line states what records show: who called what, who connected
where. Names of API calls stand at the end of a sentence, for readers who look them up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flowbench.case.provenance import api_event_condition
from flowbench.detect.group_links import SESSION
from flowbench.enrich.ports import label
from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.report.permissions import describe_permissions
from flowbench.report.phrases import describe_calls, describe_finding, name_topics
from flowbench.text import (
    format_count,
    format_date,
    format_period,
    format_utc,
    is_address,
    join_words,
)

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.detect import Finding, Findings
    from flowbench.investigate.attribution import SubjectTrace

MOST_LINES = 5
_MOST_TOPICS = 4
_MOST_CALLS = 200  # API events of a finding that are read
_CREATION = ("RunInstances", "CreateNetworkInterface")

_TCP = 6

Line = tuple[datetime, str, str]  # time, period, sentence


def write_headline(findings: Findings) -> str:
    """Return what an incident is about: its topics, the number of its subjects, its period."""
    topics = name_topics(findings)[:_MOST_TOPICS]
    subjects = {finding.subject for finding in findings}
    hosts = {subject for subject in subjects if is_address(subject)}
    counts = [
        format_count(len(hosts), "internal host") if hosts else "",
        format_count(len(subjects - hosts), "principal") if subjects - hosts else "",
    ]
    first, last = min(f.first_seen for f in findings), max(f.last_seen for f in findings)
    named = join_words(topics)
    concerned = join_words(filter(None, counts))
    return f"{named[:1].upper()}{named[1:]}. Involved: {concerned}, {_period(first, last)}."


def tell_events(
    case: Case, findings: Findings, traces: Sequence[SubjectTrace], links: pd.DataFrame
) -> tuple[list[tuple[str, str]], int]:
    """Describe the events of the incident.

    Args:
        case: The case.
        findings: Findings of high severity or above.
        traces: The traces of their subjects.
        links: The links of finding groups (detect.LINKS): sessions between these subjects are told
            where there is room.

    Returns:
        Period and sentence of at most MOST_LINES lines, those of the most severe subjects, in order
        of time; and how many further subjects there are.
    """
    listed = _listed_peers(findings)
    created = [line for traced in traces if (line := _creation_line(traced)) is not None]
    creators = {name for name, _ in created}
    by_subject: dict[str, list[Finding]] = {}
    for finding in findings:
        by_subject.setdefault(finding.subject, []).append(finding)
    lines = [line for _, line in created]
    room = max(1, MOST_LINES - len(lines))
    shown = dict(list(by_subject.items())[:room])
    for subject, group in shown.items():
        calls = _read_calls(case, group)
        stated = group
        if subject in creators:
            stated = [f for f in group if not _is_creation(calls.get(f.finding_id))]
        most = 2 if len(shown) + len(lines) < MOST_LINES else 1
        lines += _subject_lines(subject, stated, calls, listed, most)
    lines += _session_lines(links, by_subject)[: max(0, MOST_LINES - len(lines))]
    lines.sort()
    return [line[1:] for line in lines[:MOST_LINES]], len(by_subject) - len(shown)


def _creation_line(traced: SubjectTrace) -> tuple[str, Line] | None:
    """Return who launched the instance of a subject, and the line that states it."""
    trace = traced.trace
    created = next((step for step in trace.of("creation") if step.time is not None), None)
    principal = trace.value("principal")
    if created is None or created.time is None or principal is None:
        return None
    name = trace.name(principal)
    what = trace.value("instance") or trace.value("interface") or "the interface"
    verb = "launch" if trace.value("instance") else "create"
    origin = f" from {address}" if (address := trace.value("source address")) else ""
    maker = trace.value("created by")
    by = f", created with those of {trace.name(maker)}," if maker else ""
    used = f"The credentials of {name}{by} were used{origin}"
    sentence = f"{used} to {verb} {what} ({traced.subject})."
    return name, (created.time, format_utc(created.time), sentence)


def _session_lines(links: pd.DataFrame, subjects: Collection[str]) -> list[Line]:
    """State who of the subjects opened sessions to another."""
    lines: list[Line] = []
    for link in links[links["relation"] == SESSION].itertuples():
        own_ends = f"{link.from_group} to {link.to_group}"
        source, _, target = (link.via if isinstance(link.via, str) else own_ends).partition(" to ")
        if {source, target} <= set(subjects):
            count = format_count(link.connections, "administrative session")
            sentence = f"{source} opened {count} to {target} on {label(link.service_port, _TCP)}."
            lines.append((link.first_seen, _period(link.first_seen, link.last_seen), sentence))
    return lines


def _subject_lines(
    subject: str,
    group: Sequence[Finding],
    calls: Mapping[str, Sequence[ApiEvent]],
    listed: Mapping[str, str],
    most: int,
) -> list[Line]:
    """State what a subject did: what came in before what it did itself, where there is room."""
    incoming = [f for f in group if f.is_target]
    others = [f for f in group if f not in incoming]
    parts = [part for part in (incoming, others) if part]
    if most < len(parts):
        parts = [list(group)]
    lines = []
    for part in parts:
        first, last = min(f.first_seen for f in part), max(f.last_seen for f in part)
        sentences = _describe_api(subject, [f for f in part if f.finding_id in calls], calls)
        traffic = [f for f in part if f.finding_id not in calls]
        phrases = dict.fromkeys(describe_finding(f, listed) for f in _once_each(traffic))
        if phrases:
            separator = "; " if any(", " in phrase for phrase in list(phrases)[:-1]) else ", "
            sentences.append(f"{subject} {join_words(phrases, len(phrases), separator=separator)}")
        lines.append((first, _period(first, last), f"{'. '.join(sentences)}."))
    return lines


def _describe_api(
    subject: str, findings: Iterable[Finding], calls: Mapping[str, Sequence[ApiEvent]]
) -> list[str]:
    """State the API calls of findings, by source addresses, and what attached policies allow."""
    by_origin: dict[tuple[str, ...], list[ApiEvent]] = {}
    for finding in findings:
        by_origin.setdefault(finding.peers, []).extend(calls[finding.finding_id])
    sentences = []
    for origin, events in by_origin.items():
        unique = {event.event_id or id(event): event for event in events}
        ordered = sorted(unique.values(), key=lambda e: (e.event_time, e.event_id or ""))
        sentences.append(describe_calls(subject, ordered, origin))
        sentences += describe_permissions(ordered)
    return sentences


def _once_each(findings: Sequence[Finding]) -> list[Finding]:
    """Findings in order of time; of those about one peer the most telling."""
    order = ["mining", "exfiltration", "beacon", "lateral-movement", "remote-access"]
    rank = {name: number for number, name in enumerate(order)}
    chosen: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda f: rank.get(f.detector, len(rank))):
        chosen.setdefault(finding.peers or finding.finding_id, finding)
    return sorted(chosen.values(), key=lambda f: (f.first_seen, f.finding_id))


def _read_calls(case: Case, findings: Iterable[Finding]) -> dict[str, list[ApiEvent]]:
    """Read the API events of the findings that are about API events, by finding id."""
    table = case.api_events
    return {
        finding.finding_id: read_events(
            table.filter(
                api_event_condition(table, finding.evidence.api_events).fill_null(False)
            ).limit(_MOST_CALLS)
        )
        for finding in findings
        if finding.evidence.api_events is not None and not finding.evidence.flows
    }


def _is_creation(events: Sequence[ApiEvent] | None) -> bool:
    """Whether API events are only those that launched an instance or created an interface."""
    return bool(events) and all(event.event_name in _CREATION for event in events or ())


def _listed_peers(findings: Iterable[Finding]) -> dict[str, str]:
    """The kinds of indicators that findings have for a peer: 'tor', 'mining'."""
    listed: dict[str, str] = {}
    for finding in findings:
        kinds = finding.title.partition("(")[2].rstrip(")")
        if finding.detector == "contact" and kinds:
            listed |= dict.fromkeys(finding.peers, kinds)
    return listed


def _period(first: datetime, last: datetime) -> str:
    """A period, its date once where it is within a day: '2026-09-01 19:12 to 19:13 UTC'."""
    if format_utc(first) == format_utc(last):
        return format_utc(first)
    text = format_period(first, last)
    date = format_date(last)
    return text.replace(f" to {date}", " to") if date == format_date(first) else text
