"""NAT gateways from recorded describe-nat-gateways answers: their addresses, as interfaces.

A zonal gateway has an interface in a subnet. A regional one has none, and its public addresses
appear in flow log records, unlike any other public address of the account: it is read as an
interface by its own id, ``nat-…``, which its records carry as resource-id.
"""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe, interfaces
from flowbench.loaders.aws.record import Row
from flowbench.loaders.values import items, pick, text

KIND = "nat-gateways"
TABLE = interfaces.TABLE


def matches(value: object) -> list[object] | None:
    """Return the gateways in an answer of describe-nat-gateways, or bare ones; None otherwise."""
    return describe.find_records(
        value, "natGateways", "natGatewayId", "natGatewayAddresses", "connectivityType"
    )


def to_row(record: object) -> list[Row]:
    """Read a NAT gateway: a row per interface, or one row for a regional gateway.

    Raises BadRecord without a NatGatewayId.
    """
    if not isinstance(record, dict):
        raise BadRecord("not a NAT gateway: no JSON object")
    gateway_id = text(pick(record, "natGatewayId"))
    if gateway_id is None:
        raise BadRecord("no NatGatewayId")
    addresses: dict[str, list[object]] = {}
    for each in items(pick(record, "natGatewayAddresses")):
        addresses.setdefault(text(pick(each, "networkInterfaceId")) or gateway_id, []).append(each)
    by_interface = sorted((addresses or {gateway_id: []}).items())
    return [
        interfaces.to_row(_as_interface(record, gateway_id, interface_id, members))
        for interface_id, members in by_interface
    ]


def _as_interface(
    record: object, gateway_id: str, interface_id: str, addresses: list[object]
) -> dict[str, object]:
    """Spell a gateway's addresses as describe-network-interfaces does.

    The public addresses of a regional gateway are its own, not translations of private ones.
    """
    is_regional = interface_id == gateway_id
    own_address = "publicIp" if is_regional else "privateIp"
    return {
        "networkInterfaceId": interface_id,
        "interfaceType": "regional_nat_gateway" if is_regional else "nat_gateway",
        "description": f"NAT gateway {gateway_id}",
        "vpcId": pick(record, "vpcId"),
        "subnetId": pick(record, "subnetId"),
        "privateIpAddresses": [
            {
                "privateIpAddress": pick(each, own_address),
                "association": {"publicIp": pick(each, "publicIp")},
            }
            for each in addresses
        ],
        "tagSet": pick(record, "tagSet"),
        "tags": pick(record, "tags"),
    }
