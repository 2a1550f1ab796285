"""The report's sections about hosts: attribution, what they did, and figures of their traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from flowbench import plot
from flowbench.investigate import graph
from flowbench.plot.chain import Link
from flowbench.text import format_count, format_period, format_utc

if TYPE_CHECKING:
    import networkx as nx
    import plotly.graph_objects as go

    from flowbench.case import Case
    from flowbench.detect import Finding, Findings
    from flowbench.investigate.attribution import SubjectTrace
    from flowbench.investigate.trace import Step, Trace

_MOST_PEERS = 6  # in the figure of the chain
_MOST_LATER_EVENTS = 12  # API events of others that are listed

_FACTS = {
    "address": "address",
    "interface": "interface",
    "instance": "instance",
    "creation_event": "creation event",
    "created_at": "created at (UTC)",
    "principal": "principal",
    "access_key": "access key",
    "source_address": "source address",
    "principal_created_by": "principal created by",
}


@dataclass(frozen=True)
class SubjectSection:
    """What the report says of one host.

    Attributes:
        address: The host's address.
        facts: Label and value of what the attribution established.
        sentences: A summary in sentences, each computed from a table of the report.
        steps: The steps of the attribution.
        figures: Its communication, and its traffic with each peer of a finding.
    """

    address: str
    facts: list[tuple[str, str]]
    sentences: list[str]
    steps: tuple[Step, ...]
    figures: list[go.Figure]


def describe_subject(
    case: Case, traced: SubjectTrace, communication: nx.DiGraph, events: pd.DataFrame
) -> SubjectSection:
    """Describe a subject of severe findings.

    Args:
        case: The case.
        traced: The subject, its trace and its findings.
        communication: The communication graph of the case.
        events: The timeline of the case (timeline.TABLE).
    """
    subject, trace, findings = traced
    peers = dict.fromkeys(finding.peer for finding in findings if finding.peer is not None)
    summary = trace.summary()
    facts = [(label, value) for name, label in _FACTS.items() if (value := summary[name])]
    return SubjectSection(
        subject,
        [
            (label, _utc(value) if label == _FACTS["created_at"] else value)
            for label, value in facts
        ],
        [
            *_describe_attribution(case, trace, findings),
            *_describe_findings(findings),
            *_describe_others(case, trace, events),
            *trace.gaps,
        ],
        trace.steps,
        [
            plot.chain(_chain(trace, findings), f"Attribution of {subject}"),
            plot.network(graph.around(communication, subject)),
            *(plot.activity(case.connections_of(subject, peer)) for peer in peers),
        ],
    )


def _chain(trace: Trace, findings: Findings) -> list[Link]:
    """The links from the principals that created a host to the peers of its findings."""
    links = [
        Link("principal", step.value.rpartition("/")[2], step.time)
        for step in trace.of("created by")[:1]
        if step.value is not None
    ]
    links += [
        Link(step.step, step.value.rpartition("/")[2], step.time)
        for step in trace.of("principal", "access key")
        if step.value is not None
    ]
    links += [
        Link("API call", step.description.partition(" ")[0], step.time)
        for step in trace.of("creation")
    ]
    links += [
        Link(step.step, step.value)
        for step in trace.of("instance", "interface")
        if step.value is not None
    ]
    links.append(Link("address", trace.address))
    first: dict[str, pd.Timestamp] = {}
    for finding in sorted(findings, key=lambda f: (f.first_seen, f.finding_id)):
        if finding.peer is not None:
            first.setdefault(finding.peer, finding.first_seen)
    return [*links, *(Link("peer", peer, at) for peer, at in list(first.items())[:_MOST_PEERS])]


def _describe_attribution(case: Case, trace: Trace, findings: Findings) -> list[str]:
    """Name the host, and the principals that created it and each other."""
    summary = trace.summary()
    host = trace.address
    if summary["instance"]:
        host = f"Instance {summary['instance']} (interface {summary['interface']}, address {host})"
    elif summary["interface"]:
        host = f"Interface {summary['interface']} (address {host})"
    period = min(f.first_seen for f in findings), max(f.last_seen for f in findings)
    sentences = [
        f"{host} is the subject of {format_count(len(findings), 'finding')} of high or critical"
        f" severity from {format_period(*period, seconds=True)}."
    ]
    if summary["principal"]:
        call = trace.of("creation")[0].description.partition(" ")[0]
        created = f"Interface {summary['interface'] or f'of {trace.address}'} was created"
        if call == "RunInstances":
            created = f"Instance {summary['instance'] or f'of {trace.address}'} was launched"
        sentences.append(
            f"{created} at {_utc(summary['created_at'])} UTC ({call}) by {summary['principal']},"
            f" access key {summary['access_key'] or 'unknown'}, source address"
            f" {summary['source_address'] or 'unknown'}."
        )
    if origins := [step for step in trace.of("created by") if step.value is not None]:
        table = case.api_events
        ids = [step.event_id for step in origins if step.event_id is not None]
        calls = table.filter(table.event_id.isin(ids)).order_by("event_time")
        *names, last = dict.fromkeys(calls.event_name.to_pyarrow().to_pylist())
        called = f"{', '.join(names)} and {last}" if names else last
        first = min(step.time for step in origins if step.time is not None)
        sentences.append(
            f"{summary['principal_created_by']} called {called} for"
            f" {(summary['principal'] or 'this principal').rpartition('/')[2]}, first at"
            f" {format_utc(first, seconds=True)}."
        )
    sentences += [step.description for step in trace.of("creator baseline")]
    return sentences + [
        f"At {format_utc(step.time, seconds=True)} {step.description}"
        for step in trace.of("creator activity")
        if step.time is not None
    ]


def _describe_findings(findings: Findings) -> list[str]:
    """State the first finding of each detector about each peer, in order of time."""
    first: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        first.setdefault((finding.peer or finding.finding_id, finding.detector), finding)
    ordered = sorted(first.values(), key=lambda f: (f.first_seen, f.finding_id))
    return [f"{finding.title}: {finding.summary}" for finding in ordered]


def _describe_others(case: Case, trace: Trace, events: pd.DataFrame) -> list[str]:
    """State what GuardDuty reported of the host, and later API events of others about it."""
    sentences = []
    alerts = case.alerts
    about = alerts.local_address == trace.address
    about |= alerts.instance_id == (trace.value("instance") or "")
    types = alerts.filter(about.fill_null(False)).type.to_pyarrow().to_pylist()
    if types:
        count = format_count(len(types), "finding")
        sentences.append(f"GuardDuty reported {count}: {', '.join(sorted(set(types)))}.")
    cited = [step.event_id for step in trace.steps if step.event_id is not None]
    later = events[
        (events["data_source"] == "CloudTrail")
        & events["object"].isin([trace.address, trace.value("instance")])
        & ~events["evidence"].isin(cited)
    ]
    return sentences + [
        f"At {format_utc(event.time, seconds=True)} {event.detail}"
        for event in later.head(_MOST_LATER_EVENTS).itertuples()
    ]


def _utc(value: str | None) -> str:
    """An ISO 8601 time in the format of the report."""
    return "an unknown time" if value is None else f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"
