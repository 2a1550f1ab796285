"""The API calls around the Winterday incident: the rogue user's, and everybody else's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from flowbench.scenario import companions as say
from flowbench.scenario.daily_traffic import DAY, HOUR, OFFICE
from flowbench.scenario.network import ACCOUNT, Estate, Host, identifier
from flowbench.scenario.winterday_facts import (
    ATTACKER,
    BAD_AGENT,
    CREATED,
    FIRST,
    LAST,
    LEAKED,
    LEAKED_KEY,
    MINER,
    RESPONDER,
    RESPONDER_KEY,
    ROGUE,
    ROGUE_KEY,
    STARTED,
    STOPPED,
)
from flowbench.scenario.writer import stamp

_LAMBDA = "lambda.amazonaws.com"


def events(estate: Estate, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Every CloudTrail event of the three days, in no particular order."""
    yield from _routine(estate, chance)
    leaked, rogue = say.user(LEAKED, LEAKED_KEY), say.user(ROGUE, ROGUE_KEY)

    def call(
        who: dict[str, Any], at: float, source: str, name: str, *a: Any, **k: Any
    ) -> dict[str, Any]:
        return say.event(at, who, source, name, ATTACKER, BAD_AGENT, *a, **k)

    arn = f"arn:aws:iam::{ACCOUNT}:user/{ROGUE}"
    person = {"userName": ROGUE, "userId": say.principal_id("AIDA", ROGUE), "arn": arn, "path": "/"}
    yield call(leaked, CREATED - 140, "sts", "GetCallerIdentity")
    yield call(
        leaked, CREATED, "iam", "CreateUser", {"userName": ROGUE}, {"user": person}, read_only=False
    )
    key = {"userName": ROGUE, "accessKeyId": ROGUE_KEY, "status": "Active",
           "createDate": stamp(CREATED + 31)}  # fmt: skip
    yield call(leaked, CREATED + 31, "iam", "CreateAccessKey", {"userName": ROGUE},
               {"accessKey": key}, read_only=False)  # fmt: skip
    policy = {"userName": ROGUE, "policyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
    yield call(leaked, CREATED + 58, "iam", "AttachUserPolicy", policy, read_only=False)

    at = STARTED - 25 * 60
    for gap, source, name in (
        (0, "sts", "GetCallerIdentity"),
        (40, "ec2", "DescribeInstances"),
        (71, "ec2", "DescribeSubnets"),
        (90, "s3", "ListBuckets"),
    ):
        yield call(rogue, at + gap, source, name)
    for gap, name in ((160, "ListUsers"), (190, "CreateAccessKey"), (240, "ListRoles")):
        text = f"User: {arn} is not authorized to perform: iam:{name}"
        yield call(
            rogue, at + gap, "iam", name, error=("AccessDenied", text), read_only=name[0] == "L"
        )
    opening = say.open_port(identifier("sg", "dev", "default"), 22, f"{ATTACKER}/32")
    yield call(rogue, STARTED - 300, "ec2", "AuthorizeSecurityGroupIngress", *opening,
               read_only=False)  # fmt: skip
    too_big = ("Client.VcpuLimitExceeded", "You have requested more vCPU capacity than your limit")
    asked, _ = say.run_instances(MINER, STARTED - 60, "c7i.48xlarge", "ami-0example1winter")
    yield call(rogue, STARTED - 60, "ec2", "RunInstances", asked, error=too_big, read_only=False)
    request, response = say.run_instances(MINER, STARTED, "c7i.8xlarge", "ami-0example1winter")
    yield call(rogue, STARTED, "ec2", "RunInstances", request, response, read_only=False)
    yield call(rogue, STARTED + 90, "ec2", "DescribeInstances",
               {"instancesSet": {"items": [{"instanceId": MINER.instance}]}})  # fmt: skip
    yield call(rogue, STARTED + DAY, "ec2", "DescribeInstanceStatus",
               {"instancesSet": {"items": [{"instanceId": MINER.instance}]}})  # fmt: skip

    responder = say.user(RESPONDER, RESPONDER_KEY)
    agent = "aws-cli/2.17.0"
    yield say.event(
        STOPPED - 420, responder, "iam", "UpdateAccessKey", OFFICE, agent,
        {"userName": ROGUE, "accessKeyId": ROGUE_KEY, "status": "Inactive"}, read_only=False,
    )  # fmt: skip
    states = {"instanceId": MINER.instance, "currentState": {"code": 64, "name": "stopping"},
              "previousState": {"code": 16, "name": "running"}}  # fmt: skip
    yield say.event(
        STOPPED, responder, "ec2", "StopInstances", OFFICE, agent,
        {"instancesSet": {"items": [{"instanceId": MINER.instance}]}},
        {"instancesSet": {"items": [states]}}, read_only=False,
    )  # fmt: skip


def _seen_from(estate: Estate, host: Host) -> str:
    """The address that AWS sees when a host calls without an endpoint: its NAT gateway's."""
    gateway = estate.nat_of(host) or host
    return gateway.public or gateway.address


def _routine(estate: Estate, chance: random.Random) -> Iterator[dict[str, Any]]:
    """What the account's people, roles and services do every day."""
    builder = _seen_from(estate, estate["dev-ci-2"])
    people = {LEAKED: LEAKED_KEY, RESPONDER: RESPONDER_KEY, "a.lindqvist": "AKIAEXAMPLELINDQ0001"}
    for day in range(FIRST, LAST, DAY):
        for name, key in people.items():
            yield say.event(
                day + chance.uniform(8, 9.5) * HOUR, say.user(name), "signin", "ConsoleLogin",
                OFFICE, "Mozilla/5.0", None, {"ConsoleLogin": "Success"}, read_only=False,
                kind="AwsConsoleSignIn", additionalEventData={"MFAUsed": "Yes"},
            )  # fmt: skip
            for _ in range(25):
                source, action = chance.choice([
                    ("ec2", "DescribeInstances"), ("ec2", "DescribeSecurityGroups"),
                    ("rds", "DescribeDBInstances"), ("s3", "ListBuckets"),
                    ("cloudwatch", "GetMetricData"), ("logs", "FilterLogEvents"),
                ])  # fmt: skip
                at = day + chance.uniform(8.5, 18) * HOUR
                yield say.event(at, say.user(name, key), source, action, OFFICE, "aws-cli/2.17.0")
        for _ in range(50):
            at = day + chance.random() * DAY
            host = chance.choice(estate.with_role("web", "app", "batch", "ci"))
            who = say.role(f"{host.subnet.vpc}-{host.role}", host.instance or "", at)
            source, action = chance.choice([
                ("ssm", "UpdateInstanceInformation"), ("secretsmanager", "GetSecretValue"),
                ("ecr", "GetAuthorizationToken"), ("sts", "GetCallerIdentity"),
            ])  # fmt: skip
            agent = "aws-sdk-go/1.55"
            if source == "ssm":  # by an endpoint: the private address and the endpoint are seen
                endpoint = estate.with_role("endpoint", env=host.subnet.vpc)[0].name
                yield say.event(at, who, source, action, host.address, agent,
                                vpcEndpointId=identifier("vpce", endpoint))  # fmt: skip
            else:
                yield say.event(at, who, source, action, _seen_from(estate, host), agent)
        for _ in range(18):
            at = day + chance.random() * DAY
            yield say.event(
                at, say.service(_LAMBDA), "sts", "AssumeRole", _LAMBDA, _LAMBDA,
                {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/statements",
                 "roleSessionName": "statements"},
                {"credentials": {"accessKeyId": say.session_key("statements", at),
                                 "sessionToken": "invented", "expiration": stamp(at + HOUR)},
                 "assumedRoleUser": {
                     "assumedRoleId": f"{say.principal_id('AROA', 'statements')}:statements",
                     "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/statements/statements"}},
            )  # fmt: skip
        at = day + 10 * HOUR
        yield say.event(
            at, say.role("deploy", "pipeline", at), "ec2", "AuthorizeSecurityGroupIngress",
            builder, "terraform/1.9",
            *say.open_port(identifier("sg", "dev", "dev-ci"), 8080, "10.40.0.0/16"),
            read_only=False,
        )  # fmt: skip
    for place, host in enumerate(estate.with_role("devbox")[:2]):  # honest starts, for comparison
        at = FIRST + 60 + 90 * place
        request, response = say.run_instances(host, at, "t3.medium", "ami-0example0golden")
        yield say.event(
            at, say.role("deploy", "pipeline", at), "ec2", "RunInstances", builder,
            "terraform/1.9", request, response, read_only=False,
        )  # fmt: skip
