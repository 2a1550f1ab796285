"""VPCs from describe-vpcs."""

from __future__ import annotations

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import vpcs

VPC = {
    "VpcId": "vpc-0a",
    "CidrBlock": "10.0.0.0/16",
    "CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16"}, {"CidrBlock": "100.64.0.0/16"}],
    "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8::/56"}],
    "IsDefault": False,
    "State": "available",
    "OwnerId": "111122223333",
    "Tags": [{"Key": "Name", "Value": "prod"}],
}


def test_values_of_a_vpc() -> None:
    assert vpcs.to_row(VPC) == {
        "vpc_id": "vpc-0a",
        "name": "prod",
        "cidr": "10.0.0.0/16",
        "cidrs": ["10.0.0.0/16", "100.64.0.0/16", "2001:db8::/56"],
        "is_default": False,
        "state": "available",
        "account_id": "111122223333",
        "tags": [("Name", "prod")],
        "observed_at": None,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Vpcs": [VPC]}, [VPC]),
        ({"data": {"Vpcs": [VPC], "ResponseMetadata": {}}}, [VPC]),
        ({"vpcs": [{"vpcId": "vpc-1"}]}, [{"vpcId": "vpc-1"}]),
        ([VPC], [VPC]),
        (VPC, [VPC]),
        ({"Vpcs": []}, []),
        ({"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24", "SubnetId": "subnet-1"}, None),
        ({"VpcId": "vpc-1"}, None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert vpcs.matches(value) == expected


def test_vpc_without_id_is_rejected() -> None:
    with pytest.raises(BadRecord, match="no VpcId"):
        vpcs.to_row({"CidrBlock": "10.0.0.0/16"})
