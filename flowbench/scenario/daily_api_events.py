"""Daily CloudTrail events of the Winterday scenario: users, roles, services, deployments."""

from __future__ import annotations

import random
from collections.abc import Iterator

from flowbench.scenario import cloudtrail
from flowbench.scenario.daily_traffic import DAY, HOUR
from flowbench.scenario.network import ACCOUNT, OFFICE, Host, JsonObject, Network, make_id
from flowbench.scenario.winterday_facts import (
    DEVELOPER,
    DEVELOPER_KEY,
    FIRST,
    LAST,
    RESPONDER,
    RESPONDER_KEY,
)
from flowbench.scenario.writer import format_time

_LAMBDA = "lambda.amazonaws.com"
_USERS = {
    DEVELOPER: DEVELOPER_KEY,
    RESPONDER: RESPONDER_KEY,
    "a.lindqvist": "AKIAEXAMPLELINDQ0001",
}
_USER_CALLS = [
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeSecurityGroups"),
    ("rds", "DescribeDBInstances"),
    ("s3", "ListBuckets"),
    ("cloudwatch", "GetMetricData"),
    ("logs", "FilterLogEvents"),
]
_ROLE_CALLS = [
    ("ssm", "UpdateInstanceInformation"),
    ("secretsmanager", "GetSecretValue"),
    ("ecr", "GetAuthorizationToken"),
    ("sts", "GetCallerIdentity"),
]


def daily_api_events(network: Network, rng: random.Random) -> Iterator[JsonObject]:
    """Yield the daily API calls, unordered."""
    for day in range(FIRST, LAST, DAY):
        yield from _user_events(day, rng)
        yield from _role_events(network, day, rng)
        yield from _lambda_events(day, rng)
        yield _deployment_event(network, day + 10 * HOUR)
    for i, host in enumerate(network.with_role("devbox")[:2]):
        yield _launch_event(network, host, FIRST + 60 + 90 * i)


def _user_events(day: int, rng: random.Random) -> Iterator[JsonObject]:
    """Yield sign-ins and read-only calls from the office."""
    for name, key in _USERS.items():
        yield cloudtrail.event(
            day + rng.uniform(8, 9.5) * HOUR,
            cloudtrail.user(name),
            "signin",
            "ConsoleLogin",
            OFFICE,
            "Mozilla/5.0",
            None,
            {"ConsoleLogin": "Success"},
            read_only=False,
            kind="AwsConsoleSignIn",
            additionalEventData={"MFAUsed": "Yes"},
        )
        for _ in range(25):
            source, call = rng.choice(_USER_CALLS)
            at = day + rng.uniform(8.5, 18) * HOUR
            identity = cloudtrail.user(name, key)
            yield cloudtrail.event(at, identity, source, call, OFFICE, "aws-cli/2.17.0")


def _role_events(network: Network, day: int, rng: random.Random) -> Iterator[JsonObject]:
    """Yield calls of instances with their roles' credentials."""
    for _ in range(50):
        at = day + rng.random() * DAY
        host = rng.choice(network.with_role("web", "app", "batch", "ci"))
        identity = cloudtrail.role(f"{host.subnet.vpc}-{host.role}", host.instance or "", at)
        source, name = rng.choice(_ROLE_CALLS)
        address, details = _source_address(network, host), JsonObject()
        if source == "ssm":  # through a VPC endpoint
            endpoint = network.with_role("endpoint", env=host.subnet.vpc)[0].name
            address, details = host.address, {"vpcEndpointId": make_id("vpce", endpoint)}
        yield cloudtrail.event(at, identity, source, name, address, "aws-sdk-go/1.55", **details)


def _lambda_events(day: int, rng: random.Random) -> Iterator[JsonObject]:
    """Yield the role sessions that the Lambda service starts."""
    principal = cloudtrail.principal_id("AROA", "statements")
    session_arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/statements/statements"
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/statements"
    for _ in range(18):
        at = day + rng.random() * DAY
        credentials = {
            "accessKeyId": cloudtrail.session_key("statements", at),
            "sessionToken": "invented",
            "expiration": format_time(at + HOUR),
        }
        assumed = {"assumedRoleId": f"{principal}:statements", "arn": session_arn}
        yield cloudtrail.event(
            at,
            cloudtrail.service(_LAMBDA),
            "sts",
            "AssumeRole",
            _LAMBDA,
            _LAMBDA,
            {"roleArn": role_arn, "roleSessionName": "statements"},
            {"credentials": credentials, "assumedRoleUser": assumed},
        )


def _deployment_event(network: Network, at: float) -> JsonObject:
    """Return the call of a deployment that opens a port to internal addresses."""
    rule = cloudtrail.open_port(make_id("sg", "dev", "dev-ci"), 8080, "10.40.0.0/16")
    identity, address = _deployment_caller(network, at)
    name = "AuthorizeSecurityGroupIngress"
    return cloudtrail.event(
        at, identity, "ec2", name, address, "terraform/1.9", *rule, read_only=False
    )


def _launch_event(network: Network, host: Host, at: float) -> JsonObject:
    """Return the call of a deployment that launches a host."""
    bodies = cloudtrail.run_instances(host, at, "t3.medium", "ami-0example0golden")
    identity, address = _deployment_caller(network, at)
    return cloudtrail.event(
        at, identity, "ec2", "RunInstances", address, "terraform/1.9", *bodies, read_only=False
    )


def _deployment_caller(network: Network, at: float) -> tuple[JsonObject, str]:
    """Return the identity and source address of the deployment pipeline."""
    identity = cloudtrail.role("deploy", "pipeline", at)
    return identity, _source_address(network, network["dev-ci-2"])


def _source_address(network: Network, host: Host) -> str:
    """Return the source address of a host's API calls without a VPC endpoint."""
    gateway = network.nat_of(host) or host
    return gateway.public or gateway.address
