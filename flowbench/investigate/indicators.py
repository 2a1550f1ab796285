"""Indicators of compromise: what to search for elsewhere, with the evidence for each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.investigate.attribution import SubjectTrace, trace_subjects
from flowbench.investigate.dns_answers import find_resolutions
from flowbench.schema import Table

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Findings
    from flowbench.investigate.trace import Trace

INDICATORS = Table.of(
    "iocs",
    ("indicator", "string", "the address, domain, principal, key or identifier"),
    ("type", "string", "address, domain, principal, access key, instance or interface"),
    ("role", "string", "its part in this case"),
    ("first_seen", "time", "first sign of it in this case"),
    ("last_seen", "time", "last sign of it"),
    ("subject", "string", "the internal host concerned"),
    ("reference", "string", "finding id, event id, or the kind of log that shows it"),
    ("own_asset", "bool", "whether it is the organisation's own: not to be blocked"),
)

_EXTERNAL_TYPES = ("address", "domain")  # what may be somebody else's

# Steps of a trace that establish indicators: their type, and their role with names to fill in.
_TRACED = {
    "interface": ("interface", "interface of the host"),
    "instance": ("instance", "instance of the host"),
    "principal": ("principal", "principal that {created}"),
    "access key": ("access key", "access key that {created}"),
    "source address": ("address", "source address of the call that {created}"),
    "created by": ("principal", "principal that created or changed {principal}"),
}


class Sign(NamedTuple):
    """One sign of an indicator."""

    type: str
    indicator: str
    role: str
    first_seen: datetime | None
    last_seen: datetime | None
    subject: str
    reference: str


def collect_indicators(case: Case, findings: Findings) -> pd.DataFrame:
    """Collect the indicators of compromise of the findings of high severity or above.

    These are the findings' external peers, the domains that resolved to them, and for each subject
    its address, interface, instance, and the principal, access key and source address that created
    it, with the first and last sign of each among these findings and the events of their traces.

    Returns:
        Rows of INDICATORS, ordered by type and indicator.
    """
    severe = findings.at_least("high")
    signs = [*_peer_signs(case, severe), *_domain_signs(case, severe)]
    for traced in trace_subjects(case, severe):
        signs += _subject_signs(case, traced)
    if not signs:
        return INDICATORS.frame([])

    def distinct(texts: pd.Series) -> str:
        return "; ".join(dict.fromkeys(texts))

    by_indicator = pd.DataFrame(signs).groupby(["type", "indicator"], as_index=False, sort=True)
    rows = by_indicator.agg(
        role=("role", distinct),
        first_seen=("first_seen", "min"),
        last_seen=("last_seen", "max"),
        subject=("subject", distinct),
        reference=("reference", distinct),
    )
    addresses = list(rows.loc[rows["type"] == "address", "indicator"])
    own = internal_addresses(case, addresses) | assigned_addresses(case, addresses)
    is_external = rows["type"].isin(_EXTERNAL_TYPES) & ~rows["indicator"].isin(own)
    return INDICATORS.frame(rows.assign(own_asset=~is_external).to_dict("records"))


def assigned_addresses(case: Case, addresses: Collection[str]) -> set[str]:
    """Which of some addresses are assigned to an interface, as own or public address."""
    wanted = sorted(set(addresses))
    table = case.address_assignments
    own = table.select("address")
    public = table.select(address=table.public_addresses.unnest())
    found = own.union(public, distinct=True).filter(lambda t: t.address.isin(wanted))
    return set(found.to_pyarrow()["address"].to_pylist())


def _peer_signs(case: Case, findings: Findings) -> Iterator[Sign]:
    """External peers: an internal peer is a target, not an indicator."""
    internal = internal_addresses(case, {f.peer for f in findings if f.peer is not None})
    for finding in findings:
        if finding.peer is not None and finding.peer not in internal:
            yield Sign(
                "address",
                finding.peer,
                finding.title,
                finding.first_seen,
                finding.last_seen,
                finding.subject,
                finding.finding_id,
            )


def internal_addresses(case: Case, addresses: Collection[str]) -> set[str]:
    """Which of some addresses are internal."""
    if not addresses:
        return set()
    summaries = case.connection_summaries
    initiators, responders = (
        summaries.filter(
            summaries[end].isin(list(addresses)), summaries.direction.isin(["internal", direction])
        )
        .select(address=summaries[end])
        .distinct()
        for end, direction in (("initiator", "outbound"), ("responder", "inbound"))
    )
    return set(initiators.union(responders).to_pyarrow()["address"].to_pylist())


def _domain_signs(case: Case, findings: Findings) -> Iterator[Sign]:
    subjects = {finding.subject for finding in findings}
    for found in find_resolutions(case, {f.peer for f in findings if f.peer is not None}):
        if found.host in subjects:
            role = f"resolved to {', '.join(found.answers)}"
            times = found.first_seen, found.last_seen
            yield Sign("domain", found.name, role, *times, found.host, "DNS query log")


def _subject_signs(case: Case, traced: SubjectTrace) -> Iterator[Sign]:
    """The subject itself, and what its trace established."""
    subject, trace, findings = traced
    period = min(f.first_seen for f in findings), max(f.last_seen for f in findings)
    yield Sign("address", subject, "internal host concerned", *period, subject, "findings")
    cited = trace.event_ids("creation", "created by", "creator activity", "principal activity")
    events = read_events(case.api_events.filter(case.api_events.event_id.isin(cited)))
    names = _names(trace)
    for kind, (indicator_type, template) in _TRACED.items():
        role = template.format_map(names)
        for step in trace.of(kind):
            if step.value is None:
                continue
            user = trace.name(step.value)
            times = [event.event_time for event in events if _mentions(event, step.value, user)]
            times += [step.time] if step.time is not None else []
            times += period if indicator_type in ("instance", "interface") else ()
            if step.event_id is not None:
                reference = f"event {step.event_id}"
            else:
                reference = "inventory" if step.file is not None else "flow logs"
            first, last = _first_and_last(times)
            yield Sign(indicator_type, step.value, role, first, last, subject, reference)
    role = "access key used to create or change {principal}".format_map(names)
    origins = set(trace.event_ids("created by"))
    for event in events:
        if event.event_id in origins and event.access_key_id:
            time, reference = event.event_time, f"event {event.event_id}"
            yield Sign("access key", event.access_key_id, role, time, time, subject, reference)


def _names(trace: Trace) -> dict[str, str]:
    """Return what was created, with its verb, and the name of the principal that created it."""
    instance, interface = trace.value("instance"), trace.value("interface")
    launched = any(s.description.startswith("RunInstances ") for s in trace.of("creation"))
    if launched:
        created = f"launched {instance or f'the instance of {trace.address}'}"
    else:
        created = f"created {interface or f'the interface of {trace.address}'}"
    principal = trace.name(trace.value("principal") or "the principal")
    return {"created": created, "principal": principal}


def _first_and_last(times: Iterable[datetime]) -> tuple[datetime | None, datetime | None]:
    times = list(times)
    return min(times, default=None), max(times, default=None)


def _mentions(event: ApiEvent, indicator: str, user: str) -> bool:
    """Whether an API event is a sign of a key, address, principal, instance or interface."""
    return indicator in (
        event.event_id,
        event.principal_arn,
        event.access_key_id,
        event.new_access_key_id,
        event.source_ip,
        *(event.instance_ids or ()),
        *(event.interface_ids or ()),
    ) or (user != indicator and event.target_user == user)
