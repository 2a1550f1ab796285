"""NAT gateways from recorded describe-nat-gateways answers: their addresses, as interfaces.

A zonal gateway has an interface in a subnet. A regional one has none, and its public addresses
stand in flow logs, where every other public address of ours does not: so it is listed as an
interface by its own id, ``nat-…``, which its records carry as resource-id.
"""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe, interfaces
from flowbench.loaders.values import address, items, pick, text, unique

KIND = "nat-gateways"
TABLE = interfaces.TABLE


def matches(value: object) -> list[object] | None:
    """The gateways in an answer of describe-nat-gateways (bare ones too), or None."""
    return describe.listed(
        value, "natGateways", "natGatewayId", "natGatewayAddresses", "connectivityType"
    )


def to_row(record: object) -> list[dict[str, object]]:
    """A NAT gateway's interfaces as rows of TABLE; a regional gateway is one row of its own.

    Raises BadRecord without a NatGatewayId.
    """
    if not isinstance(record, dict):
        raise BadRecord("not a NAT gateway: no JSON object")
    gateway = text(pick(record, "natGatewayId"))
    if gateway is None:
        raise BadRecord("no NatGatewayId")
    held: dict[str, list[object]] = {}
    for each in items(pick(record, "natGatewayAddresses")):
        held.setdefault(text(pick(each, "networkInterfaceId")) or gateway, []).append(each)
    named = describe.tags(record)
    rows: list[dict[str, object]] = []
    for interface_id, found in sorted((held or {gateway: []}).items()):
        regional = interface_id == gateway
        public = unique(address(pick(each, "publicIp")) for each in found)
        private = unique(address(pick(each, "privateIp")) for each in found)
        own = public if regional else private
        rows.append(
            dict.fromkeys(TABLE.columns)
            | {
                "interface_id": interface_id,
                "interface_type": "regional_nat_gateway" if regional else "nat_gateway",
                "description": f"NAT gateway {gateway}",
                "service": "nat-gateway",
                "vpc_id": text(pick(record, "vpcId")),
                "subnet_id": text(pick(record, "subnetId")),
                "private_address": own[0] if own else None,
                "addresses": own,
                "public_addresses": public,
                "security_groups": [],
                "security_group_names": [],
                "name": named.get("Name") or None,
                "tags": list(named.items()),
            }
        )
    return rows
