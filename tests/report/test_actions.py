"""Proposed actions, and that hostile identifiers give no command."""

from __future__ import annotations

import shlex

import pandas as pd
import pytest

from flowbench.detect.api_policies import denies_everything
from flowbench.report.actions import propose_actions

INSTANCE, KEY = "i-0123456789abcdef0", "AKIAEXAMPLE000000001"


def commands(**given: list) -> dict[str, str]:
    names = ("instances", "running", "keys", "active", "creators", "external")
    nothing: dict[str, list] = {name: [] for name in names}
    return {action.what: action.command for action in propose_actions(**nothing | given)}


def test_a_running_instance_is_isolated_and_its_disks_are_preserved() -> None:
    found = commands(instances=[INSTANCE], running=[INSTANCE])
    assert list(found) == [f"Isolate {INSTANCE}", f"Preserve the disks of {INSTANCE}"]
    assert f"--instance-id {INSTANCE} --groups sg-QUARANTINE" in found[f"Isolate {INSTANCE}"]


def test_a_stopped_instance_is_not_isolated() -> None:
    assert list(commands(instances=[INSTANCE])) == [f"Preserve the disks of {INSTANCE}"]


def test_keys_are_disabled_and_those_of_creators_replaced() -> None:
    found = commands(
        keys=[("eve", KEY)], active=[("eve", KEY)], creators=[("ada", "AKIAEXAMPLE000000002")]
    )
    assert list(found) == [
        f"Disable access key {KEY} of eve",
        "Disable access key AKIAEXAMPLE000000002 of ada and issue another",
        "Review and remove user eve",
    ]
    assert found[f"Disable access key {KEY} of eve"] == (
        f"aws iam update-access-key --user-name eve --access-key-id {KEY} --status Inactive"
    )


def test_the_sessions_of_a_role_are_revoked_in_its_account() -> None:
    role = "deploy (account 111122223333)"
    pairs = [(f"{role}/a", "ASIAEXAMPLE000000001"), (f"{role}/b", "ASIAEXAMPLE000000002")]
    ((what, command),) = commands(creators=pairs).items()
    assert what == f"Revoke the sessions of role {role}"
    words = shlex.split(command.replace('"$(date -u +%Y-%m-%dT%H:%M:%SZ)"', "2026-09-01"), True)
    assert words[:5] == ["aws", "iam", "put-role-policy", "--role-name", "deploy"]
    document = words[words.index("--policy-document") + 1]
    assert denies_everything(document, pd.Timestamp("2026-08-31", tz="UTC"))
    assert command.endswith("  # in account 111122223333")


def test_a_command_names_the_account_where_several_have_the_user() -> None:
    (command,) = commands(creators=[("eve (account 111122223333)", KEY)]).values()
    assert command == (
        f"aws iam update-access-key --user-name eve --access-key-id {KEY} --status Inactive"
        "  # in account 111122223333"
    )
    assert commands(creators=[("root", KEY)]) == {
        f"Disable access key {KEY} of root and issue another": ""
    }


def test_addresses_are_blocked_by_family() -> None:
    ((what, command),) = commands(external=["192.0.2.1", "2001:db8::1"]).items()
    assert what == "Block 192.0.2.1, 2001:db8::1"
    assert "--cidr-block 192.0.2.1/32" in command
    assert "--ipv6-cidr-block 2001:db8::1/128" in command


def test_many_addresses() -> None:
    (what,) = commands(external=[f"192.0.2.{n}" for n in range(9)])
    assert what.endswith("192.0.2.4 and 4 more")


@pytest.mark.parametrize("evil", ["$(reboot)", "i-1; rm -rf /", "--profile=x", "`id`", "a\nb"])
def test_hostile_identifiers_give_no_command(evil: str) -> None:
    found = commands(
        instances=[evil],
        running=[evil],
        keys=[(evil, KEY)],
        active=[(evil, KEY), ("eve", evil)],
        creators=[(evil, evil)],
        external=[evil],
        suspected=[evil],
    )
    assert set(found.values()) == {""}
