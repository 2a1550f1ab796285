"""The usual API events of a generated scenario: people, instances, functions, deployments."""

from __future__ import annotations

import random

from flowbench.scenario import cloudtrail
from flowbench.scenario.daily_traffic import DAY, HOUR
from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.network import ACCOUNT, Host, make_id
from flowbench.scenario.writer import format_time

_LAMBDA = "lambda.amazonaws.com"
_PEOPLE_CALLS = (
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeSecurityGroups"),
    ("rds", "DescribeDBInstances"),
    ("s3", "ListBuckets"),
    ("cloudwatch", "GetMetricData"),
    ("logs", "FilterLogEvents"),
)
_INSTANCE_CALLS = (
    ("ssm", "UpdateInstanceInformation"),
    ("ecr", "GetAuthorizationToken"),
    ("sts", "GetCallerIdentity"),
)


def add_usual_calls(recorder: Recorder) -> None:
    """Add sign-ins and reading calls of people, and calls of roles."""
    organisation = recorder.organisation
    rng = random.Random(f"{organisation.seed}/calls")
    for day in range(organisation.first, organisation.last, DAY):
        for person in organisation.people:
            _add_working_day(recorder, rng, day, person.name, person.key)
        for _ in range(int(30 * recorder.difficulty.load)):
            host = rng.choice(organisation.with_role("web", "app", "batch", "ci"))
            at = day + rng.random() * DAY
            service, name = rng.choice(_INSTANCE_CALLS)
            recorder.call(
                instance_role(host, at), at, service, name, egress_address(recorder, host)
            )
        for _ in range(8):
            _add_function(recorder, day + rng.random() * DAY)
        _add_deployment(recorder, day + 10 * HOUR)


def instance_role(host: Host, at: float) -> dict[str, object]:
    """Return the identity of a session of an instance's role."""
    return cloudtrail.role(f"{host.tags['env']}-{host.role}", host.instance or "", at)


def egress_address(recorder: Recorder, host: Host) -> str:
    """Return the address that a host's API calls come from."""
    gateway = recorder.organisation.network.nat_of(host) or host
    return gateway.public or gateway.address


def _add_working_day(recorder: Recorder, rng: random.Random, day: int, name: str, key: str) -> None:
    office = recorder.organisation.office
    recorder.call(
        cloudtrail.user(name),
        day + rng.uniform(8, 9.5) * HOUR,
        "signin",
        "ConsoleLogin",
        office,
        None,
        {"ConsoleLogin": "Success"},
        agent="Mozilla/5.0",
        read_only=False,
        kind="AwsConsoleSignIn",
        additionalEventData={"MFAUsed": "Yes"},
    )
    for _ in range(int(12 * recorder.difficulty.load)):
        at = day + rng.uniform(9.5, 18) * HOUR
        service, call = rng.choice(_PEOPLE_CALLS)
        recorder.call(cloudtrail.user(name, key), at, service, call, office)


def _add_function(recorder: Recorder, at: float) -> None:
    """Add the role session that the Lambda service starts."""
    name = f"{recorder.organisation.name}-statements"
    session = cloudtrail.principal_id("AROA", name)
    credentials = {
        "accessKeyId": cloudtrail.session_key(name, at),
        "sessionToken": "invented",
        "expiration": format_time(at + HOUR),
    }
    assumed = {
        "assumedRoleId": f"{session}:{name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{name}",
    }
    recorder.call(
        cloudtrail.service(_LAMBDA),
        at,
        "sts",
        "AssumeRole",
        _LAMBDA,
        {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "roleSessionName": name},
        {"credentials": credentials, "assumedRoleUser": assumed},
        agent=_LAMBDA,
    )


def _add_deployment(recorder: Recorder, at: float) -> None:
    """Add a deployment, which opens a port to internal addresses."""
    organisation = recorder.organisation
    host = organisation.with_role("ci")[0]
    network = f"{host.address.rsplit('.', 2)[0]}.0.0/16"
    rule = cloudtrail.open_port(make_id("sg", host.subnet.vpc, host.group), 8080, network)
    recorder.call(
        cloudtrail.role("deploy", "pipeline", at),
        at,
        "ec2",
        "AuthorizeSecurityGroupIngress",
        egress_address(recorder, host),
        *rule,
        agent="terraform/1.9",
        read_only=False,
    )
