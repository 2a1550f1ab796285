"""VPCs from recorded describe-vpcs answers: which networks are the organisation's own."""

from __future__ import annotations

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.values import flag, items, pick, text, unique

KIND = "vpcs"

TABLE = schema.Table.of(
    "vpcs",
    ("vpc_id", "string", "vpc-…"),
    ("name", "string", "its Name tag"),
    ("cidr", "string", "its first IPv4 network"),
    ("cidrs", "strings", "all its networks, IPv6 too"),
    ("is_default", "bool", "whether AWS made it with the account"),
    ("state", "string", "pending or available"),
    ("account_id", "string", "account that owns it"),
    ("tags", "tags", "all its tags"),
    ("observed_at", "time", "when it was seen to be so; null where the evidence does not say"),
    *schema.ORIGIN,
    schema.ITEM,
)


def matches(value: object) -> list[object] | None:
    """The VPCs in an answer of describe-vpcs (bare ones too), or None for anything else."""
    found = describe.listed(value, "vpcs", "vpcId", "cidrBlock", "isDefault")
    # A subnet has a VpcId and a network too.
    return None if found and all(pick(one, "subnetId") for one in found) else found


def to_row(record: object) -> dict[str, object]:
    """One VPC as a row of TABLE. Raises BadRecord without a VpcId."""
    if not isinstance(record, dict):
        raise BadRecord("not a VPC: no JSON object")
    vpc_id = text(pick(record, "vpcId"))
    if vpc_id is None:
        raise BadRecord("no VpcId")
    named = describe.tags(record)
    cidr = text(pick(record, "cidrBlock"))
    more = items(pick(record, "cidrBlockAssociationSet"))
    newer = items(pick(record, "ipv6CidrBlockAssociationSet"))
    return {
        "vpc_id": vpc_id,
        "name": named.get("Name") or None,
        "cidr": cidr,
        "cidrs": unique(
            [
                cidr,
                *(text(pick(each, "cidrBlock")) for each in more),
                *(text(pick(each, "ipv6CidrBlock")) for each in newer),
            ]
        ),
        "is_default": flag(pick(record, "isDefault")),
        "state": text(pick(record, "state")),
        "account_id": text(pick(record, "ownerId")),
        "tags": list(named.items()),
        "observed_at": None,
    }
