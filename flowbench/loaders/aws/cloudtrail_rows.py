"""CloudTrail events in rows of tables: restores the names and nested values of events.

Athena and CloudTrail Lake have lower-case names and structs as text, the console's event history
has display names (``User name``, ``AWS access key``), Microsoft Sentinel one column for each
part of the user identity, Tailpipe words with underscores. A flattened event has dots. Names are
compared by their letters and digits only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from flowbench.loaders.values import JsonObject, parse_json, parse_struct

Path = tuple[str, ...]

_MAX_DEPTH = 10  # levels of a user identity; real ones have three
_NEEDED = 3  # columns that only CloudTrail has together
_FLATTENED = ("requestParameters", "responseElements", "additionalEventData")
_TOP = (
    *("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion"),
    *("sourceIPAddress", "userAgent", "errorCode", "errorMessage", "requestParameters"),
    *("responseElements", "additionalEventData", "requestID", "eventID", "eventType"),
    *("apiVersion", "readOnly", "resources", "recipientAccountId", "sharedEventID"),
    *("vpcEndpointId", "serviceEventDetails", "managementEvent", "eventCategory"),
)
_IDENTITY = (
    *("type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy"),
    "sessionContext",
)
_ISSUER = ("type", "principalId", "arn", "accountId", "userName")
_ISSUER_PATH = ("userIdentity", "sessionContext", "sessionIssuer")
_ATTRIBUTES = ("creationDate", "mfaAuthenticated")
_SPELLINGS = {
    name.lower(): name
    for name in (
        *(*_TOP, *_IDENTITY, *_ISSUER, *_ATTRIBUTES),
        *("sessionIssuer", "attributes", "onBehalfOf", "userId", "identityStoreArn"),
    )
}
_PATHS: Mapping[str, Path] = (
    {name.lower(): (name,) for name in _TOP}
    | {f"useridentity{name.lower()}": ("userIdentity", name) for name in _IDENTITY}
    | {f"sessionissuer{name.lower()}": (*_ISSUER_PATH, name) for name in _ISSUER}
    | {
        f"useridentitysessioncontextsessionissuer{name.lower()}": (*_ISSUER_PATH, name)
        for name in _ISSUER
    }
    | {
        "username": ("userIdentity", "userName"),
        "awsaccesskey": ("userIdentity", "accessKeyId"),
        "accesskeyid": ("userIdentity", "accessKeyId"),
        "principalid": ("userIdentity", "principalId"),
        "resourcename": ("resources", "resourceName"),
        "resourcetype": ("resources", "resourceType"),
        "awseventid": ("eventID",),
        "eventtypename": ("eventType",),
        "timegenerated": ("eventTime",),
        "timegeneratedutc": ("eventTime",),
        "timestamp": ("eventTime",),
    }
)
_OWN = {"eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion"}


def is_row(value: JsonObject) -> bool:
    """Whether an object is a CloudTrail event with other names than an event has."""
    return _find_paths(tuple(value)) is not None


def to_event(row: JsonObject) -> JsonObject:
    """Return a row as a CloudTrail event, its structs parsed."""
    event: JsonObject = {}
    paths = _find_paths(tuple(row)) or {}
    cells = ((paths.get(name, (name,)), value) for name, value in row.items())
    for path, value in sorted(cells, key=lambda cell: len(cell[0])):
        if value is None or value == "":
            continue
        parent = event
        for key in path[:-1]:
            nested = parent.setdefault(key, {})
            parent = nested if isinstance(nested, dict) else {}
        if path in (("userIdentity",), ("resources",)):
            parent.setdefault(path[-1], _restore_names(_parse(value)))
        else:
            parent.setdefault(path[-1], value)
    return event


@lru_cache(maxsize=512)
def _find_paths(names: tuple[str, ...]) -> dict[str, Path] | None:
    """Return where the columns belong in an event; None when they are not of CloudTrail."""
    paths = {}
    for name in names:
        parent, _, rest = name.partition(".")
        if rest and parent in _FLATTENED:
            paths[name] = tuple(name.split("."))
        elif path := _PATHS.get(re.sub(r"[^a-z0-9]", "", name.lower())):
            paths[name] = path
    own = {path[0] for path in paths.values()} & _OWN
    return paths if {"eventName", "eventTime"} <= own and len(own) >= _NEEDED else None


def _parse(value: object) -> object:
    if not isinstance(value, str):
        return value
    parsed = parse_json(value)
    return parse_struct(value) if parsed is None else parsed


def _restore_names(value: object, depth: int = 0) -> object:
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [_restore_names(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {
            _SPELLINGS.get(re.sub(r"[^a-z0-9]", "", key.lower()), key): _restore_names(
                each, depth + 1
            )
            for key, each in value.items()
        }
    return value
