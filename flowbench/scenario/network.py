"""The invented network: who stands where, and how its inventory describes it."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Any

ACCOUNT, REGION = "111122223333", "us-east-1"


def identifier(prefix: str, *words: object) -> str:
    """An AWS-like id that follows from its words: eni-0…, i-0…."""
    digits = hashlib.sha256("|".join(map(str, (prefix, *words))).encode()).hexdigest()
    return f"{prefix}-0{digits[:16]}"


@dataclass(frozen=True)
class Subnet:
    """A subnet; ``public`` means that it routes to an internet gateway."""

    name: str
    cidr: str
    vpc: str
    zone: str
    public: bool = False

    @property
    def id(self) -> str:
        """The id, subnet-…."""
        return identifier("subnet", self.name)


@dataclass(frozen=True)
class Host:
    """One network interface and what stands behind it."""

    name: str
    address: str
    subnet: Subnet
    role: str
    kind: str = "interface"
    description: str = ""
    requester: str | None = None  # None: the account's own instance
    public: str | None = None
    group: str = "default"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def interface(self) -> str:
        """The id, eni-…."""
        return identifier("eni", self.name)

    @property
    def instance(self) -> str | None:
        """The instance behind it, i-…, if there is one."""
        return identifier("i", self.name) if self.requester is None else None

    @property
    def vpc_id(self) -> str:
        """The id, vpc-…."""
        return identifier("vpc", self.subnet.vpc)

    def describe(self, attached: str) -> dict[str, Any]:
        """The interface as describe-network-interfaces prints it."""
        out: dict[str, Any] = {
            "NetworkInterfaceId": self.interface,
            "InterfaceType": self.kind,
            "Description": self.description,
            "OwnerId": ACCOUNT,
            "RequesterManaged": self.requester is not None,
            "Status": "in-use",
            "VpcId": self.vpc_id,
            "SubnetId": self.subnet.id,
            "AvailabilityZone": f"{REGION}{self.subnet.zone}",
            "MacAddress": mac(self.interface),
            "PrivateIpAddress": self.address,
            "PrivateIpAddresses": [{"PrivateIpAddress": self.address, "Primary": True}],
            "Ipv6Addresses": [],
            "Groups": [
                {"GroupId": identifier("sg", self.subnet.vpc, self.group), "GroupName": self.group}
            ],
            "SourceDestCheck": self.role != "nat",
            "TagSet": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "Attachment": {
                "AttachmentId": identifier(
                    "eni-attach" if self.instance else "ela-attach", self.name
                ),
                "AttachTime": attached,
                "DeviceIndex": 0 if self.instance else 1,
                "Status": "attached",
                "DeleteOnTermination": self.instance is not None,
                "InstanceOwnerId": ACCOUNT if self.instance else self.requester,
            },
        }
        if self.instance:
            out["Attachment"]["InstanceId"] = self.instance
        else:
            out["RequesterId"] = self.requester
        if self.public:
            # An Elastic IP is the account's own; other public addresses are lent.
            owner = {"bastion": ACCOUNT, "nat": ACCOUNT, "alb": "amazon-elb"}.get(
                self.role, "amazon"
            )
            out["Association"] = {"PublicIp": self.public, "IpOwnerId": owner}
        return out


def mac(seed: str) -> str:
    """A locally administered hardware address."""
    digits = hashlib.sha256(seed.encode()).hexdigest()
    return ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))])


class Estate:
    """Every host of the network, by name and by address."""

    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = hosts
        self.by_name = {host.name: host for host in hosts}
        self.by_address = {host.address: host for host in hosts}

    def __getitem__(self, name: str) -> Host:
        return self.by_name[name]

    def with_role(self, *roles: str, env: str | None = None) -> list[Host]:
        """Hosts with one of some roles, in the order of the estate."""
        return [h for h in self.hosts if h.role in roles and (env is None or h.subnet.vpc == env)]

    def nat_of(self, host: Host) -> Host | None:
        """The NAT gateway that takes a host's traffic to the internet; None in a public subnet."""
        if host.subnet.public:
            return None
        return self.with_role("nat", env=host.subnet.vpc)[0]


# What stands in each VPC: role, count, subnet, and what makes the inventory say whose it is.
_ROLES: dict[str, dict[str, Any]] = {
    "nat": {"kind": "nat_gateway", "requester": "444455556666"},
    "alb": {"requester": "amazon-elb"},
    "rds": {"requester": "amazon-rds", "description": "RDSNetworkInterface"},
    "cache": {"requester": "amazon-elasticache"},
    "efs": {"kind": "efs", "requester": "777788889999"},
    "lambda": {"kind": "lambda", "requester": "AROAWINTERDAYLAMBDA:worker"},
    "endpoint": {"kind": "vpc_endpoint", "requester": "888899990000"},
}
_PLAN: dict[str, list[tuple[str, str, int]]] = {
    "prod": [
        ("nat", "public-a", 1), ("alb", "public-a", 1), ("alb", "public-b", 1),
        ("web", "app-a", 2), ("web", "app-b", 2), ("app", "app-a", 2), ("app", "app-b", 2),
        ("batch", "app-a", 2), ("rds", "data-a", 1), ("rds", "data-b", 1), ("cache", "data-a", 1),
        ("efs", "data-a", 1), ("efs", "data-b", 1), ("lambda", "app-b", 2),
        ("endpoint", "app-a", 3),
    ],
    "dev": [
        ("nat", "public-a", 1), ("alb", "public-b", 1), ("bastion", "public-a", 1),
        ("ci", "app-a", 2), ("devbox", "app-a", 3), ("devbox", "app-b", 3),
        ("rds", "data-a", 1), ("rds", "data-b", 1), ("efs", "data-a", 1), ("efs", "data-b", 1),
        ("lambda", "app-b", 1), ("endpoint", "app-a", 2),
    ],
}  # fmt: skip
_OCTET = {"prod": 20, "dev": 40}
_PARTS = {"public": 0, "app": 16, "data": 32}
_OWNERS = {"prod": "payments", "dev": "platform-dev"}


def subnet(vpc: str, name: str) -> Subnet:
    """A subnet of the plan by its short name, such as public-a."""
    part, zone = name.split("-")
    third = _PARTS[part] + "ab".index(zone)
    cidr = f"10.{_OCTET[vpc]}.{third}.0/24"
    return Subnet(f"{vpc}-{name}", cidr, vpc, zone, public=part == "public")


def build() -> Estate:
    """Winterday Financial's network before anything happens: prod and dev, 41 interfaces."""
    hosts: list[Host] = []
    for vpc, plan in _PLAN.items():
        counts: dict[str, int] = {}
        for role, where, count in plan:
            for _ in range(count):
                counts[role] = counts.get(role, 0) + 1
                hosts.append(_host(vpc, role, counts[role], subnet(vpc, where), len(hosts)))
    return Estate(hosts)


def _host(vpc: str, role: str, number: int, where: Subnet, place: int) -> Host:
    name = f"{vpc}-{role}-{number}"
    given = dict(_ROLES.get(role, {}))
    if role == "nat":
        given["description"] = f"Interface for NAT Gateway {identifier('nat', name)}"
    elif role == "alb":
        given["description"] = f"ELB app/{vpc}-web/{identifier('x', name)[3:]}"
    elif role == "cache":
        given["description"] = f"ElastiCache {name}-001"
    elif role == "efs":
        fs, mount = identifier("fs", vpc), identifier("fsmt", name)
        given["description"] = f"EFS mount target for {fs} ({mount})"
    elif role == "lambda":
        given["description"] = f"AWS Lambda VPC ENI-{vpc}-statements-{number}"
    elif role == "endpoint":
        given["description"] = f"VPC Endpoint Interface {identifier('vpce', name)}"
    own = "requester" not in given
    tags = (
        {"Name": name, "env": vpc, "owner": _OWNERS[vpc], "app": role}
        if own or role == "rds"
        else {}
    )
    base = ipaddress.ip_network(where.cidr).network_address
    address = str(base + 10 + 7 * place % 200)
    public = f"203.0.113.{10 + place}" if where.public else None
    return Host(
        name, address, where, role, public=public, group=f"{vpc}-{role}", tags=tags, **given
    )
