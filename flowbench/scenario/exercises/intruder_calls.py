"""What an intruder, or someone who misuses access, calls; each step adds its facts to the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowbench.scenario import cloudtrail
from flowbench.scenario.daily_traffic import HOUR
from flowbench.scenario.exercises.organisation import make_key
from flowbench.scenario.exercises.recorder import Recorder, principal_of
from flowbench.scenario.network import ACCOUNT, Host, JsonObject, make_id
from flowbench.scenario.writer import format_time

_AGENTS = (
    "aws-cli/2.15.30 Python/3.11.8 Linux/6.6.9-amd64 exe/x86_64.kali.2024",
    "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#6.1",
    "aws-sdk-go-v2/1.24.0 os/linux lang/go#1.21.5",
)
_LOOKING = (
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeSubnets"),
    ("ec2", "DescribeSecurityGroups"),
    ("s3", "ListBuckets"),
    ("iam", "ListUsers"),
    ("iam", "ListRoles"),
    ("rds", "DescribeDBInstances"),
    ("secretsmanager", "ListSecrets"),
)


@dataclass(frozen=True)
class Caller:
    """Credentials in use: whose they are, and from which address they are used."""

    recorder: Recorder
    identity: JsonObject
    address: str
    agent: str

    @property
    def name(self) -> str:
        """The principal: a user, or role/session."""
        return principal_of(self.identity)

    def call(
        self,
        at: float,
        service: str,
        name: str,
        *bodies: Any,
        target: str | None = None,
        is_fact: bool = True,
        **more: Any,
    ) -> None:
        """Add a call, and its fact."""
        self.recorder.call(
            self.identity, at, service, name, self.address, *bodies, agent=self.agent, **more
        )
        if is_fact:
            self.recorder.fact("api", name, self.name, target, at)


def make_caller(recorder: Recorder, identity: JsonObject, address: str) -> Caller:
    """Return an intruder with some credentials; they and the address are indicators."""
    caller = Caller(recorder, identity, address, recorder.rng.choice(_AGENTS))
    recorder.indicator("address", address, "the intruder calls AWS from it")
    meaning = f"access key of {caller.name}, which the intruder uses"
    recorder.indicator("access-key", identity["accessKeyId"], meaning)
    recorder.involve(caller.name)
    names = [identity["accessKeyId"], caller.name.partition("/")[0]]
    recorder.key.aliases.setdefault(caller.name, [n for n in names if n != caller.name])
    return caller


def look_around(caller: Caller, at: float, calls: int = 4) -> float:
    """Add reading calls, some of which are denied, and return when they ended."""
    rng = caller.recorder.rng
    caller.call(at, "sts", "GetCallerIdentity")
    for service, name in rng.sample(_LOOKING, calls):
        at += rng.uniform(20, 90)
        error = None
        if service == "iam" and rng.random() < 0.5:
            text = f"User: {caller.identity['arn']} is not authorized to perform: iam:{name}"
            error = ("AccessDenied", text)
        caller.call(at, service, name, error=error)
    return at + rng.uniform(30, 200)


def create_user(caller: Caller, name: str, at: float) -> tuple[Caller, float]:
    """Add a new user with an access key and a policy, and return it and the time."""
    recorder, rng = caller.recorder, caller.recorder.rng
    key = make_key(name, recorder.organisation.seed)
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    created = {
        "userName": name,
        "userId": cloudtrail.principal_id("AIDA", name),
        "arn": arn,
        "path": "/",
    }
    request: JsonObject = {"userName": name}
    caller.call(at, "iam", "CreateUser", request, {"user": created}, target=name, read_only=False)
    at += rng.uniform(10, 60)
    response = {
        "accessKey": {
            "userName": name,
            "accessKeyId": key,
            "status": "Active",
            "createDate": format_time(at),
        }
    }
    caller.call(at, "iam", "CreateAccessKey", request, response, target=name, read_only=False)
    at += rng.uniform(10, 60)
    policy = f"arn:aws:iam::aws:policy/{rng.choice(['PowerUserAccess', 'AdministratorAccess'])}"
    request = {"userName": name, "policyArn": policy}
    caller.call(at, "iam", "AttachUserPolicy", request, target=name, read_only=False)
    recorder.indicator("user", name, "created by the intruder")
    return make_caller(recorder, cloudtrail.user(name, key), caller.address), at + 60


def assume_role(caller: Caller, name: str, at: float) -> Caller:
    """Add the start of a session of another role, and return the caller with it."""
    session = caller.recorder.rng.choice(["botocore-session", "cli", "support"])
    identity = cloudtrail.role(name, session, at)
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    response = {
        "credentials": {
            "accessKeyId": identity["accessKeyId"],
            "sessionToken": "invented",
            "expiration": format_time(at + HOUR),
        },
        "assumedRoleUser": {"assumedRoleId": identity["principalId"], "arn": identity["arn"]},
    }
    request = {"roleArn": role_arn, "roleSessionName": session}
    caller.call(at, "sts", "AssumeRole", request, response, target=name)
    return make_caller(caller.recorder, identity, caller.address)


def launch(caller: Caller, host: Host, at: float) -> float:
    """Add the launch of a host, after an attempt at a larger one, and return the time."""
    rng = caller.recorder.rng
    image = make_id("ami", caller.recorder.organisation.seed)
    request, _ = cloudtrail.run_instances(host, at, "c7i.48xlarge", image)
    error = "Client.VcpuLimitExceeded", "You have requested more vCPU capacity than your limit"
    caller.call(at, "ec2", "RunInstances", request, error=error, read_only=False)
    at += rng.uniform(30, 90)
    bodies = cloudtrail.run_instances(host, at, "c7i.8xlarge", image)
    caller.call(at, "ec2", "RunInstances", *bodies, target=host.instance, read_only=False)
    caller.recorder.add_host(host, at)
    caller.recorder.involve(host.address)
    return at


def open_ssh(caller: Caller, host: Host, at: float) -> None:
    """Add a rule of a security group that accepts SSH from the caller's address."""
    group = make_id("sg", host.subnet.vpc, host.group)
    rule = cloudtrail.open_port(group, 22, f"{caller.address}/32")
    name = "AuthorizeSecurityGroupIngress"
    caller.call(at, "ec2", name, *rule, target=group, read_only=False)


def read_secrets(caller: Caller, names: Sequence[str], at: float) -> float:
    """Add the reading of secrets one after the other; the key has the first."""
    for i, name in enumerate(names):
        request = {"secretId": name}
        caller.call(at, "secretsmanager", "GetSecretValue", request, target=name, is_fact=i == 0)
        at += caller.recorder.rng.uniform(5, 40)
    return at


def read_objects(caller: Caller, bucket: str, count: int, at: float) -> float:
    """Add the reading of a bucket's objects (data events); the key has the first."""
    details: dict[str, Any] = {"managementEvent": False, "eventCategory": "Data"}
    request: JsonObject = {"bucketName": bucket, "Host": f"{bucket}.s3.amazonaws.com"}
    caller.call(at, "s3", "ListObjects", request, target=bucket, **details)
    for i in range(count):
        at += caller.recorder.rng.uniform(1, 12)
        request = {"bucketName": bucket, "key": f"statements/2025/part-{i:05}.parquet"}
        caller.call(at, "s3", "GetObject", request, target=bucket, is_fact=i == 0, **details)
    return at


def share_snapshot(caller: Caller, at: float) -> float:
    """Add a snapshot that is shared with another account, and return the time."""
    recorder = caller.recorder
    volume, snapshot = (make_id(kind, recorder.organisation.seed) for kind in ("vol", "snap"))
    bodies = {"volumeId": volume}, {"snapshotId": snapshot, "volumeId": volume}
    caller.call(at, "ec2", "CreateSnapshot", *bodies, target=volume, read_only=False)
    at += recorder.rng.uniform(200, 700)
    permission = {"add": {"items": [{"userId": "999988887777"}]}}
    request = {
        "snapshotId": snapshot,
        "createVolumePermission": permission,
        "attributeType": "CREATE_VOLUME_PERMISSION",
    }
    response = {"_return": True}
    name = "ModifySnapshotAttribute"
    caller.call(at, "ec2", name, request, response, target=snapshot, read_only=False)
    return at + 60


def switch_off_logging(caller: Caller, vpc: str, at: float) -> float:
    """Add the end of the trail, the VPC's flow log and the GuardDuty detector."""
    recorder = caller.recorder
    organisation, rng = recorder.organisation, recorder.rng
    flow_log = make_id("fl", organisation.seed, vpc)
    detector = f"d1{organisation.name}"
    trail = f"{organisation.name}-trail"
    tag = {"content": flow_log, "tag": 1}
    steps: list[tuple[str, str, str, JsonObject]] = [
        ("ec2", "DeleteFlowLogs", flow_log, {"DeleteFlowLogsRequest": {"FlowLogId": tag}}),
        ("guardduty", "DeleteDetector", detector, {"detectorId": detector}),
    ]
    rng.shuffle(steps)
    # The trail is last: it would not record what follows.
    steps.append(("cloudtrail", "StopLogging", trail, {"name": trail}))
    for service, name, target, request in steps:
        caller.call(at, service, name, request, target=target, read_only=False)
        if name == "DeleteFlowLogs":
            recorder.unlogged.append((vpc, at))
            recorder.fact("traffic", "logging gap", make_id("vpc", vpc), None, at)
        at += rng.uniform(20, 120)
    return at


def contain(
    recorder: Recorder, at: float, *, caller: Caller | None = None, host: Host | None = None
) -> None:
    """Add what the responder does: switch off a key, stop an instance."""
    responder = recorder.organisation.responder
    mine = Caller(
        recorder,
        cloudtrail.user(responder.name, responder.key),
        recorder.organisation.office,
        "aws-cli/2.17.0",
    )
    if caller is not None and caller.identity["type"] == "IAMUser":
        key = caller.identity["accessKeyId"]
        request = {"userName": caller.name, "accessKeyId": key, "status": "Inactive"}
        mine.call(at, "iam", "UpdateAccessKey", request, target=key, read_only=False)
    if host is not None:
        request = {"instancesSet": {"items": [{"instanceId": host.instance}]}}
        state = {
            "instanceId": host.instance,
            "currentState": {"code": 64, "name": "stopping"},
            "previousState": {"code": 16, "name": "running"},
        }
        response = {"instancesSet": {"items": [state]}}
        at += 300
        mine.call(
            at, "ec2", "StopInstances", request, response, target=host.instance, read_only=False
        )
        recorder.stopped[host.interface] = at
