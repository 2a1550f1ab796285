"""Subnets from recorded describe-subnets answers: which network an address lies in."""

from __future__ import annotations

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.values import flag, items, pick, text, unique

KIND = "subnets"

TABLE = schema.Table.of(
    "subnets",
    ("subnet_id", "string", "subnet-…"),
    ("name", "string", "its Name tag"),
    ("vpc_id", "string", "its VPC"),
    ("cidr", "string", "its IPv4 network"),
    ("cidrs", "strings", "all its networks, IPv6 too"),
    ("availability_zone", "string", "zone name"),
    ("availability_zone_id", "string", "zone id, the same in every account"),
    ("public_on_launch", "bool", "whether instances started there get a public address"),
    ("account_id", "string", "account that owns it"),
    ("tags", "tags", "all its tags"),
    ("observed_at", "time", "when it was seen to be so; null where the evidence does not say"),
    *schema.ORIGIN,
    schema.ITEM,
)

_IPV6 = "ipv6CidrBlockAssociationSet"


def matches(value: object) -> list[object] | None:
    """The subnets in an answer of describe-subnets (bare ones too), or None for anything else."""
    return describe.listed(value, "subnets", "subnetId", "cidrBlock", _IPV6)


def to_row(record: object) -> dict[str, object]:
    """One subnet as a row of TABLE. Raises BadRecord without a SubnetId."""
    if not isinstance(record, dict):
        raise BadRecord("not a subnet: no JSON object")
    subnet_id = text(pick(record, "subnetId"))
    if subnet_id is None:
        raise BadRecord("no SubnetId")
    named = describe.tags(record)
    cidr = text(pick(record, "cidrBlock"))
    newer = items(pick(record, _IPV6))
    return {
        "subnet_id": subnet_id,
        "name": named.get("Name") or None,
        "vpc_id": text(pick(record, "vpcId")),
        "cidr": cidr,
        "cidrs": unique([cidr, *(text(pick(each, "ipv6CidrBlock")) for each in newer)]),
        "availability_zone": text(pick(record, "availabilityZone")),
        "availability_zone_id": text(pick(record, "availabilityZoneId")),
        "public_on_launch": flag(pick(record, "mapPublicIpOnLaunch")),
        "account_id": text(pick(record, "ownerId")),
        "tags": list(named.items()),
        "observed_at": None,
    }
