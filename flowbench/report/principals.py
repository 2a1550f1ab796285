"""The report about principals, and about external addresses that several hosts have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ibis

from flowbench import plot
from flowbench.case.provenance import api_event_condition
from flowbench.errors import InputError
from flowbench.investigate import attribution, graph
from flowbench.investigate.identity import SeveralAccountsError, owner_account
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
    traces, namesakes = _trace(case, subject, findings)
    if not traces:
        return SubjectSection(subject, [("principal", subject)], sentences, (), [], (subject,))
    if len(namesakes) > 1:
        named = join_words(namesakes, _MOST_NAMED)
        sentences.append(f"Principals of several accounts have this name: {named}.")
        if len(traces) < len(namesakes):
            meant = join_words([trace.address for trace in traces], _MOST_NAMED)
            sentences.append(f"The API events of the findings are those of {meant}.")
    steps = [step for trace in traces for step in trace.steps]
    keys = _values(steps, "access key")
    makers = dict.fromkeys(value.rpartition("/")[2] for value in _values(steps, "created by"))
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
        [*sentences, *stated, *(gap for trace in traces for gap in trace.gaps)],
        tuple(steps),
        [plot.chain(_chain(subject, trace), f"API activity of {subject}") for trace in traces],
        (subject, *keys),
    )


def _trace(case: Case, subject: str, findings: Findings) -> tuple[list[Trace], Sequence[str]]:
    """Trace a principal, or those of several accounts that have its name.

    Of several, only those whose calls support the findings: the others have done nothing. No trace
    where only alerts or flow log settings name it.

    Returns:
        The traces, and the ARNs of all that have the name, where it is several.
    """
    try:
        return [attribution.trace(case, f"principal:{subject}", findings=findings)], ()
    except SeveralAccountsError as error:
        accounts = _accounts(case, findings)
        named = [arn for arn in error.arns if accounts.intersection(arn.split(":")[4:5])]
        traces = [
            attribution.trace(case, f"principal:{arn}", findings=findings)
            for arn in (named or error.arns)[:_MOST_NAMED]
        ]
        return traces, error.arns
    except InputError:
        return [], ()


def _accounts(case: Case, findings: Findings) -> set[str]:
    """The accounts of the callers of the API events that support findings."""
    table = case.api_events
    conditions = [
        api_event_condition(table, finding.evidence.api_events).fill_null(False)
        for finding in findings
        if finding.evidence.api_events is not None
    ]
    if not conditions:
        return set()
    rows = table.filter(ibis.or_(*conditions))
    return set(
        rows.select(account=owner_account(rows)).distinct().to_pyarrow()["account"].to_pylist()
    )


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
        Link("principal", step.value.rpartition("/")[2], step.time)
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
