"""Elastic IPs from describe-addresses and AWS Config."""

from __future__ import annotations

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import config as aws_config
from flowbench.loaders.aws import elastic_ips

ADDRESS = {
    "InstanceId": "i-1",
    "PublicIp": "198.51.100.4",
    "AllocationId": "eipalloc-1",
    "AssociationId": "eipassoc-1",
    "Domain": "vpc",
    "NetworkInterfaceId": "eni-1",
    "NetworkInterfaceOwnerId": "111122223333",
    "PrivateIpAddress": "10.0.2.9",
    "PublicIpv4Pool": "amazon",
    "NetworkBorderGroup": "eu-west-1",
    "Tags": [{"Key": "Name", "Value": "shop"}],
}


def test_an_associated_address() -> None:
    assert elastic_ips.to_row(ADDRESS) == {
        "public_address": "198.51.100.4",
        "allocation_id": "eipalloc-1",
        "association_id": "eipassoc-1",
        "interface_id": "eni-1",
        "instance_id": "i-1",
        "private_address": "10.0.2.9",
        "account_id": "111122223333",
        "public_pool": "amazon",
        "border_group": "eu-west-1",
        "name": "shop",
        "tags": [("Name", "shop")],
        "observed_at": None,
    }


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ({"Addresses": [ADDRESS]}, 1),
        ({"data": {"Addresses": [ADDRESS]}}, 1),
        ([ADDRESS, {"PublicIp": "198.51.100.5", "AllocationId": "eipalloc-2"}], 2),
        ({"Addresses": []}, 0),
        ({"Addresses": [{"street": "Main Street 1"}]}, None),
        ([{"PublicIp": "198.51.100.4"}], None),
        ({"addresses": "none"}, None),
        (None, None),
    ],
)
def test_answers_are_recognised(value, count) -> None:
    found = elastic_ips.matches(value)
    assert (None if found is None else len(found)) == count


def test_an_address_is_required() -> None:
    with pytest.raises(BadRecord, match="no PublicIp"):
        elastic_ips.to_row({"AllocationId": "eipalloc-1"})


def test_config_records_them_until_they_are_released() -> None:
    item = {
        "resourceType": "AWS::EC2::EIP",
        "resourceId": "eipalloc-1",
        "configurationItemCaptureTime": "2026-09-01T00:00:00Z",
        "awsAccountId": "111122223333",
        "configuration": {"publicIp": "198.51.100.4", "networkInterfaceId": "eni-1"},
    }
    to_rows = dict(aws_config.EXTRA_TABLES)[elastic_ips.TABLE]
    (row,) = to_rows(item)
    assert (row["public_address"], row["allocation_id"]) == ("198.51.100.4", "eipalloc-1")
    assert (row["account_id"], row["observed_at"].year) == ("111122223333", 2026)
    released = item | {"configuration": None, "configurationItemStatus": "ResourceDeleted"}
    assert to_rows(released) == []
