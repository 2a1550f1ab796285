"""Security groups, a row per rule, from recorded describe-security-groups answers.

Also from describe-security-group-rules. A rule with three networks is three rows; a group without
any rule is one row without a direction. These are the rules of the moment of the answer: what was
opened and shut again stands in CloudTrail.
"""

from __future__ import annotations

from collections.abc import Iterator

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.values import flag, items, pick, text, whole

KIND = "security-groups"

TABLE = schema.Table.of(
    "security_groups",
    ("group_id", "string", "sg-…"),
    ("group_name", "string", "its name, as the user chose it"),
    ("description", "string", "what the group is for, as the user wrote it"),
    ("vpc_id", "string", "its VPC"),
    ("account_id", "string", "account that owns it"),
    ("rule_id", "string", "sgr-…, where the answer tells"),
    ("direction", "string", "ingress or egress; null for a group without rules"),
    ("protocol", "string", "tcp, udp, icmp, a protocol number, or all"),
    ("from_port", "int32", "first port, or ICMP type; null for all"),
    ("to_port", "int32", "last port, or ICMP code; null for all"),
    ("cidr", "string", "network that the rule lets in or out"),
    ("prefix_list_id", "string", "or prefix list"),
    ("peer_group_id", "string", "or security group whose members it lets in or out"),
    ("peer_account_id", "string", "account of that group"),
    ("rule_description", "string", "what the rule is for, as the user wrote it"),
    ("tags", "tags", "the group's tags; the rule's own where rules were asked for"),
    ("observed_at", "time", "when it was seen to be so; null where the evidence does not say"),
    *schema.ORIGIN,
    schema.ITEM,
)

_RULE = "securityGroupRuleId"
_WAYS = (("ipPermissions", "ingress"), ("ipPermissionsEgress", "egress"))


def matches(value: object) -> list[object] | None:
    """The groups or rules in an answer of describe-security-groups or -group-rules, or None."""
    found = describe.listed(value, "securityGroups", "groupId", *(name for name, _ in _WAYS))
    if found is not None:
        return found
    return describe.listed(value, "securityGroupRules", "groupId", _RULE)


def to_row(record: object) -> list[dict[str, object]]:
    """The rules of one group, or one rule, as rows of TABLE. Raises BadRecord without a GroupId."""
    if not isinstance(record, dict):
        raise BadRecord("not a security group: no JSON object")
    group_id = text(pick(record, "groupId"))
    if group_id is None:
        raise BadRecord("no GroupId")
    group: dict[str, object] = {
        "group_id": group_id,
        "group_name": text(pick(record, "groupName")),
        "vpc_id": text(pick(record, "vpcId")),
        "account_id": text(pick(record, "ownerId")) or text(pick(record, "groupOwnerId")),
        "tags": list(describe.tags(record).items()),
        "observed_at": None,
    }
    if pick(record, _RULE) is not None:
        return [group | _rule(record)]
    group["description"] = text(pick(record, "description"))
    rules = [
        group | {"direction": direction} | _ports(permission) | peer
        for name, direction in _WAYS
        for permission in items(pick(record, name))
        for peer in _peers(permission)
    ]
    return rules or [group]


def _rule(record: object) -> dict[str, object]:
    """What a rule of describe-security-group-rules says."""
    return _ports(record) | {
        "rule_id": text(pick(record, _RULE)),
        "direction": "egress" if flag(pick(record, "isEgress")) else "ingress",
        "cidr": text(pick(record, "cidrIpv4")) or text(pick(record, "cidrIpv6")),
        "prefix_list_id": text(pick(record, "prefixListId")),
        "peer_group_id": text(pick(record, "referencedGroupInfo", "groupId")),
        "peer_account_id": text(pick(record, "referencedGroupInfo", "userId")),
        "rule_description": text(pick(record, "description")),
    }


def _ports(permission: object) -> dict[str, object]:
    protocol = text(pick(permission, "ipProtocol"))
    ends = [whole(pick(permission, name), 0, 65_535) for name in ("fromPort", "toPort")]
    # ICMP's -1 means all, as does the protocol's.
    return {
        "protocol": "all" if protocol == "-1" else protocol,
        "from_port": ends[0],
        "to_port": ends[1],
    }


def _peers(permission: object) -> Iterator[dict[str, object]]:
    """Whom one permission is about, one by one. AWS Config writes networks as bare texts too."""
    told: set[str] = set()
    for name, key in (
        ("ipv4Ranges", "cidrIp"),
        ("ipRanges", "cidrIp"),
        ("ipv6Ranges", "cidrIpv6"),
    ):
        for each in items(pick(permission, name)):
            cidr = text(each) if isinstance(each, str) else text(pick(each, key))
            if cidr and cidr not in told:
                told.add(cidr)
                yield {"cidr": cidr, "rule_description": text(pick(each, "description"))}
    for each in items(pick(permission, "prefixListIds")):
        yield {
            "prefix_list_id": text(each) or text(pick(each, "prefixListId")),
            "rule_description": text(pick(each, "description")),
        }
    for each in items(pick(permission, "userIdGroupPairs")):
        yield {
            "peer_group_id": text(pick(each, "groupId")),
            "peer_account_id": text(pick(each, "userId")),
            "rule_description": text(pick(each, "description")),
        }
