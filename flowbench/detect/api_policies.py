"""Conditions of rules on policies: permissions granted, and access for other accounts."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd

from flowbench.detect.api_requests import ApiCall, as_texts, find_texts

_ACCOUNT = re.compile(r"^\d{12}$")
_ADMIN_POLICY = re.compile(r"/(AdministratorAccess|IAMFullAccess)$")
_BROAD_POLICY = re.compile(r"/(PowerUserAccess|[A-Za-z0-9]*FullAccess)$")


def grants_admin(call: ApiCall) -> list[str] | None:
    """Match a policy that allows everything, or every action of IAM."""
    arn = call.request.get("policyArn")
    is_admin = isinstance(arn, str) and bool(_ADMIN_POLICY.search(arn))
    if call.name == "CreatePolicyVersion" and not call.request.get("setAsDefault"):
        return None
    if not is_admin and not grants_everything(call.request.get("policyDocument")):
        return None
    return [_grant(call, "administrator permissions")]


def grants_to_user(call: ApiCall) -> list[str] | None:
    """Match other policies, or a group, that a user gets."""
    is_other = not grants_admin(call) and not grants_broadly(call)
    return [_grant(call, "permissions")] if is_other else None


def grants_broadly(call: ApiCall) -> list[str] | None:
    """Match AWS's policies for full use of one service or of all but IAM."""
    arn = call.request.get("policyArn")
    if grants_admin(call) or not isinstance(arn, str) or not _BROAD_POLICY.search(arn):
        return None
    return [_grant(call, "broad permissions")]


def _grant(call: ApiCall, kind: str) -> str:
    name = call.text("policyArn", "policyName", "groupName")
    name = f" ({name.rpartition('/')[2]})" if name else ""
    return f"{kind}{name} for {call.text('userName', 'roleName', 'groupName') or 'a policy'}"


def grants_admin_session(call: ApiCall) -> list[str] | None:
    """Match a federation token whose session policy allows everything."""
    is_admin = grants_everything(call.request.get("policy"))
    return [call.text("name") or "a session"] if is_admin else None


def grants_session(call: ApiCall) -> list[str] | None:
    """Match other federation tokens."""
    return None if grants_admin_session(call) else [call.text("name") or "a session"]


def parse_policy(value: object, effect: str = "Allow") -> list[dict[str, Any]]:
    """Return the statements of a policy document (JSON text or an object) with an effect."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    statements = value.get("Statement") if isinstance(value, dict) else None
    listed = statements if isinstance(statements, list) else [statements]
    return [each for each in listed if isinstance(each, dict) and each.get("Effect") == effect]


def denies_everything(policy: object, issued: pd.Timestamp | None = None) -> bool:
    """Whether a policy document denies every action on everything.

    Args:
        policy: The document, as JSON text or an object.
        issued: When credentials were issued at the latest: a statement on those that were issued
            before a time denies them, too. None for credentials that are not temporary.
    """
    return any(
        {"*", "*:*"} & set(as_texts(statement.get("Action")))
        and "*" in as_texts(statement.get("Resource"))
        and _holds_for(statement.get("Condition"), issued)
        for statement in parse_policy(policy, "Deny")
    )


def _holds_for(condition: object, issued: pd.Timestamp | None) -> bool:
    """Whether a condition is none, or that of revoked sessions and fulfilled."""
    if not condition:
        return True
    if issued is None or not isinstance(condition, dict) or set(condition) != {"DateLessThan"}:
        return False
    times = condition["DateLessThan"]
    if not isinstance(times, dict) or set(times) != {"aws:TokenIssueTime"}:
        return False
    try:
        until = pd.Timestamp(str(times["aws:TokenIssueTime"]))
    except ValueError:
        return False
    until = until.tz_localize("UTC") if until.tz is None else until
    return bool(issued < until)


def grants_everything(policy: object) -> bool:
    """Whether a policy document allows every action, or every action of IAM, on everything."""
    return any(
        {"*", "*:*", "iam:*"} & {action.lower() for action in as_texts(statement.get("Action"))}
        and "*" in as_texts(statement.get("Resource"))
        for statement in parse_policy(policy)
    )


def foreign_accounts(principals: object, call: ApiCall) -> list[str]:
    """Return the accounts among principals that are not the case's own; ``everyone`` for ``*``.

    Principals are accounts, ARNs, or as a policy has them: ``{"AWS": [...]}``.
    """
    if isinstance(principals, dict):
        principals = as_texts(principals.get("AWS"))
    found = set()
    for text in as_texts(principals):
        account = text.split(":")[4] if text.startswith("arn:") and text.count(":") > 4 else text
        if account in ("*", "all"):
            found.add("everyone")
        elif _ACCOUNT.match(account) and account not in {call.account, *call.own_accounts}:
            found.add(f"account {account}")
    return sorted(found)


def trusts_outsiders(call: ApiCall) -> list[str] | None:
    """Match a role's trust policy that lets another account, or everyone, assume the role."""
    policy = call.request.get("policyDocument") or call.request.get("assumeRolePolicyDocument")
    trusted = {
        name
        for statement in parse_policy(policy)
        for name in foreign_accounts(statement.get("Principal"), call)
    }
    role = call.text("roleName") or "a role"
    return [f"{role} trusts {name}" for name in sorted(trusted)] or None


def opens_to_outsiders(call: ApiCall) -> list[str] | None:
    """Match a resource policy that grants something to another account, or to everyone."""
    keys = ("bucketPolicy", "policyText", "resourcePolicy", "policy", "policyDocument")
    documents = [call.request[key] for key in keys if key in call.request]
    granted = {
        name
        for document in documents
        for statement in parse_policy(document)
        if not (statement.get("Principal") in ("*", {"AWS": "*"}) and statement.get("Condition"))
        for name in foreign_accounts(statement.get("Principal"), call)
    }
    resource = call.text("bucketName", "repositoryName", "secretId", "keyId") or "a resource"
    return [f"{resource} to {name}" for name in sorted(granted)] or None


def shares_with_outsiders(call: ApiCall) -> list[str] | None:
    """Match a snapshot's or image's attribute that adds another account, or everyone."""
    added = [
        part["add"]
        for key in ("createVolumePermission", "launchPermission")
        if isinstance(part := call.request.get(key), dict) and "add" in part
    ]
    names = [text for part in added for text in find_texts(part, {"userId", "group"})]
    names += as_texts(call.request.get("valuesToAdd")) + as_texts(call.request.get("userIds"))
    resource = call.text(
        "snapshotId", "imageId", "dBSnapshotIdentifier", "dBClusterSnapshotIdentifier"
    )
    shared = foreign_accounts(names, call)
    return [f"{resource or 'a snapshot'} with {name}" for name in shared] or None


def invokable_by_outsiders(call: ApiCall) -> list[str] | None:
    """Match a Lambda permission for everyone or another account, without a limit on its source."""
    if any(call.request.get(key) for key in ("sourceArn", "sourceAccount", "principalOrgID")):
        return None
    principals = foreign_accounts(call.request.get("principal"), call)
    function = call.text("functionName") or "a function"
    return [f"{function} by {name}" for name in principals] or None
