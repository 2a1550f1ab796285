"""The simulated network: its hosts, and their description in the inventory."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]  # JSON in the shape of an AWS API

ACCOUNT, REGION = "111122223333", "us-east-1"

# External addresses: documentation ranges (RFC 5737) for named services, the benchmark range
# (RFC 2544) for clients and scanners. None belongs to anybody.
SERVICES = {
    "time1.example.net": "192.0.2.123",
    "time2.example.net": "192.0.2.124",
    "agent.metrics.example.com": "203.0.113.140",
    "licence.vendor.example.com": "203.0.113.150",
    "mirror.packages.example.org": "203.0.113.160",
    "git.example.com": "203.0.113.170",
    "sftp.clearing.example.net": "203.0.113.180",
    "statements.s3.amazonaws.example": "203.0.113.190",
    "cdn.widgets.example.com": "203.0.113.200",
    "api.rates.example.com": "203.0.113.210",
}
OFFICE = "198.51.100.40"


def make_id(prefix: str, *words: object) -> str:
    """Return an id of AWS's form (eni-0…, i-0…), the same for the same words."""
    digits = hashlib.sha256("|".join(map(str, (prefix, *words))).encode()).hexdigest()
    return f"{prefix}-0{digits[:16]}"


@dataclass(frozen=True)
class Subnet:
    """A subnet; ``public``: its route table has an internet gateway."""

    name: str
    cidr: str
    vpc: str
    zone: str
    public: bool = False

    @property
    def id(self) -> str:
        """The id, subnet-…."""
        return make_id("subnet", self.name)


@dataclass(frozen=True)
class Host:
    """A network interface and the resource that it belongs to."""

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
    secondary: tuple[str, ...] = ()  # further private addresses, as those of pods
    ipv6: str | None = None

    @property
    def interface(self) -> str:
        """The id, eni-…."""
        return make_id("eni", self.name)

    @property
    def instance(self) -> str | None:
        """The id of its instance, i-…; None for an interface of an AWS service."""
        return make_id("i", self.name) if self.requester is None else None

    @property
    def vpc_id(self) -> str:
        """The id, vpc-…."""
        return make_id("vpc", self.subnet.vpc)

    def describe(self, attach_time: str) -> JsonObject:
        """Return the interface as describe-network-interfaces prints it."""
        description: JsonObject = {
            "NetworkInterfaceId": self.interface,
            "InterfaceType": self.kind,
            "Description": self.description,
            "OwnerId": ACCOUNT,
            "RequesterManaged": self.requester is not None,
            "Status": "in-use",
            "VpcId": self.vpc_id,
            "SubnetId": self.subnet.id,
            "AvailabilityZone": f"{REGION}{self.subnet.zone}",
            "MacAddress": mac_address(self.interface),
            "PrivateIpAddress": self.address,
            "PrivateIpAddresses": [
                {"PrivateIpAddress": address, "Primary": address == self.address}
                for address in (self.address, *self.secondary)
            ],
            "Ipv6Addresses": [{"Ipv6Address": self.ipv6}] if self.ipv6 else [],
            "Groups": [
                {"GroupId": make_id("sg", self.subnet.vpc, self.group), "GroupName": self.group}
            ],
            "SourceDestCheck": self.role != "nat",
            "TagSet": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "Attachment": {
                "AttachmentId": make_id("eni-attach" if self.instance else "ela-attach", self.name),
                "AttachTime": attach_time,
                "DeviceIndex": 0 if self.instance else 1,
                "Status": "attached",
                "DeleteOnTermination": self.instance is not None,
                "InstanceOwnerId": ACCOUNT if self.instance else self.requester,
            },
        }
        if self.instance:
            description["Attachment"]["InstanceId"] = self.instance
        else:
            description["RequesterId"] = self.requester
        if self.public:
            # An Elastic IP belongs to the account; other public addresses belong to AWS.
            owner = {"bastion": ACCOUNT, "nat": ACCOUNT, "alb": "amazon-elb"}.get(
                self.role, "amazon"
            )
            description["Association"] = {"PublicIp": self.public, "IpOwnerId": owner}
        return description


def mac_address(seed: str) -> str:
    """Return a locally administered MAC address."""
    digits = hashlib.sha256(seed.encode()).hexdigest()
    return ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))])


class Network:
    """The hosts of the network, by name and by address."""

    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = hosts
        self.by_name = {host.name: host for host in hosts}
        self.by_address = {host.address: host for host in hosts}

    def __getitem__(self, name: str) -> Host:
        return self.by_name[name]

    def with_role(self, *roles: str, env: str | None = None) -> list[Host]:
        """Return the hosts with one of the roles, in the order of the network."""
        return [h for h in self.hosts if h.role in roles and (env is None or h.subnet.vpc == env)]

    def nat_of(self, host: Host) -> Host | None:
        """Return the NAT gateway of a host's traffic to the internet; None in a public subnet."""
        if host.subnet.public:
            return None
        return self.with_role("nat", env=host.subnet.vpc)[0]


# What the inventory has for the interfaces of AWS services, by role.
SERVICE_INTERFACES: dict[str, dict[str, Any]] = {
    "nat": {"kind": "nat_gateway", "requester": "444455556666"},
    "alb": {"requester": "amazon-elb"},
    "rds": {"requester": "amazon-rds", "description": "RDSNetworkInterface"},
    "cache": {"requester": "amazon-elasticache"},
    "efs": {"kind": "efs", "requester": "777788889999"},
    "lambda": {"kind": "lambda", "requester": "AROAWINTERDAYLAMBDA:worker"},
    "endpoint": {"kind": "vpc_endpoint", "requester": "888899990000"},
}
_HOSTS: dict[str, list[tuple[str, str, int]]] = {  # by VPC: role, subnet, count
    "prod": [
        ("nat", "public-a", 1),
        ("alb", "public-a", 1),
        ("alb", "public-b", 1),
        ("web", "app-a", 2),
        ("web", "app-b", 2),
        ("app", "app-a", 2),
        ("app", "app-b", 2),
        ("batch", "app-a", 2),
        ("rds", "data-a", 1),
        ("rds", "data-b", 1),
        ("cache", "data-a", 1),
        ("efs", "data-a", 1),
        ("efs", "data-b", 1),
        ("lambda", "app-b", 2),
        ("endpoint", "app-a", 3),
    ],
    "dev": [
        ("nat", "public-a", 1),
        ("alb", "public-b", 1),
        ("bastion", "public-a", 1),
        ("ci", "app-a", 2),
        ("devbox", "app-a", 3),
        ("devbox", "app-b", 3),
        ("rds", "data-a", 1),
        ("rds", "data-b", 1),
        ("efs", "data-a", 1),
        ("efs", "data-b", 1),
        ("lambda", "app-b", 1),
        ("endpoint", "app-a", 2),
    ],
}
_SECOND_OCTETS = {"prod": 20, "dev": 40}
_TIERS = {"public": 0, "app": 16, "data": 32}
_OWNERS = {"prod": "payments", "dev": "platform-dev"}


def subnet(vpc: str, name: str) -> Subnet:
    """Return a subnet by its VPC and its short name, such as public-a."""
    tier, zone = name.split("-")
    third_octet = _TIERS[tier] + "ab".index(zone)
    cidr = f"10.{_SECOND_OCTETS[vpc]}.{third_octet}.0/24"
    return Subnet(f"{vpc}-{name}", cidr, vpc, zone, public=tier == "public")


def build() -> Network:
    """Return Winterday Financial's network before the incident: prod and dev, 41 interfaces."""
    hosts: list[Host] = []
    for vpc, hosts_of_vpc in _HOSTS.items():
        counts: dict[str, int] = {}
        for role, subnet_name, count in hosts_of_vpc:
            for _ in range(count):
                counts[role] = counts.get(role, 0) + 1
                hosts.append(_host(vpc, role, counts[role], subnet(vpc, subnet_name), len(hosts)))
    return Network(hosts)


def _host(vpc: str, role: str, number: int, subnet: Subnet, index: int) -> Host:
    name = f"{vpc}-{role}-{number}"
    details = dict(SERVICE_INTERFACES.get(role, {}))
    if role == "nat":
        details["description"] = f"Interface for NAT Gateway {make_id('nat', name)}"
    elif role == "alb":
        details["description"] = f"ELB app/{vpc}-web/{make_id('x', name)[3:]}"
    elif role == "cache":
        details["description"] = f"ElastiCache {name}-001"
    elif role == "efs":
        fs, mount = make_id("fs", vpc), make_id("fsmt", name)
        details["description"] = f"EFS mount target for {fs} ({mount})"
    elif role == "lambda":
        details["description"] = f"AWS Lambda VPC ENI-{vpc}-statements-{number}"
    elif role == "endpoint":
        details["description"] = f"VPC Endpoint Interface {make_id('vpce', name)}"
    is_instance = "requester" not in details
    tags = (
        {"Name": name, "env": vpc, "owner": _OWNERS[vpc], "app": role}
        if is_instance or role == "rds"
        else {}
    )
    base = ipaddress.ip_network(subnet.cidr).network_address
    address = str(base + 10 + 7 * index % 200)
    public = f"203.0.113.{10 + index}" if subnet.public else None
    return Host(
        name, address, subnet, role, public=public, group=f"{vpc}-{role}", tags=tags, **details
    )
