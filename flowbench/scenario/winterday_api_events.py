"""CloudTrail events of the Winterday scenario: the attacker's and the responder's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from flowbench.scenario import cloudtrail
from flowbench.scenario.daily_api_events import daily_api_events
from flowbench.scenario.daily_traffic import DAY
from flowbench.scenario.network import ACCOUNT, OFFICE, JsonObject, Network, make_id
from flowbench.scenario.winterday_facts import (
    ATTACKER,
    ATTACKER_USER_AGENT,
    DEVELOPER,
    DEVELOPER_KEY,
    INSTANCE_STARTED,
    INSTANCE_STOPPED,
    MINER,
    RESPONDER,
    RESPONDER_KEY,
    ROGUE_KEY,
    ROGUE_USER,
    USER_CREATED,
)
from flowbench.scenario.writer import format_time


def events(network: Network, rng: random.Random) -> Iterator[JsonObject]:
    """Yield the CloudTrail events of the three days, unordered."""
    yield from daily_api_events(network, rng)
    yield from _attacker_events()
    yield from _responder_events()


def _attacker_events() -> Iterator[JsonObject]:
    """Yield the API calls with the leaked key and with the key of the created user."""
    leaked = cloudtrail.user(DEVELOPER, DEVELOPER_KEY)
    rogue = cloudtrail.user(ROGUE_USER, ROGUE_KEY)

    def call(
        identity: JsonObject, at: float, source: str, name: str, *a: Any, **k: Any
    ) -> JsonObject:
        return cloudtrail.event(at, identity, source, name, ATTACKER, ATTACKER_USER_AGENT, *a, **k)

    arn = f"arn:aws:iam::{ACCOUNT}:user/{ROGUE_USER}"
    created_user = {
        "userName": ROGUE_USER,
        "userId": cloudtrail.principal_id("AIDA", ROGUE_USER),
        "arn": arn,
        "path": "/",
    }
    yield call(leaked, USER_CREATED - 140, "sts", "GetCallerIdentity")
    yield call(
        leaked,
        USER_CREATED,
        "iam",
        "CreateUser",
        {"userName": ROGUE_USER},
        {"user": created_user},
        read_only=False,
    )
    key = {
        "userName": ROGUE_USER,
        "accessKeyId": ROGUE_KEY,
        "status": "Active",
        "createDate": format_time(USER_CREATED + 31),
    }
    yield call(
        leaked,
        USER_CREATED + 31,
        "iam",
        "CreateAccessKey",
        {"userName": ROGUE_USER},
        {"accessKey": key},
        read_only=False,
    )
    policy = {"userName": ROGUE_USER, "policyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
    yield call(leaked, USER_CREATED + 58, "iam", "AttachUserPolicy", policy, read_only=False)

    at = INSTANCE_STARTED - 25 * 60
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
    rule = cloudtrail.open_port(make_id("sg", "dev", "default"), 22, f"{ATTACKER}/32")
    yield call(
        rogue,
        INSTANCE_STARTED - 300,
        "ec2",
        "AuthorizeSecurityGroupIngress",
        *rule,
        read_only=False,
    )
    quota_error = (
        "Client.VcpuLimitExceeded",
        "You have requested more vCPU capacity than your limit",
    )
    request, _ = cloudtrail.run_instances(
        MINER, INSTANCE_STARTED - 60, "c7i.48xlarge", "ami-0example1winter"
    )
    yield call(
        rogue,
        INSTANCE_STARTED - 60,
        "ec2",
        "RunInstances",
        request,
        error=quota_error,
        read_only=False,
    )
    request, response = cloudtrail.run_instances(
        MINER, INSTANCE_STARTED, "c7i.8xlarge", "ami-0example1winter"
    )
    yield call(rogue, INSTANCE_STARTED, "ec2", "RunInstances", request, response, read_only=False)
    yield call(
        rogue,
        INSTANCE_STARTED + 90,
        "ec2",
        "DescribeInstances",
        {"instancesSet": {"items": [{"instanceId": MINER.instance}]}},
    )
    yield call(
        rogue,
        INSTANCE_STARTED + DAY,
        "ec2",
        "DescribeInstanceStatus",
        {"instancesSet": {"items": [{"instanceId": MINER.instance}]}},
    )


def _responder_events() -> Iterator[JsonObject]:
    """Yield the API calls that deactivate the key and stop the instance."""
    responder = cloudtrail.user(RESPONDER, RESPONDER_KEY)
    agent = "aws-cli/2.17.0"
    yield cloudtrail.event(
        INSTANCE_STOPPED - 420,
        responder,
        "iam",
        "UpdateAccessKey",
        OFFICE,
        agent,
        {"userName": ROGUE_USER, "accessKeyId": ROGUE_KEY, "status": "Inactive"},
        read_only=False,
    )
    states = {
        "instanceId": MINER.instance,
        "currentState": {"code": 64, "name": "stopping"},
        "previousState": {"code": 16, "name": "running"},
    }
    yield cloudtrail.event(
        INSTANCE_STOPPED,
        responder,
        "ec2",
        "StopInstances",
        OFFICE,
        agent,
        {"instancesSet": {"items": [{"instanceId": MINER.instance}]}},
        {"instancesSet": {"items": [states]}},
        read_only=False,
    )
