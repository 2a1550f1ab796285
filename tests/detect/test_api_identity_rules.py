"""Rules on identities: an example of each, and calls that none of them names."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.detect.api_identity_rules import IDENTITY_RULES
from tests.detect.test_api_matches import event, ids

USER = {"userName": "eve"}
ADMIN = USER | {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
POWER = USER | {"policyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
TRUST = '{"Statement": {"Effect": "Allow", "Principal": {"AWS": "444455556666"}}}'
SESSION = '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'

EXAMPLES = {
    "admin-policy": [event("AttachUserPolicy", ADMIN)],
    "broad-policy": [event("AttachUserPolicy", POWER)],
    "user-policy": [event("AddUserToGroup", USER | {"groupName": "dev"})],
    "policy-version": [event("SetDefaultPolicyVersion", {"policyArn": "x"})],
    "role-trust": [event("UpdateAssumeRolePolicy", {"roleName": "r", "policyDocument": TRUST})],
    "identity-provider": [event("CreateSAMLProvider")],
    "create-user": [event("CreateUser", USER)],
    "credentials": [event("CreateLoginProfile", USER)],
    "own-credentials": [event("CreateAccessKey")],
    "root-credentials": [event("CreateAccessKey", who="root", kind="Root")],
    "mfa-removed": [event("DeactivateMFADevice", USER)],
    "trust-anchor": [event("CreateTrustAnchor", service="rolesanywhere")],
    "federation-admin": [event("GetFederationToken", {"policy": SESSION}, service="sts")],
    "sign-in-without-mfa": [event("ConsoleLogin", service="signin", mfa_used="No")],
    "password-guessing": [
        event("ConsoleLogin", None, n / 60, service="signin", failed=True) for n in range(10)
    ],
    "root": [event("DescribeInstances", who="root", kind="Root", service="ec2")],
    "secrets": [
        event("GetParameters", {"names": [f"/{n}"], "withDecryption": True}, service="ssm")
        for n in range(10)
    ],
    "secrets-by-filter": [event("BatchGetSecretValue", {"filters": []}, service="secretsmanager")],
    "windows-passwords": [
        event("GetPasswordData", {"instanceId": f"i-{n}"}, service="ec2") for n in range(5)
    ],
    "user-data": [
        event(
            "DescribeInstanceAttribute",
            {"attribute": "userData", "instanceId": f"i-{n}"},
            service="ec2",
        )
        for n in range(5)
    ],
    "mail-service": [
        event(name, service="ses") for name in ("GetAccount", "GetSendQuota", "ListIdentities")
    ],
}


@pytest.mark.parametrize("rule", IDENTITY_RULES, ids=lambda rule: rule.id)
def test_an_example_matches_each_rule(rule: Any) -> None:
    if rule.new_only:
        pytest.skip("of new principals only: tests/detect/test_api_matches.py")
    found = ids(EXAMPLES[rule.id])
    assert found == ([rule.id] if rule.id != "root-credentials" else ["root", rule.id])
    assert len(EXAMPLES[rule.id]) == rule.least or rule.least == 1
    if rule.least > 1:
        assert ids(EXAMPLES[rule.id][1:]) == []


@pytest.mark.parametrize(
    "row",
    [
        event("ListUsers"),
        event("GetSecretValue", {"secretId": "a"}, service="secretsmanager"),
        event("ConsoleLogin", service="signin", mfa_used="Yes"),
        event("ConsoleLogin", service="signin", kind="AssumedRole", who="a/b@c.d", mfa_used="No"),
        event("GetAccount", service="apigateway"),
        event("GetFederationToken", {"name": "x"}, service="sts"),
        event("AttachRolePolicy", {"roleName": "r", "policyArn": "arn:aws:iam::1:policy/mine"}),
        event("CreateRole", {"roleName": "r", "assumeRolePolicyDocument": "{}"}),
        event("AssumeRole", service="sts"),
    ],
)
def test_ordinary_calls_match_none(row: dict[str, Any]) -> None:
    assert ids([row]) == []
