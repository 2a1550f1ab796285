"""Network interfaces: who stands behind an address, from recorded describe-network-interfaces.

The table takes interfaces from instances (see instances) and AWS Config (see config) too. An answer
holds only the interfaces of its own moment: those of instances already gone are missing.
Take it early, and see attribution for what API events can still tell.
"""

from __future__ import annotations

import re

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.values import address, flag, items, pick, text, time, unique

KIND = "inventory"

TABLE = schema.Table.of(
    "interfaces",
    ("interface_id", "string", "eni-…"),
    ("interface_type", "string", "interface, nat_gateway, lambda, …: open text"),
    ("description", "string", "as AWS or the user wrote it"),
    ("service", "string", "what stands behind it: ec2, alb, rds, nat-gateway, …; null unknown"),
    ("requester_id", "string", "who asked for it: an id, an account or amazon-…"),
    ("account_id", "string", "account that owns it"),
    ("status", "string", "available, attaching, in-use, …; deleted, as AWS Config says"),
    ("vpc_id", "string", "its VPC"),
    ("subnet_id", "string", "its subnet"),
    ("availability_zone", "string", "zone name"),
    ("private_address", "string", "primary private IPv4 address, or the first IPv6 one"),
    ("addresses", "strings", "all private IPv4 and all IPv6 addresses, the primary first"),
    ("public_addresses", "strings", "public IPv4 addresses associated with it"),
    ("instance_id", "string", "instance it is attached to, where the account sees that"),
    ("attached_at", "time", "when it was attached"),
    ("attachment_id", "string", "eni-attach-…, ela-attach-…"),
    ("ends_with_instance", "bool", "whether it is deleted when its instance ends"),
    ("security_groups", "strings", "sg-… ids"),
    ("security_group_names", "strings", "their names, in the same order"),
    ("name", "string", "its Name tag"),
    ("tags", "tags", "all its tags"),
    ("observed_at", "time", "when it was seen to be so; null where the evidence does not say"),
    *schema.ORIGIN,
    schema.ITEM,
)

# Who owns an interface, tested in this order: interface type, then description, then the alias of
# the requester or of the attachment's owner, then the operator that manages it. AWS documents only
# few of these; the patterns agree across public recordings and network-topology tools. A user can
# write any description, so an attached instance counts before all of them.
_BY_TYPE = {
    "nat_gateway": "nat-gateway",
    "natgateway": "nat-gateway",
    "regional_nat_gateway": "nat-gateway",
    "network_load_balancer": "nlb",
    "gateway_load_balancer": "gwlb",
    "gateway_load_balancer_endpoint": "gwlb-endpoint",
    "load_balancer": "elb",
    "vpc_endpoint": "vpc-endpoint",
    "transit_gateway": "transit-gateway",
    "lambda": "lambda",
    "efs": "efs",
    "trunk": "eks",
    "branch": "eks",
    "evs": "evs",
    "quicksight": "quicksight",
    "global_accelerator_managed": "global-accelerator",
    "api_gateway_managed": "api-gateway",
    "iot_rules_managed": "iot-rules",
    "aws_codestar_connections_managed": "codestar-connections",
    "ec2_instance_connect_endpoint": "instance-connect-endpoint",
}
_BY_DESCRIPTION = tuple(
    (re.compile(pattern), service)
    for pattern, service in (
        (r"ELB app/", "alb"),
        (r"ELB net/", "nlb"),
        (r"ELB gwy/", "gwlb"),
        (r"ELB ", "elb"),
        (r"Interface for NAT Gateway nat-", "nat-gateway"),
        (r"VPC Endpoint Interface:? vpce-", "vpc-endpoint"),
        (r"Resource Gateway Interface rgw-", "resource-gateway"),
        (r"Network Interface for Transit Gateway Attachment ", "transit-gateway"),
        (r"AWS Lambda VPC ENI", "lambda"),
        (r"RDSNetworkInterface$", "rds"),
        (r"RedshiftNetworkInterface$", "redshift"),
        (r"ElastiCache[ +]", "elasticache"),
        (r"EFS mount target for fs-", "efs"),
        (r"arn:aws[a-z-]*:ecs:[^:]*:[^:]*:attachment/", "ecs"),
        (r"Amazon EKS |aws-K8S-|aws-k8s-", "eks"),
        (r"DMSNetworkInterface$", "dms"),
        (r"DAX ", "dax"),
        (r"AWS created network interface for directory d-", "directory"),
        (r"Created By Amazon Workspaces for ", "workspaces"),
        (r"Route 53 Resolver: ?rslvr-", "resolver-endpoint"),
        (r"ES ", "opensearch"),
        (r"CloudHSM Managed Interface|CloudHsm ENI ", "cloudhsm"),
        (r"AWS ElasticMapReduce ", "emr"),
        (r"\[DO NOT DELETE\] ENI managed by SageMaker ", "sagemaker"),
        (r"DO NOT DELETE - ENI managed by Amazon MSK ", "msk"),
        (r"Attached to Glue using role: ", "glue"),
        (r"GlobalAccelerator managed ENI", "global-accelerator"),
        (r"ClientVPN Endpoint resource", "client-vpn"),
        (r"EC2 Instance Connect Endpoint ", "instance-connect-endpoint"),
    )
)
# Keys that tell an interface from other JSON that names one.
_MARKS = ("privateIpAddress", "privateIpAddresses", "vpcId", "subnetId", "attachment")
_BY_ALIAS = {
    "amazon-elb": "elb",
    "amazon-rds": "rds",
    "amazon-redshift": "redshift",
    "amazon-elasticache": "elasticache",
    "amazon-elasticsearch": "opensearch",
    "amazon-dms": "dms",
    "aws-lambda": "lambda",
}


def matches(value: object) -> list[object] | None:
    """The interfaces in an answer of describe-network-interfaces, or None for anything else.

    The answer may be wrapped in ``data`` (recorded API calls), or be a bare list, or one bare
    interface.
    """
    # An instance of describe-instances has such a list too, but is not an interface answer.
    if text(pick(value, "instanceId")):
        return None
    return describe.listed(value, "networkInterfaces", "networkInterfaceId", *_MARKS)


def service(record: object) -> str | None:
    """What stands behind an interface (see TABLE), or None when nothing tells."""
    if text(pick(record, "attachment", "instanceId")):
        return "ec2"
    kind = text(pick(record, "interfaceType")) or ""
    if found := _BY_TYPE.get(kind.lower()):
        return found
    description = text(pick(record, "description")) or ""
    for pattern, found in _BY_DESCRIPTION if description else ():
        if pattern.match(description):
            return found
    for alias in (pick(record, "requesterId"), pick(record, "attachment", "instanceOwnerId")):
        if found := _BY_ALIAS.get(text(alias) or ""):
            return found
    # A service that runs things in the account says so by its name: eks.amazonaws.com.
    principal = text(pick(record, "operator", "principal")) or ""
    return principal.removesuffix(".amazonaws.com") or None


def to_row(record: object) -> dict[str, object]:
    """One interface as a row of TABLE. Raises BadRecord without a NetworkInterfaceId."""
    if not isinstance(record, dict):
        raise BadRecord("not a network interface: no JSON object")
    interface_id = text(pick(record, "networkInterfaceId"))
    if interface_id is None:
        raise BadRecord("no NetworkInterfaceId")
    private = items(pick(record, "privateIpAddresses"))
    addresses = unique(
        [
            address(pick(record, "privateIpAddress")),
            *(address(pick(each, "privateIpAddress")) for each in private),
            *(address(pick(each, "ipv6Address")) for each in items(pick(record, "ipv6Addresses"))),
        ]
    )
    associations = [pick(each, "association") for each in (record, *private)]
    groups = [group for group in items(pick(record, "groups")) if text(pick(group, "groupId"))]
    tags = describe.tags(record)
    return {
        "interface_id": interface_id,
        "interface_type": text(pick(record, "interfaceType")),
        "description": text(pick(record, "description")),
        "service": service(record),
        "requester_id": text(pick(record, "requesterId")),
        "account_id": text(pick(record, "ownerId")),
        "status": text(pick(record, "status")),
        "vpc_id": text(pick(record, "vpcId")),
        "subnet_id": text(pick(record, "subnetId")),
        "availability_zone": text(pick(record, "availabilityZone")),
        "private_address": addresses[0] if addresses else None,
        "addresses": addresses,
        "public_addresses": unique(
            address(pick(each, name)) for each in associations for name in ("publicIp", "carrierIp")
        ),
        "instance_id": text(pick(record, "attachment", "instanceId")),
        "attached_at": time(pick(record, "attachment", "attachTime")),
        "attachment_id": text(pick(record, "attachment", "attachmentId")),
        "ends_with_instance": flag(pick(record, "attachment", "deleteOnTermination")),
        "security_groups": [text(pick(group, "groupId")) for group in groups],
        "security_group_names": [text(pick(group, "groupName")) for group in groups],
        "name": tags.get("Name") or None,
        "tags": list(tags.items()),
        "observed_at": None,
    }
