"""What CloudTrail tells of interfaces: made, attached, detached, given addresses, deleted.

Where ids and addresses lie in the calls: AWS's CloudTrail event examples and recorded events. A
stopped instance keeps its interfaces and private addresses: StopInstances ends nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import ibis

from flowbench.loaders.aws import describe, interfaces
from flowbench.loaders.values import address, flag, items, parse, pick, text, time, unique

Row = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One thing that an event says."""

    # made (an interface, perhaps with its instance), attached, detached, deleted, given or taken
    # (addresses), ended (an instance), tagged (anything: its id stands in interface_id).
    what: str
    at: datetime
    origin: Row
    interface_id: str | None = None
    instance_id: str | None = None
    addresses: list[str] = field(default_factory=list)
    attachment_id: str | None = None
    known: Row = field(default_factory=dict)  # what it says of the interface: columns of TABLE
    tags: dict[str, str] = field(default_factory=dict)  # of the instance, or of what was tagged


_COLUMNS = (
    *("event_name", "event_time", "instance_ids", "interface_ids", "addresses", "request"),
    *("response", "evidence_id", "line", "item"),
)


def said(events: ibis.Table) -> list[Said]:
    """What the successful calls among API events (load.cloudtrail.TABLE) say, oldest first."""
    mine = events.filter(events.event_name.isin(list(READERS)), events.error_code.isnull())
    ordered = mine.select(*_COLUMNS).order_by("event_time", "evidence_id", "line", "item")
    return [one for event in ordered.to_pyarrow().to_pylist() for one in _of(event)]


def _of(event: Row) -> Iterator[Said]:
    origin = {name: event[name] for name in ("evidence_id", "line", "item")}
    parsed = {name: parse(event[name]) for name in ("request", "response")}
    for one in READERS[event["event_name"]](event | parsed):
        at = one.pop("at", None) or event["event_time"]
        yield Said(at=at, origin=origin, **one)


def _ran(event: Row) -> Iterator[Row]:
    asked = {
        key: value
        for each in items(pick(event["request"], "tagSpecificationSet"))
        if text(pick(each, "resourceType")) == "instance"
        for key, value in describe.tags(each).items()
    }
    for instance in items(pick(event["response"], "instancesSet")):
        instance_id = text(pick(instance, "instanceId"))
        if instance_id is None:
            continue
        own = address(pick(instance, "privateIpAddress"))
        made = {
            "what": "made",
            "at": time(pick(instance, "launchTime")),
            "instance_id": instance_id,
            "tags": asked | describe.tags(instance),
        }
        place = {name: text(pick(instance, key)) for name, key in _PLACE}
        inside = items(pick(instance, "networkInterfaceSet"))
        named = [one for one in inside if text(pick(one, "networkInterfaceId"))]
        for number, one in enumerate(named):
            known = _known(one)
            first = [own] if number == 0 else []
            yield made | {
                "interface_id": known["interface_id"],
                "addresses": unique([*first, *known["addresses"]]),
                "attachment_id": known["attachment_id"],
                "known": place
                | {name: value for name, value in known.items() if value is not None}
                | {"ends_with_instance": flag(pick(one, "attachment", "deleteOnTermination"))},
            }
        if not named and own:
            yield made | {"addresses": [own], "known": place}


_PLACE = (("vpc_id", "vpcId"), ("subnet_id", "subnetId"), ("account_id", "ownerId"))


def _made(event: Row) -> Iterator[Row]:
    one = pick(event["response"], "networkInterface")
    if text(pick(one, "networkInterfaceId")):
        known = _known(one)
        yield {
            "what": "made",
            "interface_id": known["interface_id"],
            "addresses": known["addresses"],
            "known": known,
        }


def _attached(event: Row) -> Iterator[Row]:
    interface = text(pick(event["request"], "networkInterfaceId"))
    instance = text(pick(event["request"], "instanceId"))
    if interface and instance:
        yield {
            "what": "attached",
            "interface_id": interface,
            "instance_id": instance,
            "attachment_id": text(pick(event["response"], "attachmentId")),
            # One that is attached to a running instance outlives it, unless that is changed.
            "known": {"ends_with_instance": False},
        }


def _detached(event: Row) -> Iterator[Row]:
    if found := text(pick(event["request"], "attachmentId")):
        yield {"what": "detached", "attachment_id": found}


def _deleted(event: Row) -> Iterator[Row]:
    if found := text(pick(event["request"], "networkInterfaceId")):
        yield {"what": "deleted", "interface_id": found}


def _given(event: Row) -> Iterator[Row]:
    if (found := text(pick(event["request"], "networkInterfaceId"))) and event["addresses"]:
        taken = event["event_name"].startswith("Un")
        yield {
            "what": "taken" if taken else "given",
            "interface_id": found,
            "addresses": event["addresses"],
        }


def _ended(event: Row) -> Iterator[Row]:
    for instance in event["instance_ids"] or ():
        yield {"what": "ended", "instance_id": instance}


def _tagged(event: Row) -> Iterator[Row]:
    tags = describe.tags({"tagSet": pick(event["request"], "tagSet")})
    for each in items(pick(event["request"], "resourcesSet")):
        if found := text(pick(each, "resourceId")):
            yield {"what": "tagged", "interface_id": found, "tags": tags}


READERS = {
    "RunInstances": _ran,
    "CreateNetworkInterface": _made,
    "AttachNetworkInterface": _attached,
    "DetachNetworkInterface": _detached,
    "DeleteNetworkInterface": _deleted,
    "AssignPrivateIpAddresses": _given,
    "AssignIpv6Addresses": _given,
    "UnassignPrivateIpAddresses": _given,
    "UnassignIpv6Addresses": _given,
    "TerminateInstances": _ended,
    "CreateTags": _tagged,
}


def _known(one: object) -> Row:
    """An interface in a call's answer as a row of load.inventory.TABLE."""
    record = dict(one) if isinstance(one, dict) else {}
    record["privateIpAddresses"] = pick(one, "privateIpAddressesSet")
    record["ipv6Addresses"] = pick(one, "ipv6AddressesSet")
    return interfaces.to_row(record)
