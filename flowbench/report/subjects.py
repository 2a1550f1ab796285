"""The report about hosts: attribution, what they did, and figures of their traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from flowbench import plot
from flowbench.investigate import graph
from flowbench.plot.chain import Link, links_of
from flowbench.text import format_count, format_period, format_utc, join_words

if TYPE_CHECKING:
    import networkx as nx
    import plotly.graph_objects as go

    from flowbench.case import Case
    from flowbench.detect import Findings
    from flowbench.investigate.attribution import SubjectTrace
    from flowbench.investigate.trace import Step, Trace

_MOST_DRAWN = 3  # peers whose traffic is drawn

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
    """What the report says of one host, principal or common external address.

    Attributes:
        subject: The address, or the principal's name.
        facts: Label and value of what the attribution established.
        sentences: A summary in sentences, each computed from a table of the report.
        steps: The steps of the attribution.
        figures: The chain of its attribution, its communication, and its traffic with peers.
        names: What it is called in the timeline: address, instance, interface, principal, key.
    """

    subject: str
    facts: list[tuple[str, str]]
    sentences: list[str]
    steps: tuple[Step, ...]
    figures: list[go.Figure]
    names: tuple[str, ...] = ()


def describe_subject(case: Case, traced: SubjectTrace, communication: nx.DiGraph) -> SubjectSection:
    """Describe a subject of severe findings.

    Args:
        case: The case.
        traced: The subject, its trace and its findings.
        communication: The communication graph of the case.
    """
    subject, trace, findings = traced
    peers = list(dict.fromkeys(f.peer for f in findings if f.peer is not None))
    summary = trace.summary()
    figures = [plot.chain(_chain(trace, findings), f"Attribution of {subject}")]
    if subject in communication:  # a finding may be about a host that no flow record names
        figures.append(plot.network(graph.around(communication, subject)))
    figures += [plot.activity(case.connections_of(subject, peer)) for peer in peers[:_MOST_DRAWN]]
    own = [summary[name] for name in ("address", "interface", "instance")]
    facts = [(label, value) for name, label in _FACTS.items() if (value := summary[name])]
    return SubjectSection(
        subject,
        [
            (label, _utc(value) if label == _FACTS["created_at"] else value)
            for label, value in facts
        ],
        [
            *_describe_attribution(case, trace, findings),
            *trace.gaps,
        ],
        trace.steps,
        figures,
        tuple(name for name in own if name),
    )


def _chain(trace: Trace, findings: Findings) -> list[Link]:
    """The links from the principals that created a host to the peers of its findings."""
    first: dict[str, pd.Timestamp] = {}
    for finding in sorted(findings, key=lambda f: (f.first_seen, f.finding_id)):
        if finding.peer is not None:
            first.setdefault(finding.peer, finding.first_seen)
    return links_of(trace, [Link("peer", peer, at) for peer, at in first.items()])


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
        called = join_words(dict.fromkeys(calls.event_name.to_pyarrow().to_pylist()))
        first = min(step.time for step in origins if step.time is not None)
        sentences.append(
            f"{summary['principal_created_by']} called {called} for"
            f" {trace.name(summary['principal'] or 'this principal')}, first at"
            f" {format_utc(first, seconds=True)}."
        )
    sentences += [step.description for step in trace.of("creator baseline")]
    return sentences + [
        f"At {format_utc(step.time, seconds=True)} {step.description}"
        for step in trace.of("creator activity")
        if step.time is not None
    ]


def _utc(value: str | None) -> str:
    """An ISO 8601 time in the format of the report."""
    return "an unknown time" if value is None else f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"
