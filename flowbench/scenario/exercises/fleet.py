"""The machines behind a scenario's further traffic: EKS nodes and their pods, ECS tasks, servers.

They are in the scenario's own production VPC, in subnets of their own. Nodes have secondary
addresses, which are their pods'; the servers have an IPv6 address beside the IPv4 one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from flowbench.scenario import cloudtrail
from flowbench.scenario.exercises.organisation import Organisation
from flowbench.scenario.network import (
    ACCOUNT,
    REGION,
    SERVICE_INTERFACES,
    Host,
    Subnet,
    make_id,
)

_PER_INTERFACE = 20_000  # records, about: 7 a minute in two days
_FEWEST, _MOST = 24, 2_000  # interfaces
_DUAL_STACK = ("alb", "server")
_PODS = 8  # of a node
_ECS_REQUESTER = "222233334444"
# Role, third octet of the first subnet, whether it is public, share of the interfaces, the fewest.
_ROLES = (
    ("alb", 64, True, 0.0, 2),
    ("nat", 66, True, 0.0, 1),
    ("endpoint", 68, False, 0.0, 2),
    ("monitor", 69, False, 0.0, 1),
    ("eks-node", 80, False, 0.4, 4),
    ("server", 130, False, 0.3, 4),
    ("ecs-task", 144, False, 0.2, 4),
    ("rds", 176, False, 0.05, 2),
    ("cache", 184, False, 0.05, 2),
)
_SUBNET_HOSTS = 200  # interfaces of a subnet; nodes have fewer, since pods need addresses


def build_fleet(organisation: Organisation, records: int) -> list[Host]:
    """Return the interfaces for a number of records, the same for the same organisation.

    Args:
        organisation: The scenario's; its first VPC gets the interfaces.
        records: Flow log records that there will be, about.
    """
    total = min(max(records // _PER_INTERFACE, _FEWEST), _MOST)
    vpc = organisation.hosts[0].subnet
    octet = int(vpc.cidr.split(".")[1])
    hosts: list[Host] = []
    for role, third, is_public, share, fewest in _ROLES:
        count = max(int(total * share), fewest)
        room = _SUBNET_HOSTS // (_PODS + 1) if role == "eks-node" else _SUBNET_HOSTS
        for number in range(count):
            place, slot = divmod(number, room)
            cidr = f"10.{octet}.{third + place}.0/24"
            subnet = Subnet(f"{vpc.vpc}/{role}-{place}", cidr, vpc.vpc, "ab"[place % 2], is_public)
            hosts.append(_make_host(organisation, role, subnet, number, slot))
    return hosts


def _make_host(
    organisation: Organisation, role: str, subnet: Subnet, number: int, slot: int
) -> Host:
    name = f"{organisation.name}-prod-{role}-{number + 1:04d}"
    seed = f"{organisation.seed}/{name}"
    addresses = _addresses(subnet, slot, _PODS + 1 if role == "eks-node" else 1)
    details = dict(SERVICE_INTERFACES.get(role, {}))
    tags = {} if "requester" in details else {"Name": name, "env": "prod", "app": role}
    description = details.pop("description", "")
    if role == "alb":
        description = f"ELB app/{organisation.name}-prod-shop/{make_id('x', organisation.seed)[3:]}"
    elif role == "nat":
        description = f"Interface for NAT Gateway {make_id('nat', seed)}"
    elif role == "endpoint":
        description = f"VPC Endpoint Interface {make_id('vpce', seed)}"
    elif role == "cache":
        description = f"ElastiCache {organisation.name}-{number + 1:03d}-001"
    elif role == "ecs-task":
        attachment = cloudtrail.event_id("attachment", seed)
        description = f"arn:aws:ecs:{REGION}:{ACCOUNT}:attachment/{attachment}"
        details["requester"], tags = _ECS_REQUESTER, {}
    elif role == "eks-node":
        tags["eks:cluster-name"] = f"{organisation.name}-prod"
    host = Host(seed, addresses[0], subnet, role, description=description, tags=tags, **details)
    host = replace(host, group=f"{organisation.name}-{role}", secondary=tuple(addresses[1:]))
    if role in _DUAL_STACK:
        _, octet, third, _ = addresses[0].split(".")
        host = replace(host, ipv6=f"2001:db8:{int(octet):x}:{int(third):x}::{slot + 10:x}")
    return replace(host, public=organisation.take_address()) if subnet.public else host


def _addresses(subnet: Subnet, slot: int, count: int) -> Sequence[str]:
    base = ipaddress.ip_network(subnet.cidr).network_address + 10 + slot * count
    return [str(base + number) for number in range(count)]
