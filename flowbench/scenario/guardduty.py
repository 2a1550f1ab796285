"""GuardDuty findings as AWS writes them."""

from __future__ import annotations

import hashlib
from typing import Any

from flowbench.scenario.network import ACCOUNT, REGION, Host, JsonObject, make_id
from flowbench.scenario.writer import format_time


def guardduty_finding(
    host: Host,
    kind: str,
    severity: float,
    first: float,
    last: float,
    count: int,
    action: JsonObject,
    *,
    updated: float,
    title: str,
    lists: tuple[str, ...] = (),
    resource_role: str = "TARGET",
) -> JsonObject:
    """Return a GuardDuty finding with the field names of the S3 export."""
    digits = hashlib.md5(f"{kind}{host.interface}".encode()).hexdigest()  # noqa: S324  # no secret
    nic: JsonObject = {
        "networkInterfaceId": host.interface,
        "privateIpAddress": host.address,
        "privateIpAddresses": [{"privateIpAddress": host.address}],
        "subnetId": host.subnet.id,
        "vpcId": host.vpc_id,
        "ipv6Addresses": [],
        "securityGroups": [
            {"groupId": make_id("sg", host.subnet.vpc, host.group), "groupName": host.group}
        ],
    }
    if host.public:
        nic["publicIp"] = host.public
    return {
        "schemaVersion": "2.0",
        "accountId": ACCOUNT,
        "region": REGION,
        "partition": "aws",
        "id": digits,
        "arn": f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/d1winterday/finding/{digits}",
        "type": kind,
        "severity": severity,
        "createdAt": format_time(first + 900, "%Y-%m-%dT%H:%M:%S.000Z"),
        "updatedAt": format_time(updated, "%Y-%m-%dT%H:%M:%S.000Z"),
        "title": title,
        "description": title,
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": {
                "instanceId": host.instance,
                "tags": [{"key": k, "value": v} for k, v in host.tags.items()],
                "networkInterfaces": [nic],
            },
        },
        "service": {
            "serviceName": "guardduty",
            "detectorId": "d1winterday",
            "resourceRole": resource_role,
            "count": count,
            "archived": False,
            "eventFirstSeen": format_time(first, "%Y-%m-%dT%H:%M:%S.000Z"),
            "eventLastSeen": format_time(last, "%Y-%m-%dT%H:%M:%S.000Z"),
            "additionalInfo": {"threatListName": lists[0]} if lists else {},
            "evidence": {
                "threatIntelligenceDetails": [
                    {"threatListName": name, "threatNames": []} for name in lists
                ]
            },
            "action": action,
        },
    }


def connection_action(host: Host, remote: str, port: int, local_port: int) -> JsonObject:
    """Return the action of a finding about an outbound connection."""
    return {
        "actionType": "NETWORK_CONNECTION",
        "networkConnectionAction": {
            "connectionDirection": "OUTBOUND",
            "blocked": False,
            "protocol": "TCP",
            "localPortDetails": {"port": local_port, "portName": "Unknown"},
            "localIpDetails": {"ipAddressV4": host.address},
            "localNetworkInterface": host.interface,
            "remotePortDetails": {"port": port, "portName": "Unknown"},
            "remoteIpDetails": {
                "ipAddressV4": remote,
                "organization": {"asn": "64500", "asnOrg": "EXAMPLE-NET"},
            },
        },
    }


def capitalize_keys(value: Any) -> Any:
    """Return JSON with the field names of get-findings, which begin with a capital."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: capitalize_keys(inner) for key, inner in value.items()}
    return [capitalize_keys(inner) for inner in value] if isinstance(value, list) else value
