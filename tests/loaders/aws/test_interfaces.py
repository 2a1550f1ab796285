"""Network interfaces: values of recorded answers, and the service that owns each."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import interfaces


@pytest.fixture(scope="module")
def recorded(samples: Path) -> list[dict]:
    rows = []
    for path in sorted(samples.glob("inventory/custodian/*/*.json")):
        records = interfaces.matches(json.loads(path.read_text())) or []
        rows.extend(interfaces.to_row(record) for record in records)
    return interfaces.TABLE.rows(rows).to_pylist()


def test_services_of_the_recorded_interfaces(recorded: list[dict]) -> None:
    assert Counter(row["service"] for row in recorded) == {
        None: 26,  # unattached, or attached to nothing the account sees
        "efs": 15,
        "ec2": 10,
        "directory": 10,
        "vpc-endpoint": 9,
        "nat-gateway": 8,
        "ecs": 8,
        "rds": 7,
        "lambda": 6,
        "transit-gateway": 6,
        "elb": 1,
        "eks": 1,
    }
    assert len(recorded) == 107


def test_service_is_unknown_only_without_any_sign(recorded: list[dict]) -> None:
    unknown = {row["description"] for row in recorded if row["service"] is None}
    assert unknown == {None, "private", "public", "test"}
    assert not any(row["instance_id"] for row in recorded if row["service"] is None)


def test_values_of_a_recorded_nat_gateway(recorded: list[dict]) -> None:
    row = next(row for row in recorded if row["interface_id"] == "eni-0449d9bc9a2d3536c")
    assert row | {"evidence_id": None} == {
        "interface_id": "eni-0449d9bc9a2d3536c",
        "interface_type": "nat_gateway",
        "description": "Interface for NAT Gateway nat-001ede673d090598b",
        "service": "nat-gateway",
        "requester_id": "644160558196",
        "account_id": "644160558196",
        "status": "in-use",
        "vpc_id": "vpc-08bbc74c36b8a08dd",
        "subnet_id": "subnet-028fbebec8e1d710f",
        "availability_zone": "us-east-1b",
        "private_address": "10.146.96.24",
        "addresses": ["10.146.96.24"],
        "public_addresses": ["3.216.70.200"],
        "mapped_addresses": ["10.146.96.24"],
        "instance_id": None,
        "attached_at": None,
        "attachment_id": "ela-attach-5cfc2360",
        "ends_with_instance": False,
        "security_groups": [],
        "security_group_names": [],
        "name": None,
        "tags": [],
        "observed_at": None,
        "evidence_id": None,
        "line": None,
        "item": None,
    }


def test_times_as_objects_of_the_recorder(recorded: list[dict]) -> None:
    row = next(row for row in recorded if row["instance_id"] == "i-0f94b4d7343149de3")
    assert row["attached_at"] == datetime(2019, 6, 21, 13, 40, 19, tzinfo=UTC)
    tagged = [dict(row["tags"]) for row in recorded if row["tags"]]
    assert {"Env": "Dev", "Origin": "Home"} in tagged


INTERFACE = {
    "NetworkInterfaceId": "eni-0ccc",
    "InterfaceType": "interface",
    "Description": "",
    "OwnerId": "111122223333",
    "Status": "in-use",
    "VpcId": "vpc-0bbb",
    "SubnetId": "subnet-0aaa",
    "PrivateIpAddress": "10.0.9.9",
    "PrivateIpAddresses": [
        {"PrivateIpAddress": "10.0.9.9", "Association": {"PublicIp": "203.0.113.77"}},
        {"PrivateIpAddress": "10.0.9.10", "Association": {"PublicIp": "203.0.113.78"}},
    ],
    "Ipv6Addresses": [{"Ipv6Address": "2001:DB8:0::1"}],
    "Association": {"PublicIp": "203.0.113.77"},
    "Attachment": {"InstanceId": "i-0ffff", "AttachTime": "2026-09-01T05:10:04+02:00"},
    "Groups": [{"GroupId": "sg-1", "GroupName": "web"}, {"GroupId": "sg-2"}, None],
    "TagSet": [{"Key": "Name", "Value": "miner"}, {"Key": "team", "Value": ""}, {"Key": None}],
}


def test_addresses_groups_and_tags() -> None:
    (row,) = interfaces.TABLE.rows([interfaces.to_row(INTERFACE)]).to_pylist()
    assert row["addresses"] == ["10.0.9.9", "10.0.9.10", "2001:db8::1"]
    assert row["public_addresses"] == ["203.0.113.77", "203.0.113.78"]
    assert row["mapped_addresses"] == ["10.0.9.9", "10.0.9.10"]
    assert (row["private_address"], row["instance_id"]) == ("10.0.9.9", "i-0ffff")
    assert row["attached_at"] == datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)
    assert row["security_groups"] == ["sg-1", "sg-2"]
    assert row["security_group_names"] == ["web", None]
    assert row["tags"] == [("Name", "miner"), ("team", "")]
    assert (row["name"], row["description"], row["service"]) == ("miner", None, "ec2")


@pytest.mark.parametrize(
    "value",
    [
        {"NetworkInterfaces": [INTERFACE]},
        {"status_code": 200, "data": {"NetworkInterfaces": [INTERFACE], "ResponseMetadata": {}}},
        [INTERFACE],
        INTERFACE,
    ],
    ids=["answer", "recorded answer", "list", "bare"],
)
def test_containers(value: object) -> None:
    assert interfaces.matches(value) == [INTERFACE]


def test_empty_answer_matches_and_error_does_not() -> None:
    assert interfaces.matches({"NetworkInterfaces": []}) == []
    error = {"Error": {"Code": "InvalidNetworkInterfaceID.NotFound", "Message": "no such eni"}}
    assert interfaces.matches({"status_code": 400, "data": error}) is None
    assert interfaces.matches({"InstanceId": "i-1", "NetworkInterfaces": [INTERFACE]}) is None


# Every pattern, which AWS does not publish, and descriptions that imitate one.
@pytest.mark.parametrize(
    ("service", "interface"),
    [
        ("alb", {"Description": "ELB app/web/50dc6c495c0c9188", "RequesterId": "amazon-elb"}),
        ("nlb", {"InterfaceType": "network_load_balancer", "Description": "ELB net/tcp/1"}),
        ("nlb", {"Description": "ELB net/tcp/1"}),
        ("elb", {"Description": "ELB old"}),
        ("elb", {"RequesterId": "amazon-elb"}),
        ("elb", {"InterfaceType": "load_balancer"}),
        ("gwlb", {"InterfaceType": "gateway_load_balancer", "Description": "ELB gwy/f/1"}),
        ("gwlb", {"Description": "ELB gwy/f/1"}),
        (
            "gwlb-endpoint",
            {
                "InterfaceType": "gateway_load_balancer_endpoint",
                "Description": "VPC Endpoint Interface vpce-1",
            },
        ),
        ("nat-gateway", {"InterfaceType": "natGateway"}),
        ("nat-gateway", {"InterfaceType": "nat_gateway", "RequesterId": "444455556666"}),
        ("nat-gateway", {"InterfaceType": "regional_nat_gateway"}),
        ("nat-gateway", {"Description": "Interface for NAT Gateway nat-0123456789abcdef0"}),
        (
            "vpc-endpoint",
            {"InterfaceType": "vpc_endpoint", "Description": "VPC Endpoint Interface vpce-1"},
        ),
        ("vpc-endpoint", {"Description": "VPC Endpoint Interface: vpce-0ae2"}),
        ("resource-gateway", {"Description": "Resource Gateway Interface rgw-1"}),
        ("transit-gateway", {"InterfaceType": "transit_gateway"}),
        (
            "transit-gateway",
            {"Description": "Network Interface for Transit Gateway Attachment tgw-attach-1"},
        ),
        ("lambda", {"Description": "AWS Lambda VPC ENI: 26578289"}),
        ("lambda", {"InterfaceType": "lambda", "Description": "AWS Lambda VPC ENI-f-1"}),
        ("lambda", {"Attachment": {"InstanceOwnerId": "aws-lambda"}}),
        ("rds", {"Description": "RDSNetworkInterface"}),
        ("rds", {"Attachment": {"InstanceOwnerId": "amazon-rds"}}),
        ("redshift", {"Description": "RedshiftNetworkInterface"}),
        ("redshift", {"RequesterId": "amazon-redshift"}),
        ("elasticache", {"Description": "ElastiCache cache-001"}),
        ("elasticache", {"Description": "ElastiCache+0123"}),
        ("elasticache", {"RequesterId": "amazon-elasticache"}),
        ("efs", {"InterfaceType": "efs"}),
        ("efs", {"Description": "EFS mount target for fs-1 (fsmt-1)"}),
        ("ecs", {"Description": "arn:aws-cn:ecs:cn-north-1:1:attachment/2"}),
        ("ecs", {"Description": "arn:aws:ecs:us-east-1:111122223333:attachment/2b0f"}),
        ("eks", {"Description": "Amazon EKS prod"}),
        ("eks", {"InterfaceType": "branch", "Description": "aws-k8s-branch-eni"}),
        ("eks", {"InterfaceType": "trunk", "Description": "aws-k8s-trunk-eni"}),
        ("eks", {"Description": "aws-K8S-i-0ffff"}),
        ("eks", {"Operator": {"Managed": True, "Principal": "eks.amazonaws.com"}}),
        ("dms", {"Description": "DMSNetworkInterface"}),
        ("dms", {"RequesterId": "amazon-dms"}),
        ("dax", {"Description": "DAX cache-a"}),
        ("directory", {"Description": "AWS created network interface for directory d-1"}),
        ("workspaces", {"Description": "Created By Amazon Workspaces for AWS Account ID 1"}),
        ("resolver-endpoint", {"Description": "Route 53 Resolver: rslvr-in-1:rni-1"}),
        ("opensearch", {"Description": "ES search"}),
        ("opensearch", {"RequesterId": "amazon-elasticsearch"}),
        ("cloudhsm", {"Description": "CloudHSM Managed Interface"}),
        ("cloudhsm", {"Description": "CloudHsm ENI 1"}),
        ("emr", {"Description": "AWS ElasticMapReduce j-1"}),
        (
            "sagemaker",
            {"Description": "[DO NOT DELETE] ENI managed by SageMaker for x (arn:aws:sagemaker:1)"},
        ),
        ("msk", {"Description": "DO NOT DELETE - ENI managed by Amazon MSK for x"}),
        ("glue", {"Description": "Attached to Glue using role: arn:aws:iam::1:role/g"}),
        ("global-accelerator", {"InterfaceType": "global_accelerator_managed"}),
        ("global-accelerator", {"Description": "GlobalAccelerator managed ENI 1"}),
        ("api-gateway", {"InterfaceType": "api_gateway_managed"}),
        ("quicksight", {"InterfaceType": "quicksight"}),
        ("iot-rules", {"InterfaceType": "iot_rules_managed"}),
        ("codestar-connections", {"InterfaceType": "aws_codestar_connections_managed"}),
        ("client-vpn", {"Description": "ClientVPN Endpoint resource"}),
        ("instance-connect-endpoint", {"InterfaceType": "ec2_instance_connect_endpoint"}),
        ("instance-connect-endpoint", {"Description": "EC2 Instance Connect Endpoint eice-1"}),
        ("evs", {"InterfaceType": "evs"}),
        ("ec2", {"InterfaceType": "efa", "Attachment": {"InstanceId": "i-0ffff"}}),
        ("ec2", {"Description": "aws-K8S-i-0ffff", "Attachment": {"InstanceId": "i-0ffff"}}),
        ("ec2", {"Description": "ELB app/imitation/1", "Attachment": {"InstanceId": "i-0ffff"}}),
        (None, {"Description": "my RDSNetworkInterface"}),
        (None, {"InterfaceType": "something_new", "RequesterId": "111122223333"}),
        (None, {}),
    ],
)
def test_service(service: str | None, interface: dict) -> None:
    assert interfaces.identify_service({"NetworkInterfaceId": "eni-1", **interface}) == service


def test_wrong_types_are_null_and_interface_without_id_is_rejected() -> None:
    wrong = {"Groups": "sg-1", "TagSet": {"a": 1}, "Attachment": "i-1", "Status": ["x"]}
    addresses = {"PrivateIpAddress": 7, "PrivateIpAddresses": [None, "10.0.0.1"]}
    row = interfaces.to_row({"NetworkInterfaceId": "eni-1", **wrong, **addresses})
    assert {name: value for name, value in row.items() if value} == {"interface_id": "eni-1"}
    with pytest.raises(BadRecord, match="no NetworkInterfaceId"):
        interfaces.to_row({"VpcId": "vpc-1"})
