"""What counts as a countermeasure, in whose account, and what undoes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.report.containment import find_containment
from flowbench.report.countermeasures import find_countermeasures
from tests.incident_case import api_event
from tests.traffic import T0, interface, make_case

ACCOUNT, OTHER = "111122223333", "999988887777"
# Each example has a number: all are in one case, which loads faster than a case for each.
KEY, INSTANCE = "AKIAEXAMPLE0000", "i-0aaa0000"
EVE = ("eve0000", KEY)
SESSION = ("deploy0000/run", "ASIAEXAMPLE0000")
QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
REVOKED = {"DateLessThan": {"aws:TokenIssueTime": "2026-09-01T00:30:00Z"}}

Event = dict[str, Any]


def numbered(number: int, value: Any) -> Any:
    """A value with the number of an example."""
    return json.loads(json.dumps(value).replace("0000", f"{number:04}"))


def call(name: str, minute: int, account: str = ACCOUNT, **request: Any) -> Event:
    event = api_event(f"{name}-0000-{minute}", name, T0 + 60 * minute, request=request)
    return event | {"recipientAccountId": account}


def deny(condition: object = None) -> str:
    statement = {"Effect": "Deny", "Action": ["*"], "Resource": "*"}
    return json.dumps({"Statement": [statement | ({"Condition": condition} if condition else {})]})


def signed(minute: int) -> Event:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy0000/run"
    event = api_event(f"s-0000-{minute}", "ListBuckets", T0 + 60 * minute, arn=arn, key=SESSION[1])
    event["userIdentity"] |= {"type": "AssumedRole", "userName": None}
    return event


def policy(minute: int, name: str = "AttachUserPolicy", arn: str = QUARANTINE) -> Event:
    return call(name, minute, userName="eve0000", policyArn=arn)


def put(minute: int, document: str) -> Event:
    return call(
        "PutUserPolicy", minute, userName="eve0000", policyName="stop", policyDocument=document
    )


def put_role(minute: int, document: str, account: str = ACCOUNT) -> Event:
    request = {"roleName": "deploy0000", "policyName": "AWSRevokeOlderSessions"}
    return call("PutRolePolicy", minute, account, **request, policyDocument=document)


DELETE_ROLE_POLICY = ("DeleteRolePolicy", 70)


CREDENTIALS: list[tuple[list[Event], list[str], list[str]]] = [
    ([policy(60)], [], [KEY]),
    ([policy(60, arn=QUARANTINE[:-2])], [], [KEY]),
    ([policy(60), policy(70, "DetachUserPolicy")], [], []),
    ([policy(60), policy(70, "DetachUserPolicy", "arn:aws:iam::aws:policy/Other")], [], [KEY]),
    ([policy(60, arn="arn:aws:iam::aws:policy/AWSDenyAll")], [KEY], []),
    ([policy(60, arn=f"arn:aws:iam::{ACCOUNT}:policy/AWSDenyAll")], [], []),
    ([put(60, deny())], [KEY], []),
    ([put(60, deny()), put(70, "{}")], [], []),
    ([put(60, deny(REVOKED))], [], []),  # a user's key was not issued to a session
    ([put(60, "[not a policy")], [], []),
    ([signed(10), put_role(60, deny(REVOKED))], [SESSION[1]], []),
    ([signed(40), put_role(60, deny(REVOKED))], [], []),  # issued afterwards, for all we know
    ([put_role(60, deny())], [SESSION[1]], []),
    (
        [
            put_role(60, deny()),
            call(*DELETE_ROLE_POLICY, roleName="deploy0000", policyName="AWSRevokeOlderSessions"),
        ],
        [],
        [],
    ),
    ([call("DeleteAccessKey", 60, accessKeyId=KEY)], [KEY], []),  # one's own: without a name
    ([call("DeleteUser", 60, userName="eve0000")], [KEY], []),
    ([call("DetachUserPolicy", 60, userName="eve0000", policyArn="arn:aws:iam::x")], [], []),
]


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Case:
    lines = [numbered(n, event) for n, each in enumerate(CREDENTIALS) for event in each[0]]
    return make_case(tmp_path_factory.mktemp("credentials"), [], json_lines=lines)


@pytest.mark.parametrize("number", range(len(CREDENTIALS)))
def test_what_takes_credentials_away(credentials: Case, number: int) -> None:
    _, stopped, limited = CREDENTIALS[number]
    found = find_countermeasures(credentials, [], numbered(number, [EVE, SESSION]), None).lasting
    assert sorted(name for each in found for name in each.stops) == numbered(number, stopped)
    assert sorted(name for each in found for name in each.limits) == numbered(number, limited)


def test_a_key_that_is_only_limited_is_contained_in_part(tmp_path: Path) -> None:
    found = find_containment(make_case(tmp_path, [], json_lines=[policy(60)]), [], [EVE], [], None)
    assert found.status == "contained in part"
    assert found.reason == (
        "eve0000 was given the policy AWSCompromisedKeyQuarantineV3, which denies some calls by eve"
        f" at 2026-09-01 01:00:00 UTC (AttachUserPolicy). No API event disables {KEY}."
    )


def test_a_user_who_is_created_again_is_stated(tmp_path: Path) -> None:
    events = [
        call("DeleteUser", 60, userName="eve0000"),
        call("CreateUser", 70, userName="eve0000"),
    ]
    found = find_containment(make_case(tmp_path, [], json_lines=events), [], [EVE], [], None)
    assert (found.status, found.remaining) == ("contained in part", [])
    again = "eve0000 was created again by eve at 2026-09-01 01:10:00 UTC (CreateUser)."
    assert again in found.reason


def test_another_accounts_user_and_role_are_others(tmp_path: Path) -> None:
    mine = [call("CreateUser", 1, userName="eve0000"), signed(10)]
    other = signed(11)
    other["userIdentity"]["arn"] = f"arn:aws:sts::{OTHER}:assumed-role/deploy0000/run"
    theirs = [
        call("DeleteUser", 60, OTHER, userName="eve0000"),
        put_role(60, deny(), OTHER),
        call("DeleteLoginProfile", 61, OTHER, userName="eve0000"),
        other | {"eventID": "other", "recipientAccountId": OTHER},
    ]
    case = make_case(tmp_path, [], json_lines=[*mine, *theirs])
    named = [
        (f"eve0000 (account {ACCOUNT})", KEY),
        (f"deploy0000 (account {ACCOUNT})/run", SESSION[1]),
    ]
    assert find_countermeasures(case, [], named, None).lasting == []
    elsewhere = [(name.replace(ACCOUNT, OTHER), key) for name, key in named]
    found = find_countermeasures(case, [], elsewhere, None).lasting
    assert {name for each in found for name in each.stops} == {KEY, SESSION[1]}
    assert found[0].what.endswith(f"(account {OTHER})")


def groups(minute: int, name: str, target: str = INSTANCE) -> Event:
    is_interface = target.startswith("eni-")
    key = "networkInterfaceId" if is_interface else "instanceId"
    action = "ModifyNetworkInterfaceAttribute" if is_interface else "ModifyInstanceAttribute"
    return call(action, minute, **{key: target, "groupSet": {"items": [{"groupId": name}]}})


ISOLATIONS: list[tuple[list[Event], int, bool]] = [
    ([groups(60, "sg-q")], 0, True),
    ([groups(60, "sg-q", "eni-0aaa0000")], 1, True),
    ([groups(60, "sg-q"), groups(61, "sg-q")], 1, True),
    ([groups(60, "sg-q"), groups(70, "sg-web")], 1, False),  # changed back
    ([groups(60, "sg-q"), groups(70, "sg-web", "eni-0aaa0000")], 1, False),
    ([groups(10, "sg-web"), groups(60, "sg-q")], 1, True),  # the first did not stop it
    ([groups(10, "sg-web"), groups(60, "sg-web")], 1, False),
    ([groups(10, "sg-q")], 1, True),  # judged by the connections afterwards
    ([groups(60, "sg-q", "eni-0aaa0000")], 2, False),  # the other one goes on
    ([groups(60, "sg-q", "eni-0aaa0000"), groups(61, "sg-q", "eni-0bbb0000")], 2, True),
]


@pytest.fixture(scope="module")
def isolations(tmp_path_factory: pytest.TempPathFactory) -> Case:
    own, lines = [], []
    for number, (events, count, _) in enumerate(ISOLATIONS):
        lines += numbered(number, events)
        for letter in "ab"[:count]:
            found = interface(f"10.{number}.0.{ord(letter)}", f"0{letter * 3}{number:04}")
            own.append(found | {"Attachment": {"InstanceId": numbered(number, INSTANCE)}})
    folder = tmp_path_factory.mktemp("isolations")
    return make_case(folder, [], interfaces=own, json_lines=lines)


@pytest.mark.parametrize("number", range(len(ISOLATIONS)))
def test_changes_of_security_groups(isolations: Case, number: int) -> None:
    instance = numbered(number, INSTANCE)
    since = pd.Timestamp(T0 + 60 * 30, unit="s", tz="UTC")
    found = find_countermeasures(isolations, [instance], [], since).lasting
    assert [each.stops for each in found] == [frozenset({instance})] * ISOLATIONS[number][2]
