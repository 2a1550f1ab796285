"""EC2 instances from recorded describe-instances answers; their interfaces fill that table too.

An answer lists an instance for about an hour after its termination, by then without addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from flowbench.loaders.aws import describe
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import address, items, pick, text, time

KIND = "instances"

_REASON_TIME = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
_ENDED_STATES = {"stopping", "stopped", "shutting-down", "terminated"}


def _requires_tokens(http_tokens: object) -> bool | None:
    return {"required": True, "optional": False}.get(text(http_tokens) or "")


def _ended_at(record: object) -> datetime | None:
    """Return the time in a reason such as ``User initiated (2026-09-01 10:00:00 GMT)``."""
    if text(pick(record, "state", "name")) not in _ENDED_STATES:
        return None
    moment = _REASON_TIME.search(text(pick(record, "stateTransitionReason")) or "")
    return time(moment[1]) if moment else None


TABLE = record_table(
    "instances",
    "an instance",
    Column("instance_id", "InstanceId", "i-…", required=True),
    describe.NAME,
    Column("state", "State.Name", "pending, running, stopping, stopped, terminated, …"),
    Column("state_reason", "StateTransitionReason", "why it was stopped or terminated"),
    Column("launched_at", "LaunchTime", "when it was last started", "time"),
    Column("ended_at", "@", "when it was stopped or terminated, if reported", "time", _ended_at),
    Column("instance_type", "InstanceType", "m7i.large, …"),
    Column("image_id", "ImageId", "ami-…"),
    Column("platform", "PlatformDetails, Platform", "Linux/UNIX, Windows, …"),
    Column("key_name", "KeyName", "SSH key pair it was launched with"),
    Column("profile_arn", "IamInstanceProfile.Arn", "instance profile: the role it uses"),
    Column(
        "imdsv2_only",
        "MetadataOptions.HttpTokens",
        "whether IMDSv2 is required",
        "bool",
        _requires_tokens,
    ),
    Column("private_address", "PrivateIpAddress", "primary private IPv4", convert=address),
    Column("public_address", "PublicIpAddress", "public IPv4 address", convert=address),
    Column("interface_ids", "NetworkInterfaces[].NetworkInterfaceId", "its interfaces", "strings"),
    describe.VPC_ID,
    Column("subnet_id", "SubnetId", "its subnet"),
    Column("availability_zone", "Placement.AvailabilityZone", "zone name"),
    describe.ACCOUNT_ID,
    Column("security_groups", "SecurityGroups[].GroupId", "sg-… ids", "strings"),
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the instances in an answer of describe-instances, or None for anything else.

    ``Reservations`` or ``Instances``, wrapped in ``data`` (recorded API calls) or not, bare lists
    of reservations or instances, also nested (``--query 'Reservations[*].Instances[*]'``).
    """
    reservations = describe.find_records(value, "reservations", "reservationId", "instances")
    if reservations is not None:
        return [instance for each in reservations for instance in _instances_of(each)]
    if isinstance(value, list) and any(isinstance(each, list) for each in value):
        nested = (each if isinstance(each, list) else [each] for each in value)
        value = [instance for instances in nested for instance in instances]
    return describe.find_records(
        value, "instances", "instanceId", "imageId", "instanceType", "launchTime", "placement"
    )


to_row = TABLE.to_row


def interface_rows(record: object) -> list[Row]:
    """Read the interfaces of an instance as rows of the interfaces table.

    In an instance their attachment names no instance: it is the one that holds them.
    """
    instance_id = text(pick(record, "instanceId"))
    rows = []
    for each in items(pick(record, "networkInterfaces")):
        if instance_id and isinstance(each, dict) and text(pick(each, "networkInterfaceId")):
            attachment = pick(each, "attachment")
            attachment = attachment if isinstance(attachment, dict) else {}
            interface = each | {"attachment": attachment | {"instanceId": instance_id}}
            interface.setdefault("availabilityZone", pick(record, "placement", "availabilityZone"))
            rows.append(network_interfaces.to_row(interface))
    return rows


EXTRA_TABLES = ((network_interfaces.TABLE, interface_rows),)


def _instances_of(reservation: object) -> Iterator[object]:
    """Yield a reservation's instances with the account that only it names; else yield itself."""
    owner_id, instances = pick(reservation, "ownerId"), pick(reservation, "instances")
    for instance in instances if isinstance(instances, list) else [reservation]:
        if isinstance(instance, dict) and owner_id is not None:
            yield {"ownerId": owner_id, **instance}
        else:
            yield instance
