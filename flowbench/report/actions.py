"""What to do now: actions computed from the findings, each with the AWS CLI line for it.

The lines are shown, never run. Identifiers come from evidence: each is quoted for a POSIX shell,
and a line is left out where the identifier has not the form that AWS gives it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flowbench.enrich.namesakes import split_account
from flowbench.text import is_address, list_some

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
_KEY = re.compile(r"AKIA[A-Z0-9]{12,124}")  # those of sessions (ASIA) cannot be disabled
_USER = re.compile(r"[\w+=,.@][\w+=,.@-]{0,63}")  # none that looks like an option
_GROUP = re.compile(r"sg-[0-9a-f]{8,17}")
_MOST_BLOCKED = 5
_DATE, _NOW = "date -u +%Y-%m-%dT%H:%M:%SZ", "NOW"
_REVOKED = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": _NOW}},
    },
}


class Action(NamedTuple):
    """One thing to do: what, why, and the command."""

    what: str
    why: str
    command: str  # '' where there is none


def propose_actions(
    instances: Sequence[str],
    running: Sequence[str],
    keys: Sequence[tuple[str, str]],
    active: Sequence[tuple[str, str]],
    creators: Sequence[tuple[str, str]],
    external: Sequence[str],
    suspected: Sequence[str] = (),
) -> list[Action]:
    """Propose what to do about an incident, the most urgent first.

    Args:
        instances: Its instances.
        running: Those that no API event stops.
        keys: User and access key of its credentials.
        active: Those that no API event disables.
        creators: User and access key that created these or signed API events of findings:
            they may be stolen.
        external: External addresses to block.
        suspected: Those of less severe findings about the same hosts, to check first.
    """
    sessions = [pair for pair in (*active, *creators) if _is_session(*pair)]
    return [
        *_isolate(running),
        *_disable([pair for pair in active if pair not in sessions]),
        *_revoke(sessions),
        *_replace([pair for pair in creators if pair not in sessions]),
        *_preserve(instances),
        *_review(keys),
        *_block(external),
        *_check(suspected),
    ]


def _isolate(instances: Sequence[str]) -> Iterator[Action]:
    for name in instances:
        command = ""
        if _INSTANCE.fullmatch(name):
            command = (
                f"aws ec2 modify-instance-attribute --instance-id {name} --groups sg-QUARANTINE"
            )
        yield Action(
            f"Isolate {name}",
            "no API event stops it; a security group without rules keeps its memory and disks",
            command,
        )


def _preserve(instances: Sequence[str]) -> Iterator[Action]:
    for name in instances:
        command = ""
        if _INSTANCE.fullmatch(name):
            command = (
                f"aws ec2 create-snapshots --instance-specification InstanceId={name}"
                " --description incident"
            )
        yield Action(
            f"Preserve the disks of {name}",
            "they show what logs do not, such as processes and files",
            command,
        )


def _disable(keys: Sequence[tuple[str, str]]) -> Iterator[Action]:
    for user, key in keys:
        yield Action(
            f"Disable access key {key} of {user}",
            "it signed API calls of the incident, and no API event disables it",
            _key_command(user, key),
        )


def _replace(keys: Sequence[tuple[str, str]]) -> Iterator[Action]:
    for user, key in keys:
        yield Action(
            f"Disable access key {key} of {user} and issue another",
            "it signed API calls of the incident, and no API event disables it; the logs do not"
            " show who used it: ask the owner",
            _key_command(user, key),
        )


def _is_session(user: str, key: str) -> bool:
    """Whether a key is that of a role's session: it expires, and cannot be disabled."""
    return key.startswith("ASIA") and "/" in user


def _revoke(sessions: Sequence[tuple[str, str]]) -> Iterator[Action]:
    """Revoke the sessions of each role: the key of a session cannot be disabled."""
    by_role: dict[str, list[str]] = {}
    for session, key in sessions:
        by_role.setdefault(session.partition("/")[0], []).append(key)
    for role, keys in by_role.items():
        name, account = split_account(role)
        command = ""
        if _USER.fullmatch(name):
            document = shlex.quote(json.dumps(_REVOKED)).replace(_NOW, f"'\"$({_DATE})\"'")
            command = _in_account(
                f"aws iam put-role-policy --role-name {shlex.quote(name)} --policy-name"
                f" AWSRevokeOlderSessions --policy-document {document}",
                account,
            )
        yield Action(
            f"Revoke the sessions of role {role}",
            f"they signed API calls of the incident ({list_some(keys)}) and remain valid until they"
            " expire; no API event revokes them",
            command,
        )


def _key_command(user: str, key: str) -> str:
    name, account = split_account(user)
    if name == "root" or not (_KEY.fullmatch(key) and _USER.fullmatch(name)):
        return ""
    return _in_account(
        f"aws iam update-access-key --user-name {shlex.quote(name)} --access-key-id {key}"
        " --status Inactive",
        account,
    )


def _in_account(command: str, account: str | None) -> str:
    """Name the account whose credentials a command needs, where several have the principal."""
    return f"{command}  # in account {account}" if account else command


def _review(keys: Sequence[tuple[str, str]]) -> Iterator[Action]:
    for user in dict.fromkeys(user for user, _ in keys if "/" not in user):
        name, account = split_account(user)
        command = ""
        if _USER.fullmatch(name):
            command = f"aws iam list-attached-user-policies --user-name {shlex.quote(name)}"
            command = _in_account(command, account)
        yield Action(
            f"Review and remove user {user}",
            "it was used in the incident; its policies and any other keys remain",
            command,
        )


def _block(addresses: Sequence[str]) -> Iterator[Action]:
    blocked = [address for address in addresses if is_address(address)][:_MOST_BLOCKED]
    if not blocked:
        return
    lines = [
        "aws ec2 create-network-acl-entry --network-acl-id acl-ID --egress --rule-number"
        f" {number} --protocol -1 --rule-action deny"
        f" {'--ipv6-cidr-block' if ':' in address else '--cidr-block'}"
        f" {address}/{128 if ':' in address else 32}"
        for number, address in enumerate(blocked, 1)
    ]
    more = len(addresses) - len(blocked)
    yield Action(
        f"Block {', '.join(blocked)}" + (f" and {more:,} more" if more > 0 else ""),
        "external addresses of these findings; the section Indicators of compromise lists all",
        "\n".join(lines),
    )


def _check(addresses: Sequence[str]) -> Iterator[Action]:
    shown = [address for address in addresses if is_address(address)]
    if not shown:
        return
    named, more = ", ".join(shown[:_MOST_BLOCKED]), len(shown) - _MOST_BLOCKED
    yield Action(
        f"Check {named}" + (f" and {more:,} more" if more > 0 else ""),
        "findings of medium severity are about them and hosts of the incident; block those that no"
        " service of the organisation needs",
        "",
    )
