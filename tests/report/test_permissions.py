"""What attached policies allow, and with whom snapshots were shared."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flowbench.investigate.api_events import ApiEvent
from flowbench.report.permissions import describe_permissions

AWS = "arn:aws:iam::aws:policy"


def call(name: str, request: dict[str, Any] | str, error: str | None = None) -> ApiEvent:
    known = {
        "event_name": name,
        "request": request if isinstance(request, str) else json.dumps(request),
        "error_code": error,
        "event_time": datetime(2026, 9, 1, tzinfo=UTC),
    }
    return ApiEvent(**dict.fromkeys(ApiEvent._fields) | known)  # type: ignore[arg-type]


def attach(arn: str) -> list[str]:
    return describe_permissions([call("AttachUserPolicy", {"userName": "eve", "policyArn": arn})])


@pytest.mark.parametrize(
    ("arn", "allowed"),
    [
        (f"{AWS}/AdministratorAccess", "all actions of all AWS services"),
        ("arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess", "reading all AWS services"),
        (f"{AWS}/AmazonS3FullAccess", "full use of S3"),
        (f"{AWS}/job-function/ViewOnlyAccess", "listing the resources of AWS services"),
    ],
)
def test_policies_that_aws_manages(arn: str, allowed: str) -> None:
    name = arn.rpartition("/")[2]
    assert attach(arn) == [f"Policy {name} of eve allows {allowed}"]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::111122223333:policy/AdministratorAccess",  # an account's own, of any content
        f"{AWS}/service-role/AWSLambdaBasicExecutionRole",
        "=cmd()",
    ],
)
def test_nothing_is_stated_of_other_policies(arn: str) -> None:
    assert attach(arn) == []


def inline(statement: object) -> list[str]:
    document = json.dumps({"Statement": statement})
    request = {"roleName": "r", "policyName": "p", "policyDocument": document}
    return describe_permissions([call("PutRolePolicy", request)])


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, "all actions on all resources"),
        (
            [{"Effect": "Allow", "Action": ["s3:Get*", "ec2:*"], "Resource": "arn:aws:s3:::b/*"}],
            "s3:Get* and ec2:* on arn:aws:s3:::b/*",
        ),
        (
            {"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"},
            "all but iam:* and sts:* on all resources",
        ),
    ],
)
def test_inline_policies(statement: object, allowed: str) -> None:
    assert inline(statement) == [f"Policy p of r allows {allowed}"]


def test_denials_failed_calls_and_broken_requests_state_nothing() -> None:
    assert inline({"Effect": "Deny", "Action": "*", "Resource": "*"}) == []
    request = {"userName": "eve", "policyArn": f"{AWS}/AdministratorAccess"}
    broken = [
        call("AttachUserPolicy", request, "AccessDenied"),
        call("CreateUser", request),
        call("AttachUserPolicy", "[" * 9_999),
        call("AttachUserPolicy", "[]"),
        call("PutUserPolicy", {"userName": 5, "policyDocument": {"Statement": 3}}),
    ]
    assert describe_permissions(broken) == []
    assert len(describe_permissions([call("AttachUserPolicy", request)] * 2)) == 1


def test_with_whom_a_snapshot_was_shared() -> None:
    added = {"add": {"items": [{"userId": "444455556666"}, {"group": "all"}]}}
    request = {"snapshotId": "snap-0a", "createVolumePermission": added}
    calls = [call("ModifySnapshotAttribute", request)] * 2
    calls += [call("ModifySnapshotAttribute", request, "Client.UnauthorizedOperation")]
    database = {"dBSnapshotIdentifier": "<b>x", "valuesToAdd": ["777788889999"]}
    calls += [call("ModifyDBSnapshotAttribute", database)]
    assert describe_permissions(calls) == [
        "snap-0a was shared with account 444455556666",
        "snap-0a was shared with everyone",
        "<b>x was shared with account 777788889999",  # escaped where it is written
    ]
