"""Elastic IP addresses from recorded describe-addresses answers: which interface has which.

An address that is associated with nothing is the account's, too: it has neither interface nor
instance.
"""

from __future__ import annotations

from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import address, pick

KIND = "elastic-ips"

TABLE = record_table(
    "elastic_ips",
    "an Elastic IP address",
    Column("public_address", "PublicIp, CarrierIp", "the address", convert=address, required=True),
    Column("allocation_id", "AllocationId", "eipalloc-…"),
    Column("association_id", "AssociationId", "eipassoc-…; null if it is associated with nothing"),
    Column("interface_id", "NetworkInterfaceId", "the interface that it is associated with"),
    Column("instance_id", "InstanceId", "the instance that the interface is attached to"),
    Column(
        "private_address", "PrivateIpAddress", "the private address it maps to", convert=address
    ),
    Column("account_id", "NetworkInterfaceOwnerId, OwnerId", "account that owns the interface"),
    Column("public_pool", "PublicIpv4Pool", "amazon, or the pool of the customer's own addresses"),
    Column("border_group", "NetworkBorderGroup", "region or zones that announce it"),
    describe.NAME,
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the addresses in an answer of describe-addresses, or bare ones; None otherwise."""
    return describe.find_records(
        value, "addresses", "publicIp", "allocationId", "publicIpv4Pool", "networkBorderGroup"
    )


to_row = TABLE.to_row


def rows_of_config(record: object) -> list[Row]:
    """Read a configuration item's resource: no row when it has no address, since it is deleted."""
    return [to_row(record)] if address(pick(record, "publicIp")) else []
