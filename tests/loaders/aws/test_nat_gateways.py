"""NAT gateways from describe-nat-gateways, as the interfaces they are or stand for."""

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
    "Tags": [{"Key": "Name", "Value": "way-out"}],
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


def test_a_zonal_gateway_is_its_interface() -> None:
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
        "name": "way-out",
        "tags": [("Name", "way-out")],
    }


def test_a_regional_gateway_has_public_addresses_and_its_own_id() -> None:
    (row,) = nat_gateways.to_row(REGIONAL)
    assert (row["interface_id"], row["interface_type"]) == ("nat-0b2", "regional_nat_gateway")
    assert row["addresses"] == row["public_addresses"] == ["203.0.113.7", "203.0.113.8"]


def test_one_without_addresses_is_kept() -> None:
    (row,) = nat_gateways.to_row({"NatGatewayId": "nat-0c3", "NatGatewayAddresses": "none"})
    assert (row["interface_id"], row["addresses"]) == ("nat-0c3", [])
    assert interfaces.TABLE.rows([row]).num_rows == 1


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
def test_claim(value, expected) -> None:
    assert nat_gateways.matches(value) == expected


@pytest.mark.parametrize("record", [None, [], "nat-1", {}, {"NatGatewayId": ""}])
def test_without_an_id_it_is_refused(record) -> None:
    with pytest.raises(BadRecord):
        nat_gateways.to_row(record)


def test_config_has_them_too() -> None:
    item = {
        "resourceType": "AWS::EC2::NatGateway",
        "resourceId": "nat-0b2",
        "configurationItemCaptureTime": "2026-09-01T03:10:04Z",
        "configuration": REGIONAL,
    }
    made = [
        row
        for table, rows in aws_config.EXTRA_TABLES
        for row in rows(item)
        if table is interfaces.TABLE
    ]
    assert [(row["interface_id"], row["observed_at"].hour) for row in made] == [("nat-0b2", 3)]
