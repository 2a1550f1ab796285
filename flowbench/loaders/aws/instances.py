"""EC2 instances from recorded describe-instances answers; their interfaces go to theirs table.

An answer lists an instance for about an hour after its end, by then without addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.loaders.values import address, flag, items, pick, text, time, unique

KIND = "instances"

TABLE = schema.Table.of(
    "instances",
    ("instance_id", "string", "i-…"),
    ("name", "string", "its Name tag"),
    ("state", "string", "pending, running, stopping, stopped, shutting-down, terminated"),
    ("state_reason", "string", "why it was last stopped or ended, as AWS writes it"),
    ("launched_at", "time", "when it was last started"),
    ("ended_at", "time", "when it was last stopped or ended, where the reason tells"),
    ("instance_type", "string", "m7i.large, …"),
    ("image_id", "string", "ami-…"),
    ("platform", "string", "Linux/UNIX, Windows, …"),
    ("key_name", "string", "SSH key pair it was started with"),
    ("profile_arn", "string", "instance profile: whose role its programs can use"),
    ("imdsv2_only", "bool", "whether the metadata service asks for session tokens"),
    ("private_address", "string", "primary private IPv4 address"),
    ("public_address", "string", "public IPv4 address"),
    ("interface_ids", "strings", "its network interfaces"),
    ("vpc_id", "string", "its VPC"),
    ("subnet_id", "string", "its subnet"),
    ("availability_zone", "string", "zone name"),
    ("account_id", "string", "account that owns it"),
    ("security_groups", "strings", "sg-… ids"),
    ("tags", "tags", "all its tags"),
    ("observed_at", "time", "when it was seen to be so; null where the evidence does not say"),
    *schema.ORIGIN,
    schema.ITEM,
)

_REASON = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
_ENDED = {"stopping", "stopped", "shutting-down", "terminated"}


def matches(value: object) -> list[object] | None:
    """The instances in an answer of describe-instances, or None for anything else.

    ``Reservations`` or ``Instances``, wrapped in ``data`` (recorded API calls) or not, bare lists
    of reservations or instances, also nested (``--query 'Reservations[*].Instances[*]'``).
    """
    reservations = describe.listed(value, "reservations", "reservationId", "instances")
    if reservations is not None:
        return [one for each in reservations for one in _of_reservation(each)]
    if isinstance(value, list) and any(isinstance(each, list) for each in value):
        value = [one for each in value for one in (each if isinstance(each, list) else [each])]
    return describe.listed(
        value, "instances", "instanceId", "imageId", "instanceType", "launchTime", "placement"
    )


def to_row(record: object) -> dict[str, object]:
    """One instance as a row of TABLE. Raises BadRecord without an InstanceId."""
    if not isinstance(record, dict):
        raise BadRecord("not an instance: no JSON object")
    instance_id = text(pick(record, "instanceId"))
    if instance_id is None:
        raise BadRecord("no InstanceId")
    named = describe.tags(record)
    state = text(pick(record, "state", "name"))
    reason = text(pick(record, "stateTransitionReason"))
    inside = items(pick(record, "networkInterfaces"))
    tokens = text(pick(record, "metadataOptions", "httpTokens"))
    groups = items(pick(record, "securityGroups"))
    return {
        "instance_id": instance_id,
        "name": named.get("Name") or None,
        "state": state,
        "state_reason": reason,
        "launched_at": time(pick(record, "launchTime")),
        "ended_at": _reason_time(reason) if state in _ENDED else None,
        "instance_type": text(pick(record, "instanceType")),
        "image_id": text(pick(record, "imageId")),
        "platform": text(pick(record, "platformDetails")) or text(pick(record, "platform")),
        "key_name": text(pick(record, "keyName")),
        "profile_arn": text(pick(record, "iamInstanceProfile", "arn")),
        "imdsv2_only": flag({"required": True, "optional": False}.get(tokens or "")),
        "private_address": address(pick(record, "privateIpAddress")),
        "public_address": address(pick(record, "publicIpAddress")),
        "interface_ids": unique(text(pick(each, "networkInterfaceId")) for each in inside),
        "vpc_id": text(pick(record, "vpcId")),
        "subnet_id": text(pick(record, "subnetId")),
        "availability_zone": text(pick(record, "placement", "availabilityZone")),
        "account_id": text(pick(record, "ownerId")),
        "security_groups": unique(text(pick(group, "groupId")) for group in groups),
        "tags": list(named.items()),
        "observed_at": None,
    }


def interfaces(record: object) -> list[dict[str, object]]:
    """The interfaces of an instance as rows of the interfaces table.

    Their attachment names no instance there: it is the one they stand in.
    """
    instance_id = text(pick(record, "instanceId"))
    rows = []
    for each in items(pick(record, "networkInterfaces")):
        if instance_id and isinstance(each, dict) and text(pick(each, "networkInterfaceId")):
            attachment = pick(each, "attachment")
            known = attachment if isinstance(attachment, dict) else {}
            held = each | {"attachment": known | {"instanceId": instance_id}}
            held.setdefault("availabilityZone", pick(record, "placement", "availabilityZone"))
            rows.append(network_interfaces.to_row(held))
    return rows


EXTRA_TABLES = ((network_interfaces.TABLE, interfaces),)


def _of_reservation(value: object) -> Iterator[object]:
    """Its instances, each with the account that only the reservation names; else itself."""
    owner, inside = pick(value, "ownerId"), pick(value, "instances")
    for one in inside if isinstance(inside, list) else [value]:
        yield {"ownerId": owner, **one} if isinstance(one, dict) and owner is not None else one


def _reason_time(reason: str | None) -> datetime | None:
    """The time in ``User initiated (2026-09-01 10:00:00 GMT)``."""
    found = _REASON.search(reason or "")
    return time(found[1]) if found else None
