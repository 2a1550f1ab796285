"""Attribution: from an address to its interface, its instance, and the principal that created it.

Each step cites the record that supports it. Where the evidence does not show the next step, the
trace states so and why.

Limitation: CloudTrail names the credentials that were used, not the person who used them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from flowbench.detect import Findings
from flowbench.enrich.inventory import AssignmentLookup, assignment_at, describe_assignment
from flowbench.errors import InputError
from flowbench.investigate import pivot as pivots
from flowbench.investigate.api_events import (
    ApiEvent,
    find_activity,
    find_origins,
    read_events,
)
from flowbench.investigate.pivot import resolve
from flowbench.investigate.trace import Trace
from flowbench.investigate.trace_steps import StepBuilder
from flowbench.text import (
    format_period,
    format_utc,
    is_address,
    list_some,
    split_zone,
)

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding
    from flowbench.enrich.inventory import Assignment

_CREATION_EVENTS = ("RunInstances", "CreateNetworkInterface")


class SubjectTrace(NamedTuple):
    """The trace of a subject of findings, and those findings."""

    subject: str
    trace: Trace
    findings: Findings


def trace(case: Case, what: str, at: pd.Timestamp | None = None) -> Trace:
    """Trace an address to the principal that created its interface or instance, or a principal.

    Args:
        case: The case.
        what: What ``pivot.resolve`` takes: an address, interface, instance or Name tag is traced to
            who created it; of a principal or access key, who created it, what it did, and what came
            of that.
        at: The time (UTC) whose assignment of the address is meant, for instance that of a finding;
            without it, the time of the address's last record.

    Returns:
        The steps (see trace.STEPS), in that order; a step that the evidence does not show is a gap.

    Raises:
        InputError: ``what`` is nothing in this case, or has no address or several.
    """
    if is_address(what):
        case.check_host(what)
        return _trace_address(case, what, at)
    pivot = resolve(case, what)
    if pivot.is_principal:
        builder = _TraceBuilder(case, pivot.text)
        builder.add_identity(pivot)
        return builder.done()
    if pivot.kind == "address":
        return _trace_address(case, pivot.text, at)
    if pivot.kind in ("network", "domain") or not pivot.assignments:
        raise InputError(f"{what} is a {pivot.kind}: trace one address, instance or principal")
    first = min(pivot.assignments, key=lambda a: (a.valid_from is not None, a.valid_from or 0))
    return _trace_address(case, first.address, at or _within(first))


def _within(assignment: pivots.Assignment) -> pd.Timestamp | None:
    """A time at which an assignment held; None where its bounds are unknown."""
    moment = assignment.valid_from or assignment.valid_until
    return None if moment is None else pd.Timestamp(moment)


def _trace_address(case: Case, address: str, at: pd.Timestamp | None) -> Trace:
    builder = _TraceBuilder(case, address)
    assignment = builder.add_assignment(at)
    creation = builder.add_creation(assignment)
    if creation is not None:
        builder.add_principal(creation)
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
    return [
        SubjectTrace(
            subject,
            _trace_address(case, subject, min(f.first_seen for f in group)),
            Findings(group),
        )
        for (subject, _), group in groups.items()
    ]


class _TraceBuilder(StepBuilder):
    """Adds the steps of a trace in their order."""

    def __init__(self, case: Case, address: str) -> None:
        super().__init__(case, address)
        self._assignments: list[Assignment] = []  # all of the address

    def add_assignment(self, at: datetime | None) -> Assignment | None:
        """Add the interface and instance, as far as inventory and flow logs know them."""
        table = self.case.address_assignments
        selected = (table.address == self.address) | table.public_addresses.contains(self.address)
        order = [table.valid_from.asc(nulls_first=True), table.interface_id, table.address]
        rows = table.filter(selected.fill_null(False)).order_by(order)
        self._assignments = found = rows.to_pyarrow().to_pylist()
        if len(found) > 1 and at is None:
            self._offer_assignments(found)
            at = self._last_record()
        assignment = assignment_at(found, at if len(found) > 1 else None)
        if assignment is None or assignment["known_from"] != "inventory":
            self.add("gap", f"No inventory lists an interface with {self.address}.")
        if assignment is not None and assignment["known_from"] != "cloudtrail":
            self._add_interface(assignment)
        return assignment

    def _offer_assignments(self, found: list[Assignment]) -> None:
        """List the interfaces that had the address, each with a time that chooses it."""
        owners = {(one["interface_id"], one["instance_id"]) for one in found}
        if len(owners) < 2:
            return
        for one in found:
            moment = one["valid_from"] or one["valid_until"]
            chosen = f"; --at {pd.Timestamp(moment):%Y-%m-%dT%H:%M:%S} traces it" if moment else ""
            cited = self.cite(one["evidence_id"], one["line"], one.get("item"))
            text = f"{self.address} was assigned to {describe_assignment(one)}{chosen}."
            self.add("assignment", text, one["interface_id"], time=one["valid_from"], **cited)

    def _last_record(self) -> datetime | None:
        summaries = self.case.connection_summaries
        of_address = summaries.filter(
            (summaries.initiator == self.address) | (summaries.responder == self.address)
        )
        last: datetime | None = of_address.last_seen.max().to_pyarrow().as_py()
        return last

    def _add_interface(self, assignment: Assignment, event: ApiEvent | None = None) -> None:
        """Add the interface and instance, supported by ``event`` if it made the assignment."""
        interface, instance = assignment["interface_id"], assignment["instance_id"]
        service = assignment["service"]
        cited = assignment if event is None else event._asdict()
        fields = self.cite(cited["evidence_id"], cited["line"], cited.get("item"))
        fields |= {"event_id": cited.get("event_id"), "time": assignment["valid_from"]}
        if interface:
            self.add("interface", self._describe_interface(assignment, event), interface, **fields)
        if instance:
            text = f"The interface was attached to instance {instance}."
            self.add("instance", text, instance, **fields)
        elif service and service != "ec2":
            text = f"The inventory lists no instance for this interface; its type is {service}."
            self.add("gap", text)
        else:
            self.add("gap", "The evidence names no instance that the interface was attached to.")

    def _describe_interface(self, assignment: Assignment, event: ApiEvent | None) -> str:
        service = f" ({assignment['service']})" if assignment["service"] else ""
        interface = f"{assignment['interface_id']}{service}"
        if event is not None:
            text = f"{event.event_name} assigned {self.address} to {interface}"
        else:
            address = self.address
            if address != assignment["address"]:
                address = f"{address} maps to {assignment['address']}, which"
            text = f"{address} was assigned to {interface} in {assignment['subnet_id']},"
            text += f" {assignment['vpc_id']}"
            if assignment["known_from"] == "logs":
                text += " (known from flow log records)"
            else:
                text += f" (Name tag: {assignment['name'] or 'none'})"
        others = dict.fromkeys(
            describe_assignment(other)
            for other in self._assignments
            if other["interface_id"] != assignment["interface_id"]
        )
        return text + (f"; also assigned to {list_some(others)}." if others else ".")

    def add_creation(self, assignment: Assignment | None) -> ApiEvent | None:
        """Add the successful call that created the instance, or else the interface."""
        events = self.case.api_events
        if assignment is None:
            selected = events.addresses.contains(split_zone(self.address)[0])
        else:
            selected = events.interface_ids.contains(assignment["interface_id"] or "")
            if assignment["instance_id"]:
                selected |= events.instance_ids.contains(assignment["instance_id"])
        successful = events.event_name.isin(_CREATION_EVENTS) & events.error_code.isnull()
        found = read_events(events.filter(successful & selected.fill_null(False)))
        from_event = assignment is not None and assignment["known_from"] == "cloudtrail"
        # An instance may be launched with an interface that existed: its launch takes precedence.
        launches = [event for event in found if event.event_name == "RunInstances"]
        event = next(iter(launches or found), None)
        if assignment is not None and from_event:
            self._add_interface(assignment, event)
        if event is None:
            self._add_missing_creation(assignment)
            return None
        if assignment is None:
            self._add_unlisted_interface(found, event)
        at = format_utc(event.event_time, seconds=True)
        text = f"{event.event_name} created {self._created_resource(event)} at {at}."
        self.add_event("creation", text, event.event_id, event)
        return event

    def _created_resource(self, event: ApiEvent) -> str:
        """Return the instance that a call launched or the interface that it created."""
        step = "instance" if event.event_name == "RunInstances" else "interface"
        traced = [each.value for each in self.steps if each.step == step and each.value]
        return traced[0] if traced else f"the {step} of {self.address}"

    def _add_missing_creation(self, assignment: Assignment | None) -> None:
        resource = self.address
        if assignment is not None:
            resource = assignment["instance_id"] or assignment["interface_id"]
        events = self.case.api_events
        period = events.aggregate(first=events.event_time.min(), last=events.event_time.max())
        (row,) = period.to_pyarrow().to_pylist()
        if row["first"] is None:
            self.add("gap", f"There is no CloudTrail evidence of who created {resource}.")
            return
        self.add(
            "gap",
            "No RunInstances or CreateNetworkInterface event in the CloudTrail evidence"
            f" ({format_period(row['first'], row['last'])}) names {resource}; its creator is"
            " unknown.",
        )

    def _add_unlisted_interface(self, found: list[ApiEvent], event: ApiEvent) -> None:
        """Add interface and instance from the event alone, where no assignment is known."""
        if len(found) > 1:
            text = f"{len(found):,} API events assigned {self.address}; the earliest is followed."
            self.add("gap", text)
        for step, ids in (("interface", event.interface_ids), ("instance", event.instance_ids)):
            if ids is not None and len(ids) == 1:
                text = f"{event.event_name} assigned {self.address} to {ids[0]}."
                self.add_event(step, text, ids[0], event, time=None)

    def add_principal(self, creation: ApiEvent) -> None:
        """Add the principal of the creating call, who created that principal, and its activity."""
        caller = creation.caller
        text = f"The call was made by {creation.principal_type} {caller}."
        self.add_event("principal", text, creation.principal_arn or caller, creation)
        if creation.access_key_id:
            text = f"The call was signed with access key {creation.access_key_id}."
            self.add_event("access key", text, creation.access_key_id, creation)
        if creation.source_ip:
            text = f"The call came from {creation.source_ip}, user agent {creation.user_agent}."
            self.add_event("source address", text, creation.source_ip, creation)
        origins = find_origins(self.case, creation)
        for event in origins:
            failed = f": failed ({event.error_code})" if event.error_code else ""
            text = f"{event.caller} called {event.event_name} for {caller} from {event.source_ip}"
            value = None if event.error_code else event.principal_arn or event.caller
            self.add_event("created by", f"{text}{failed}.", value, event)
        if origins:
            self.add_creator(origins)
        elif creation.principal_type == "IAMUser":
            self.add("gap", f"No event in the evidence shows who created user {caller}.")
        elif creation.principal_type == "AssumedRole":
            self.add("gap", f"No event in the evidence shows who assumed the session {caller}.")
        self.add_role_chain(creation.access_key_id)
        cited = {creation.event_id, *(event.event_id for event in origins)}
        activity = find_activity(self.case, creation, origins)
        self.add_activity([event for event in activity if event.event_id not in cited])
        others = [event for event in activity if event.event_id != creation.event_id]
        names = [name for name in (creation.principal_name, creation.principal_arn) if name]
        self.add_consequences(others, names)
