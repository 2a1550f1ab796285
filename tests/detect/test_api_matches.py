"""Which calls match which rule; counts within an hour, the baseline, automation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.detect.api_ingress import opens_admin_port
from flowbench.detect.api_matches import RULES, RuleMatch, match_rules, read_calls
from flowbench.detect.api_principals import Caller, Creation, Principals
from flowbench.detect.api_requests import ApiCall
from tests.detect.detectors.test_service_abuse import call
from tests.traffic import make_case

ACCOUNT = "111122223333"
START = pd.Timestamp("2026-09-01", tz="UTC")


def event(
    name: str,
    request: object = None,
    at: float = 0,
    *,
    who: str = "mira",
    kind: str = "IAMUser",
    service: str = "iam",
    source: str = "198.51.100.7",
    **columns: Any,
) -> dict[str, Any]:
    """Return a row of ``read_calls``; ``at`` in hours."""
    time = START + pd.Timedelta(hours=at)
    return {
        "event_time": time,
        "event_name": name,
        "base_name": name,
        "event_source": f"{service}.amazonaws.com",
        "event_id": f"{name}-{at}-{who}",
        "account_id": ACCOUNT,
        "owner": ACCOUNT,
        "target_user": request.get("userName") if isinstance(request, dict) else None,
        "principal_type": kind,
        "principal_name": who,
        "access_key_id": "AKIAEXAMPLE",
        "source_ip": source,
        "error_code": None,
        "mfa_used": None,
        "request": None if request is None else json.dumps(request),
        "failed": False,
    } | columns


def match(rows: list[dict[str, Any]], principals: Principals | None = None) -> list[RuleMatch]:
    rows = sorted(rows, key=lambda row: row["event_time"])
    return list(match_rules(pd.DataFrame(rows), principals or Principals()))


def ids(rows: list[dict[str, Any]], principals: Principals | None = None) -> list[str]:
    return sorted(found.rule.id for found in match(rows, principals))


def secret(number: int, at: float, **more: Any) -> dict[str, Any]:
    request = {"secretId": f"secret-{number}"}
    return event("GetSecretValue", request, at, service="secretsmanager", **more)


def baseline(*callers: tuple[str, bool]) -> Principals:
    """Return a baseline of two and a half days in which all called from one network."""
    used = {"198.51.0.0/16": START}
    networks = {Caller(ACCOUNT, *caller): used for caller in callers}
    return Principals(START, START + pd.Timedelta(days=2.5), networks, {ACCOUNT: used})


@pytest.mark.parametrize(
    ("count", "per_hour", "found"),
    [(9, 60, False), (10, 60, True), (10, 8, False), (40, 12, True), (40, 8, False)],
)
def test_different_things_within_an_hour_count(count: int, per_hour: int, found: bool) -> None:
    rows = [secret(n, n / per_hour) for n in range(count)]
    matches = match(rows)
    assert [each.rule.id for each in matches] == (["secrets"] if found else [])
    if found:
        assert len(matches[0].calls) == count
        assert matches[0].most_in_an_hour == min(count, per_hour + 1)


def test_the_same_thing_counts_once_and_principals_are_apart() -> None:
    assert ids([secret(1, n / 60) for n in range(50)]) == []
    assert ids([secret(n, 0, who=f"user-{n % 2}") for n in range(18)]) == []
    roles = [secret(n, 0, who=f"app/run-{n}", kind="AssumedRole") for n in range(12)]
    (found,) = match(roles)
    assert (found.caller.name, found.caller.is_person) == ("app", False)


def test_calls_without_names_count_each() -> None:
    rows = [event("GetPasswordData", None, n / 60, service="ec2") for n in range(5)]
    assert ids(rows) == ["windows-passwords"]
    assert ids(rows[:4]) == []


def test_calls_of_services_and_programs_are_ordinary_where_the_rule_says_so() -> None:
    request = {"instanceIds": ["i-1"]}
    person = event("SendCommand", request, service="ssm")
    assert ids([person]) == ["run-command"]
    assert ids([person | {"source_ip": "cloudformation.amazonaws.com"}]) == []
    assert ids([person | {"principal_type": "AssumedRole", "principal_name": "ci/build"}]) == []
    assert ids([person | {"event_source": "iot.amazonaws.com"}]) == []


def test_some_rules_hold_for_new_principals_only() -> None:
    rule = {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIp": "203.0.113.9/32"}
    row = event("AuthorizeSecurityGroupIngress", rule, 1, service="ec2")
    assert ids([row]) == []
    users = {(ACCOUNT, "mira"): Creation("The user", START, "eve")}
    (found,) = match([row], Principals(users=users))
    assert (found.rule.id, found.why_new[:23]) == ("open-port-to-few", "The user was created by")


@pytest.mark.parametrize(
    ("hours", "later", "found"),
    [
        ((0, 30), {}, []),  # two days of the baseline
        ((0, 3), {}, ["create-user"]),  # one day
        ((0, 30), {"source": "203.0.113.7"}, ["create-user"]),  # from elsewhere
        ((), {}, ["create-user"]),
    ],
)
def test_what_was_done_on_days_of_the_baseline_is_ordinary(
    hours: tuple[float, ...], later: dict[str, Any], found: list[str]
) -> None:
    rows = [event("CreateUser", {"userName": f"u{at}"}, at) for at in hours]
    rows += [event("CreateUser", {"userName": "new"}, 100, **later)]
    assert ids(rows, baseline(("mira", True))) == found


def test_ordinary_calls_of_high_severity_stay_as_low() -> None:
    rows = [event("StopLogging", {"name": "t"}, at, service="cloudtrail") for at in (0, 30, 100)]
    (found,) = match(rows, baseline(("mira", True)))
    assert (found.is_ordinary, len(found.calls)) == (True, 3)


def test_a_multiple_of_what_is_ordinary_is_not() -> None:
    usual = [secret(n, day * 24 + n / 60) for day in range(5) for n in range(11)]
    assert ids(usual, baseline(("mira", True))) == []
    many = [secret(n, 110 + n / 120) for n in range(40)]
    assert ids([*usual, *many], baseline(("mira", True))) == ["secrets"]


@pytest.mark.parametrize("request_", ["{", "[1]", '"text"', None, "[" * 100_000])
def test_requests_that_are_no_objects(request_: str | None) -> None:
    row = event("AttachUserPolicy") | {"request": request_}
    assert ids([row]) == ["user-policy"]


@pytest.mark.parametrize(
    ("created", "more", "is_undone"),
    [
        (0.9, {}, True),
        (3, {}, False),
        (0.9, {"who": "eve"}, False),
        (0.9, {"failed": True}, False),
    ],
)
def test_a_flow_log_created_nearby_undoes_a_deletion(
    created: float, more: dict[str, Any], is_undone: bool
) -> None:
    rows = [event("DeleteFlowLogs", None, 1 + n / 10, service="ec2") for n in range(2)]
    rows += [event("CreateFlowLogs", None, created, service="ec2", **more)]
    (found,) = match(rows)
    assert (found.undone is not None) == is_undone
    assert len(found.calls) == 2


def test_the_engine_leaves_out_what_no_rule_can_match(tmp_path: Path) -> None:
    sse = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}
    delete, put = {"service": "s3"}, {"service": "s3", "requestParameters": {"key": "k"}}
    calls = [
        call("mira", "198.51.100.7", 0, "PutObject", **put),
        call("mira", "198.51.100.7", 1, "PutObject", service="s3", requestParameters=sse),
        call("app/run-1", "198.51.100.7", 2, "DeleteObject", **delete),
        call("app/mira@example.com", "198.51.100.7", 3, "DeleteObject", **delete),
        call("mira", "198.51.100.7", 4, "UpdateFunctionCode20150331v2", service="lambda"),
        call("mira", "198.51.100.7", 5, "ListBuckets"),
    ]
    calls[5]["userIdentity"] = {"type": "Root", "arn": "arn:aws:iam::1:root"}
    rows = read_calls(make_case(tmp_path, [], json_lines=calls))
    assert rows["base_name"].tolist() == [
        *("PutObject", "DeleteObject", "UpdateFunctionCode", "ListBuckets")
    ]


def test_rules_have_ids_of_their_own() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.benign.endswith(".") for rule in RULES)


# Words that conditions look for, and values of the wrong type for any of them.
_KEYS = st.sampled_from(
    "ipPermissions instancesSet items ipProtocol fromPort toPort cidrIp cidrIpv6 groupId"
    " policyDocument assumeRolePolicyDocument policyArn Statement Principal AWS Action Effect"
    " Resource"
    " createVolumePermission launchPermission add userId group instanceType maxCount attribute"
    " userData attributeValue valuesToAdd policy bucketPolicy lifecycleConfiguration Rule"
    " Expiration enable status filter eventSelectors includeManagementEvents principal".split()
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 70_000)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["", "*", "-1", "tcp", "0.0.0.0/0", "{", '{"Statement":7}', "[1]", "arn:aws"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(request=st.dictionaries(_KEYS, _VALUES, max_size=5), mfa=st.sampled_from([None, "No", "x"]))
def test_no_request_stops_a_rule(request: dict[str, Any], mfa: str | None) -> None:
    for rule in RULES:
        for name in sorted(rule.names) or ["AnyCall"]:
            call = ApiCall(
                name, rule.source, "111122223333", "eve", "IAMUser", False, mfa, request, request
            )
            concerned = rule.condition(call)
            assert concerned is None or all(isinstance(each, str) for each in concerned)


@pytest.mark.parametrize(
    ("permission", "opened"),
    [
        ({"ipProtocol": "tcp", "fromPort": 22, "toPort": 22}, ["22/tcp from 0.0.0.0/0"]),
        ({"ipProtocol": "tcp", "fromPort": [22], "toPort": {}}, None),
        ({"ipProtocol": ["tcp"], "fromPort": 22, "toPort": 22}, None),
        ({"ipProtocol": "-1", "fromPort": []}, ["all ports from 0.0.0.0/0"]),
        ({"ipProtocol": "tcp", "fromPort": 0, "toPort": 65535}, ["all ports from 0.0.0.0/0"]),
    ],
)
def test_ports_of_the_wrong_type_open_nothing(
    permission: dict[str, Any], opened: list[str] | None
) -> None:
    request = {"ipPermissions": {"items": [permission | {"cidrIp": "0.0.0.0/0"}]}}
    call = ApiCall("AuthorizeSecurityGroupIngress", "ec2", None, "eve", None, request=request)
    assert opens_admin_port(call) == opened
    wrong = ApiCall("x", "ec2", None, "eve", None, request={"ipPermissions": {"items": 7}})
    assert opens_admin_port(wrong) is None
