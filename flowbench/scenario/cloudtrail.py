"""CloudTrail events as AWS writes them."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from flowbench.scenario.network import ACCOUNT, REGION, Host, JsonObject, mac_address, make_id
from flowbench.scenario.writer import format_time, parse_time


def event_id(*words: object) -> str:
    """Return a UUID, the same for the same words."""
    return str(uuid.UUID(hashlib.md5("|".join(map(str, words)).encode()).hexdigest()))  # noqa: S324  # no secret


def user(name: str, key: str | None = None) -> JsonObject:
    """Return the userIdentity of an IAM user; without an access key for a console sign-in."""
    return {
        "type": "IAMUser",
        "principalId": principal_id("AIDA", name),
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        **({"accessKeyId": key} if key else {}),
        "userName": name,
    }


def principal_id(prefix: str, name: str) -> str:
    """Return an example principal id, AIDA… or AROA…."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:8].upper()
    return f"{prefix}EXAMPLE{digits}"


def session_key(*words: object) -> str:
    """Return an example temporary access key, ASIA…, the same for the same words."""
    return f"ASIAEXAMPLE{event_id(*words).replace('-', '')[:9].upper()}"


def role(name: str, session: str, at: float) -> JsonObject:
    """Return the userIdentity of a role session; an instance's session has the instance's id."""
    return {
        "type": "AssumedRole",
        "principalId": f"{principal_id('AROA', name)}:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": session_key(name, session, format_time(at, "%Y%m%d")),
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": principal_id("AROA", name),
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "accountId": ACCOUNT,
                "userName": name,
            },
            "attributes": {"creationDate": format_time(at - 900), "mfaAuthenticated": "false"},
        }
        | ({"ec2RoleDelivery": "2.0"} if session.startswith("i-") else {}),
    }


def service(name: str) -> JsonObject:
    """Return the userIdentity of an AWS service."""
    return {"type": "AWSService", "invokedBy": name}


def event(
    at: float,
    identity: JsonObject,
    source: str,
    name: str,
    address: str,
    agent: str,
    request: Any = None,
    response: Any = None,
    *,
    error: tuple[str, str] | None = None,
    read_only: bool = True,
    kind: str = "AwsApiCall",
    **more: Any,
) -> JsonObject:
    """Return a CloudTrail record."""
    record: JsonObject = {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": format_time(at),
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": address,
        "userAgent": agent,
    }
    if error:
        record |= {"errorCode": error[0], "errorMessage": error[1]}
    return record | {
        "requestParameters": request,
        "responseElements": response,
        "requestID": event_id("request", at, name, identity.get("arn", "")),
        "eventID": event_id(at, name, identity.get("arn", ""), address),
        "readOnly": read_only,
        "eventType": kind,
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **more,
    }


def run_instances(host: Host, at: float, size: str, image: str) -> tuple[JsonObject, JsonObject]:
    """Return request and response of the RunInstances call that launched a host."""
    group = {"groupId": make_id("sg", host.subnet.vpc, host.group), "groupName": host.group}
    nic = {
        "networkInterfaceId": host.interface,
        "subnetId": host.subnet.id,
        "vpcId": host.vpc_id,
        "ownerId": ACCOUNT,
        "status": "in-use",
        "macAddress": mac_address(host.interface),
        "privateIpAddress": host.address,
        "interfaceType": "interface",
        "groupSet": {"items": [group]},
        "attachment": {
            "attachmentId": make_id("eni-attach", host.name),
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
        "reservationId": make_id("r", host.name),
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


def open_port(group: str, port: int, network: str) -> tuple[JsonObject, JsonObject]:
    """Return request and response of AuthorizeSecurityGroupIngress for a TCP port."""
    port_range = {"ipProtocol": "tcp", "fromPort": port, "toPort": port}
    request = {"groupId": group, **port_range, "cidrIp": network, "ipPermissions": {}}
    rule = {
        "securityGroupRuleId": make_id("sgr", group, port, network),
        "groupId": group,
        "groupOwnerId": ACCOUNT,
        "isEgress": False,
        **port_range,
        "cidrIpv4": network,
    }
    return request, {"_return": True, "securityGroupRuleSet": {"items": [rule]}}


def time_of(record: JsonObject) -> int:
    """Return the time of a CloudTrail record in epoch seconds."""
    return parse_time(record["eventTime"])
