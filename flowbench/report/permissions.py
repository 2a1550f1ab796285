"""What policies that API calls attached allow, from their request or AWS's description of them.

The content of a policy that AWS manages is AWS's own (IAM User Guide, "AWS managed policies for job
functions"); of an inline policy it stands in the request of the call. The content of an account's
own policy is in the call that created it, which the evidence need not have: nothing is stated then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flowbench.detect.api_policies import parse_policy
from flowbench.detect.api_requests import as_texts
from flowbench.investigate.api_events import ApiEvent
from flowbench.investigate.api_objects import shorten
from flowbench.text import join_words

_MANAGED = re.compile(r"arn:aws[a-z-]*:iam::aws:policy/(?:[\w-]+/)*([\w-]+)")
_ATTACHING = ("AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy")
_INLINE = ("PutUserPolicy", "PutRolePolicy", "PutGroupPolicy")
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
    """State what the policies allow that successful calls attached, each once.

    Args:
        events: API events, in order of time.

    Returns:
        "Policy PowerUserAccess of eve allows all actions of AWS services except …", no period.
    """
    done = (event for event in events if event.error_code is None)
    return list(dict.fromkeys(sentence for event in done if (sentence := _describe(event))))


def _describe(event: ApiEvent) -> str | None:
    if event.event_name not in _ATTACHING + _INLINE:
        return None
    request = _parse(event.request)
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
    return f"Policy {shorten(name)} of {shorten(owner)} allows {allowed}" if allowed else None


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
