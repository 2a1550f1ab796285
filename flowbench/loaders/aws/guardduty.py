"""GuardDuty findings, in the spelling of the API (``Findings``) or of its exports and events.

A finding may name several remote addresses: of port probes, and of the endpoints of an attack
sequence, which has no action of its own. A row has the first of each, and all of them as lists.
"""

from __future__ import annotations

import re

from flowbench.errors import BadRecord
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import (
    address,
    domain,
    flag,
    items,
    number,
    parse_json,
    pick,
    port,
    text,
)

KIND = "guardduty"

_INSTANCE = re.compile(r"(?:^|instance/)(m?i-[0-9A-Za-z]+)$")
_INTERFACE = re.compile(r"(?:^|network-interface/)(eni-[0-9A-Za-z]+)$")
_SEVERITY_LIMITS = ((4.0, "low"), (7.0, "medium"), (9.0, "high"))


def _label(value: object) -> str | None:
    severity = number(value)
    if severity is None:
        return None
    return next((label for limit, label in _SEVERITY_LIMITS if severity < limit), "critical")


def _upper(value: object) -> str | None:
    return (text(value) or "").upper() or None


def _port_text(value: object) -> str | None:
    number_ = port(value)
    return None if number_ is None else str(number_)


def _instance(value: object) -> str | None:
    """Return the instance that an ARN or id names."""
    return match[1] if (match := _INSTANCE.search(text(value) or "")) else None


def _interface(value: object) -> str | None:
    """Return the interface that an ARN or id names."""
    return match[1] if (match := _INTERFACE.search(text(value) or "")) else None


def _is_sample(details: object) -> bool:
    return flag(pick(details, "sample")) or False


_LOCAL = (
    "actions[].localIpDetails.ipAddressV4, actions[].localIpDetails.ipAddressV6,"
    " sequenceAddresses[]"
)
_REMOTE = (
    "actions[].remoteIpDetails.ipAddressV4, actions[].remoteIpDetails.ipAddressV6, endpoints[].ip"
)
_LOCAL_PORT = "actions[].localPortDetails.port"
_REMOTE_PORT = "actions[].remotePortDetails.port, endpoints[].port"
_DOMAIN = "service.action.dnsRequestAction.domain, endpoints[].domain"
_INSTANCE_ID = "resource.instanceDetails.instanceId, resources[].uid"
_KEY = "resource.accessKeyDetails.accessKeyId, actors[].user.credentialUid, sequenceKeys[]"
_PRINCIPAL = (
    "resource.accessKeyDetails.userName, actors[].user.name, resources[].data.accessKey.userName"
)

# _normalize sets ``action``, ``actions`` (one for each port probe) and ``details``, and from an
# attack sequence ``endpoints``, ``actors``, ``resources``, ``sequenceAddresses`` and
# ``sequenceKeys``.
TABLE = record_table(
    "alerts",
    "a GuardDuty finding",
    Column("alert_id", "id", "id of the finding, the same in all updates", required=True),
    Column("type", "type", "CryptoCurrency:EC2/BitcoinTool.B, …", required=True),
    Column("title", "title", "one line"),
    Column("description", "description", "a paragraph"),
    Column("severity", "severity", "1.0 to 10.0", "float64"),
    Column(
        "severity_label", "severity", "low; from 4 medium, 7 high, 9 critical", "string", _label
    ),
    Column("account_id", "accountId", "account of the resource"),
    Column("region", "region", "AWS region"),
    Column("created_at", "createdAt", "when GuardDuty first reported it", "time"),
    Column("updated_at", "updatedAt, createdAt", "when it was last updated", "time", required=True),
    Column("first_seen", "service.eventFirstSeen", "first activity of the finding", "time"),
    Column("last_seen", "service.eventLastSeen", "last activity of the finding", "time"),
    Column("count", "service.count", "number of observations of the activity", "int64"),
    Column("resource_type", "resource.resourceType", "Instance, AccessKey, S3Bucket, …"),
    Column("instance_id", _INSTANCE_ID, "affected instance", convert=_instance),
    Column("instance_ids", _INSTANCE_ID, "all affected instances", "strings", _instance),
    Column(
        "interface_ids",
        "action.localNetworkInterface,"
        " resource.instanceDetails.networkInterfaces[].networkInterfaceId, resources[].uid",
        "its network interfaces, that of the activity first",
        "strings",
        _interface,
    ),
    Column(
        "local_address",
        f"{_LOCAL}, resource.instanceDetails.networkInterfaces[].privateIpAddress",
        "local address of the traffic, else the private address of the instance",
        convert=address,
    ),
    Column("local_addresses", _LOCAL, "all local addresses of the traffic", "strings", address),
    Column("local_port", _LOCAL_PORT, "local port", "int32"),
    Column("local_ports", _LOCAL_PORT, "all local ports, as text", "strings", _port_text),
    Column(
        "remote_address",
        _REMOTE,
        "remote address of the traffic, or of the API caller",
        convert=address,
    ),
    Column("remote_addresses", _REMOTE, "all remote addresses", "strings", address),
    Column("remote_port", _REMOTE_PORT, "remote port", "int32"),
    Column("remote_ports", _REMOTE_PORT, "all remote ports, as text", "strings", _port_text),
    Column("protocol", "action.protocol", "TCP, UDP, … in capitals", convert=_upper),
    Column("direction", "action.connectionDirection", "INBOUND, OUTBOUND or UNKNOWN"),
    Column("blocked", "action.blocked", "whether the connection was blocked", "bool"),
    Column("domain", _DOMAIN, "domain name queried", convert=domain),
    Column("domains", _DOMAIN, "all domain names", "strings", domain),
    Column("api", "action.api", "API called"),
    Column(
        "action_type",
        "service.action.actionType",
        "NETWORK_CONNECTION, PORT_PROBE, DNS_REQUEST, AWS_API_CALL, …",
    ),
    Column("access_key_id", _KEY, "affected access key"),
    Column("access_key_ids", _KEY, "all access keys", "strings"),
    Column("principal_name", _PRINCIPAL, "its user or role"),
    Column("principal_names", _PRINCIPAL, "all users and roles", "strings"),
    Column("resources", "resources[].uid", "ids of all resources of an attack sequence", "strings"),
    Column("signals", "signals[].name", "what an attack sequence consists of", "strings"),
    Column(
        "signal_types", "signals[].type", "FINDING, CLOUD_TRAIL, FLOW_LOGS, DNS_LOGS, …", "strings"
    ),
    Column("archived", "service.archived", "whether the finding is archived", "bool"),
    Column("sample", "details", "whether it is a sample finding", "bool", _is_sample),
    Column(
        "threat_lists",
        "details.threatListName, service.evidence.threatIntelligenceDetails[].threatListName",
        "threat lists with the remote address or domain",
        "strings",
    ),
)

_OTHER_KEYS = ("arn", "schemaVersion", "severity", "resource", "service", "createdAt", "updatedAt")
_OTHER_KEYS_NEEDED = 4
_CONNECTION_ACTIONS = ("networkConnectionAction", "portProbeAction", "dnsRequestAction")
_SEQUENCE_LISTS = ("endpoints", "actors", "resources", "signals")
_CALL_ACTIONS = ("awsApiCallAction", "rdsLoginAttemptAction", "kubernetesApiCallAction")


def matches(value: object) -> list[object] | None:
    """Return the findings in a JSON value, or None for anything else.

    An answer of get-findings, bare findings and lists of them, EventBridge events. An answer of
    list-findings, and findings of Security Hub, are matched to be refused with a reason.
    """
    if isinstance(pick(value, "findingIds"), list):
        return [value]
    findings = pick(value, "findings")
    if isinstance(findings, list) and (any(map(_is_finding, findings)) or not findings):
        return findings
    records = value if isinstance(value, list) else [value]
    return records if any(map(_is_finding, records)) else None


def to_row(record: object) -> Row:
    """Read one finding. Raises BadRecord without an id, a type or a time."""
    return TABLE.to_row(_normalize(_unwrap(record)))


def _normalize(finding: object) -> object:
    """Add the finding's ``action``, whichever it is, and its additional information, parsed."""
    if not isinstance(finding, dict):
        return finding
    if "id" not in finding and isinstance(pick(finding, "findingIds"), list):
        raise BadRecord("an answer of list-findings, which has only ids: record get-findings")
    if _is_of_security_hub(finding):
        raise BadRecord(
            "a Security Hub finding (ASFF), without traffic details: export it from GuardDuty"
        )
    details = pick(finding, "service", "additionalInfo")
    # The API has it as {"Type": …, "Value": "<JSON>"}.
    details = parse_json(pick(details, "value")) or details
    action = _action(pick(finding, "service", "action"))
    probes = [each for each in items(pick(action, "portProbeDetails")) if isinstance(each, dict)]
    sequence = pick(finding, "service", "detection", "sequence")
    return (
        finding
        | {"action": action, "actions": probes or [action], "details": details or {}}
        | {name: items(pick(sequence, name)) for name in _SEQUENCE_LISTS}
        | {
            "sequenceAddresses": _interface_addresses(sequence),
            "sequenceKeys": _access_keys(sequence),
        }
    )


def _action(actions: object) -> dict[str, object]:
    """Return the one action of a finding."""
    names = (*_CONNECTION_ACTIONS, *_CALL_ACTIONS)
    found = (action for name in names if isinstance(action := pick(actions, name), dict))
    return next(found, {})


def _interface_addresses(sequence: object) -> list[object]:
    """Return the private addresses of the interfaces of an attack sequence."""
    return [
        pick(pair, "privateIpAddress")
        for resource in items(pick(sequence, "resources"))
        for pair in items(pick(resource, "data", "ec2NetworkInterface", "privateIpAddresses"))
    ]


def _access_keys(sequence: object) -> list[object]:
    """Return the access keys among the resources of an attack sequence."""
    resources = items(pick(sequence, "resources"))
    return [pick(r, "uid") for r in resources if pick(r, "data", "accessKey") is not None]


def _unwrap(value: object) -> object:
    """Return the finding in an EventBridge event, or the value itself."""
    detail = value.get("detail") if isinstance(value, dict) and "detail-type" in value else None
    return detail if isinstance(detail, dict) else value


def _is_finding(value: object) -> bool:
    finding = _unwrap(value)
    return _is_of_security_hub(finding) or (
        text(pick(finding, "type")) is not None
        and sum(pick(finding, key) is not None for key in _OTHER_KEYS) >= _OTHER_KEYS_NEEDED
    )


def _is_of_security_hub(finding: object) -> bool:
    return text(pick(finding, "productArn")) is not None
