"""CloudTrail: who called which API, from where, and which interfaces and instances it was about.

Request and response are kept as JSON, without their secrets: evidence gets copied and shared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.io.redact import redact, scrub
from flowbench.loaders.values import (
    address,
    brief,
    flag,
    items,
    parse,
    pick,
    struct,
    text,
    time,
    unique,
)

KIND = "cloudtrail"

TABLE = schema.Table.of(
    "api_events",
    ("event_id", "string", "AWS's id of the event; null in records before version 1.01"),
    ("event_time", "time", "when the request ended"),
    ("event_source", "string", "service called: ec2.amazonaws.com, …"),
    ("event_name", "string", "API called: RunInstances, …"),
    ("aws_region", "string", "region called"),
    ("account_id", "string", "account that received the event"),
    ("principal_type", "string", "IAMUser, AssumedRole, Root, AWSService, …"),
    ("principal_arn", "string", "who called"),
    ("principal_id", "string", "AIDA…, AROA…:session, …"),
    ("principal_name", "string", "user name; role/session; root; the service that called"),
    ("access_key_id", "string", "key the request was signed with"),
    ("issuer_arn", "string", "role or user that issued the session"),
    ("source_ip", "string", "caller's address, a service's DNS name, or AWS Internal"),
    ("user_agent", "string", "caller's program, as it calls itself"),
    ("error_code", "string", "null when the call succeeded"),
    ("error_message", "string", "why it failed"),
    ("read_only", "bool", "whether the call only reads"),
    ("event_type", "string", "AwsApiCall, AwsServiceEvent, AwsConsoleSignIn, …"),
    ("instance_ids", "strings", "instances named in request, response and resources"),
    ("interface_ids", "strings", "network interfaces named there"),
    ("addresses", "strings", "IP addresses of machines named in request and response"),
    ("target_user", "string", "IAM user the request names"),
    ("new_access_key_id", "string", "access key the call handed out"),
    ("shared_event_id", "string", "same in every account that got this event"),
    ("vpc_endpoint_id", "string", "endpoint the request came through"),
    ("request", "string", "requestParameters as JSON, secrets redacted"),
    ("response", "string", "responseElements as JSON, secrets redacted"),
    *schema.ORIGIN,
    schema.ITEM,
)

_MARKS = {"eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion"}
_MARKS_NEEDED = 3
_DEEPEST = 10  # levels of a user identity; real ones have three
_DIGEST = {"digestS3Bucket", "digestS3Object", "logFiles"}

# Athena and Lake give column names in small letters, the names inside useridentity too.
_NAMES = {
    name.lower(): name
    for name in (
        *_MARKS,
        *("sourceIPAddress", "userAgent", "errorCode", "errorMessage", "requestParameters"),
        *("responseElements", "additionalEventData", "requestID", "eventID", "eventType"),
        *("apiVersion", "readOnly", "resources", "recipientAccountId", "sharedEventID"),
        *("vpcEndpointId", "serviceEventDetails", "managementEvent", "eventCategory"),
        *("type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy"),
        *("sessionContext", "sessionIssuer", "attributes", "creationDate", "mfaAuthenticated"),
        *("onBehalfOf", "userId", "identityStoreArn"),
    )
}
_SMALL = {name.lower() for name in _MARKS}

_INSTANCE = re.compile(r"(?:^|instance/)(m?i-[0-9A-Za-z]{4,})$")
_INTERFACE = re.compile(r"(?:^|network-interface/)(eni-[0-9A-Za-z]{4,})$")
_ADDRESS_KEY = re.compile(r"(?:ipv?[46]?address(?:es|v[46])?|privateip|publicip|carrierip)$")


def matches(value: object) -> list[object] | None:
    """The CloudTrail records in a JSON value, or None for anything else.

    A trail's file (``Records``), an answer of lookup-events (``Events``) or elements of it, bare
    records and lists of them, EventBridge events, rows of Athena and of CloudTrail Lake. Digest
    files are claimed to be refused by name.
    """
    if isinstance(value, dict) and value.keys() >= _DIGEST:
        return [value]
    for name in ("Records", "Events"):
        found = value.get(name) if isinstance(value, dict) else None
        if isinstance(found, list) and (any(map(_is_event, found)) or value == {name: []}):
            return found
    listed = value if isinstance(value, list) else [value]
    return listed if any(map(_is_event, listed)) else None


def to_row(record: object) -> dict[str, object]:
    """One event as a row of TABLE. Raises BadRecord without a name or a time."""
    record, resources = _unwrap(record)
    name = text(record.get("eventName"))
    if name is None:
        raise BadRecord("no eventName")
    when = record.get("eventTime")
    event_time = time(when)
    if event_time is None:
        raise BadRecord("no eventTime" if not when else f"eventTime is not a time: {brief(when)}")
    request = _content(record.get("requestParameters"))
    response = _content(record.get("responseElements"))
    named = [
        *_named(request),
        *_named(response),
        *_named(_content(record.get("serviceEventDetails"))),
        *(("", found) for found in resources),
    ]
    who = record.get("userIdentity")
    return {
        "event_id": text(record.get("eventID")),
        "event_time": event_time,
        "event_source": text(record.get("eventSource")),
        "event_name": name,
        "aws_region": text(record.get("awsRegion")),
        "account_id": text(record.get("recipientAccountId")) or text(pick(who, "accountId")),
        "principal_type": text(pick(who, "type")),
        "principal_arn": text(pick(who, "arn")),
        "principal_id": text(pick(who, "principalId")),
        "principal_name": _principal(who),
        "access_key_id": text(pick(who, "accessKeyId")),
        "issuer_arn": text(pick(who, "sessionContext", "sessionIssuer", "arn")),
        "source_ip": text(record.get("sourceIPAddress")),
        "user_agent": scrub(text(record.get("userAgent")) or "") or None,
        "error_code": text(record.get("errorCode")),
        "error_message": scrub(text(record.get("errorMessage")) or "") or None,
        "read_only": flag(record.get("readOnly")),
        "event_type": text(record.get("eventType")),
        "instance_ids": unique(_match(_INSTANCE, found) for _, found in named),
        "interface_ids": unique(_match(_INTERFACE, found) for _, found in named),
        "addresses": unique(address(found) for key, found in named if _ADDRESS_KEY.search(key)),
        "target_user": text(pick(request, "userName")),
        "new_access_key_id": text(pick(response, "accessKey", "accessKeyId"))
        or text(pick(response, "credentials", "accessKeyId")),
        "shared_event_id": text(record.get("sharedEventID")),
        "vpc_endpoint_id": text(record.get("vpcEndpointId")),
        "request": _json(request),
        "response": _json(response),
    }


def _is_event(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    if "CloudTrailEvent" in value:
        return True
    event = value["detail"] if "detail-type" in value and "detail" in value else value
    # S3 event notifications have nearly the same keys, and one of their own.
    if not isinstance(event, dict) or "s3" in event:
        return False
    keys = event.keys()
    return max(len(keys & _MARKS), len(keys & _SMALL)) >= _MARKS_NEEDED


def _unwrap(record: object) -> tuple[dict[str, object], list[str]]:
    """The CloudTrail record itself, and the ids and ARNs it is about by its own or outer list."""
    if not isinstance(record, dict):
        raise BadRecord("not a CloudTrail event: no JSON object")
    event: dict[str, object] = record
    if "CloudTrailEvent" in record:
        inside = record["CloudTrailEvent"]
        found = inside if isinstance(inside, dict) else parse(inside)
        if not isinstance(found, dict):
            raise BadRecord("CloudTrailEvent holds no JSON object")
        event = found
    elif "detail-type" in record and isinstance(record.get("detail"), dict):
        event = record["detail"]
    if event.keys() & _SMALL or isinstance(event.get("userIdentity"), str):
        event = _spelt(event)
    if event.keys() >= _DIGEST:
        raise BadRecord("a CloudTrail digest: it proves other files whole, and holds no events")
    if "insightDetails" in event or event.get("eventCategory") == "Insight":
        raise BadRecord("a CloudTrail Insights event: it says what was unusual, and is no API call")
    ids = [text(pick(each, "resourceName")) for each in items(record.get("Resources"))]
    named = items(event.get("resources"))
    arns = [text(pick(each, "ARN")) or text(pick(each, "arn")) for each in named]
    return event, unique([*ids, *arns])


def _spelt(row: dict[str, object]) -> dict[str, object]:
    """A row of Athena or Lake in the spelling of a record, its structs read where they are text."""
    event = {_NAMES.get(name, name): value for name, value in row.items()}
    for name in ("userIdentity", "resources"):
        inside = event.get(name)
        if isinstance(inside, str):
            found = parse(inside)
            inside = struct(inside) if found is None else found
        event[name] = _renamed(inside)
    return event


def _renamed(value: object, depth: int = 0) -> object:
    if depth > _DEEPEST:
        return None
    if isinstance(value, list):
        return [_renamed(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {_NAMES.get(key, key): _renamed(each, depth + 1) for key, each in value.items()}
    return value


def _content(value: object) -> object:
    """Request or response: an object, or (from Athena and Lake) the JSON text of one."""
    inside = parse(value)
    return redact(inside if isinstance(inside, dict | list) else value)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _named(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a JSON value that ``redact`` bounded, with its key in small letters."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for element in value:
            yield from _named(element, key)
    elif isinstance(value, dict):
        for name, element in value.items():
            # Lists put a level of their own between the key and its values.
            yield from _named(element, key if name in {"items", "item"} else name.lower())


def _principal(who: object) -> str | None:
    """The short name a person would use for the caller."""
    kind = text(pick(who, "type"))
    arn = text(pick(who, "arn")) or ""
    if kind == "Root":
        return "root"
    for part in (":assumed-role/", ":federated-user/"):
        if part in arn:
            return arn.partition(part)[2] or None
    last = arn.rpartition("/")[2] if ":user/" in arn else None
    return (
        text(pick(who, "userName"))
        or last
        or text(pick(who, "onBehalfOf", "userId"))
        or text(pick(who, "invokedBy"))
        or text(pick(who, "principalId"))
        or text(pick(who, "accountId"))
    )


def _match(pattern: re.Pattern[str], value: str) -> str | None:
    found = pattern.search(value)
    return found[1] if found else None
