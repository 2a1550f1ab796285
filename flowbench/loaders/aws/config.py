"""AWS Config: how each resource stood from when on, and when it was deleted.

Snapshots, history files, answers of get-resource-config-history and batch-get-resource-config, and
events of a change. Every item becomes a row here; what other tables hold goes there too, with the
time at which Config saw it so. An item holds until the next item of the same resource.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.io.redact import redact
from flowbench.loaders.aws import (
    describe,
    flow_log_settings,
    instances,
    nat_gateways,
    security_groups,
    subnets,
    vpcs,
)
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.loaders.values import brief, items, parse, pick, text, time, unique

KIND = "config"

TABLE = schema.Table.of(
    "config_items",
    ("resource_type", "string", "AWS::EC2::NetworkInterface, …"),
    ("resource_id", "string", "AWS's id of it"),
    ("resource_name", "string", "its name, where it has one"),
    ("status", "string", "OK, ResourceDiscovered, ResourceDeleted, …"),
    ("observed_at", "time", "when Config saw it so"),
    ("created_at", "time", "when the resource was made"),
    ("account_id", "string", "account that owns it"),
    ("aws_region", "string", "region"),
    ("availability_zone", "string", "zone name"),
    ("arn", "string", "its ARN"),
    ("tags", "tags", "its tags"),
    ("related", "strings", "ids of the resources it is bound to"),
    ("related_events", "strings", "CloudTrail events that changed it"),
    ("configuration", "string", "how it stood, as JSON, secrets redacted; null when deleted"),
    *schema.ORIGIN,
    schema.ITEM,
)

_LISTS = ("configurationItems", "baseConfigurationItems")
_SINGLE = (("configurationItem",), ("detail", "configurationItem"))
_MARKS = ("configurationItemCaptureTime", "configurationItemStatus")
_DELETED = {"ResourceDeleted", "ResourceDeletedNotRecorded"}


def matches(value: object) -> list[object] | None:
    """The configuration items in a JSON value, or None for anything else."""
    for path in _SINGLE:
        inside = pick(value, *path)
        if isinstance(inside, dict) and describe.has(inside, "resourceId", *_MARKS):
            return [inside]
    for name in _LISTS:
        found = describe.listed(value, name, "resourceId", *_MARKS)
        if found is not None:
            return found
    return None


def to_row(record: object) -> dict[str, object]:
    """One item as a row of TABLE. Raises BadRecord without a resource or a time."""
    if not isinstance(record, dict):
        raise BadRecord("not a configuration item: no JSON object")
    kind, resource = text(pick(record, "resourceType")), text(pick(record, "resourceId"))
    if kind is None or resource is None:
        raise BadRecord("no resourceType" if kind is None else "no resourceId")
    when = pick(record, "configurationItemCaptureTime")
    observed_at = time(when)
    if observed_at is None:
        raise BadRecord(
            f"configurationItemCaptureTime is not a time: {brief(when)}"
            if when
            else "no configurationItemCaptureTime"
        )
    related = items(pick(record, "relationships"))
    stood = _configuration(record)
    return {
        "resource_type": kind,
        "resource_id": resource,
        "resource_name": text(pick(record, "resourceName")),
        "status": text(pick(record, "configurationItemStatus")),
        "observed_at": observed_at,
        "created_at": time(pick(record, "resourceCreationTime")),
        "account_id": _account(record),
        "aws_region": text(pick(record, "awsRegion")),
        "availability_zone": text(pick(record, "availabilityZone")),
        "arn": text(pick(record, "ARN")) or text(pick(record, "arn")),
        "tags": [
            (tag["key"], tag["value"])
            for tag in _tags(record) or items(pick(stood, "tags"))
            if isinstance(tag, dict) and text(pick(tag, "key"))
        ],
        "related": unique(text(pick(each, "resourceId")) for each in related),
        "related_events": unique(text(each) for each in items(pick(record, "relatedEvents"))),
        "configuration": json.dumps(redact(stood), ensure_ascii=False) if stood else None,
    }


def _as(
    kind: str, key: str, rows_of: Callable[[object], Any]
) -> Callable[[object], list[dict[str, object]]]:
    """What makes rows of another table of the items of one resource type."""

    def rows(record: object) -> list[dict[str, object]]:
        if text(pick(record, "resourceType")) != kind:
            return []
        stood = dict(_configuration(record))
        stood.setdefault(key, pick(record, "resourceId"))
        # Where a describe call and Config differ in names or say a thing in one place only.
        if not describe.tags(stood):
            stood["tags"] = _tags(record)
        if pick(stood, "ownerId") is None:
            stood["ownerId"] = _account(record)
        made = rows_of(stood)
        seen = {"observed_at": time(pick(record, "configurationItemCaptureTime"))}
        return [one | seen for one in (made if isinstance(made, list) else [made])]

    return rows


def _interfaces(record: object) -> list[dict[str, object]]:
    rows = _as("AWS::EC2::NetworkInterface", "networkInterfaceId", network_interfaces.to_row)(
        record
    )
    return [one | {"status": "deleted"} if _deleted(record) else one for one in rows]


def _instances(record: object) -> list[dict[str, object]]:
    rows = _as("AWS::EC2::Instance", "instanceId", instances.to_row)(record)
    return [one | {"state": "terminated"} if _deleted(record) else one for one in rows]


EXTRA_TABLES = (
    (network_interfaces.TABLE, _interfaces),
    (network_interfaces.TABLE, _as("AWS::EC2::Instance", "instanceId", instances.interfaces)),
    (network_interfaces.TABLE, _as("AWS::EC2::NatGateway", "natGatewayId", nat_gateways.to_row)),
    (instances.TABLE, _instances),
    (subnets.TABLE, _as("AWS::EC2::Subnet", "subnetId", subnets.to_row)),
    (vpcs.TABLE, _as("AWS::EC2::VPC", "vpcId", vpcs.to_row)),
    (security_groups.TABLE, _as("AWS::EC2::SecurityGroup", "groupId", security_groups.to_row)),
    (flow_log_settings.TABLE, _as("AWS::EC2::FlowLog", "flowLogId", flow_log_settings.to_row)),
)


def _deleted(record: object) -> bool:
    return text(pick(record, "configurationItemStatus")) in _DELETED


def _configuration(record: object) -> dict[str, Any]:
    """How the resource stood: an object, or (from the API) the JSON text of one."""
    found = pick(record, "configuration")
    found = parse(found) if isinstance(found, str) else found
    return found if isinstance(found, dict) else {}


def _account(record: object) -> str | None:
    return text(pick(record, "awsAccountId")) or text(pick(record, "accountId"))


def _tags(record: object) -> list[dict[str, str]]:
    """Config's own map of tags, as describe calls write them."""
    found = pick(record, "tags")
    if not isinstance(found, dict):
        return []
    return [
        {"key": name, "value": text(value) or ""}
        for key, value in found.items()
        if (name := text(key))
    ]
