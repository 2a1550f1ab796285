"""Two incidents that take a day: data sent out in small parts, and ransomware between networks."""

from __future__ import annotations

from flowbench.scenario import cloudtrail
from flowbench.scenario.exercises import intruder_calls as calls
from flowbench.scenario.exercises import intruder_traffic as traffic
from flowbench.scenario.exercises.intruder_calls import Caller
from flowbench.scenario.exercises.organisation import Person
from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.exercises.usual_calls import instance_role
from flowbench.scenario.network import Host, make_id

_GB = 1e9
_HOUR = 3_600
SMB, NFS = 445, 2_049


def slow_exfiltration(r: Recorder) -> str:
    """Read objects with the stolen credentials of a role; the host sends data out for a day."""
    rng, host = r.rng, r.organisation.pick("web", "app")
    start = r.organisation.first + rng.uniform(0.3, 0.4) * (
        r.organisation.last - r.organisation.first
    )
    source = r.organisation.take_address()
    caller = calls.make_caller(r, instance_role(host, start), source)
    r.involve(host.address)
    at = calls.look_around(caller, start, calls=rng.randint(3, 5))
    kind = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
    r.alert_about_key(caller.identity, kind, start, ("sts", "GetCallerIdentity"), source)
    at = calls.read_objects(caller, f"{r.organisation.name}-statements", rng.randint(15, 40), at)
    parts = rng.randint(22, 34)
    size = rng.uniform(1.5, 3) * _GB / r.difficulty.quiet
    traffic.send_out(r, host, at + 1_200, size, parts=parts, gap=0.8 * 24 * _HOUR / parts)
    return (
        f"The role credentials of {host.address} were used from {source}, and the host sent"
        f" {size / _GB:.1f} GB out in {parts} parts."
    )


def ransomware(r: Recorder) -> str:
    """Encrypt a file share from servers that a rule, set by mistake, had made reachable by SMB."""
    rng, organisation = r.rng, r.organisation
    first, length = organisation.first, organisation.last - organisation.first
    servers = organisation.with_role("app")
    _open_smb(
        r, rng.choice(organisation.people[1:]), servers[0], first + rng.uniform(0.2, 0.3) * length
    )
    source = organisation.take_address()
    (bastion,) = organisation.with_role("bastion")
    at = traffic.guess_passwords(r, source, bastion, first + rng.uniform(0.5, 0.6) * length)
    at = traffic.open_session(r, source, bastion, at + rng.uniform(60, 900))
    box = organisation.pick("devbox")
    at = traffic.open_internal_session(r, bastion, box, at + rng.uniform(60, 600)) + 300
    at = _sweep(r, box, [host for host in organisation.hosts if host.role != "app"], at)
    share = next(h for h in organisation.with_role("efs") if h.vpc_id == servers[0].vpc_id)
    for server in servers:
        at = _spread(r, box, server, at + rng.uniform(60, 400))
        _encrypt(r, server, share, at + 120)
    until = at + rng.uniform(2, 3) * _HOUR
    traffic.beacon(r, box, at, until)
    calls.contain(r, until, host=box)
    named = ", ".join(server.address for server in servers)
    return f"{source} logged in to {bastion.address}; {box.address} reached {named} by SMB."


def _open_smb(r: Recorder, person: Person, server: Host, at: float) -> None:
    """Let an employee open SMB to all private addresses; he has no part in the incident."""
    identity = cloudtrail.user(person.name, person.key)
    caller = Caller(r, identity, r.organisation.office, "aws-cli/2.17.0")
    group = make_id("sg", server.subnet.vpc, server.group)
    rule = cloudtrail.open_port(group, SMB, "10.0.0.0/8")
    caller.call(at, "ec2", "AuthorizeSecurityGroupIngress", *rule, target=group, read_only=False)


def _sweep(r: Recorder, box: Host, others: list[Host], at: float) -> float:
    """Attempt SMB at hosts that reject it."""
    targets = [host.address for host in others if host.address != box.address]
    return traffic.scan(r, box.address, targets, [SMB], at)


def _spread(r: Recorder, box: Host, server: Host, at: float) -> float:
    """Copy a program to a server by SMB, and return when that ended."""
    seconds = r.rng.uniform(60, 200)
    sent = int(r.rng.uniform(4e6, 9e6))
    r.connect(
        box.address, server.address, SMB, at, seconds=seconds, bytes_out=sent, bytes_in=sent // 60
    )
    r.fact("traffic", "internal session", box.address, server.address, at)
    r.involve(server.address)
    return at + seconds


def _encrypt(r: Recorder, server: Host, share: Host, at: float) -> None:
    """Read the files of a share and write them again."""
    size = int(r.rng.uniform(1, 3) * _GB)
    for part in range(4):
        r.connect(
            server.address,
            share.address,
            NFS,
            at + 900 * part,
            seconds=840,
            bytes_out=size // 4,
            bytes_in=size // 4,
            packet_bytes=1_400,
        )
