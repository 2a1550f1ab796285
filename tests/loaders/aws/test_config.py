"""AWS Config: every item is a row, and each resource also a row of its type's table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flowbench.case import Case
from flowbench.errors import BadRecord
from flowbench.loaders.aws import config as aws_config
from flowbench.loaders.aws import interfaces

CAPTURE_TIME = "2026-09-01T03:10:04.123Z"
OBSERVED_AT = datetime(2026, 9, 1, 3, 10, 4, 123000, tzinfo=UTC)


def item(kind: str, resource: str, configuration: object, **more: Any) -> dict[str, Any]:
    """Return a configuration item as in a snapshot."""
    return {
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": CAPTURE_TIME,
        "configurationItemStatus": "OK",
        "awsAccountId": "111122223333",
        "awsRegion": "us-east-1",
        "resourceType": f"AWS::EC2::{kind}",
        "resourceId": resource,
        "tags": {},
        "relatedEvents": [],
        "relationships": [],
        "configuration": configuration,
    } | more


ENI = {
    "networkInterfaceId": "eni-0a",
    "interfaceType": "interface",
    "privateIpAddress": "10.0.9.9",
    "privateIpAddresses": [{"privateIpAddress": "10.0.9.9", "association": {"publicIp": "x"}}],
    "attachment": {"instanceId": "i-0a", "attachTime": "2026-08-01T00:00:00.000Z"},
    "association": {"publicIp": "203.0.113.7"},
    "tagSet": [],
}
INSTANCE = {
    "instanceId": "i-0a",
    "state": {"name": "running"},
    "networkInterfaces": [{"networkInterfaceId": "eni-0a", "privateIpAddress": "10.0.9.9"}],
}
PERMISSIONS = [{"ipProtocol": "tcp", "ipRanges": ["0.0.0.0/0"]}]
SNAPSHOT = {
    "fileVersion": "1.0",
    "configSnapshotId": "aabb",
    "configurationItems": [
        item(
            *("NetworkInterface", "eni-0a", ENI),
            tags={"Name": "web"},
            relationships=[{"resourceType": "AWS::EC2::Instance", "resourceId": "i-0a"}],
        ),
        item("Instance", "i-0a", INSTANCE),
        item("Subnet", "subnet-0a", {"subnetId": "subnet-0a", "cidrBlock": "10.0.9.0/24"}),
        item("VPC", "vpc-0a", {"vpcId": "vpc-0a", "cidrBlock": "10.0.0.0/16"}),
        item("SecurityGroup", "sg-0a", {"groupId": "sg-0a", "ipPermissions": PERMISSIONS}),
        item("FlowLog", "fl-0a", {"flowLogId": "fl-0a", "logFormat": "${version}"}),
        item("RouteTable", "rtb-0a", {"routes": [], "userData": "c2VjcmV0"}),
        item("NetworkInterface", "eni-gone", None, configurationItemStatus="ResourceDeleted"),
        item("Instance", "i-gone", "", configurationItemStatus="ResourceDeleted"),
    ],
}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("config")
    (folder / "snapshot.json").write_text(json.dumps(SNAPSHOT))
    case = Case.create(folder / "case")
    loaded = case.ingest(folder / "snapshot.json").iloc[0]
    assert (loaded["kind"], loaded["quarantined"]) == ("config", 0)
    return case


def rows(case: Case, name: str) -> list[dict[str, Any]]:
    return case.table(name).order_by("item").to_pyarrow().to_pylist()


def test_every_item_is_a_row(case: Case) -> None:
    items = rows(case, "config_items")
    assert [row["item"] for row in items] == list(range(1, 10))
    assert {row["observed_at"] for row in items} == {OBSERVED_AT}
    assert (items[0]["tags"], items[0]["related"]) == ([("Name", "web")], ["i-0a"])
    assert (items[7]["status"], items[7]["configuration"]) == ("ResourceDeleted", None)


def test_secrets_are_redacted(case: Case) -> None:
    configuration = json.loads(rows(case, "config_items")[6]["configuration"])
    assert configuration == {"routes": [], "userData": "[redacted]"}


def test_interfaces_and_when_they_were_observed(case: Case) -> None:
    interface, of_instance, deleted = rows(case, "interfaces")
    assert (interface["interface_id"], interface["name"], interface["item"]) == ("eni-0a", "web", 1)
    assert interface["observed_at"] == OBSERVED_AT
    assert interface["public_addresses"] == ["203.0.113.7"]
    assert (interface["account_id"], interface["attached_at"].day) == ("111122223333", 1)
    assert (of_instance["interface_id"], of_instance["instance_id"]) == ("eni-0a", "i-0a")
    assert (deleted["interface_id"], deleted["status"]) == ("eni-gone", "deleted")
    assert deleted["addresses"] == []


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("instances", [("i-0a", "running"), ("i-gone", "terminated")]),
        ("subnets", [("subnet-0a", "10.0.9.0/24")]),
        ("vpcs", [("vpc-0a", "10.0.0.0/16")]),
        ("security_groups", [("sg-0a", "0.0.0.0/0")]),
        ("flow_logs", [("fl-0a", "${version}")]),
    ],
)
def test_resource_is_a_row_of_its_own_table(
    case: Case, table: str, expected: list[tuple[str, str]]
) -> None:
    column = {"instances": "state", "flow_logs": "log_format"}.get(table, "cidr")
    resources = rows(case, table)
    assert [(next(iter(row.values())), row[column]) for row in resources] == expected
    assert {row.get("account_id", "111122223333") for row in resources} == {"111122223333"}
    assert {row["observed_at"] for row in resources} == {OBSERVED_AT}


def test_configuration_as_json_text() -> None:
    answer = {"configurationItems": [item("NetworkInterface", "eni-0a", json.dumps(ENI))]}
    (record,) = aws_config.matches(answer) or []
    of_interfaces = [read for table, read in aws_config.EXTRA_TABLES if table is interfaces.TABLE]
    (row,) = [row for to_rows in of_interfaces for row in to_rows(record)]
    assert (row["addresses"], row["observed_at"]) == (["10.0.9.9"], OBSERVED_AT)


@pytest.mark.parametrize(
    ("tags", "configuration", "expected"),
    [
        ({"Name": "web"}, {"tags": [{"key": "Name", "value": "old"}]}, [("Name", "web")]),
        ({}, {"tags": [{"key": "env"}, {"Key": "app", "Value": "x"}]}, [("env", ""), ("app", "x")]),
        ([{"key": "Name"}], {"tagSet": [{"key": "env", "value": {"a": 1}}, 5]}, [("env", "")]),
        (None, {"tags": "x"}, []),
    ],
)
def test_tags_in_either_spelling(
    tags: object, configuration: object, expected: list[tuple[str, str]]
) -> None:
    record = item("RouteTable", "rtb-0a", configuration, tags=tags)
    assert aws_config.to_row(record)["tags"] == expected


ITEM = item("NetworkInterface", "eni-0a", ENI)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SNAPSHOT, SNAPSHOT["configurationItems"]),
        ({"configurationItems": [ITEM], "nextToken": "x"}, [ITEM]),
        ({"baseConfigurationItems": [ITEM], "unprocessedResourceKeys": []}, [ITEM]),
        ({"data": {"configurationItems": [ITEM], "ResponseMetadata": {}}}, [ITEM]),
        ({"detail": {"configurationItem": ITEM}, "detail-type": "Config"}, [ITEM]),
        ({"configurationItem": ITEM, "messageType": "x"}, [ITEM]),
        ([ITEM], [ITEM]),
        (ITEM, [ITEM]),
        ({"resourceType": "x", "resourceId": "y"}, None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert aws_config.matches(value) == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"resourceId": None}, "no resourceId"),
        ({"resourceType": 1.5}, "no resourceType"),
        ({"configurationItemCaptureTime": "soon"}, "configurationItemCaptureTime is not a time"),
        ({"configurationItemCaptureTime": None}, "no configurationItemCaptureTime"),
    ],
)
def test_item_without_a_required_value_is_rejected(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        aws_config.to_row(ITEM | change)
