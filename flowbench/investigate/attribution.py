"""Attribution: from an address to its interface, its instance, and the principal that created it.

Or from a principal or access key to who created it, what it did, and what its calls created. Each
step cites the record that supports it. Where the evidence does not show the next step, the trace
states so and why; where it stops at a limit of its own, it states that too.

Limitation: CloudTrail names the credentials that were used, not the person who used them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from flowbench.detect import Findings
from flowbench.detect.history import last_run
from flowbench.enrich.inventory import AssignmentLookup
from flowbench.errors import InputError
from flowbench.investigate import pivot as pivots
from flowbench.investigate.address_trace import AddressTraceBuilder
from flowbench.investigate.filters import Filters
from flowbench.investigate.pivot import resolve
from flowbench.investigate.principal_trace import PrincipalTraceBuilder
from flowbench.investigate.trace import Trace
from flowbench.text import is_address

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding

_EVERYTHING = Filters()


class SubjectTrace(NamedTuple):
    """The trace of a subject of findings, and those findings."""

    subject: str
    trace: Trace
    findings: Findings


def trace(
    case: Case,
    what: str,
    at: pd.Timestamp | None = None,
    filters: Filters = _EVERYTHING,
    findings: Findings | None = None,
) -> Trace:
    """Trace an address to the principal that created its interface or instance, or a principal.

    Args:
        case: The case.
        what: What ``pivot.resolve`` takes. An address, interface, instance or Name tag is traced to
            who created it, and to who called the API from it. A principal or access key is traced
            to who created it, what it did, and what its calls created.
        at: The time (UTC) whose assignment of the address is meant, for instance that of a finding;
            without it, the time of the address's last record in the period.
        filters: The period of the calls, findings and connections; calls that created what is
            traced, or ended it, are shown whenever they were.
        findings: The findings that are named; without them, those of the last run that the case
            keeps.

    Returns:
        The steps (see trace.STEPS), in that order; a step that the evidence does not show is a gap.
        ``plot.chain`` draws it.

    Raises:
        InputError: ``what`` is nothing in this case, has no address, or is a principal of several
            accounts.
    """
    if findings is None and (run := last_run(case)) is not None:
        findings = run.findings
    if is_address(what):
        case.check_host(what)
        return _trace_address(case, what, at, filters, findings)
    pivot = resolve(case, what)
    if pivot.is_principal:
        with PrincipalTraceBuilder(case, pivot.text, filters, findings) as builder:
            builder.add_identity(pivot)
            return builder.done()
    if pivot.kind == "address":
        return _trace_address(case, pivot.text, at, filters, findings)
    if pivot.kind in ("network", "domain") or not pivot.assignments:
        raise InputError(f"{what} is a {pivot.kind}: trace one address, instance or principal")
    first = min(pivot.assignments, key=lambda a: (a.valid_from is not None, a.valid_from or 0))
    return _trace_address(case, first.address, at or _within(first), filters, findings)


def _within(assignment: pivots.Assignment) -> pd.Timestamp | None:
    """A time at which an assignment held; None where its bounds are unknown."""
    moment = assignment.valid_from or assignment.valid_until
    return None if moment is None else pd.Timestamp(moment)


def _trace_address(
    case: Case,
    address: str,
    at: pd.Timestamp | None,
    filters: Filters,
    findings: Findings | None,
) -> Trace:
    with AddressTraceBuilder(case, address, filters, findings) as builder:
        builder.add_address(at)
        return builder.done()


def trace_subjects(case: Case, findings: Iterable[Finding]) -> list[SubjectTrace]:
    """Trace each subject of findings that is an address, in the order of the findings.

    A subject that was assigned to several interfaces or instances at the times of its findings has
    a trace for each of them.
    """
    with_address = [finding for finding in findings if is_address(finding.subject)]
    lookup = AssignmentLookup(case.address_assignments, {f.subject for f in with_address})
    groups: dict[tuple[str, Any], list[Finding]] = {}
    for finding in with_address:
        assignment = lookup.at(finding.subject, finding.first_seen)
        owner = assignment and (assignment["interface_id"], assignment["instance_id"])
        groups.setdefault((finding.subject, owner), []).append(finding)
    traces = []
    for (subject, _), group in groups.items():
        trace = trace_host(case, subject, min(finding.first_seen for finding in group))
        traces.append(SubjectTrace(subject, trace, Findings(group)))
    return traces


def trace_host(case: Case, address: str, at: pd.Timestamp | None = None) -> Trace:
    """Trace an address to who created its interface or instance, and no further.

    Args:
        case: The case.
        address: The address.
        at: As for ``trace``.

    Returns:
        The steps of ``trace`` without findings, callers and connections.
    """
    with AddressTraceBuilder(case, address) as builder:
        builder.add_address(at, with_callers=False)
        return builder.done()
