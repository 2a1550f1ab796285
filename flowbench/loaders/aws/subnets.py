"""Subnets from recorded describe-subnets answers: the network that an address is in."""

from __future__ import annotations

from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, record_table

KIND = "subnets"

TABLE = record_table(
    "subnets",
    "a subnet",
    Column("subnet_id", "SubnetId", "subnet-…", required=True),
    describe.NAME,
    describe.VPC_ID,
    Column("cidr", "CidrBlock", "IPv4 network"),
    Column(
        "cidrs",
        "CidrBlock, Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
        "all IPv4 and IPv6 networks",
        "strings",
    ),
    Column("availability_zone", "AvailabilityZone", "zone name"),
    Column("availability_zone_id", "AvailabilityZoneId", "the same in every account"),
    Column("public_on_launch", "MapPublicIpOnLaunch", "new instances get a public address", "bool"),
    describe.ACCOUNT_ID,
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the subnets in an answer of describe-subnets, or bare ones; None otherwise."""
    ipv6_networks = "ipv6CidrBlockAssociationSet"
    return describe.find_records(value, "subnets", "subnetId", "cidrBlock", ipv6_networks)


to_row = TABLE.to_row
