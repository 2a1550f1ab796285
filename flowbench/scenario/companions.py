"""CloudTrail events, GuardDuty findings and resolver queries in their exact shapes."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from flowbench.scenario.network import ACCOUNT, REGION, Host, identifier, mac
from flowbench.scenario.writer import stamp


def event_id(*words: object) -> str:
    """A UUID that follows from its words."""
    return str(uuid.UUID(hashlib.md5("|".join(map(str, words)).encode()).hexdigest()))  # noqa: S324  # no secret


def user(name: str, key: str | None = None) -> dict[str, Any]:
    """UserIdentity of an IAM user; who signs in with a password has no access key."""
    return {
        "type": "IAMUser",
        "principalId": principal_id("AIDA", name),
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        **({"accessKeyId": key} if key else {}),
        "userName": name,
    }


def principal_id(prefix: str, name: str) -> str:
    """AIDA… or AROA…, clearly invented."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:8].upper()
    return f"{prefix}EXAMPLE{digits}"


def session_key(*words: object) -> str:
    """A temporary access key, ASIA…, clearly invented; the same words, the same key."""
    return f"ASIAEXAMPLE{event_id(*words).replace('-', '')[:9].upper()}"


def role(name: str, session: str, at: float) -> dict[str, Any]:
    """UserIdentity of a role session; an instance's session is named after the instance."""
    return {
        "type": "AssumedRole",
        "principalId": f"{principal_id('AROA', name)}:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": session_key(name, session, stamp(at, "%Y%m%d")),
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": principal_id("AROA", name),
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "accountId": ACCOUNT,
                "userName": name,
            },
            "attributes": {"creationDate": stamp(at - 900), "mfaAuthenticated": "false"},
        }
        | ({"ec2RoleDelivery": "2.0"} if session.startswith("i-") else {}),
    }


def service(name: str) -> dict[str, Any]:
    """UserIdentity of an AWS service."""
    return {"type": "AWSService", "invokedBy": name}


def event(
    at: float, who: dict[str, Any], source: str, name: str, address: str, agent: str,
    request: Any = None, response: Any = None, *, error: tuple[str, str] | None = None,
    read_only: bool = True, kind: str = "AwsApiCall", **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """One CloudTrail record."""
    found: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": stamp(at),
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": address,
        "userAgent": agent,
    }
    if error:
        found |= {"errorCode": error[0], "errorMessage": error[1]}
    return found | {
        "requestParameters": request,
        "responseElements": response,
        "requestID": event_id("request", at, name, who.get("arn", "")),
        "eventID": event_id(at, name, who.get("arn", ""), address),
        "readOnly": read_only,
        "eventType": kind,
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **more,
    }


def run_instances(
    host: Host, at: float, size: str, image: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Request and response of the RunInstances call that made a host."""
    group = {"groupId": identifier("sg", host.subnet.vpc, host.group), "groupName": host.group}
    nic = {
        "networkInterfaceId": host.interface,
        "subnetId": host.subnet.id,
        "vpcId": host.vpc_id,
        "ownerId": ACCOUNT,
        "status": "in-use",
        "macAddress": mac(host.interface),
        "privateIpAddress": host.address,
        "interfaceType": "interface",
        "groupSet": {"items": [group]},
        "attachment": {
            "attachmentId": identifier("eni-attach", host.name),
            "deviceIndex": 0,
            "status": "attaching",
            "attachTime": int(at) * 1000,
            "deleteOnTermination": True,
        },
        "privateIpAddressesSet": {"item": [{"privateIpAddress": host.address, "primary": True}]},
        "ipv6AddressesSet": {},
    }
    tags = {"items": [{"key": k, "value": v} for k, v in host.tags.items()]}
    request = {
        "instancesSet": {"items": [{"imageId": image, "minCount": 1, "maxCount": 1}]},
        "instanceType": size,
        "userData": "<sensitiveDataRemoved>",
        "blockDeviceMapping": {},
        "monitoring": {"enabled": False},
        "subnetId": host.subnet.id,
        "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": tags["items"]}]},
    }
    response = {
        "requestId": event_id("run", at),
        "reservationId": identifier("r", host.name),
        "ownerId": ACCOUNT,
        "groupSet": {},
        "instancesSet": {
            "items": [
                {
                    "instanceId": host.instance,
                    "imageId": image,
                    "instanceState": {"code": 0, "name": "pending"},
                    "instanceType": size,
                    "launchTime": int(at) * 1000,
                    "placement": {"availabilityZone": f"{REGION}{host.subnet.zone}"},
                    "subnetId": host.subnet.id,
                    "vpcId": host.vpc_id,
                    "privateIpAddress": host.address,
                    "groupSet": {"items": [group]},
                    "tagSet": tags,
                    "networkInterfaceSet": {"items": [nic]},
                    "metadataOptions": {"httpTokens": "optional"},
                }
            ]
        },
    }
    return request, response


def open_port(group: str, port: int, network: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Request and response of AuthorizeSecurityGroupIngress for one TCP port."""
    port_range = {"ipProtocol": "tcp", "fromPort": port, "toPort": port}
    request = {"groupId": group, **port_range, "cidrIp": network, "ipPermissions": {}}
    rule = {
        "securityGroupRuleId": identifier("sgr", group, port, network),
        "groupId": group,
        "groupOwnerId": ACCOUNT,
        "isEgress": False,
        **port_range,
        "cidrIpv4": network,
    }
    return request, {"_return": True, "securityGroupRuleSet": {"items": [rule]}}


def alert(
    host: Host, kind: str, severity: float, first: float, last: float, count: int,
    action: dict[str, Any], *, updated: float, title: str, lists: tuple[str, ...] = (),
    role_: str = "TARGET",
) -> dict[str, Any]:  # fmt: skip
    """One GuardDuty finding in the S3 export's spelling."""
    digits = hashlib.md5(f"{kind}{host.interface}".encode()).hexdigest()  # noqa: S324  # no secret
    nic: dict[str, Any] = {
        "networkInterfaceId": host.interface,
        "privateIpAddress": host.address,
        "privateIpAddresses": [{"privateIpAddress": host.address}],
        "subnetId": host.subnet.id,
        "vpcId": host.vpc_id,
        "ipv6Addresses": [],
        "securityGroups": [
            {"groupId": identifier("sg", host.subnet.vpc, host.group), "groupName": host.group}
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
        "createdAt": stamp(first + 900, "%Y-%m-%dT%H:%M:%S.000Z"),
        "updatedAt": stamp(updated, "%Y-%m-%dT%H:%M:%S.000Z"),
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
            "resourceRole": role_,
            "count": count,
            "archived": False,
            "eventFirstSeen": stamp(first, "%Y-%m-%dT%H:%M:%S.000Z"),
            "eventLastSeen": stamp(last, "%Y-%m-%dT%H:%M:%S.000Z"),
            "additionalInfo": {"threatListName": lists[0]} if lists else {},
            "evidence": {
                "threatIntelligenceDetails": [
                    {"threatListName": name, "threatNames": []} for name in lists
                ]
            },
            "action": action,
        },
    }


def connection_action(host: Host, remote: str, port: int, local_port: int) -> dict[str, Any]:
    """The action of a finding about one outbound connection."""
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


def pascal(value: Any) -> Any:  # any JSON
    """The same finding as get-findings prints it: every key with a capital."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(inner) for key, inner in value.items()}
    return [pascal(inner) for inner in value] if isinstance(value, list) else value


def query(
    at: float, host: Host, name: str, answers: list[str], rcode: str = "NOERROR"
) -> dict[str, Any]:
    """One resolver query log record."""
    digits = int(hashlib.sha256(f"{at}{name}{host.name}".encode()).hexdigest()[:6], 16)
    return {
        "version": "1.100000",
        "account_id": ACCOUNT,
        "region": REGION,
        "vpc_id": host.vpc_id,
        "query_timestamp": stamp(at),
        "query_name": name + ".",
        "query_type": "A",
        "query_class": "IN",
        "rcode": rcode,
        "answers": [{"Rdata": address, "Type": "A", "Class": "IN"} for address in answers],
        "srcaddr": host.address,
        "srcport": str(1_024 + digits % 60_000),
        "transport": "UDP",
        "srcids": {"instance": host.instance} if host.instance else {},
    }
