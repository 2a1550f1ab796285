"""The report about principals, and about external addresses that several hosts have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowbench import plot
from flowbench.enrich.namesakes import principals_of, split_account
from flowbench.errors import InputError
from flowbench.investigate import attribution, graph
from flowbench.plot.chain import Link
from flowbench.report.subjects import SubjectSection
from flowbench.text import format_count, format_period, join_words

if TYPE_CHECKING:
    import networkx as nx

    from flowbench.case import Case
    from flowbench.detect import Findings
    from flowbench.investigate.trace import Step, Trace

_MOST_DRAWN = 6  # consequences in the figure of the chain
_MOST_NAMED = 5  # keys and addresses
_STATED = ("created by", "role chain", "consequence", "address in flows")


def describe_principal(case: Case, subject: str, findings: Findings) -> SubjectSection:
    """Describe a user, role or session with findings: who created it, what its calls created.

    Args:
        case: The case.
        subject: The principal's name, as its findings have it.
        findings: Its findings of high severity or above.
    """
    sentences = [_count_findings(subject, findings)]
    trace = _trace(case, subject, findings)
    if trace is None:
        return SubjectSection(subject, [("principal", subject)], sentences, (), [], (subject,))
    name, account = split_account(subject)
    if account is not None:
        others = principals_of(name, case.api_events, case.alerts)
        named = join_words([other for other in others if other != subject], _MOST_NAMED)
        sentences.append(f"Principals of other accounts have the same name: {named}.")
    steps = trace.steps
    keys = _values(steps, "access key")
    makers = {trace.name(value): None for value in _values(steps, "created by")}
    facts = [
        ("principal", subject),
        ("access keys", join_words(keys, _MOST_NAMED)),
        ("source addresses", join_words(_values(steps, "source address"), _MOST_NAMED)),
        ("created by", join_words(makers, _MOST_NAMED)),
    ]
    stated = [step.description for name in _STATED for step in steps if step.step == name]
    return SubjectSection(
        subject,
        [(label, value) for label, value in facts if value],
        [*sentences, *stated, *trace.gaps],
        steps,
        [plot.chain(_chain(subject, trace), f"API activity of {subject}")],
        (subject, *keys),
    )


def _trace(case: Case, subject: str, findings: Findings) -> Trace | None:
    """Trace a principal; None where only flow log settings name it."""
    try:
        return attribution.trace(case, f"principal:{subject}", findings=findings)
    except InputError:
        return None


def _values(steps: Sequence[Step], name: str) -> list[str]:
    """The different values of steps of a kind."""
    return list(dict.fromkeys(step.value for step in steps if step.step == name and step.value))


def describe_peer(subject: str, findings: Findings, communication: nx.DiGraph) -> SubjectSection:
    """Describe an external address that several hosts have findings about.

    Args:
        subject: The address.
        findings: The findings about it, of high severity or above.
        communication: The communication graph of the case.
    """
    hosts = dict.fromkeys(finding.subject for finding in findings)
    figures = []
    if subject in communication:
        figures.append(plot.network(graph.around(communication, subject)))
    facts = [("external address", subject), ("hosts", join_words(hosts, 12))]
    sentences = [_count_findings(subject, findings)]
    return SubjectSection(subject, facts, sentences, (), figures, (subject,))


def _count_findings(subject: str, findings: Findings) -> str:
    first, last = min(f.first_seen for f in findings), max(f.last_seen for f in findings)
    count = format_count(len(findings), "finding")
    period = format_period(first, last, seconds=True)
    return f"{subject} is the subject of {count} of high or critical severity from {period}."


def _chain(subject: str, trace: Trace) -> list[Link]:
    """The links from who created a principal to what came of its calls."""
    links = [
        Link("principal", trace.name(step.value), step.time)
        for step in trace.of("created by")[:1]
        if step.value is not None
    ]
    links += [
        Link("source address", step.value, step.time)
        for step in trace.of("source address")[-1:]
        if step.value is not None
    ]
    links.append(Link("principal", subject))
    links += [Link("access key", step.value) for step in trace.of("access key")[:1] if step.value]
    made = [step for step in trace.of("consequence") if step.value is not None]
    return [*links, *(Link("result", step.value or "", step.time) for step in made[:_MOST_DRAWN])]
