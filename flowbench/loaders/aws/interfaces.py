"""Network interfaces from recorded describe-network-interfaces answers: what uses an address.

The table also takes interfaces from instances (see instances), NAT gateways and AWS Config. An
answer holds only the interfaces of its own moment: those of terminated instances are missing.
Record it early; for what API events add later, see enrich.interface_history.
"""

from __future__ import annotations

import re

from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, record_table
from flowbench.loaders.values import address, items, pick, text

KIND = "inventory"

# Which service owns an interface, tested in this order: interface type, description, alias of the
# requester or of the attachment's owner, operator that manages it. AWS documents only a few of
# these; the patterns agree across public recordings and network topology tools. A user can write
# any description, so an attached instance comes before all of them.
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
    (re.compile(pattern), identify_service)
    for pattern, identify_service in (
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
_BY_ALIAS = {
    "amazon-elb": "elb",
    "amazon-rds": "rds",
    "amazon-redshift": "redshift",
    "amazon-elasticache": "elasticache",
    "amazon-elasticsearch": "opensearch",
    "amazon-dms": "dms",
    "aws-lambda": "lambda",
}


def identify_service(record: object) -> str | None:
    """Return the service that owns an interface (ec2, alb, rds, …), or None when unknown."""
    if text(pick(record, "attachment", "instanceId")):
        return "ec2"
    interface_type = text(pick(record, "interfaceType")) or ""
    if identify_service := _BY_TYPE.get(interface_type.lower()):
        return identify_service
    description = text(pick(record, "description")) or ""
    for pattern, identify_service in _BY_DESCRIPTION if description else ():
        if pattern.match(description):
            return identify_service
    for alias in (pick(record, "requesterId"), pick(record, "attachment", "instanceOwnerId")):
        if identify_service := _BY_ALIAS.get(text(alias) or ""):
            return identify_service
    # Managed resources name their operator: eks.amazonaws.com.
    principal = text(pick(record, "operator", "principal")) or ""
    return principal.removesuffix(".amazonaws.com") or None


def _public_mappings(record: object) -> dict[str, str | None]:
    """Each public address with the private one that it maps to."""
    mappings: dict[str, str | None] = {}
    for each in (*items(pick(record, "privateIpAddresses")), record):
        private = address(pick(each, "privateIpAddress"))
        for key in ("publicIp", "carrierIp"):
            if (public := address(pick(each, "association", key))) is not None:
                mappings[public] = mappings.get(public) or private
    return mappings


def _groups(record: object, key: str) -> list[str | None]:
    groups = items(pick(record, "groups"))
    return [text(pick(group, key)) for group in groups if text(pick(group, "groupId"))]


_ADDRESSES = "PrivateIpAddress, PrivateIpAddresses[].PrivateIpAddress, Ipv6Addresses[].Ipv6Address"

TABLE = record_table(
    "interfaces",
    "a network interface",
    Column("interface_id", "NetworkInterfaceId", "eni-…", required=True),
    Column("interface_type", "InterfaceType", "interface, nat_gateway, lambda, …"),
    Column("description", "Description", "as AWS or the user wrote it"),
    Column(
        "service", "@", "its owner: ec2, alb, rds, …; null if unknown", convert=identify_service
    ),
    Column("requester_id", "RequesterId", "who created it: an id, an alias (amazon-…)"),
    describe.ACCOUNT_ID,
    Column("status", "Status", "available, attaching, in-use, …; deleted by AWS Config"),
    describe.VPC_ID,
    Column("subnet_id", "SubnetId", "its subnet"),
    Column("availability_zone", "AvailabilityZone", "zone name"),
    Column("private_address", _ADDRESSES, "primary IPv4, else first IPv6", convert=address),
    Column("addresses", _ADDRESSES, "all of them, the primary first", "strings", address),
    Column(
        "public_addresses",
        "@",
        "public IPv4",
        "strings",
        lambda record: [*_public_mappings(record)],
    ),
    Column(
        "mapped_addresses",
        "@",
        "the private address that each of public_addresses maps to, in the same order",
        "strings",
        lambda record: [*_public_mappings(record).values()],
    ),
    Column("instance_id", "Attachment.InstanceId", "instance it is attached to, where visible"),
    Column("attached_at", "Attachment.AttachTime", "when it was attached", "time"),
    Column("attachment_id", "Attachment.AttachmentId", "eni-attach-…, ela-attach-…"),
    Column(
        "ends_with_instance",
        "Attachment.DeleteOnTermination",
        "is deleted with the instance",
        "bool",
    ),
    Column(
        "security_groups", "@", "sg-… ids", "strings", lambda record: _groups(record, "groupId")
    ),
    Column(
        "security_group_names",
        "@",
        "their names, in the same order",
        "strings",
        lambda record: _groups(record, "groupName"),
    ),
    describe.NAME,
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the interfaces in an answer of describe-network-interfaces, or None otherwise.

    The answer may be wrapped in ``data`` (recorded API calls), or be a bare list, or one bare
    interface.
    """
    # An instance of describe-instances has such a list too, but is not an interface answer.
    if text(pick(value, "instanceId")):
        return None
    other_keys = ("privateIpAddress", "privateIpAddresses", "vpcId", "subnetId", "attachment")
    return describe.find_records(value, "networkInterfaces", "networkInterfaceId", *other_keys)


to_row = TABLE.to_row
