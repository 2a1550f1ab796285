"""GuardDuty findings, in the spelling of the API (``Findings``) or of its exports and events."""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import address, domain, flag, items, number, parse_json, pick, text

KIND = "guardduty"

_SEVERITY_LIMITS = ((4.0, "low"), (7.0, "medium"), (9.0, "high"))


def _label(value: object) -> str | None:
    severity = number(value)
    if severity is None:
        return None
    return next((label for limit, label in _SEVERITY_LIMITS if severity < limit), "critical")


def _upper(value: object) -> str | None:
    return (text(value) or "").upper() or None


def _is_sample(details: object) -> bool:
    return flag(pick(details, "sample")) or False


# ``action`` and ``details`` are set by _normalize.
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
    Column("instance_id", "resource.instanceDetails.instanceId", "affected instance"),
    Column(
        "interface_ids",
        "action.localNetworkInterface,"
        " resource.instanceDetails.networkInterfaces[].networkInterfaceId",
        "its network interfaces, that of the activity first",
        "strings",
    ),
    Column(
        "local_address",
        "action.localIpDetails.ipAddressV4, action.localIpDetails.ipAddressV6,"
        " resource.instanceDetails.networkInterfaces[].privateIpAddress",
        "local address of the traffic, else the private address of the instance",
        convert=address,
    ),
    Column("local_port", "action.localPortDetails.port", "local port", "int32"),
    Column(
        "remote_address",
        "action.remoteIpDetails.ipAddressV4, action.remoteIpDetails.ipAddressV6",
        "remote address of the traffic, or of the API caller",
        convert=address,
    ),
    Column("remote_port", "action.remotePortDetails.port", "remote port", "int32"),
    Column("protocol", "action.protocol", "TCP, UDP, … in capitals", convert=_upper),
    Column("direction", "action.connectionDirection", "INBOUND, OUTBOUND or UNKNOWN"),
    Column("blocked", "action.blocked", "whether the connection was blocked", "bool"),
    Column(
        "domain", "service.action.dnsRequestAction.domain", "domain name queried", convert=domain
    ),
    Column("api", "action.api", "API called"),
    Column("access_key_id", "resource.accessKeyDetails.accessKeyId", "affected access key"),
    Column("principal_name", "resource.accessKeyDetails.userName", "its user or role"),
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
_CALL_ACTIONS = ("awsApiCallAction", "rdsLoginAttemptAction", "kubernetesApiCallAction")


def matches(value: object) -> list[object] | None:
    """Return the findings in a JSON value, or None for anything else.

    An answer of get-findings, bare findings and lists of them, EventBridge events. Security Hub's
    findings are another kind. An answer of list-findings is matched to be refused with a reason.
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
    details = pick(finding, "service", "additionalInfo")
    # The API has it as {"Type": …, "Value": "<JSON>"}.
    details = parse_json(pick(details, "value")) or details
    action = _action(pick(finding, "service", "action"))
    return finding | {"action": action, "details": details or {}}


def _action(actions: object) -> dict[str, object]:
    """Return the one action of a finding; of several port probes the first."""
    for name in (*_CONNECTION_ACTIONS, *_CALL_ACTIONS):
        if isinstance(action := pick(actions, name), dict):
            probes = items(pick(action, "portProbeDetails")) if name in _CONNECTION_ACTIONS else []
            return action | (probes[0] if probes and isinstance(probes[0], dict) else {})
    return {}


def _unwrap(value: object) -> object:
    """Return the finding in an EventBridge event, or the value itself."""
    detail = value.get("detail") if isinstance(value, dict) and "detail-type" in value else None
    return detail if isinstance(detail, dict) else value


def _is_finding(value: object) -> bool:
    finding = _unwrap(value)
    return (
        text(pick(finding, "type")) is not None
        and pick(finding, "productArn") is None  # Security Hub
        and sum(pick(finding, key) is not None for key in _OTHER_KEYS) >= _OTHER_KEYS_NEEDED
    )
