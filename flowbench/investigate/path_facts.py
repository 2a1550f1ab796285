"""What is known about the way from X to Y, the causes it may have, and what would settle them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from flowbench.investigate.path_records import Observation
from flowbench.investigate.path_rules import UNKNOWN, Ruling


@dataclass(frozen=True)
class Cause:
    """A cause that fits the records.

    Attributes:
        control: What is to blame: security group, network ACL, route, return path, listener,
            sender, logging, …; 'none' where the records show that the request was answered.
        place: The end at which it is: source, destination or between.
        confidence: high, medium or low: how well records and recorded rules agree with it.
        statement: A sentence.
        rules: The recorded rules that it rests on.
        check: The one command that would settle it. It is never run.
    """

    control: str
    place: str
    confidence: str
    statement: str
    rules: tuple[str, ...] = ()
    check: str = ""


@dataclass(frozen=True)
class Path:
    """What is known about the way from X to Y.

    Attributes:
        source: X, as the user wrote it.
        destination: Y, as the user wrote it.
        protocol: tcp, udp or icmp.
        port: The destination's port; None for ICMP.
        observations: What the records say.
        logged: Numbers of records of each end's interfaces (path_records.count_logged).
        security_group: The ruling on a place and a direction (request or reply).
        network_acl: The same, of the network ACL.
        route: The ruling on the route from a place to the other.
        interfaces: Interface ids of each place.
        subnets: Subnet ids of each place.
        vpcs: VPC ids of each place.
        groups: Security groups of each place.
    """

    source: str
    destination: str
    protocol: str
    port: int | None
    observations: tuple[Observation, ...]
    logged: dict[str, dict[str, int]]
    interfaces: dict[str, tuple[str, ...]] = field(default_factory=dict)
    subnets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    vpcs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    security_group: Callable[[str, str], Ruling] = lambda *_: UNKNOWN
    network_acl: Callable[[str, str], Ruling] = lambda *_: UNKNOWN
    route: Callable[[str], Ruling] = lambda *_: UNKNOWN

    def select(self, place: str, direction: str) -> list[Observation]:
        """Return the observations of one place and direction."""
        return [o for o in self.observations if (o.place, o.direction) == (place, direction)]

    def count_accepted(self, place: str, direction: str) -> int:
        """Return the records that were not rejected."""
        return sum(o.records for o in self.select(place, direction) if o.action != "REJECT")

    def count_rejected(self, place: str, direction: str) -> int:
        """Return the rejected records, without those that may be late packets."""
        rejected = (o for o in self.select(place, direction) if o.action == "REJECT")
        return sum(o.records - o.late for o in rejected)

    def name(self, place: str) -> str:
        """Return an end as the user wrote it."""
        return {"source": self.source, "destination": self.destination}[place]


def group_check(path: Path, place: str) -> str:
    """Return the call that shows the security groups of an end, or its interfaces."""
    if ids := " ".join(map(shlex.quote, path.groups.get(place, ()))):
        return f"aws ec2 describe-security-groups --group-ids {ids}"
    ids = " ".join(map(shlex.quote, path.interfaces.get(place, ())))
    return f"aws ec2 describe-network-interfaces{f' --network-interface-ids {ids}' if ids else ''}"


def acl_check(path: Path, place: str) -> str:
    """Return the call that shows the network ACL of an end's subnet."""
    return _subnet_check(path, place, "describe-network-acls")


def route_check(path: Path, place: str) -> str:
    """Return the call that shows the route table of an end's subnet."""
    return _subnet_check(path, place, "describe-route-tables")


def flow_log_check(path: Path, place: str) -> str:
    """Return the call that shows whether an end's interfaces are logged."""
    resources = (path.interfaces, path.subnets, path.vpcs)  # a flow log may be on any of them
    ids = ",".join(name for ids in resources for name in ids.get(place, ()))
    selection = f" --filter {shlex.quote(f'Name=resource-id,Values={ids}')}" if ids else ""
    return f"aws ec2 describe-flow-logs{selection}"


def listener_check(path: Path) -> str:
    """Return the command that shows, on Y, whether anything listens on the port."""
    kind = "u" if path.protocol == "udp" else "t"
    return f"on {shlex.quote(path.destination)}: ss -ln{kind} 'sport = :{path.port or 0}'"


def _subnet_check(path: Path, place: str, call: str) -> str:
    names = ",".join(path.subnets.get(place, ()))
    selection = shlex.quote(f"Name=association.subnet-id,Values={names}")
    return f"aws ec2 {call}{f' --filters {selection}' if names else ''}"
