"""AWS Config: every item kept, and each resource also in the table of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flowbench.case import Case
from flowbench.errors import BadRecord
from flowbench.loaders.aws import config as aws_config
from flowbench.loaders.aws import interfaces

AT = "2026-09-01T03:10:04.123Z"
WHEN = datetime(2026, 9, 1, 3, 10, 4, 123000, tzinfo=UTC)


def item(kind: str, resource: str, configuration: object, **more: Any) -> dict[str, Any]:
    """A configuration item as a snapshot holds it."""
    return {
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": AT,
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
SNAPSHOT = {
    "fileVersion": "1.0",
    "configSnapshotId": "aabb",
    "configurationItems": [
        item("NetworkInterface", "eni-0a", ENI, tags={"Name": "web"},
             relationships=[{"resourceType": "AWS::EC2::Instance", "resourceId": "i-0a",
                             "relationshipName": "Is attached to Instance"}]),
        item("Instance", "i-0a", {"instanceId": "i-0a", "state": {"name": "running"},
             "networkInterfaces": [{"networkInterfaceId": "eni-0a",
                                    "privateIpAddress": "10.0.9.9"}]}),
        item("Subnet", "subnet-0a", {"subnetId": "subnet-0a", "cidrBlock": "10.0.9.0/24"}),
        item("VPC", "vpc-0a", {"vpcId": "vpc-0a", "cidrBlock": "10.0.0.0/16"}),
        item("SecurityGroup", "sg-0a", {"groupId": "sg-0a", "groupName": "web", "ipPermissions": [
             {"ipProtocol": "tcp", "ipRanges": ["0.0.0.0/0"]}]}),
        item("FlowLog", "fl-0a", {"flowLogId": "fl-0a", "logFormat": "${version}"}),
        item("RouteTable", "rtb-0a", {"routes": [], "userData": "c2VjcmV0"}),
        item("NetworkInterface", "eni-gone", None, configurationItemStatus="ResourceDeleted"),
        item("Instance", "i-gone", "", configurationItemStatus="ResourceDeleted"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("config")
    (folder / "snapshot.json").write_text(json.dumps(SNAPSHOT))
    made = Case.create(folder / "case")
    loaded = made.ingest(folder / "snapshot.json").iloc[0]
    assert (loaded["kind"], loaded["quarantined"]) == ("config", 0)
    return made


def rows(case: Case, name: str) -> list[dict[str, Any]]:
    return case.table(name).order_by("item").to_pyarrow().to_pylist()


def test_every_item_is_kept(case: Case) -> None:
    kept = rows(case, "config_items")
    assert [row["item"] for row in kept] == list(range(1, 10))
    assert {row["observed_at"] for row in kept} == {WHEN}
    assert (kept[0]["tags"], kept[0]["related"]) == ([("Name", "web")], ["i-0a"])
    assert (kept[7]["status"], kept[7]["configuration"]) == ("ResourceDeleted", None)


def test_secrets_are_out(case: Case) -> None:
    assert json.loads(rows(case, "config_items")[6]["configuration"]) == {
        "routes": [], "userData": "[redacted]",
    }  # fmt: skip


def test_interfaces_with_the_time_at_which_they_were_seen(case: Case) -> None:
    own, inside, gone = rows(case, "interfaces")
    assert (own["interface_id"], own["name"], own["item"]) == ("eni-0a", "web", 1)
    assert (own["observed_at"], own["public_addresses"]) == (WHEN, ["203.0.113.7"])
    assert (own["account_id"], own["attached_at"].day) == ("111122223333", 1)
    assert (inside["interface_id"], inside["instance_id"]) == ("eni-0a", "i-0a")
    assert (gone["interface_id"], gone["status"]) == ("eni-gone", "deleted")
    assert gone["addresses"] == []


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
def test_each_in_its_table(case: Case, table: str, expected: list[tuple[str, str]]) -> None:
    column = {
        "instances": "state", "flow_logs": "log_format",
    }.get(table, "cidr")  # fmt: skip
    found = rows(case, table)
    assert [(next(iter(row.values())), row[column]) for row in found] == expected
    assert {row.get("account_id", "111122223333") for row in found} == {"111122223333"}
    assert {row["observed_at"] for row in found} == {WHEN}


def test_configuration_as_text_is_read_too() -> None:
    answer = {"configurationItems": [item("NetworkInterface", "eni-0a", json.dumps(ENI))]}
    (record,) = aws_config.matches(answer) or []
    (row,) = [
        row
        for table, of in aws_config.EXTRA_TABLES
        if table is interfaces.TABLE
        for row in of(record)
    ]
    assert (row["addresses"], row["observed_at"]) == (["10.0.9.9"], WHEN)


ONE = item("NetworkInterface", "eni-0a", ENI)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SNAPSHOT, SNAPSHOT["configurationItems"]),
        ({"configurationItems": [ONE], "nextToken": "x"}, [ONE]),
        ({"baseConfigurationItems": [ONE], "unprocessedResourceKeys": []}, [ONE]),
        ({"data": {"configurationItems": [ONE], "ResponseMetadata": {}}}, [ONE]),
        ({"detail": {"configurationItem": ONE}, "detail-type": "Config"}, [ONE]),
        ({"configurationItem": ONE, "messageType": "x"}, [ONE]),
        ([ONE], [ONE]),
        (ONE, [ONE]),
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
        ({"configurationItemCaptureTime": "then"}, "configurationItemCaptureTime is not a time"),
        ({"configurationItemCaptureTime": None}, "no configurationItemCaptureTime"),
    ],
)
def test_what_makes_no_item(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        aws_config.to_row(ONE | change)
