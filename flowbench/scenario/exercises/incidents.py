"""The incidents of generated scenarios: each combines steps, whose order and times vary by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowbench.scenario import cloudtrail
from flowbench.scenario.exercises import intruder_calls as calls
from flowbench.scenario.exercises import intruder_traffic as traffic
from flowbench.scenario.exercises import long_incidents
from flowbench.scenario.exercises.intruder_calls import Caller
from flowbench.scenario.exercises.organisation import make_host, make_key
from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.exercises.usual_calls import instance_role
from flowbench.scenario.network import Host

_USER_NAMES = ("svc-nightly-sync", "backup-agent", "ci-reporting", "audit-export", "ops-metrics")
_GB = 1e9


def crypto_mining(r: Recorder) -> str:
    """Mine on a launched instance, or on one that was broken into, after a key leaked."""
    rng, caller = r.rng, _leaked_key(r)
    at = calls.look_around(caller, _time(r, 0.2, 0.3), calls=rng.randint(2, 4))
    if rng.random() < 0.6:
        caller, at = calls.create_user(caller, rng.choice(_USER_NAMES), at)
        at = calls.look_around(caller, at + rng.uniform(600, 7_200), calls=rng.randint(3, 5))
    if rng.random() < 0.6:
        host = _new_host(r)
        at = calls.launch(caller, host, at)
        calls.open_ssh(caller, host, at + 60)
        at += rng.uniform(200, 900)
    else:
        (host,) = r.organisation.with_role("bastion")
        calls.open_ssh(caller, host, at)
        at += rng.uniform(100, 400)
    at = traffic.open_session(r, caller.address, host, at)
    until = _time(r, 0.88, 0.92)
    traffic.mine(r, host, at + rng.uniform(60, 900), until)
    if rng.random() < 0.5:
        traffic.beacon(r, host, at + rng.uniform(900, 2_000), until - 300)
    if rng.random() < 0.5:
        traffic.try_services(r, host, _data_services(r, host), at + rng.uniform(2_000, 9_000))
    calls.contain(r, until - 300, caller=caller, host=host)
    return f"{host.address} mined cryptocurrency after the access key of {caller.name} was misused."


def stolen_role(r: Recorder) -> str:
    """Use the credentials of an instance's role elsewhere, and exfiltrate data."""
    rng, host = r.rng, r.organisation.pick("web", "app")
    at = _time(r, 0.5, 0.6)
    source = r.organisation.take_address()
    (balancer, *_) = r.organisation.with_role("alb")
    for i in range(12):  # requests through the load balancer, which return the credentials
        r.connect(source, balancer.address, 443, at - 900 + 60 * i, bytes_in=3_000)
    caller = calls.make_caller(r, instance_role(host, at), source)
    r.involve(host.address)
    at = calls.look_around(caller, at, calls=rng.randint(2, 5))
    r.alert_about_key(
        caller.identity,
        "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        at,
        ("sts", "GetCallerIdentity"),
        source,
    )
    bucket = f"{r.organisation.name}-statements"
    for step in rng.sample(("objects", "secrets", "role"), rng.randint(2, 3)):
        if step == "objects":
            at = calls.read_objects(caller, bucket, rng.randint(15, 60), at)
        elif step == "secrets":
            names = [f"{r.organisation.name}/db-{n}" for n in range(rng.randint(2, 12))]
            at = calls.read_secrets(caller, names, at)
        else:
            at = calls.share_snapshot(calls.assume_role(caller, "reporting", at), at + 120)
        at += rng.uniform(60, 900)
    traffic.send_out(r, host, at, rng.uniform(6, 20) * _GB / r.difficulty.quiet)
    _revoke_sessions(r, f"{host.tags['env']}-{host.role}", _time(r, 0.88, 0.92))
    return f"The role credentials of {host.address} were used from {source} to exfiltrate data."


def exfiltration(r: Recorder) -> str:
    """Send data of a database out in parts, after a break-in through the bastion."""
    rng = r.rng
    host, source, at = _break_in(r, 0.3, 0.4)
    box = r.organisation.pick("devbox")
    at = traffic.open_internal_session(r, host, box, at + rng.uniform(60, 600))
    store = next(each for each in r.organisation.with_role("rds") if each.vpc_id == box.vpc_id)
    size = rng.uniform(8, 20) * _GB / r.difficulty.quiet
    r.connect(
        box.address,
        store.address,
        5432,
        at,
        seconds=1_500,
        bytes_out=4_000_000,
        bytes_in=int(size),
        packet_bytes=1_400,
    )
    gap = rng.uniform(600, 1_500) * r.difficulty.quiet
    traffic.send_out(r, box, at + 1_800, size, parts=rng.randint(4, 9), gap=gap)
    if rng.random() < 0.5:
        traffic.beacon(r, box, at + 900, _time(r, 0.88, 0.92))
    return f"{source} logged in to {host.address}, and {box.address} sent data out."


def lateral_movement(r: Recorder) -> str:
    """Move from the bastion to servers, which attempt others and check in."""
    rng = r.rng
    host, source, at = _break_in(r, 0.45, 0.55)
    servers = r.organisation.with_role("web", "app", "batch")
    first, second = rng.sample(servers, 2)
    if rng.random() < 0.6:
        targets = [each.address for each in r.organisation.hosts if each.address != host.address]
        ports = rng.sample([22, 445, 3306, 3389, 5985, 6379], 3)
        at = traffic.scan(r, host.address, targets[:12], ports, at + 120)
    at = traffic.open_internal_session(r, host, first, at + rng.uniform(120, 900))
    traffic.try_services(r, first, _data_services(r, first), at + rng.uniform(60, 600))
    at = traffic.open_internal_session(r, first, second, at + rng.uniform(900, 2_500))
    until = _time(r, 0.9, 0.93)
    traffic.beacon(r, second, at + rng.uniform(60, 300), until)
    calls.contain(r, until, host=second)
    return f"{source} logged in to {host.address} and moved to {first.address}, {second.address}."


def scan_then_break_in(r: Recorder) -> str:
    """Scan from an external address, guess a password, install a tool that checks in."""
    rng = r.rng
    source, at = r.organisation.take_address(), _time(r, 0.25, 0.35)
    public = [host.address for host in r.organisation.hosts if host.public]
    ports = sorted({*rng.sample(range(1, 10_000), 60), 3389, 8080})
    at = traffic.scan(r, source, public, ports, at)
    (host,) = r.organisation.with_role("bastion")
    at = traffic.guess_passwords(r, source, host, at + rng.uniform(300, 3_000))
    at = traffic.open_session(r, source, host, at + rng.uniform(30, 900))
    until = _time(r, 0.9, 0.93)
    traffic.beacon(r, host, at + rng.uniform(60, 600), until)
    traffic.try_services(r, host, _data_services(r, host), at + rng.uniform(900, 5_000))
    calls.contain(r, until, host=host)
    return f"{source} scanned the network, guessed a password and logged in to {host.address}."


def insider(r: Recorder) -> str:
    """Take secrets and data with one's own access, at night and from home."""
    rng, organisation = r.rng, r.organisation
    person = rng.choice(organisation.people[1:])
    home = organisation.take_address()
    at = organisation.last - 86_400 + rng.uniform(0.5, 4) * 3_600
    caller = calls.make_caller(r, cloudtrail.user(person.name, person.key), home)
    at = calls.look_around(caller, at, calls=rng.randint(2, 4))
    secrets = [f"{organisation.name}/db-{n}" for n in range(rng.randint(12, 25))]
    for step in rng.sample(("secrets", "objects", "snapshot", "key"), rng.randint(3, 4)):
        if step == "secrets":
            at = calls.read_secrets(caller, secrets, at)
        elif step == "objects":
            at = calls.read_objects(
                caller, f"{organisation.name}-customers", rng.randint(20, 60), at
            )
        elif step == "snapshot":
            at = calls.share_snapshot(caller, at)
        else:
            at = _make_spare_key(r, caller, at)
        at += rng.uniform(60, 600)
    box = organisation.pick("devbox")
    carried = calls.make_caller(r, instance_role(box, at), home)
    r.involve(box.address)
    at = calls.look_around(carried, at, calls=2)
    kind = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
    r.alert_about_key(carried.identity, kind, at, ("sts", "GetCallerIdentity"), home)
    at = calls.read_objects(carried, f"{organisation.name}-builds", rng.randint(5, 20), at)
    traffic.send_out(r, box, at + 600, rng.uniform(6, 15) * _GB / r.difficulty.quiet)
    return (
        f"{person.name} took secrets and data at night, also with the credentials of {box.address}."
    )


def logging_switched_off(r: Recorder) -> str:
    """Switch off the logs with a leaked key; they are on again in the morning after."""
    rng, caller = r.rng, _leaked_key(r)
    at = calls.look_around(caller, _time(r, 0.4, 0.5), calls=rng.randint(2, 4))
    if rng.random() < 0.7:
        caller, at = calls.create_user(caller, rng.choice(_USER_NAMES), at)
        at = calls.look_around(caller, at + rng.uniform(600, 3_000), calls=2)
    vpc = rng.choice(sorted({host.subnet.vpc for host in r.organisation.hosts}))
    at = calls.switch_off_logging(caller, vpc, at)
    kind = "Stealth:IAMUser/CloudTrailLoggingDisabled"
    r.alert_about_key(caller.identity, kind, at - 60, ("cloudtrail", "StopLogging"), caller.address)
    resumed = _time(r, 0.8, 0.85)
    r.events = [event for event in r.events if not at < cloudtrail.time_of(event) < resumed]
    calls.contain(r, resumed + 60, caller=caller)
    return f"{caller.name} was used from {caller.address} to disable logging."


def nothing(r: Recorder) -> str:  # noqa: ARG001  # as the others
    """Do nothing: what is odd is benign."""
    return "There was no incident."


def _time(r: Recorder, least: float, most: float) -> float:
    """Return a time between two shares of the period of the logs."""
    organisation = r.organisation
    share = r.rng.uniform(least, most)
    return organisation.first + share * (organisation.last - organisation.first)


def _leaked_key(r: Recorder) -> Caller:
    person = r.rng.choice(r.organisation.people[1:])
    address = r.organisation.take_address()
    return calls.make_caller(r, cloudtrail.user(person.name, person.key), address)


def _new_host(r: Recorder) -> Host:
    """Return a host for launch in a public subnet, with an inconspicuous name."""
    (like,) = r.organisation.with_role("bastion")
    used = {host.address for host in r.organisation.hosts}
    octet, env = int(like.address.split(".")[1]), like.tags["env"]
    return make_host(r.organisation, env, octet, "worker", "public", "1", used)


def _break_in(r: Recorder, least: float, most: float) -> tuple[Host, str, float]:
    """Let an external address log in to the bastion, at times after guesses."""
    source, at = r.organisation.take_address(), _time(r, least, most)
    (host,) = r.organisation.with_role("bastion")
    if r.rng.random() < 0.5:
        at = traffic.guess_passwords(r, source, host, at) + r.rng.uniform(60, 900)
    return host, source, traffic.open_session(r, source, host, at)


def _data_services(r: Recorder, host: Host) -> list[tuple[Host, int]]:
    """Return services of data stores that a host has no business with."""
    ports = {"rds": 3306, "efs": 2049}
    stores = [
        each for each in r.organisation.with_role("rds", "efs") if each.address != host.address
    ]
    return [(store, ports[store.role]) for store in stores]


def _make_spare_key(r: Recorder, caller: Caller, at: float) -> float:
    """Add an access key for a colleague's user, and its use."""
    names = [person.name for person in r.organisation.people if person.name != caller.name]
    colleague = r.rng.choice(names[1:])
    key = make_key(f"{colleague}/spare", r.organisation.seed)
    request = {"userName": colleague}
    response = {"accessKey": {"userName": colleague, "accessKeyId": key, "status": "Active"}}
    name = "CreateAccessKey"
    caller.call(at, "iam", name, request, response, target=colleague, read_only=False)
    other = calls.make_caller(r, cloudtrail.user(colleague, key), caller.address)
    return calls.look_around(other, at + 300, calls=2)


def _revoke_sessions(r: Recorder, role: str, at: float) -> None:
    """Add the policy by which AWS's console revokes a role's sessions."""
    responder = r.organisation.responder
    mine = Caller(
        r, cloudtrail.user(responder.name, responder.key), r.organisation.office, "Mozilla/5.0"
    )
    request = {
        "roleName": role,
        "policyName": "AWSRevokeOlderSessions",
        "policyDocument": '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],'
        '"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"[policy creation'
        ' time]"}}}]}',
    }
    mine.call(at, "iam", "PutRolePolicy", request, target=role, read_only=False)


INCIDENTS: Mapping[str, Callable[[Recorder], str]] = {
    "crypto-mining": crypto_mining,
    "exfiltration": exfiltration,
    "lateral-movement": lateral_movement,
    "scan-then-break-in": scan_then_break_in,
    "stolen-role": stolen_role,
    "insider": insider,
    "logging-switched-off": logging_switched_off,
    "slow-exfiltration": long_incidents.slow_exfiltration,
    "ransomware": long_incidents.ransomware,
    "benign-but-odd": nothing,
    "nothing-happened": nothing,
}
