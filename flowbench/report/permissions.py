"""What API calls permitted: what attached policies allow, and with whom snapshots were shared.

That is in the request of the call, or in AWS's description of a policy.

The content of a policy that AWS manages is AWS's own (IAM User Guide, "AWS managed policies for job
functions"); of an inline policy it stands in the request of the call. The content of an account's
own policy is in the call that created it, which the evidence need not have: nothing is stated then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flowbench.detect.api_policies import parse_policy, shares_with_outsiders
from flowbench.detect.api_requests import ApiCall, as_texts
from flowbench.investigate.api_events import ApiEvent
from flowbench.investigate.api_objects import shorten
from flowbench.text import join_words

_MANAGED = re.compile(r"arn:aws[a-z-]*:iam::aws:policy/(?:[\w-]+/)*([\w-]+)")
_ATTACHING = ("AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy")
_INLINE = ("PutUserPolicy", "PutRolePolicy", "PutGroupPolicy")
_SHARING = (
    *("ModifySnapshotAttribute", "ModifyImageAttribute"),
    *("ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute"),
)
_MOST_ACTIONS = 3

_ALLOWED = {
    "AdministratorAccess": "all actions of all AWS services",
    "IAMFullAccess": "all actions of IAM, which can grant any other permission",
    "PowerUserAccess": (
        "all actions of AWS services except most of IAM, Organizations and Account Management"
    ),
    "ReadOnlyAccess": "reading all AWS services",
    "SecurityAudit": "reading the configuration of security",
    "ViewOnlyAccess": "listing the resources of AWS services",
}


def describe_permissions(events: Iterable[ApiEvent]) -> list[str]:
    """State what policies that calls attached allow, and with whom calls shared, each once.

    Args:
        events: API events, in order of time.

    Returns:
        "Policy PowerUserAccess of eve allows all actions of AWS services except …" or "snap-0a was
        shared with account 111122223333", without a period.
    """
    done = [event for event in events if event.error_code is None]
    return list(dict.fromkeys(sentence for event in done for sentence in _describe(event)))


def _describe(event: ApiEvent) -> list[str]:
    request = _parse(event.request)
    if event.event_name in _SHARING:
        call = ApiCall(
            event.event_name, "ec2", event.account_id, event.caller, None, request=request
        )
        shared = (text.partition(" with ") for text in shares_with_outsiders(call) or ())
        return [f"{resource} was shared with {account}" for resource, _, account in shared]
    if event.event_name not in _ATTACHING + _INLINE:
        return []
    owner = event.target_user or next(
        (text for key in ("userName", "roleName", "groupName") if (text := _text(request, key))),
        "unknown",
    )
    if event.event_name in _INLINE:
        name, allowed = _text(request, "policyName"), _describe_document(request)
    else:
        found = _MANAGED.fullmatch(_text(request, "policyArn"))
        name = found[1] if found else ""
        allowed = _describe_managed(name)
    return [f"Policy {shorten(name)} of {shorten(owner)} allows {allowed}"] if allowed else []


def _describe_managed(name: str) -> str:
    """What AWS's policy of a name allows; '' where its name does not tell."""
    if name.endswith("FullAccess") and name not in _ALLOWED:
        service = name.removesuffix("FullAccess").removeprefix("Amazon").removeprefix("AWS")
        return f"full use of {service}"
    return _ALLOWED.get(name, "")


def _describe_document(request: dict[str, Any]) -> str:
    """What the policy document of a request allows, its first actions by name."""
    statements = parse_policy(request.get("policyDocument"))
    actions = list(dict.fromkeys(_actions(statements)))
    if not actions:
        return ""
    resources = {text for each in statements for text in as_texts(each.get("Resource"))}
    where = "all resources" if "*" in resources else join_words(sorted(resources), 1)
    named = "all actions" if {"*", "*:*"} & set(actions) else join_words(actions, _MOST_ACTIONS)
    return f"{named} on {where}" if where else named


def _actions(statements: Iterable[dict[str, Any]]) -> Iterator[str]:
    for statement in statements:
        yield from map(shorten, as_texts(statement.get("Action")))
        if excluded := as_texts(statement.get("NotAction")):
            yield f"all but {join_words(map(shorten, excluded), _MOST_ACTIONS)}"


def _text(request: dict[str, Any], key: str) -> str:
    value = request.get(key)
    return value if isinstance(value, str) else ""


def _parse(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
