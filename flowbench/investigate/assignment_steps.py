"""The steps from an address to its interface, its instance, and the call that created them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.enrich.inventory import assignment_at, describe_assignment
from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.investigate.filters import filter_period
from flowbench.investigate.trace_steps import StepBuilder
from flowbench.text import format_period, format_utc, list_some, split_zone

if TYPE_CHECKING:
    from flowbench.enrich.inventory import Assignment

_CREATION_EVENTS = ("RunInstances", "CreateNetworkInterface")


class AssignmentStepBuilder(StepBuilder):
    """Adds the steps of an address that concern its interface and instance."""

    _assignments: Sequence[Assignment] = ()  # all of the address
    is_external = False  # whether its creator is none of the monitored network

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
        summaries = filter_period(
            self.case.connection_summaries, self.filters, "first_seen", "last_seen"
        )
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
            if not self.is_external:
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
