"""Policies: what they permit, and to whom of other accounts they grant access."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowbench.detect import api_policies
from flowbench.detect.api_requests import ApiCall
from tests.detect.test_api_requests import make_call

OWN, OTHER = "111122223333", "444455556666"
AWS = "arn:aws:iam::aws:policy/"


def policy(action: object, resource: object = "*", effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: object, **more: object) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Statement": statement | more}  # one statement need not be a list


@pytest.mark.parametrize(
    ("name", "request_", "is_admin"),
    [
        ("AttachUserPolicy", {"policyArn": f"{AWS}AdministratorAccess"}, True),
        ("AttachRolePolicy", {"policyArn": f"{AWS}IAMFullAccess"}, True),
        ("AttachUserPolicy", {"policyArn": f"{AWS}ReadOnlyAccess"}, False),
        ("AttachUserPolicy", {"policyArn": f"{AWS}job-function/Billing"}, False),
        ("PutUserPolicy", {"policyDocument": policy("*")}, True),
        ("PutRolePolicy", {"policyDocument": policy(["s3:Get*", "iam:*"])}, True),
        ("PutRolePolicy", {"policyDocument": json.loads(policy("*:*"))}, True),
        ("PutRolePolicy", {"policyDocument": policy("*", "arn:aws:s3:::b/*")}, False),
        ("PutRolePolicy", {"policyDocument": policy("*", effect="Deny")}, False),
        ("PutRolePolicy", {"policyDocument": policy("s3:*")}, False),
        ("CreatePolicyVersion", {"policyDocument": policy("*"), "setAsDefault": True}, True),
        ("CreatePolicyVersion", {"policyDocument": policy("*"), "setAsDefault": False}, False),
        ("PutRolePolicy", {"policyDocument": "{not json"}, False),
        ("PutRolePolicy", {"policyDocument": "[" * 100_000}, False),
        ("PutRolePolicy", {"policyDocument": [{"Statement": 5}]}, False),
    ],
)
def test_administrator_permissions(name: str, request_: dict[str, Any], is_admin: bool) -> None:
    call = make_call(name, userName="eve", **request_)
    assert (api_policies.grants_admin(call) is not None) == is_admin
    if is_admin:
        assert api_policies.grants_to_user(call) is api_policies.grants_broadly(call) is None


@pytest.mark.parametrize(
    ("arn", "is_broad"),
    [("PowerUserAccess", True), ("AmazonS3FullAccess", True), ("ReadOnlyAccess", False)],
)
def test_each_policy_is_of_one_kind(arn: str, is_broad: bool) -> None:
    call = make_call("AttachUserPolicy", userName="eve", policyArn=AWS + arn)
    broad = [f"broad permissions ({arn}) for eve"]
    assert api_policies.grants_broadly(call) == (broad if is_broad else None)
    assert (api_policies.grants_to_user(call) is None) == is_broad


@pytest.mark.parametrize(
    ("principal", "trusted"),
    [
        ({"AWS": f"arn:aws:iam::{OTHER}:root"}, f"account {OTHER}"),
        ({"AWS": [f"arn:aws:iam::{OWN}:root", OTHER]}, f"account {OTHER}"),
        ({"AWS": "*"}, "everyone"),
        ("*", "everyone"),
        ({"AWS": f"arn:aws:iam::{OWN}:role/x"}, None),
        ({"Service": "ec2.amazonaws.com"}, None),
        ({"AWS": "AIDAEXAMPLE"}, None),
        (None, None),
    ],
)
def test_roles_that_outsiders_may_assume(principal: object, trusted: str | None) -> None:
    expected = [f"r trusts {trusted}"] if trusted else None
    created = make_call(roleName="r", assumeRolePolicyDocument=json.dumps(trust(principal)))
    updated = make_call(roleName="r", policyDocument=trust(principal))
    assert api_policies.trusts_outsiders(created) == expected
    assert api_policies.trusts_outsiders(updated) == expected


def test_accounts_with_events_in_the_case_are_no_outsiders() -> None:
    call = ApiCall(
        "UpdateAssumeRolePolicy",
        "iam",
        OWN,
        "mira",
        "IAMUser",
        request={"policyDocument": trust({"AWS": OTHER})},
        own_accounts=frozenset({OWN, OTHER}),
    )
    assert api_policies.trusts_outsiders(call) is None


def test_resource_policies_for_outsiders() -> None:
    def open_to(principal: object, **more: object) -> list[str] | None:
        document = trust(principal, **more)
        return api_policies.opens_to_outsiders(make_call(bucketName="b", bucketPolicy=document))

    assert open_to("*") == ["b to everyone"]
    assert open_to({"AWS": OTHER}) == [f"b to account {OTHER}"]
    assert open_to("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}) is None
    assert open_to({"AWS": OWN}) is None


@pytest.mark.parametrize(
    ("request_", "shared"),
    [
        ({"createVolumePermission": {"add": {"items": [{"userId": OTHER}]}}}, f"account {OTHER}"),
        ({"createVolumePermission": {"add": {"items": [{"group": "all"}]}}}, "everyone"),
        ({"launchPermission": {"add": {"items": [{"userId": OTHER}]}}}, f"account {OTHER}"),
        ({"attributeName": "restore", "valuesToAdd": [OTHER]}, f"account {OTHER}"),
        ({"attributeName": "restore", "valuesToAdd": ["all"]}, "everyone"),
        ({"createVolumePermission": {"remove": {"items": [{"userId": OTHER}]}}}, None),
        ({"launchPermission": {"add": {"items": [{"userId": OWN}]}}}, None),
        ({"valuesToRemove": [OTHER]}, None),
    ],
)
def test_shared_snapshots_and_images(request_: dict[str, Any], shared: str | None) -> None:
    expected = [f"snap-1 with {shared}"] if shared else None
    call = make_call(snapshotId="snap-1", **request_)
    assert api_policies.shares_with_outsiders(call) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"principal": "*"}, ["f by everyone"]),
        ({"principal": OTHER}, [f"f by account {OTHER}"]),
        ({"principal": "s3.amazonaws.com"}, None),
        ({"principal": "*", "sourceArn": "arn:aws:sns:us-east-1:1:t"}, None),
        ({"principal": OWN}, None),
    ],
)
def test_functions_that_outsiders_may_invoke(
    request_: dict[str, Any], expected: list[str] | None
) -> None:
    call = make_call(functionName="f", **request_)
    assert api_policies.invokable_by_outsiders(call) == expected


def test_federation_tokens() -> None:
    admin, other = (
        make_call(name="x", policy=policy("*")),
        make_call(name="x", policy=policy("s3:*")),
    )
    assert api_policies.grants_admin_session(admin) == api_policies.grants_session(other) == ["x"]
    assert api_policies.grants_admin_session(other) is api_policies.grants_session(admin) is None
