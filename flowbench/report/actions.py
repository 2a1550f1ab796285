"""What to do now: actions computed from the findings, each with the AWS CLI line for it.

The lines are shown, never run. Identifiers come from evidence: each is quoted for a POSIX shell,
and a line is left out where the identifier has not the form that AWS gives it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flowbench.text import is_address

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
_KEY = re.compile(r"A[KS]IA[A-Z0-9]{12,124}")
_USER = re.compile(r"[\w+=,.@][\w+=,.@-]{0,63}")  # none that looks like an option
_GROUP = re.compile(r"sg-[0-9a-f]{8,17}")
_MOST_BLOCKED = 5


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
    """
    return [
        *_isolate(running),
        *_disable(active),
        *_replace(creators),
        *_preserve(instances),
        *_review(keys),
        *_block(external),
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


def _key_command(user: str, key: str) -> str:
    if not (_KEY.fullmatch(key) and _USER.fullmatch(user)):
        return ""
    return (
        f"aws iam update-access-key --user-name {shlex.quote(user)} --access-key-id {key}"
        " --status Inactive"
    )


def _review(keys: Sequence[tuple[str, str]]) -> Iterator[Action]:
    for user in dict.fromkeys(user for user, _ in keys):
        command = ""
        if _USER.fullmatch(user):
            command = f"aws iam list-attached-user-policies --user-name {shlex.quote(user)}"
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
