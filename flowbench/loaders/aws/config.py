"""AWS Config: the configuration of each resource over time, and when it was deleted.

Snapshots, history files, answers of get-resource-config-history and batch-get-resource-config, and
change events. Every configuration item becomes a row here, and also a row of the table of its
resource type, with the time at which Config recorded it. An item holds until the next item of the
same resource.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flowbench.io.redact import redact
from flowbench.loaders.aws import (
    describe,
    elastic_ips,
    flow_log_settings,
    instances,
    nat_gateways,
    security_groups,
    subnets,
    vpcs,
)
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import parse_json, pick, text
from flowbench.schema import Table

KIND = "config"


def _configuration(record: object) -> dict[str, Any]:
    """Return the resource's configuration: an object, or (from the API) the JSON text of one."""
    configuration = pick(record, "configuration")
    if isinstance(configuration, str):
        configuration = parse_json(configuration)
    return configuration if isinstance(configuration, dict) else {}


def _configuration_json(record: object) -> str | None:
    configuration = _configuration(record)
    return json.dumps(redact(configuration), ensure_ascii=False) if configuration else None


def _own_tags(record: object) -> list[dict[str, str]]:
    """Return Config's own map of tags, as describe calls spell them."""
    tags = pick(record, "tags")
    if not isinstance(tags, dict):
        return []
    return [
        {"key": name, "value": text(value) or ""}
        for key, value in tags.items()
        if (name := text(key))
    ]


def _tag_pairs(record: object) -> list[tuple[str, str]]:
    own_tags = describe.read_tags({"tags": _own_tags(record)})
    return list((own_tags or describe.read_tags(_configuration(record))).items())


_ACCOUNT_ID = Column("account_id", "awsAccountId, accountId", "account that owns it")
_OBSERVED_AT = Column(
    "observed_at",
    "configurationItemCaptureTime",
    "when Config recorded this state",
    "time",
    required=True,
)

TABLE = record_table(
    "config_items",
    "a configuration item",
    Column("resource_type", "resourceType", "AWS::EC2::NetworkInterface, …", required=True),
    Column("resource_id", "resourceId", "AWS's id of it", required=True),
    Column("resource_name", "resourceName", "its name, where it has one"),
    Column("status", "configurationItemStatus", "OK, ResourceDeleted, …"),
    _OBSERVED_AT,
    Column("created_at", "resourceCreationTime", "when the resource was created", "time"),
    _ACCOUNT_ID,
    Column("aws_region", "awsRegion", "region"),
    Column("availability_zone", "availabilityZone", "zone name"),
    Column("arn", "ARN, arn", "its ARN"),
    Column("tags", "@", "its tags", "tags", _tag_pairs),
    Column("related", "relationships[].resourceId", "ids of related resources", "strings"),
    Column("related_events", "relatedEvents[]", "CloudTrail events that changed it", "strings"),
    Column(
        "configuration",
        "@",
        "its configuration as JSON, secrets redacted; null when deleted",
        convert=_configuration_json,
    ),
)

_LIST_KEYS = ("configurationItems", "baseConfigurationItems")
_EVENT_PATHS = (("configurationItem",), ("detail", "configurationItem"))
_OTHER_KEYS = ("configurationItemCaptureTime", "configurationItemStatus")
_DELETED = {"ResourceDeleted", "ResourceDeletedNotRecorded"}


def matches(value: object) -> list[object] | None:
    """Return the configuration items in a JSON value, or None for anything else."""
    for path in _EVENT_PATHS:
        item = pick(value, *path)
        if isinstance(item, dict) and describe.has_keys(item, "resourceId", *_OTHER_KEYS):
            return [item]
    for key in _LIST_KEYS:
        records = describe.find_records(value, key, "resourceId", *_OTHER_KEYS)
        if records is not None:
            return records
    return None


to_row = TABLE.to_row


def _rows_of(
    resource_type: str,
    id_key: str,
    to_row: Callable[[object], Row | list[Row]],
    when_deleted: Row | None = None,
) -> Callable[[object], list[Row]]:
    """Return what turns the items of a resource type into rows of its table.

    Args:
        resource_type: without ``AWS::EC2::``; items of other types give no rows.
        id_key: the resource's id in an answer of its describe call.
        to_row: the reader of such answers.
        when_deleted: values that replace those of a deleted resource.
    """

    def to_rows(record: object) -> list[Row]:
        if text(pick(record, "resourceType")) != f"AWS::EC2::{resource_type}":
            return []
        resource = dict(_configuration(record))
        resource.setdefault(id_key, pick(record, "resourceId"))
        # Config has these in the item, describe calls in the resource.
        if not describe.read_tags(resource):
            resource["tags"] = _own_tags(record)
        if pick(resource, "ownerId") is None:
            resource["ownerId"] = _ACCOUNT_ID.read(record)
        rows = to_row(resource)
        changes: Row = {"observed_at": _OBSERVED_AT.read(record)}
        if text(pick(record, "configurationItemStatus")) in _DELETED:
            changes |= when_deleted or {}
        return [row | changes for row in (rows if isinstance(rows, list) else [rows])]

    return to_rows


EXTRA_TABLES: tuple[tuple[Table, Callable[[object], list[Row]]], ...] = (
    (
        network_interfaces.TABLE,
        _rows_of(
            "NetworkInterface",
            "networkInterfaceId",
            network_interfaces.to_row,
            {"status": "deleted"},
        ),
    ),
    (network_interfaces.TABLE, _rows_of("Instance", "instanceId", instances.interface_rows)),
    (network_interfaces.TABLE, _rows_of("NatGateway", "natGatewayId", nat_gateways.to_row)),
    (
        instances.TABLE,
        _rows_of("Instance", "instanceId", instances.to_row, {"state": "terminated"}),
    ),
    (subnets.TABLE, _rows_of("Subnet", "subnetId", subnets.to_row)),
    (vpcs.TABLE, _rows_of("VPC", "vpcId", vpcs.to_row)),
    (elastic_ips.TABLE, _rows_of("EIP", "allocationId", elastic_ips.rows_of_config)),
    (security_groups.TABLE, _rows_of("SecurityGroup", "groupId", security_groups.to_row)),
    (flow_log_settings.TABLE, _rows_of("FlowLog", "flowLogId", flow_log_settings.to_row)),
)
