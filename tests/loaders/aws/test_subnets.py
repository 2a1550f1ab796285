"""Subnets from describe-subnets."""

from __future__ import annotations

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import subnets

SUBNET = {
    "SubnetId": "subnet-0a",
    "VpcId": "vpc-0a",
    "CidrBlock": "10.0.1.0/24",
    "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8:0:1::/64"}, {"Ipv6CidrBlock": 4}],
    "AvailabilityZone": "us-east-1a",
    "AvailabilityZoneId": "use1-az6",
    "MapPublicIpOnLaunch": True,
    "OwnerId": "111122223333",
    "Tags": [{"Key": "Name", "Value": "public-a"}, {"Key": "env", "Value": "prod"}],
}


def test_values_of_a_subnet() -> None:
    assert subnets.to_row(SUBNET) == {
        "subnet_id": "subnet-0a",
        "name": "public-a",
        "vpc_id": "vpc-0a",
        "cidr": "10.0.1.0/24",
        "cidrs": ["10.0.1.0/24", "2001:db8:0:1::/64", "4"],
        "availability_zone": "us-east-1a",
        "availability_zone_id": "use1-az6",
        "public_on_launch": True,
        "account_id": "111122223333",
        "tags": [("Name", "public-a"), ("env", "prod")],
        "observed_at": None,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Subnets": [SUBNET]}, [SUBNET]),
        ({"Subnets": [SUBNET], "NextToken": None}, [SUBNET]),
        ({"data": {"Subnets": [SUBNET]}, "status_code": 200}, [SUBNET]),
        ({"subnets": [{"subnetId": "subnet-1"}]}, [{"subnetId": "subnet-1"}]),
        ([SUBNET], [SUBNET]),
        (SUBNET, [SUBNET]),
        ({"Subnets": []}, []),
        # Subnets of a load balancer, of a subnet group, and a reference to one.
        ({"LoadBalancerName": "web", "Subnets": ["subnet-1"]}, None),
        ({"Subnets": ["subnet-1"]}, None),
        ({"VpcId": "vpc-1", "Subnets": [{"SubnetIdentifier": "subnet-1"}]}, None),
        ({"SubnetId": "subnet-1", "VpcId": "vpc-1"}, None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert subnets.matches(value) == expected


def test_subnet_without_id_is_rejected() -> None:
    with pytest.raises(BadRecord, match="no SubnetId"):
        subnets.to_row({"CidrBlock": "10.0.1.0/24"})
