"""The objects and details of API calls, by the shapes of requests that AWS documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.investigate.api_objects import describe_request, name_object

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db/prod-AbCdEf"
LAMBDA = "arn:aws:lambda:eu-west-1:111122223333:function:nightly"


@pytest.mark.parametrize(
    ("name", "request_", "named", "details"),
    [
        ("CreateUser", {"userName": "eve", "tags": []}, "eve", ""),
        (
            "AttachUserPolicy",
            {"userName": "eve", "policyArn": ADMIN},
            "eve",
            "policy AdministratorAccess",
        ),
        ("AddUserToGroup", {"userName": "eve", "groupName": "admins"}, "eve", "group admins"),
        (
            "AttachRolePolicy",
            {"roleName": "ci", "policyArn": ADMIN},
            "ci",
            "policy AdministratorAccess",
        ),
        (
            "UpdateAccessKey",
            {"userName": "eve", "accessKeyId": "AKIA1", "status": "Inactive"},
            "eve",
            "access key AKIA1, status Inactive",
        ),
        (
            "AssumeRole",
            {"roleArn": "arn:aws:iam::1:role/ops", "roleSessionName": "s-1"},
            "role/ops",
            "session s-1",
        ),
        ("StopLogging", {"name": "main-trail"}, "main-trail", ""),
        (
            "PutEventSelectors",
            {"trailName": "main-trail", "eventSelectors": [{}]},
            "main-trail",
            "",
        ),
        (
            "DeleteFlowLogs",
            {"DeleteFlowLogsRequest": {"FlowLogId": {"content": "fl-1", "tag": 1}}},
            "fl-1",
            "",
        ),
        ("DeleteResolverQueryLogConfig", {"resolverQueryLogConfigId": "rqlc-1"}, "rqlc-1", ""),
        ("GetSecretValue", {"secretId": SECRET}, "secret:db/prod-AbCdEf", ""),
        ("GetParameters", {"names": ["/a", "/b", "/c", "/d"]}, "/a, /b, /c and 1 more", ""),
        ("GetPasswordData", {"instanceId": "i-1"}, "i-1", ""),
        (
            "SendCommand",
            {"documentName": "AWS-RunShellScript", "instanceIds": ["i-1", "i-2"]},
            "i-1, i-2",
            "document AWS-RunShellScript",
        ),
        ("StartSession", {"target": "i-1"}, "i-1", ""),
        (
            "ModifySnapshotAttribute",
            {
                "snapshotId": "snap-1",
                "createVolumePermission": {"add": {"items": [{"userId": "999988887777"}]}},
            },
            "snap-1",
            "account 999988887777",
        ),
        (
            "ModifyImageAttribute",
            {
                "imageId": "ami-1",
                "launchPermission": {"add": {"items": [{"userId": "999988887777"}]}},
            },
            "ami-1",
            "account 999988887777",
        ),
        (
            "ModifyDBSnapshotAttribute",
            {"dBSnapshotIdentifier": "nightly", "valuesToAdd": ["999988887777"]},
            "nightly",
            "account 999988887777",
        ),
        (
            "AddPermission20150331v2",
            {"functionName": "nightly", "principal": "*"},
            "nightly",
            "principal *",
        ),
        (
            "UpdateFunctionConfiguration20150331v2",
            {"functionName": LAMBDA, "layers": [LAMBDA + "x"]},
            "function:nightly",
            "layer function:nightlyx",
        ),
        ("PutBucketPolicy", {"bucketName": "b", "bucketPolicy": {"Statement": []}}, "b", ""),
        ("InvokeModel", {"modelId": "model-1"}, "model-1", ""),
        ("CreateTrustAnchor", {"name": "anchor", "source": {"sourceData": {}}}, "anchor", ""),
        ("LeaveOrganization", None, None, ""),
        ("GetCallerIdentity", {}, None, ""),
    ],
)
def test_usual_requests(name: str, request_: Any, named: str | None, details: str) -> None:
    text = None if request_ is None else json.dumps(request_)
    assert name_object(text, None) == named
    assert describe_request(name, text, named) == details


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (
            {
                "groupId": "sg-1",
                "cidrIp": "0.0.0.0/0",
                "fromPort": 22,
                "toPort": 22,
                "ipProtocol": "tcp",
            },
            "22/tcp from 0.0.0.0/0",
        ),
        (
            {
                "groupId": "sg-1",
                "ipPermissions": {
                    "items": [
                        {
                            "ipProtocol": "tcp",
                            "fromPort": 3000,
                            "toPort": 4000,
                            "ipRanges": {
                                "items": [{"cidrIp": "192.0.2.0/24"}, {"cidrIp": "198.51.100.7/32"}]
                            },
                        }
                    ]
                },
            },
            "3000-4000/tcp from 192.0.2.0/24, 198.51.100.7/32",
        ),
        (
            {
                "groupId": "sg-1",
                "ipPermissions": {
                    "items": [{"ipProtocol": "-1", "groups": {"items": [{"groupId": "sg-2"}]}}]
                },
            },
            "all traffic from a security group",
        ),
        (
            {
                "groupId": "sg-1",
                "ipPermissions": {
                    "items": [
                        {
                            "ipProtocol": "udp",
                            "fromPort": 53,
                            "toPort": 53,
                            "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]},
                        }
                    ]
                },
            },
            "53/udp from ::/0",
        ),
    ],
)
def test_security_group_rules(request_: dict[str, Any], rule: str) -> None:
    text = json.dumps(request_)
    assert name_object(text, None) == "sg-1"
    details = describe_request("AuthorizeSecurityGroupIngress", text, "sg-1")
    assert details.partition(", account")[0] == rule


def test_what_a_call_created() -> None:
    response = json.dumps({"instancesSet": {"items": [{"instanceId": "i-9"}]}})
    assert name_object(json.dumps({"instanceType": "m7i.large"}), response) == "i-9"


def test_long_and_hostile_values_are_data() -> None:
    name = "<script>alert(1)</script>" + "x" * 500
    named = name_object(json.dumps({"userName": name}), None)
    assert named is not None
    assert (len(named), named[:8], named[-1]) == (80, "<script>", "…")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["userName", "ipPermissions", "items", "name", "cidrIp", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["CreateUser", "AuthorizeSecurityGroupIngress"]))
def test_any_request(content: Any, name: str) -> None:
    text = json.dumps(content)
    named = name_object(text, text)
    assert named is None or isinstance(named, str)
    assert isinstance(describe_request(name, text, named), str)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "\x00"])
def test_what_is_no_json(text: str) -> None:
    assert name_object(text, text) is None
    assert describe_request("X", text, None) == ""
