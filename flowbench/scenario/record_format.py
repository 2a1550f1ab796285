"""The fields of the flow log records that scenarios write, and the packets of a record."""

from __future__ import annotations

from urllib.parse import quote

from flowbench.scenario.network import ACCOUNT, REGION, Host, make_id

# Version 11, in the order of AWS's table.
FIELDS = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes "
    "start end action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr "
    "pkt-dstaddr region az-id sublocation-type sublocation-id pkt-src-aws-service "
    "pkt-dst-aws-service flow-direction traffic-path ecs-cluster-arn ecs-cluster-name "
    "ecs-container-instance-arn ecs-container-instance-id ecs-container-id "
    "ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id "
    "reject-reason resource-id encryption-status instance-tag instance-tag-2 interface-tag "
    "interface-tag-2 asg-tag asg-tag-2 interface-type next-hop-interface-id next-hop-subnet-id "
    "next-hop-az-id next-hop-vpc-id next-hop-interface-type"
)

# How many of these fields a record of each version has. Version 6 is of transit gateways' logs.
FIELD_COUNTS = {2: 14, 3: 21, 4: 25, 5: 29, 7: 39, 8: 40, 9: 41, 10: 42, 11: 54}
# Types of the capturing interface that interface-type names.
_NAMED_KINDS = ("nat_gateway", "network_load_balancer", "transit_gateway", "vpc_endpoint")
INTERVALS = (60, 600)  # aggregation intervals, seconds


def count_packets(size: int, attempts: int, flags: int, packet_bytes: int) -> tuple[int, int]:
    """Return packets and bytes of a record, from its bytes or its attempts to connect.

    Args:
        size: Bytes; without effect if there are attempts.
        attempts: How often a first packet was sent.
        flags: TCP flags of the record.
        packet_bytes: Bytes of a packet on average.
    """
    if attempts:
        return attempts, 60 * attempts
    size = max(size, 40)  # a packet without data
    # SYN and FIN are packets without data; no packet is smaller than its headers.
    control_packets = 2 * (flags in (3, 19)) + bool(flags)
    return min(size // packet_bytes + 1 + control_packets, max(1, size // 40)), size


def later_fields(host: Host) -> list[str]:
    """Return the fields of versions 7 to 11 of a host's records: ECS task, tags env and Name, type.

    The others are empty, as AWS leaves them without VPC Block Public Access, regional NAT gateways
    and encryption controls, and where the next hop is not known.
    """
    tags = [quote(host.tags.get(key, ""), safe="") or "-" for key in ("env", "Name")]
    instance_tags = tags if host.instance else ["-", "-"]
    kind = host.kind if host.kind in _NAMED_KINDS else "-"
    return [*_task_fields(host), *["-"] * 3, *instance_tags, *tags, "-", "-", kind, *["-"] * 5]


def _task_fields(host: Host) -> list[str]:
    """Return the fields of an ECS task on Fargate, which has neither container instance nor second.

    All are empty for everything else.
    """
    if host.role != "ecs-task":
        return ["-"] * 10
    name = host.group
    prefix, task = f"arn:aws:ecs:{REGION}:{ACCOUNT}", make_id("task", host.name)[5:]
    container = make_id("container", host.name)[10:]
    return [
        *(f"{prefix}:cluster/{name}", name, "-", "-", f"{task}-{container}", "-", name),
        *(f"{prefix}:task-definition/{name}:1", f"{prefix}:task/{name}/{task}", task),
    ]
