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
    detector: str = "d1winterday",
) -> JsonObject:
    """Return a GuardDuty finding about an instance with the field names of the S3 export."""
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
    resource: JsonObject = {
        "resourceType": "Instance",
        "instanceDetails": {
            "instanceId": host.instance,
            "tags": [{"key": k, "value": v} for k, v in host.tags.items()],
            "networkInterfaces": [nic],
        },
    }
    service: JsonObject = {
        "serviceName": "guardduty",
        "detectorId": detector,
        "resourceRole": resource_role,
        "count": count,
        "archived": False,
        "eventFirstSeen": _format(first),
        "eventLastSeen": _format(last),
        "additionalInfo": {"threatListName": lists[0]} if lists else {},
        "evidence": {
            "threatIntelligenceDetails": [
                {"threatListName": name, "threatNames": []} for name in lists
            ]
        },
        "action": action,
    }
    return _finding(digits, kind, severity, first + 900, updated, title, resource, service)


def access_key_finding(
    identity: JsonObject,
    kind: str,
    severity: float,
    first: float,
    last: float,
    count: int,
    action: JsonObject,
    *,
    updated: float,
    title: str,
    detector: str,
) -> JsonObject:
    """Return a GuardDuty finding about credentials with the field names of the S3 export.

    Args:
        identity: The userIdentity of the calls (see cloudtrail.user, cloudtrail.role).
        kind: Its type.
        severity: Of AWS's scale, 1.0 to 10.0.
        first: Of the calls, in epoch seconds.
        last: The same.
        count: Of the calls.
        action: See ``api_call_action``.
        updated: Epoch seconds.
        title: Its title.
        detector: Id of the GuardDuty detector.
    """
    digits = hashlib.md5(f"{kind}{identity['arn']}".encode()).hexdigest()  # noqa: S324  # no secret
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    resource: JsonObject = {
        "resourceType": "AccessKey",
        "accessKeyDetails": {
            "accessKeyId": identity["accessKeyId"],
            "principalId": identity["principalId"],
            "userName": identity.get("userName") or issuer["userName"],
            "userType": identity["type"],
        },
    }
    service: JsonObject = {
        "serviceName": "guardduty",
        "detectorId": detector,
        "resourceRole": "TARGET",
        "count": count,
        "archived": False,
        "eventFirstSeen": _format(first),
        "eventLastSeen": _format(last),
        "additionalInfo": {},
        "action": action,
    }
    return _finding(digits, kind, severity, first + 900, updated, title, resource, service)


def _finding(
    digits: str,
    kind: str,
    severity: float,
    created: float,
    updated: float,
    title: str,
    resource: JsonObject,
    service: JsonObject,
) -> JsonObject:
    detector = service["detectorId"]
    return {
        "schemaVersion": "2.0",
        "accountId": ACCOUNT,
        "region": REGION,
        "partition": "aws",
        "id": digits,
        "arn": f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{detector}/finding/{digits}",
        "type": kind,
        "severity": severity,
        "createdAt": _format(created),
        "updatedAt": _format(updated),
        "title": title,
        "description": title,
        "resource": resource,
        "service": service,
    }


def _format(time: float) -> str:
    return format_time(time, "%Y-%m-%dT%H:%M:%S.000Z")


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


def api_call_action(api: str, service: str, remote: str) -> JsonObject:
    """Return the action of a finding about API calls from an address."""
    return {
        "actionType": "AWS_API_CALL",
        "awsApiCallAction": {
            "api": api,
            "serviceName": f"{service}.amazonaws.com",
            "callerType": "Remote IP",
            "remoteIpDetails": {
                "ipAddressV4": remote,
                "organization": {"asn": "64500", "asnOrg": "EXAMPLE-NET"},
            },
            "affectedResources": {},
        },
    }


def capitalize_keys(value: Any) -> Any:
    """Return JSON with the field names of get-findings, which begin with a capital."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: capitalize_keys(inner) for key, inner in value.items()}
    return [capitalize_keys(inner) for inner in value] if isinstance(value, list) else value
