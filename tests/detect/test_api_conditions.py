"""Conditions on requests: what matches, what it concerns, and the harmless twin."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.detect import api_conditions as on
from flowbench.detect.api_requests import ApiCall
from tests.detect.test_api_requests import make_call

SOME = "secrets selected by a filter"
SSE_C = "x-amz-server-side-encryption-customer-algorithm"


def selectors(**selector: object) -> dict[str, Any]:
    return {"trailName": "t", "eventSelectors": [selector]}


def lifecycle(bucket: str, **rule: object) -> dict[str, Any]:
    return {"bucketName": bucket, "LifecycleConfiguration": {"Rule": [rule]}}


def launch(kind: str, count: int = 1) -> dict[str, Any]:
    return {"instanceType": kind, "instancesSet": {"items": [{"maxCount": count}]}}


@pytest.mark.parametrize(
    ("condition", "request_", "expected"),
    [
        (on.concerns_other_user, {"userName": "eve"}, ["for user eve"]),
        (on.concerns_other_user, {"userName": "mira"}, None),
        (on.concerns_other_user, {}, None),
        (on.concerns_own_user, {"userName": "mira"}, ["for itself"]),
        (on.concerns_own_user, {"userName": "eve"}, None),
        (on.restricts_trail, selectors(includeManagementEvents=False), ["t"]),
        (on.restricts_trail, selectors(readWriteType="ReadOnly"), ["t"]),
        (on.restricts_trail, selectors(excludeManagementEventSources=["kms.amazonaws.com"]), ["t"]),
        (
            on.restricts_trail,
            selectors(
                readWriteType="All", includeManagementEvents=True, excludeManagementEventSources=[]
            ),
            None,
        ),
        (on.restricts_trail, {"eventSelectors": "x"}, None),
        (on.weakens_trail, {"name": "t", "isMultiRegionTrail": False}, ["t"]),
        (on.weakens_trail, {"name": "t", "s3BucketName": "b"}, ["t"]),
        (on.weakens_trail, {"name": "t", "isMultiRegionTrail": True}, None),
        (
            on.expires_logs,
            lifecycle("my-trail", Expiration={"Days": 1}),
            ["objects of my-trail expire after 1 d"],
        ),
        (on.expires_logs, lifecycle("my-trail", Expiration={"Days": 365}), None),
        (on.expires_logs, lifecycle("photos", Expiration={"Days": 1}), None),
        (on.expires_logs, lifecycle("my-trail", Transition={"Days": 1}), None),
        (
            on.expires_objects,
            lifecycle("photos", Expiration={"Days": 1}),
            ["objects of photos expire after 1 d"],
        ),
        (on.expires_objects, lifecycle("photos", Expiration={"Days": 2}), None),
        (on.disables_detector, {"detectorId": "d", "enable": False}, ["d"]),
        (on.disables_detector, {"detectorId": "d", "findingPublishingFrequency": "X"}, None),
        (on.archives_findings, {"name": "f", "action": "ARCHIVE"}, ["f"]),
        (on.archives_findings, {"name": "f", "action": "NOOP"}, None),
        (on.reads_secrets_by_filter, {"filters": [{"key": "name"}]}, [SOME]),
        (on.reads_secrets_by_filter, {"secretIdList": ["a", "b"]}, None),
        (on.reads_user_data, {"attribute": "userData", "instanceId": "i-1"}, ["i-1"]),
        (on.reads_user_data, {"attribute": "instanceType", "instanceId": "i-1"}, None),
        (on.changes_user_data, {"userData": "[redacted]", "instanceId": "i-1"}, ["i-1"]),
        (on.changes_user_data, {"attribute": "userData", "instanceId": "i-1"}, ["i-1"]),
        (on.changes_user_data, {"instanceType": "t3.micro", "instanceId": "i-1"}, None),
        (
            on.encrypts_with_foreign_key,
            {"bucketName": "b", SSE_C: "AES256"},
            ["b with a customer-provided key (SSE-C)"],
        ),
        (
            on.encrypts_with_foreign_key,
            {"bucketName": "b", "kmsKeyId": "arn:aws:kms:us-east-1:444455556666:key/1"},
            ["b with a key of account 444455556666"],
        ),
        (
            on.encrypts_with_foreign_key,
            {"bucketName": "b", "kmsKeyId": "arn:aws:kms:us-east-1:111122223333:key/1"},
            None,
        ),
        (
            on.suspends_versioning,
            {"bucketName": "b", "VersioningConfiguration": {"Status": "Suspended"}},
            ["b"],
        ),
        (
            on.suspends_versioning,
            {"bucketName": "b", "VersioningConfiguration": {"Status": "Enabled"}},
            None,
        ),
        (
            on.launches_unusual_instances,
            launch("p4d.24xlarge"),
            ["1 instance of type p4d.24xlarge"],
        ),
        (
            on.launches_unusual_instances,
            launch("g5.xlarge", 3),
            ["up to 3 instances of type g5.xlarge"],
        ),
        (on.launches_unusual_instances, launch("c7i.8xlarge"), ["1 instance of type c7i.8xlarge"]),
        (on.launches_unusual_instances, launch("m5.metal"), ["1 instance of type m5.metal"]),
        (
            on.launches_unusual_instances,
            launch("t3.micro", 10),
            ["up to 10 instances of type t3.micro"],
        ),
        (on.launches_unusual_instances, launch("t3.micro", 9), None),
        (on.launches_unusual_instances, launch("c7i.4xlarge"), None),
        (on.launches_unusual_instances, launch("r5.xlarge"), None),
        (on.launches_unusual_instances, {"instancesSet": {"items": [5]}}, None),
        (on.adds_layers, {"functionName": "f", "layers": ["arn:aws:lambda:x"]}, ["f"]),
        (on.adds_layers, {"functionName": "f", "timeout": 5}, None),
    ],
)
def test_conditions(condition: Any, request_: dict[str, Any], expected: object) -> None:
    assert condition(make_call(**request_)) == expected


@pytest.mark.parametrize(
    ("source", "name", "request_", "expected"),
    [
        ("secretsmanager", "GetSecretValue", {"secretId": "arn:aws:s:r:1:secret:a"}, ["secret:a"]),
        ("secretsmanager", "BatchGetSecretValue", {"secretIdList": ["a", "b"]}, ["a", "b"]),
        ("secretsmanager", "GetSecretValue", {}, []),
        ("ssm", "GetParameters", {"names": ["/a", "/b"], "withDecryption": True}, ["/a", "/b"]),
        ("ssm", "GetParameters", {"names": ["/a", "/b"]}, None),
        ("ssm", "GetParameter", {"name": "/a", "withDecryption": True}, ["/a"]),
    ],
)
def test_secrets_that_are_read(source: str, name: str, request_: Any, expected: object) -> None:
    call = ApiCall(name, source, "1", "mira", "IAMUser", request=request_)
    assert on.reads_secrets(call) == expected


@pytest.mark.parametrize(("path", "expected"), [("/", ["every parameter"]), ("/app/prod", None)])
def test_every_parameter(path: str, expected: object) -> None:
    call = make_call("GetParametersByPath", path=path, withDecryption=True)
    assert on.reads_secrets_by_filter(call) == expected


@pytest.mark.parametrize(
    ("kind", "mfa", "failed", "matches"),
    [
        ("IAMUser", "No", False, True),
        ("Root", "No", False, True),
        ("IAMUser", "Yes", False, False),
        ("IAMUser", None, False, False),
        ("IAMUser", "No", True, False),
        ("AssumedRole", "No", False, False),  # the identity provider asked for MFA, or did not
    ],
)
def test_sign_ins_without_mfa(kind: str, mfa: str | None, failed: bool, matches: bool) -> None:
    call = ApiCall("ConsoleLogin", "signin", "1", "mira", kind, failed, mfa)
    assert (on.is_sign_in_without_mfa(call) is not None) == matches
    assert (on.is_failed_sign_in(call) is not None) == failed
    assert (on.is_root(call) is not None) == (kind == "Root")


def test_keys_of_the_root_user() -> None:
    root = ApiCall("CreateAccessKey", "iam", "1", "root", "Root")
    assert on.concerns_root(root) == ["for the root user"]
    assert on.concerns_own_user(root) is None
    assert on.concerns_root(make_call("CreateAccessKey")) is None


def test_trusted_addresses_are_guardduty_s() -> None:
    assert on.trusts_addresses(ApiCall("CreateIPSet", "guardduty", "1", "m", "IAMUser")) == [
        "a list"
    ]
    assert on.trusts_addresses(ApiCall("CreateIPSet", "wafv2", "1", "m", "IAMUser")) is None
