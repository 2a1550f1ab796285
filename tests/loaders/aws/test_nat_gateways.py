"""NAT gateways from describe-nat-gateways, read as interfaces."""

from __future__ import annotations

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import config as aws_config
from flowbench.loaders.aws import interfaces, nat_gateways

ZONAL = {
    "NatGatewayId": "nat-0a1",
    "VpcId": "vpc-1",
    "SubnetId": "subnet-1",
    "ConnectivityType": "public",
    "NatGatewayAddresses": [
        {"NetworkInterfaceId": "eni-1", "PrivateIp": "10.0.9.1", "PublicIp": "198.51.100.7"},
        {"NetworkInterfaceId": "eni-1", "PrivateIp": "10.0.9.2", "PublicIp": "198.51.100.8"},
    ],
    "Tags": [{"Key": "Name", "Value": "egress"}],
}
REGIONAL = {
    "NatGatewayId": "nat-0b2",
    "VpcId": "vpc-1",
    "ConnectivityType": "public",
    "AvailabilityMode": "regional",
    "NatGatewayAddresses": [
        {"PublicIp": "203.0.113.7", "AvailabilityZone": "us-east-1a"},
        {"PublicIp": "203.0.113.8", "AvailabilityZone": "us-east-1b"},
    ],
}


def test_zonal_gateway_is_its_interface() -> None:
    (row,) = nat_gateways.to_row(ZONAL)
    assert {name: value for name, value in row.items() if value} == {
        "interface_id": "eni-1",
        "interface_type": "nat_gateway",
        "description": "NAT gateway nat-0a1",
        "service": "nat-gateway",
        "vpc_id": "vpc-1",
        "subnet_id": "subnet-1",
        "private_address": "10.0.9.1",
        "addresses": ["10.0.9.1", "10.0.9.2"],
        "public_addresses": ["198.51.100.7", "198.51.100.8"],
        "mapped_addresses": ["10.0.9.1", "10.0.9.2"],
        "name": "egress",
        "tags": [("Name", "egress")],
    }


def test_regional_gateway_is_an_interface_by_its_own_id() -> None:
    (row,) = nat_gateways.to_row(REGIONAL)
    assert (row["interface_id"], row["interface_type"]) == ("nat-0b2", "regional_nat_gateway")
    assert row["addresses"] == row["public_addresses"] == ["203.0.113.7", "203.0.113.8"]


def test_gateway_without_addresses_is_kept() -> None:
    (row,) = nat_gateways.to_row({"NatGatewayId": "nat-0c3", "NatGatewayAddresses": "none"})
    assert (row["interface_id"], row["addresses"]) == ("nat-0c3", [])
    assert interfaces.TABLE.rows([row]).num_rows == 1


def test_addresses_of_several_interfaces_are_kept_apart() -> None:
    addresses = [
        {"NetworkInterfaceId": "eni-2", "PrivateIp": "10.0.9.2", "PublicIp": "198.51.100.8"},
        {"NetworkInterfaceId": "eni-1", "PrivateIp": "10.0.9.1", "PublicIp": "no address"},
    ]
    rows = nat_gateways.to_row(ZONAL | {"NatGatewayAddresses": addresses})
    assert [(row["interface_id"], row["addresses"], row["public_addresses"]) for row in rows] == [
        ("eni-1", ["10.0.9.1"], []),
        ("eni-2", ["10.0.9.2"], ["198.51.100.8"]),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"NatGateways": [ZONAL, REGIONAL]}, [ZONAL, REGIONAL]),
        ({"data": {"NatGateways": [ZONAL]}}, [ZONAL]),
        ({"natGateways": [{"natGatewayId": "nat-1"}]}, [{"natGatewayId": "nat-1"}]),
        ([REGIONAL], [REGIONAL]),
        ({"NatGateways": []}, []),
        ({"Routes": [{"NatGatewayId": "nat-1"}]}, None),
        ({"NatGatewayId": "nat-1"}, None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert nat_gateways.matches(value) == expected


@pytest.mark.parametrize("record", [None, [], "nat-1", {}, {"NatGatewayId": ""}])
def test_gateway_without_id_is_rejected(record: object) -> None:
    with pytest.raises(BadRecord):
        nat_gateways.to_row(record)


def test_gateway_in_aws_config() -> None:
    item = {
        "resourceType": "AWS::EC2::NatGateway",
        "resourceId": "nat-0b2",
        "configurationItemCaptureTime": "2026-09-01T03:10:04Z",
        "configuration": REGIONAL,
    }
    of_interfaces = [read for table, read in aws_config.EXTRA_TABLES if table is interfaces.TABLE]
    (row,) = [row for to_rows in of_interfaces for row in to_rows(item)]
    assert (row["interface_id"], row["observed_at"].hour) == ("nat-0b2", 3)
