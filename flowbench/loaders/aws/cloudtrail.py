"""CloudTrail: who called which API, from where, and on which interfaces and instances.

Request and response are kept as JSON without secrets, since evidence gets copied and shared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from flowbench.errors import BadRecord
from flowbench.io.redact import redact, redact_text
from flowbench.loaders.aws import cloudtrail_rows
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import address, items, parse_json, pick, text, unique

KIND = "cloudtrail"

_EVENT_KEYS = {"eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion"}
_EVENT_KEYS_NEEDED = 3
_DIGEST_KEYS = {"digestS3Bucket", "digestS3Object", "logFiles"}

_INSTANCE = re.compile(r"(?:^|instance/)(m?i-[0-9A-Za-z]{4,})$")
_INTERFACE = re.compile(r"(?:^|network-interface/)(eni-[0-9A-Za-z]{4,})$")
_ADDRESS_KEY = re.compile(r"(?:ipv?[46]?address(?:es|v[46])?|privateip|publicip|carrierip)$")

Mention = tuple[str, str]  # a string in a request or response: its key in lower case, its value


def _principal_name(identity: object) -> str | None:
    """Return the short name of the caller, as a person would write it."""
    identity_type = text(pick(identity, "type"))
    arn = text(pick(identity, "arn")) or ""
    if identity_type == "Root":
        return "root"
    for part in (":assumed-role/", ":federated-user/"):
        if part in arn:
            return arn.partition(part)[2] or None
    user_name = arn.rpartition("/")[2] if ":user/" in arn else None
    return (
        text(pick(identity, "userName"))
        or user_name
        or text(pick(identity, "onBehalfOf", "userId"))
        or text(pick(identity, "invokedBy"))
        or text(pick(identity, "principalId"))
        or text(pick(identity, "accountId"))
    )


def _scrubbed(value: object) -> str | None:
    return redact_text(text(value) or "") or None


def _to_json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _instance_id(mention: Mention) -> str | None:
    return match[1] if (match := _INSTANCE.search(mention[1])) else None


def _interface_id(mention: Mention) -> str | None:
    return match[1] if (match := _INTERFACE.search(mention[1])) else None


def _address(mention: Mention) -> str | None:
    return address(mention[1]) if _ADDRESS_KEY.search(mention[0]) else None


# The request, the response and the mentions are prepared by _normalize.
TABLE = record_table(
    "api_events",
    "a CloudTrail event",
    Column("event_id", "eventID", "AWS's id of it; null before version 1.01"),
    Column("event_time", "eventTime", "when the request ended", "time", required=True),
    Column("event_source", "eventSource", "service called: ec2.amazonaws.com, …"),
    Column("event_name", "eventName", "API called: RunInstances, …", required=True),
    Column("aws_region", "awsRegion", "region called"),
    Column("account_id", "recipientAccountId, userIdentity.accountId", "account with the event"),
    Column("principal_type", "userIdentity.type", "IAMUser, AssumedRole, Root, …"),
    Column("principal_arn", "userIdentity.arn", "ARN of the caller"),
    Column("principal_id", "userIdentity.principalId", "AIDA…, AROA…:session, …"),
    Column(
        "principal_name",
        "userIdentity",
        "user name; role/session; root; the service that called",
        convert=_principal_name,
    ),
    Column("access_key_id", "userIdentity.accessKeyId", "access key that signed the request"),
    Column(
        "issuer_arn", "userIdentity.sessionContext.sessionIssuer.arn", "role or user of the session"
    ),
    Column("source_ip", "sourceIPAddress", "address or DNS name of the caller, or AWS Internal"),
    Column("user_agent", "userAgent", "client program, as reported by itself", convert=_scrubbed),
    Column("error_code", "errorCode", "null when the call succeeded"),
    Column("error_message", "errorMessage", "why it failed", convert=_scrubbed),
    Column("read_only", "readOnly", "whether the call only reads", "bool"),
    Column("event_type", "eventType", "AwsApiCall, AwsServiceEvent, …"),
    Column("mfa_used", "additionalEventData.MFAUsed", "Yes or No; of ConsoleLogin only"),
    Column(
        "instance_ids", "mentions[]", "instances in request and response", "strings", _instance_id
    ),
    Column("interface_ids", "mentions[]", "interfaces in them", "strings", _interface_id),
    Column("addresses", "mentions[]", "IP addresses in them", "strings", _address),
    Column("target_user", "requestParameters.userName", "IAM user in the request"),
    Column(
        "new_access_key_id",
        "responseElements.accessKey.accessKeyId, responseElements.credentials.accessKeyId",
        "access key that the call returned",
    ),
    Column("shared_event_id", "sharedEventID", "same in every account with this event"),
    Column("vpc_endpoint_id", "vpcEndpointId", "VPC endpoint of the request"),
    Column("request", "requestParameters", "JSON, secrets redacted", convert=_to_json),
    Column("response", "responseElements", "JSON, secrets redacted", convert=_to_json),
)


def matches(value: object) -> list[object] | None:
    """Return the CloudTrail records in a JSON value, or None for anything else.

    A trail's file (``Records``), an answer of lookup-events (``Events``) or elements of it, bare
    records and lists of them, EventBridge events, rows of tables (see ``cloudtrail_rows``). Digest
    files match too, so that they are refused with a reason.
    """
    if isinstance(value, dict) and value.keys() >= _DIGEST_KEYS:
        return [value]
    for key in ("Records", "Events"):
        records = value.get(key) if isinstance(value, dict) else None
        if isinstance(records, list) and (any(map(_is_event, records)) or value == {key: []}):
            return records
    records = value if isinstance(value, list) else [value]
    return records if any(map(_is_event, records)) else None


def to_row(record: object) -> Row:
    """Read one event. Raises BadRecord without a name or a time."""
    return TABLE.to_row(_normalize(record))


def _is_event(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    if "CloudTrailEvent" in value:
        return True
    event = value["detail"] if "detail-type" in value and "detail" in value else value
    # S3 event notifications have nearly the same keys, and one of their own.
    if not isinstance(event, dict) or "s3" in event:
        return False
    if len(event.keys() & _EVENT_KEYS) >= _EVENT_KEYS_NEEDED:
        return True
    return cloudtrail_rows.is_row(event)


def _normalize(record: object) -> dict[str, object]:
    """Unwrap an event, redact its request and response, and collect what they mention."""
    if not isinstance(record, dict):
        raise BadRecord("not a CloudTrail event: no JSON object")
    event = _unwrap(record)
    contents = {
        key: _content(event.get(key))
        for key in ("requestParameters", "responseElements", "serviceEventDetails")
    }
    # The list in an answer of lookup-events, and the event's own.
    names = [text(pick(each, "resourceName")) for each in items(record.get("Resources"))]
    resources = items(event.get("resources"))
    keys = ("ARN", "arn", "resourceName")
    arns = [next(filter(None, (text(pick(each, k)) for k in keys)), None) for each in resources]
    mentions = [mention for content in contents.values() for mention in _mentions(content)]
    mentions += [("", name) for name in unique([*names, *arns])]
    # Athena and Lake give the JSON text of an object.
    additional = event.get("additionalEventData")
    additional = parse_json(additional) if isinstance(additional, str) else additional
    return event | contents | {"mentions": mentions, "additionalEventData": additional}


def _unwrap(record: dict[str, object]) -> dict[str, object]:
    """Return the event in an element of lookup-events, an EventBridge event or a row."""
    event = record
    if "CloudTrailEvent" in record:
        content = record["CloudTrailEvent"]
        content = content if isinstance(content, dict) else parse_json(content)
        if not isinstance(content, dict):
            raise BadRecord("CloudTrailEvent holds no JSON object")
        event = content
    elif "detail-type" in record and isinstance(detail := record.get("detail"), dict):
        event = detail
    if not isinstance(event.get("userIdentity"), dict) and cloudtrail_rows.is_row(event):
        event = cloudtrail_rows.to_event(event)
    if event.keys() >= _DIGEST_KEYS:
        raise BadRecord("a CloudTrail digest file: it lists hashes of log files, not events")
    if "insightDetails" in event or event.get("eventCategory") == "Insight":
        raise BadRecord("a CloudTrail Insights event: it reports unusual activity, not an API call")
    return event


def _content(value: object) -> object:
    """Redact a request or response: an object, or (from Athena and Lake) the JSON text of one."""
    parsed = parse_json(value)
    if parsed is None and value == "null":
        return None
    return redact(parsed if isinstance(parsed, dict | list) else value)


def _mentions(value: object, key: str = "") -> Iterator[Mention]:
    """Yield every string in a value whose depth ``redact`` limited, with its key in lower case."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for element in value:
            yield from _mentions(element, key)
    elif isinstance(value, dict):
        for name, element in value.items():
            # AWS's lists add a level between the key and its values.
            yield from _mentions(element, key if name in {"items", "item"} else name.lower())
