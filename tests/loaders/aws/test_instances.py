"""Instances from describe-instances in all containers, and their interfaces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowbench.case import Case
from flowbench.errors import BadRecord
from flowbench.loaders.aws import instances
from flowbench.loaders.aws import interfaces as network_interfaces

INTERFACE = {
    "NetworkInterfaceId": "eni-0aaa",
    "OwnerId": "111122223333",
    "PrivateIpAddress": "10.0.9.9",
    "PrivateIpAddresses": [
        {"PrivateIpAddress": "10.0.9.9", "Association": {"PublicIp": "203.0.113.7"}}
    ],
    "Attachment": {
        "AttachmentId": "eni-attach-0a",
        "AttachTime": "2026-09-01T03:10:04+00:00",
        "DeleteOnTermination": True,
    },
    "Status": "in-use",
}
INSTANCE: dict[str, Any] = {
    "InstanceId": "i-0aaa",
    "ImageId": "ami-0a",
    "InstanceType": "g5.12xlarge",
    "State": {"Code": 16, "Name": "running"},
    "LaunchTime": "2026-09-01T05:10:04+02:00",
    "PrivateIpAddress": "10.0.9.9",
    "PublicIpAddress": "203.0.113.7",
    "KeyName": "ops",
    "PlatformDetails": "Linux/UNIX",
    "IamInstanceProfile": {"Arn": "arn:aws:iam::111122223333:instance-profile/web", "Id": "AIPA1"},
    "MetadataOptions": {"HttpTokens": "optional"},
    "Placement": {"AvailabilityZone": "us-east-1a"},
    "SubnetId": "subnet-0a",
    "VpcId": "vpc-0a",
    "SecurityGroups": [{"GroupId": "sg-0a", "GroupName": "web"}],
    "NetworkInterfaces": [INTERFACE],
    "Tags": [{"Key": "Name", "Value": "=miner()"}, {"Key": "env", "Value": "<b>"}],
}
RESERVATION = {"ReservationId": "r-1", "OwnerId": "111122223333", "Instances": [INSTANCE]}
OWNED = INSTANCE | {"ownerId": "111122223333"}


def camel(value: object) -> object:
    """Return the value with keys as SDKs of other languages spell them."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: camel(each) for key, each in value.items()}
    return [camel(each) for each in value] if isinstance(value, list) else value


def test_values_of_an_instance() -> None:
    (record,) = instances.matches({"Reservations": [RESERVATION]}) or []
    assert instances.to_row(record) == {
        "instance_id": "i-0aaa",
        "name": "=miner()",
        "state": "running",
        "state_reason": None,
        "launched_at": datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC),
        "ended_at": None,
        "instance_type": "g5.12xlarge",
        "image_id": "ami-0a",
        "platform": "Linux/UNIX",
        "key_name": "ops",
        "profile_arn": "arn:aws:iam::111122223333:instance-profile/web",
        "imdsv2_only": False,
        "private_address": "10.0.9.9",
        "public_address": "203.0.113.7",
        "interface_ids": ["eni-0aaa"],
        "vpc_id": "vpc-0a",
        "subnet_id": "subnet-0a",
        "availability_zone": "us-east-1a",
        "account_id": "111122223333",
        "security_groups": ["sg-0a"],
        "tags": [("Name", "=miner()"), ("env", "<b>")],
        "observed_at": None,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Reservations": [RESERVATION]}, [OWNED]),
        ({"status_code": 200, "data": {"Reservations": [RESERVATION]}}, [OWNED]),
        ({"Reservations": [RESERVATION], "ResponseMetadata": {}}, [OWNED]),
        ([RESERVATION], [OWNED]),
        (RESERVATION, [OWNED]),
        ({"Instances": [INSTANCE]}, [INSTANCE]),
        ([INSTANCE], [INSTANCE]),
        ([[INSTANCE], [INSTANCE]], [INSTANCE, INSTANCE]),
        (INSTANCE, [INSTANCE]),
        ({"Reservations": []}, []),
        ({"Instances": [{"InstanceId": "i-1"}]}, [{"InstanceId": "i-1"}]),
        (INTERFACE, None),
        ({"InstanceId": "i-1"}, None),
        ({"InstanceStatuses": [{"InstanceId": "i-1"}]}, None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert instances.matches(value) == expected


def test_camel_case_gives_the_same_row() -> None:
    (record,) = instances.matches(camel({"Reservations": [RESERVATION]})) or []
    assert instances.to_row(record) == instances.to_row(OWNED)
    assert instances.interface_rows(record)[0]["instance_id"] == "i-0aaa"


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (
            "terminated",
            "User initiated (2026-09-01 10:00:00 GMT)",
            datetime(2026, 9, 1, 10, tzinfo=UTC),
        ),
        ("terminated", "", None),
        ("terminated", "Server.SpotInstanceTermination", None),
        ("stopped", "User initiated (2026-13-01 10:00:00 GMT)", None),
        ("running", "User initiated (2026-09-01 10:00:00 GMT)", None),
    ],
)
def test_time_of_stop_or_termination(state: str, reason: str, expected: datetime | None) -> None:
    record = {"InstanceId": "i-1", "State": {"Name": state}, "StateTransitionReason": reason}
    assert instances.to_row(record)["ended_at"] == expected


def test_interfaces_of_an_instance_fill_their_table(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"Reservations": [RESERVATION, "no"]}))
    case = Case.create(tmp_path / "case")
    loaded = case.ingest(tmp_path / "a.json").iloc[0]
    assert (loaded["kind"], loaded["records"], loaded["quarantined"]) == ("instances", 2, 1)
    (row,) = case.interfaces.to_pyarrow().to_pylist()
    assert row["instance_id"] == "i-0aaa"
    assert (row["addresses"], row["public_addresses"]) == (["10.0.9.9"], ["203.0.113.7"])
    assert (row["attachment_id"], row["ends_with_instance"]) == ("eni-attach-0a", True)
    assert (row["availability_zone"], row["service"], row["item"]) == ("us-east-1a", "ec2", 1)
    assert row["attached_at"] == datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)
    assert list(row) == network_interfaces.TABLE.columns
    (instance,) = case.table("instances").to_pyarrow().to_pylist()
    assert (instance["name"], instance["evidence_id"]) == ("=miner()", row["evidence_id"])
    (entry,) = case.quarantine.to_pyarrow().to_pylist()
    assert (entry["reason"], entry["item"]) == ("not an instance: no JSON object", 2)


def test_wrong_types_are_null_and_instance_without_id_is_rejected() -> None:
    wrong = {"State": "on", "NetworkInterfaces": {"a": 1}, "Tags": 7, "LaunchTime": "soon"}
    row = instances.to_row({"InstanceId": "i-1", "MetadataOptions": [], **wrong})
    assert {name: value for name, value in row.items() if value} == {"instance_id": "i-1"}
    with pytest.raises(BadRecord, match="no InstanceId"):
        instances.to_row({"ImageId": "ami-1"})
    interfaces = [None, {"x": 1}, {"NetworkInterfaceId": 5}]
    rows = instances.interface_rows({"InstanceId": "i-1", "NetworkInterfaces": interfaces})
    assert [row["interface_id"] for row in rows] == ["5"]
