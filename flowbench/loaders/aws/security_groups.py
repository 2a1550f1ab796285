"""Security groups, a row per rule, from recorded describe-security-groups answers.

Also from describe-security-group-rules. A rule with three networks is three rows; a group without
rules is one row without a direction. These are the rules at the moment of the answer: for rules
added and removed again, see CloudTrail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import flag, items, pick, text

KIND = "security-groups"


def _protocol(value: object) -> str | None:
    protocol = text(value)
    return "all" if protocol == "-1" else protocol


# ``Rule`` is a rule as describe-security-group-rules spells it, empty in a group without rules.
TABLE = record_table(
    "security_groups",
    "a security group",
    Column("group_id", "GroupId", "sg-…", required=True),
    Column("group_name", "GroupName", "its name, as the user chose it"),
    Column("description", "Description", "purpose of the group, as the user wrote it"),
    describe.VPC_ID,
    Column("account_id", "OwnerId, GroupOwnerId", "account that owns it"),
    Column("rule_id", "Rule.SecurityGroupRuleId", "sgr-…, where the answer has it"),
    Column("direction", "Rule.Direction", "ingress or egress; null without rules"),
    Column("protocol", "Rule.IpProtocol", "tcp, udp, icmp, a number, or all", convert=_protocol),
    # ICMP's -1 means all, as does the protocol's.
    Column("from_port", "Rule.FromPort", "first port, or ICMP type; null for all", "int32"),
    Column("to_port", "Rule.ToPort", "last port, or ICMP code; null for all", "int32"),
    Column("cidr", "Rule.CidrIpv4, Rule.CidrIpv6", "network that the rule allows"),
    Column("prefix_list_id", "Rule.PrefixListId", "or prefix list"),
    Column(
        "peer_group_id",
        "Rule.ReferencedGroupInfo.GroupId",
        "or security group whose members the rule allows",
    ),
    Column("peer_account_id", "Rule.ReferencedGroupInfo.UserId", "account of that group"),
    Column("rule_description", "Rule.Description", "purpose of the rule, as the user wrote it"),
    describe.TAGS,  # of the rule, from describe-security-group-rules
    describe.OBSERVED_AT,
)

_RULE_ID = "securityGroupRuleId"
_DIRECTIONS = {"ipPermissions": "ingress", "ipPermissionsEgress": "egress"}
_NETWORKS = (("ipv4Ranges", "cidrIp"), ("ipRanges", "cidrIp"), ("ipv6Ranges", "cidrIpv6"))


def matches(value: object) -> list[object] | None:
    """Return the groups or rules in an answer of describe-security-groups or -group-rules."""
    groups = describe.find_records(value, "securityGroups", "groupId", *_DIRECTIONS)
    if groups is not None:
        return groups
    return describe.find_records(value, "securityGroupRules", "groupId", _RULE_ID)


def to_row(record: object) -> list[Row]:
    """Read the rules of a group, or one rule. Raises BadRecord without a GroupId."""
    if not isinstance(record, dict):
        raise BadRecord("not a security group: no JSON object")
    if pick(record, _RULE_ID) is not None:
        direction = "egress" if flag(pick(record, "isEgress")) else "ingress"
        rule = record | {"direction": direction}
        return [TABLE.to_row(record | {"rule": rule, "description": None})]
    rules: list[Mapping[str, object]] = [
        {
            "direction": direction,
            "ipProtocol": pick(permission, "ipProtocol"),
            "fromPort": pick(permission, "fromPort"),
            "toPort": pick(permission, "toPort"),
            **peer,
        }
        for key, direction in _DIRECTIONS.items()
        for permission in items(pick(record, key))
        for peer in _peers(permission)
    ]
    return [TABLE.to_row(record | {"rule": rule}) for rule in rules or [{}]]


def _peers(permission: object) -> Iterator[dict[str, object]]:
    """Yield the networks, prefix lists and groups of a permission, as rules spell them.

    AWS Config also writes networks as strings, and the same network under two keys.
    """
    seen: set[str] = set()
    for list_key, key in _NETWORKS:
        for each in items(pick(permission, list_key)):
            cidr = text(each) if isinstance(each, str) else text(pick(each, key))
            if cidr and cidr not in seen:
                seen.add(cidr)
                yield {"cidrIpv4": cidr, "description": pick(each, "description")}
    for each in items(pick(permission, "prefixListIds")):
        list_id = text(each) or text(pick(each, "prefixListId"))
        yield {"prefixListId": list_id, "description": pick(each, "description")}
    for each in items(pick(permission, "userIdGroupPairs")):
        yield {"referencedGroupInfo": each, "description": pick(each, "description")}
