"""What an API call asks for: the conditions of rules on request parameters.

Each function takes a call and returns what it concerns, as short texts for a summary, or None where
the condition does not hold. Requests come from evidence: any value may be missing, or of any type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flowbench.text import escape_controls

_MOST_TEXT = 100  # characters of a value in a summary
# Keys by which requests name the resource that they concern.
_RESOURCE_KEYS = (
    "userName roleName groupName name trailName functionName bucketName instanceId detectorId"
    " resolverQueryLogConfigId modelId target keyId logGroupName policyId snapshotId volumeId"
).split()
VERSION = r"\d{4}_?\d{2}_?\d{2}(?:v\d+)?$"  # that some services add to event names


@dataclass(frozen=True)
class ApiCall:
    """One API event as rules see it.

    Attributes:
        name: The event name without a version: UpdateFunctionCode, not …20150331v2.
        source: The service called: ``iam``.
        account: The account of the event.
        principal: User name, role/session or root.
        principal_type: IAMUser, AssumedRole, Root, …
        is_failed: Whether AWS returned an error, or a sign-in failed.
        mfa_used: "Yes" or "No" of a sign-in.
        request: The request parameters.
        response: The response elements.
        own_accounts: Every account that has events in the case.
    """

    name: str
    source: str
    account: str | None
    principal: str
    principal_type: str | None
    is_failed: bool = False
    mfa_used: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)
    own_accounts: frozenset[str] = frozenset()

    def text(self, *keys: str) -> str | None:
        """Return the first of some request parameters that is a text, fit for a summary."""
        values = (self.request.get(key) for key in keys)
        return next((shorten(value) for value in values if isinstance(value, str)), None)


Condition = Callable[[ApiCall], list[str] | None]


def shorten(value: str) -> str:
    """Return text from a request for a summary: an ARN's resource, not too long, codes escaped."""
    if value.startswith("arn:") and value.count(":") > 4:
        value = value.split(":", 5)[5]
    text = escape_controls(value)
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def anything(call: ApiCall) -> list[str]:
    """Match every call; name the resource where the request has a usual key for it."""
    keys = ("userName", "roleName", "name", "trailName", "functionName", "bucketName", "instanceId")
    others = (
        "detectorId",
        "resolverQueryLogConfigId",
        "modelId",
        "target",
        "keyId",
        "logGroupName",
    )
    name = call.text(*keys, *others)
    return [name] if name else []


def each_event(call: ApiCall) -> list[str]:
    """Match every call, and count its event name."""
    return [call.name]


def named(*keys: str) -> Condition:
    """Match every call, and name the values of some keys, wherever they are in the request."""

    def condition(call: ApiCall) -> list[str] | None:
        return [shorten(value) for value in find_texts(call.request, set(keys))]

    return condition


def find_texts(value: object, keys: set[str], key: str = "") -> Iterator[str]:
    """Yield the texts of some keys at any depth, those in lists too; keys in any case."""
    if isinstance(value, str):
        if key in keys:
            yield value
    elif isinstance(value, list):
        for element in value:
            yield from find_texts(element, keys, key)
    elif isinstance(value, dict):
        for name, element in value.items():
            # AWS's lists and wrapped requests add levels between the key and its values.
            inner = key if name in {"items", "item", "content"} else name[:1].lower() + name[1:]
            yield from find_texts(element, keys, inner)


def as_texts(value: object) -> list[str]:
    """Return the texts of a value that may be one text or a list of them."""
    listed = value if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, str)]
