"""VPCs from recorded describe-vpcs answers: the networks that belong to the organisation."""

from __future__ import annotations

from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, record_table
from flowbench.loaders.values import pick

KIND = "vpcs"

TABLE = record_table(
    "vpcs",
    "a VPC",
    Column("vpc_id", "VpcId", "vpc-…", required=True),
    describe.NAME,
    Column("cidr", "CidrBlock", "first IPv4 network"),
    Column(
        "cidrs",
        "CidrBlock, CidrBlockAssociationSet[].CidrBlock,"
        " Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
        "all IPv4 and IPv6 networks",
        "strings",
    ),
    Column("is_default", "IsDefault", "whether AWS created it with the account", "bool"),
    Column("state", "State", "pending or available"),
    describe.ACCOUNT_ID,
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the VPCs in an answer of describe-vpcs, or bare ones; None for anything else."""
    records = describe.find_records(value, "vpcs", "vpcId", "cidrBlock", "isDefault")
    # A subnet has a VpcId and a CidrBlock too, a network ACL a VpcId and IsDefault.
    others = [pick(record, "subnetId") or pick(record, "networkAclId") for record in records or ()]
    return None if others and all(others) else records


to_row = TABLE.to_row
