"""Changes to network interfaces in CloudTrail: creation, attachment, addresses, deletion.

Source of the positions of ids and addresses in the calls: AWS's CloudTrail event examples and
recorded events. A stopped instance keeps its interfaces and private addresses, so StopInstances
is no such change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import ibis

from flowbench.loaders.aws import describe, interfaces
from flowbench.loaders.values import address, flag, items, parse_json, pick, text, time, unique

EventKind = Literal[
    "created",  # an interface, perhaps with its instance
    "attached",
    "detached",
    "deleted",
    "assigned",  # addresses to an interface
    "unassigned",
    "terminated",  # an instance
    "tagged",  # any resource: its id is in interface_id
]


class Origin(NamedTuple):
    """The place in the evidence that a fact is from."""

    evidence_id: str | None = None
    line: int | None = None
    item: int | None = None


@dataclass(frozen=True)
class InterfaceEvent:
    """One change to one interface, instance or resource."""

    kind: EventKind
    at: datetime
    origin: Origin
    interface_id: str | None = None
    instance_id: str | None = None
    addresses: list[str] = field(default_factory=list)
    attachment_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)  # columns of interfaces.TABLE
    tags: dict[str, str] = field(default_factory=dict)  # of the instance, or of the resource


@dataclass(frozen=True)
class _Call:
    """A successful API call, as far as it is needed here."""

    name: str
    at: datetime
    origin: Origin
    instance_ids: list[str]
    addresses: list[str]
    request: object
    response: object

    def event(
        self, kind: EventKind, interface_id: str | None = None, **fields: Any
    ) -> InterfaceEvent:
        """A change at the time of the call, unless ``fields`` have another time."""
        at = fields.pop("at", None) or self.at
        return InterfaceEvent(kind, at, self.origin, interface_id, **fields)


_COLUMNS = (
    "event_name",
    "event_time",
    "instance_ids",
    "addresses",
    "request",
    "response",
    "evidence_id",
    "line",
    "item",
)
_PLACEMENT = (("vpc_id", "vpcId"), ("subnet_id", "subnetId"), ("account_id", "ownerId"))


def read_events(api_events: ibis.Table) -> list[InterfaceEvent]:
    """Read the changes that the successful calls (cloudtrail.TABLE) made, oldest first."""
    e = api_events
    calls = e.filter(e.event_name.isin(list(READERS)), e.error_code.isnull())
    ordered = calls.select(*_COLUMNS).order_by("event_time", "evidence_id", "line", "item")
    events: list[InterfaceEvent] = []
    for row in ordered.to_pyarrow().to_pylist():
        call = _Call(
            row["event_name"],
            row["event_time"],
            Origin(row["evidence_id"], row["line"], row["item"]),
            row["instance_ids"] or [],
            row["addresses"] or [],
            parse_json(row["request"]),
            parse_json(row["response"]),
        )
        events += READERS[call.name](call)
    return events


def _run_instances(call: _Call) -> Iterator[InterfaceEvent]:
    requested_tags = {
        key: value
        for each in items(pick(call.request, "tagSpecificationSet"))
        if text(pick(each, "resourceType")) == "instance"
        for key, value in describe.read_tags(each).items()
    }
    for instance in items(pick(call.response, "instancesSet")):
        instance_id = text(pick(instance, "instanceId"))
        if instance_id is None:
            continue
        instance_fields: dict[str, Any] = {
            "at": time(pick(instance, "launchTime")),
            "instance_id": instance_id,
            "tags": requested_tags | describe.read_tags(instance),
        }
        own_address = address(pick(instance, "privateIpAddress"))
        placement = {name: text(pick(instance, key)) for name, key in _PLACEMENT}
        attached = items(pick(instance, "networkInterfaceSet"))
        attached = [each for each in attached if text(pick(each, "networkInterfaceId"))]
        for number, each in enumerate(attached):
            row = _interface_row(each)
            known = {name: value for name, value in row.items() if value is not None}
            known["ends_with_instance"] = flag(pick(each, "attachment", "deleteOnTermination"))
            yield call.event(
                "created",
                row["interface_id"],
                **instance_fields,
                addresses=unique([own_address if number == 0 else None, *row["addresses"]]),
                attachment_id=row["attachment_id"],
                details=placement | known,
            )
        if not attached and own_address:
            yield call.event(
                "created", **instance_fields, addresses=[own_address], details=placement
            )


def _create_interface(call: _Call) -> Iterator[InterfaceEvent]:
    interface = pick(call.response, "networkInterface")
    if interface_id := text(pick(interface, "networkInterfaceId")):
        row = _interface_row(interface)
        yield call.event("created", interface_id, addresses=row["addresses"], details=row)


def _attach_interface(call: _Call) -> Iterator[InterfaceEvent]:
    interface_id = text(pick(call.request, "networkInterfaceId"))
    instance_id = text(pick(call.request, "instanceId"))
    if interface_id and instance_id:
        yield call.event(
            "attached",
            interface_id,
            instance_id=instance_id,
            attachment_id=text(pick(call.response, "attachmentId")),
            # An interface attached to a running instance outlives it, unless that is changed.
            details={"ends_with_instance": False},
        )


def _detach_interface(call: _Call) -> Iterator[InterfaceEvent]:
    if attachment_id := text(pick(call.request, "attachmentId")):
        yield call.event("detached", attachment_id=attachment_id)


def _delete_interface(call: _Call) -> Iterator[InterfaceEvent]:
    if interface_id := text(pick(call.request, "networkInterfaceId")):
        yield call.event("deleted", interface_id)


def _change_addresses(call: _Call) -> Iterator[InterfaceEvent]:
    interface_id = text(pick(call.request, "networkInterfaceId"))
    if interface_id and call.addresses:
        kind: EventKind = "unassigned" if call.name.startswith("Un") else "assigned"
        yield call.event(kind, interface_id, addresses=call.addresses)


def _terminate_instances(call: _Call) -> Iterator[InterfaceEvent]:
    for instance_id in call.instance_ids:
        yield call.event("terminated", instance_id=instance_id)


def _create_tags(call: _Call) -> Iterator[InterfaceEvent]:
    tags = describe.read_tags({"tagSet": pick(call.request, "tagSet")})
    for resource in items(pick(call.request, "resourcesSet")):
        if resource_id := text(pick(resource, "resourceId")):
            yield call.event("tagged", resource_id, tags=tags)


READERS: dict[str, Callable[[_Call], Iterator[InterfaceEvent]]] = {
    "RunInstances": _run_instances,
    "CreateNetworkInterface": _create_interface,
    "AttachNetworkInterface": _attach_interface,
    "DetachNetworkInterface": _detach_interface,
    "DeleteNetworkInterface": _delete_interface,
    "AssignPrivateIpAddresses": _change_addresses,
    "AssignIpv6Addresses": _change_addresses,
    "UnassignPrivateIpAddresses": _change_addresses,
    "UnassignIpv6Addresses": _change_addresses,
    "TerminateInstances": _terminate_instances,
    "CreateTags": _create_tags,
}


def _interface_row(interface: object) -> dict[str, Any]:
    """An interface in a call's response as a row of interfaces.TABLE."""
    record = dict(interface) if isinstance(interface, dict) else {}
    record["privateIpAddresses"] = pick(interface, "privateIpAddressesSet")
    record["ipv6Addresses"] = pick(interface, "ipv6AddressesSet")
    return interfaces.to_row(record)
