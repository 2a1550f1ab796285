"""GuardDuty findings, in the spelling of the API (``Findings``) or of its exports and events."""

from __future__ import annotations

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.values import (
    address,
    brief,
    domain,
    flag,
    items,
    number,
    parse,
    pick,
    port,
    text,
    time,
    unique,
    whole,
)

KIND = "guardduty"

TABLE = schema.Table.of(
    "alerts",
    ("alert_id", "string", "AWS's id of the finding; the same in every update of it"),
    ("type", "string", "CryptoCurrency:EC2/BitcoinTool.B, …"),
    ("title", "string", "one line"),
    ("description", "string", "a paragraph"),
    ("severity", "float64", "1.0 to 10.0"),
    ("severity_label", "string", "low below 4, medium below 7, high below 9, critical from 9"),
    ("account_id", "string", "account it is about"),
    ("region", "string", "AWS region"),
    ("created_at", "time", "when GuardDuty first reported it"),
    ("updated_at", "time", "when this state of it was reported"),
    ("first_seen", "time", "first activity behind it"),
    ("last_seen", "time", "last activity behind it"),
    ("count", "int64", "how often the activity was seen"),
    ("resource_type", "string", "Instance, AccessKey, S3Bucket, …"),
    ("instance_id", "string", "instance it is about"),
    ("interface_ids", "strings", "its network interfaces, the one concerned first"),
    ("local_address", "string", "own side of the traffic; else the instance's private address"),
    ("local_port", "int32", "port on the own side"),
    ("remote_address", "string", "the other side of the traffic, or the API caller"),
    ("remote_port", "int32", "port on the other side"),
    ("protocol", "string", "TCP, UDP, … in capitals"),
    ("direction", "string", "INBOUND, OUTBOUND or UNKNOWN"),
    ("blocked", "bool", "whether a security group or network ACL refused it"),
    ("domain", "string", "name looked up"),
    ("api", "string", "API called"),
    ("access_key_id", "string", "access key it is about"),
    ("principal_name", "string", "user or role it is about"),
    ("archived", "bool", "whether someone put it away"),
    ("sample", "bool", "whether GuardDuty invented it for a test"),
    ("threat_lists", "strings", "threat lists that named the other side"),
    *schema.ORIGIN,
    schema.ITEM,
)

_BANDS = ((4.0, "low"), (7.0, "medium"), (9.0, "high"))
_MARKS = ("arn", "schemaVersion", "severity", "resource", "service", "createdAt", "updatedAt")
_MARKS_NEEDED = 4


def matches(value: object) -> list[object] | None:
    """The findings in a JSON value, or None for anything else.

    An answer of get-findings, bare findings and lists of them, EventBridge events. Security Hub's
    findings are another kind.
    """
    if isinstance(pick(value, "findingIds"), list):
        return [value]
    found = pick(value, "findings")
    if isinstance(found, list) and (any(map(_is_finding, found)) or not found):
        return found
    listed = value if isinstance(value, list) else [value]
    return listed if any(map(_is_finding, listed)) else None


def to_row(record: object) -> dict[str, object]:
    """One finding as a row of TABLE. Raises BadRecord without an id, a type or a time."""
    record = _unwrap(record)
    if not isinstance(record, dict):
        raise BadRecord("not a GuardDuty finding: no JSON object")
    if "id" not in record and isinstance(pick(record, "findingIds"), list):
        raise BadRecord("an answer of list-findings, which has ids only: ask get-findings for them")
    alert_id, kind = text(pick(record, "id")), text(pick(record, "type"))
    if alert_id is None or kind is None:
        raise BadRecord("no id" if alert_id is None else "no type")
    created, updated = (time(pick(record, name)) for name in ("createdAt", "updatedAt"))
    if created is None and updated is None:
        told = pick(record, "updatedAt") or pick(record, "createdAt")
        raise BadRecord(f"updatedAt is not a time: {brief(told)}" if told else "no updatedAt")
    service, resource = pick(record, "service"), pick(record, "resource")
    instance = pick(resource, "instanceDetails")
    interfaces = items(pick(instance, "networkInterfaces"))
    action = _action(service)
    more = pick(service, "additionalInfo")
    more = parse(pick(more, "value")) or more  # the API wraps it as {"Type", "Value": "<JSON>"}
    severity = number(pick(record, "severity"))
    return {
        "alert_id": alert_id,
        "type": kind,
        "title": text(pick(record, "title")),
        "description": text(pick(record, "description")),
        "severity": severity,
        "severity_label": _label(severity),
        "account_id": text(pick(record, "accountId")),
        "region": text(pick(record, "region")),
        "created_at": created,
        "updated_at": updated or created,
        "first_seen": time(pick(service, "eventFirstSeen")),
        "last_seen": time(pick(service, "eventLastSeen")),
        "count": whole(pick(service, "count")),
        "resource_type": text(pick(resource, "resourceType")),
        "instance_id": text(pick(instance, "instanceId")),
        "interface_ids": unique(
            [
                text(pick(action, "localNetworkInterface")),
                *(text(pick(each, "networkInterfaceId")) for each in interfaces),
            ]
        ),
        "local_address": _address(pick(action, "localIpDetails"))
        or next(iter(unique(address(pick(i, "privateIpAddress")) for i in interfaces)), None),
        "local_port": port(pick(action, "localPortDetails", "port")),
        "remote_address": _address(pick(action, "remoteIpDetails")),
        "remote_port": port(pick(action, "remotePortDetails", "port")),
        "protocol": (text(pick(action, "protocol")) or "").upper() or None,
        "direction": text(pick(action, "connectionDirection")),
        "blocked": flag(pick(action, "blocked")),
        "domain": domain(pick(service, "action", "dnsRequestAction", "domain")),
        "api": text(pick(action, "api")),
        "access_key_id": text(pick(resource, "accessKeyDetails", "accessKeyId")),
        "principal_name": text(pick(resource, "accessKeyDetails", "userName")),
        "archived": flag(pick(service, "archived")),
        "sample": flag(pick(more, "sample")) or False,
        "threat_lists": unique(
            [
                text(pick(more, "threatListName")),
                *(
                    text(pick(each, "threatListName"))
                    for each in items(pick(service, "evidence", "threatIntelligenceDetails"))
                ),
            ]
        ),
    }


def _unwrap(value: object) -> object:
    inside = value.get("detail") if isinstance(value, dict) and "detail-type" in value else None
    return inside if isinstance(inside, dict) else value


def _is_finding(value: object) -> bool:
    finding = _unwrap(value)
    return (
        text(pick(finding, "type")) is not None
        and pick(finding, "productArn") is None  # Security Hub
        and sum(pick(finding, mark) is not None for mark in _MARKS) >= _MARKS_NEEDED
    )


def _action(service: object) -> dict[str, object]:
    """What happened, whichever action it was; of several port probes the first."""
    action = pick(service, "action")
    for name in ("networkConnectionAction", "portProbeAction", "dnsRequestAction"):
        if isinstance(found := pick(action, name), dict):
            probes = items(pick(found, "portProbeDetails"))
            first = probes[0] if probes and isinstance(probes[0], dict) else {}
            return found | first
    for name in ("awsApiCallAction", "rdsLoginAttemptAction", "kubernetesApiCallAction"):
        if isinstance(found := pick(action, name), dict):
            return found
    return {}


def _address(details: object) -> str | None:
    return address(pick(details, "ipAddressV4")) or address(pick(details, "ipAddressV6"))


def _label(severity: float | None) -> str | None:
    if severity is None:
        return None
    return next((label for below, label in _BANDS if severity < below), "critical")
