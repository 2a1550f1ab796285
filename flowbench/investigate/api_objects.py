"""What an API call acted on, and the details of its request that matter, in words.

CloudTrail has no field for the object of a call: each API names it by a key of its own. The keys
are looked for in order of preference, at any depth. What a request holds is text that the caller
chose: it is shortened here, and escaped where it is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from flowbench.detect.api_requests import find_texts
from flowbench.text import list_some

_MOST_NAMED = 3  # objects, or values of one detail
_MOST_TEXT = 80  # characters of a value

# Keys of requests that name the object, the most specific first.
_OBJECT_KEYS = (
    "userName",
    "roleName",
    "functionName",
    "bucketName",
    "secretId",
    "trailName",
    "instanceId",
    "instanceIds",
    "target",
    "snapshotId",
    "imageId",
    "volumeId",
    "dBSnapshotIdentifier",
    "dBClusterSnapshotIdentifier",
    "dBInstanceIdentifier",
    "dBClusterIdentifier",
    "groupId",
    "flowLogId",
    "flowLogIds",
    "resolverQueryLogConfigId",
    "detectorId",
    "keyId",
    "modelId",
    "logGroupName",
    "clusterName",
    "repositoryName",
    "stackName",
    "queueUrl",
    "topicArn",
    "tableName",
    "hostedZoneId",
    "groupName",
    "vpcId",
    "subnetId",
    "networkInterfaceId",
    "sessionId",
    "roleArn",
    "policyArn",
    "policyName",
    "resourceArn",
    "resourceId",
    "arn",
    "names",
    "name",
    "id",
)
# Keys of responses, for what a call creates.
_CREATED_KEYS = (
    "instanceId",
    "networkInterfaceId",
    "groupId",
    "snapshotId",
    "imageId",
    "volumeId",
    "detectorId",
    "keyPairId",
)
# Keys of requests whose values tell what a call did to its object, and their labels.
_DETAIL_KEYS = (
    ("accessKeyId", "access key"),
    ("status", "status"),
    ("policyArn", "policy"),
    ("policyName", "policy"),
    ("groupName", "group"),
    ("roleArn", "role"),
    ("roleSessionName", "session"),
    ("instanceType", "type"),
    ("imageId", "image"),
    ("documentName", "document"),
    ("userId", "account"),
    ("valuesToAdd", "account"),
    ("principal", "principal"),
    ("layers", "layer"),
    ("attribute", "attribute"),
    ("secretIdList", "secrets"),
)
_SOURCES = {"cidrIp", "cidrIpv4", "cidrIpv6", "prefixListId", "groupId"}


def name_object(request: str | None, response: str | None) -> str | None:
    """Name what a call acted on, or created; None where its request names nothing.

    Args:
        request: The request parameters, as JSON.
        response: The response elements, as JSON.
    """
    asked, answered = _parse(request), _parse(response)
    for content, keys in ((asked, _OBJECT_KEYS), (answered, _CREATED_KEYS)):
        for key in keys:
            # Deeper values of the key may be others': a rule names the groups that it allows.
            own = content.get(key) if isinstance(content, dict) else None
            if values := [shorten(own)] if isinstance(own, str) and own else _values(content, key):
                return list_some(values, _MOST_NAMED)
    return None


def name_created(response: str | None) -> str | None:
    """Name by its id what a call created; None where its response (JSON) has none."""
    answered = _parse(response)
    for key in _CREATED_KEYS:
        if values := _values(answered, key):
            return list_some(values, _MOST_NAMED)
    return None


def describe_request(event_name: str, request: str | None, named: str | None) -> str:
    """State what matters in a request beside its object: ``policy AdministratorAccess``.

    Args:
        event_name: The API call.
        request: The request parameters, as JSON.
        named: The object, as ``name_object`` has it: it is not repeated.

    Returns:
        The details, separated by commas; '' without any.
    """
    asked = _parse(request)
    details: list[str] = []
    if event_name.startswith(("Authorize", "Revoke", "ModifySecurityGroup")):
        details += security_group_rules(asked)
    details += _policy_details(asked)
    for key, label in _DETAIL_KEYS:
        values = [value for value in _values(asked, key) if value != named]
        if values:
            details.append(f"{label} {list_some(values, _MOST_NAMED)}")
    return ", ".join(details)


def read_texts(text: str | None) -> Iterator[tuple[str, str]]:
    """Yield the texts in a request or response, each with its key, without the levels of lists.

    Args:
        text: The JSON.
    """
    yield from _texts(_parse(text), "")


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for element in value:
            yield from _texts(element, key)
    elif isinstance(value, dict):
        for name, element in value.items():
            yield from _texts(element, key if name in {"items", "item", "content"} else name)


def bare_name(value: str) -> str:
    """Return the last part of an ARN; any other text as it is."""
    return re.split("[/:]", value)[-1] if value.startswith("arn:") else value


def parse_rules(request: str | None) -> list[str]:
    """Return each rule of a security group in a request (JSON): ``22/tcp from 0.0.0.0/0``."""
    return list(security_group_rules(_parse(request)))


def security_group_rules(request: Any) -> Iterator[str]:
    """Yield each rule of a security group in a parsed request: ``22/tcp from 0.0.0.0/0``."""
    for rule in _rules(request):
        protocol = str(rule.get("ipProtocol", "-1")).lower()
        first, last = rule.get("fromPort"), rule.get("toPort")
        ports = f"{first}" if first == last else f"{first}-{last}"
        service = "all traffic" if protocol == "-1" or first is None else f"{ports}/{protocol}"
        sources = [s for s in map(shorten, find_texts(rule, _SOURCES)) if not s.startswith("sg-")]
        yield f"{service} from {list_some(sources or ['a security group'], _MOST_NAMED)}"


def _policy_details(request: Any) -> Iterator[str]:
    """Yield whom the trust policy of a role in a request trusts."""
    for key in ("assumeRolePolicyDocument", "policyDocument"):
        for text in find_texts(request, {key}):
            trusted = list(dict.fromkeys(_trusted(_parse(text))))
            if trusted:
                yield f"trusts {list_some(trusted, _MOST_NAMED)}"


def _trusted(policy: Any) -> Iterator[str]:
    """Yield the principals that a policy allows: accounts by their number."""
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, dict) or statement.get("Effect") == "Deny":
            continue
        principal = statement.get("Principal")
        for _, name in _texts(principal, ""):
            if name.startswith("arn:") and name.endswith(":root"):
                yield f"account {name.split(':')[4]}"
            else:
                yield name if len(name) <= _MOST_TEXT else name[: _MOST_TEXT - 1] + "…"


def _rules(request: Any) -> Iterator[dict[str, Any]]:
    """The rules of a request, which has them flat or in lists."""
    if not isinstance(request, dict):
        return
    if {"cidrIp", "cidrIpv6"} & request.keys():
        yield request
    permissions = request.get("ipPermissions")
    items = permissions.get("items") if isinstance(permissions, dict) else None
    yield from (item for item in items if isinstance(item, dict)) if isinstance(items, list) else ()


def _values(content: Any, key: str) -> list[str]:
    """The texts of a key, each once, shortened; an ARN by its resource."""
    return list(dict.fromkeys(map(shorten, find_texts(content, {key}))))


def shorten(value: str) -> str:
    """Return a text for a sentence: an ARN by its resource, and no more than 80 characters."""
    if value.startswith("arn:") and value.count(":") > 4:
        value = value.split(":", 5)[5]
        value = value.removeprefix("policy/")
    return value if len(value) <= _MOST_TEXT else value[: _MOST_TEXT - 1] + "…"


def _parse(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
