"""Security groups, a row per rule."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import security_groups as groups

GROUP: dict[str, Any] = {
    "GroupId": "sg-0a",
    "GroupName": "web",
    "Description": "<b>web</b>",
    "VpcId": "vpc-0a",
    "OwnerId": "111122223333",
    "IpPermissions": [
        {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [
                {"CidrIp": "0.0.0.0/0", "Description": "temporary"},
                {"CidrIp": "198.51.100.0/24"},
            ],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "PrefixListIds": [{"PrefixListId": "pl-1"}],
            "UserIdGroupPairs": [{"GroupId": "sg-0b", "UserId": "444455556666"}],
        },
        {
            "IpProtocol": "icmp",
            "FromPort": -1,
            "ToPort": -1,
            "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
        },
    ],
    "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    "Tags": [{"Key": "env", "Value": "prod"}],
}
RULE = {
    "SecurityGroupRuleId": "sgr-1",
    "GroupId": "sg-0a",
    "GroupOwnerId": "111122223333",
    "IsEgress": False,
    "IpProtocol": "udp",
    "FromPort": 53,
    "ToPort": 53,
    "CidrIpv6": "2001:db8::/32",
    "Description": "DNS",
}
RULE_COLUMNS = (
    "direction",
    "protocol",
    "from_port",
    "to_port",
    "cidr",
    "prefix_list_id",
    "peer_group_id",
)


def read_rules(record: object) -> list[tuple[Any, ...]]:
    rows = groups.TABLE.rows(groups.to_row(record)).to_pylist()
    return [tuple(row[name] for name in RULE_COLUMNS) for row in rows]


def test_row_per_network_prefix_list_and_group_of_a_rule() -> None:
    ssh = ("ingress", "tcp", 22, 22)
    assert read_rules(GROUP) == [
        (*ssh, "0.0.0.0/0", None, None),
        (*ssh, "198.51.100.0/24", None, None),
        (*ssh, "::/0", None, None),
        (*ssh, None, "pl-1", None),
        (*ssh, None, None, "sg-0b"),
        ("ingress", "icmp", None, None, "10.0.0.0/8", None, None),
        ("egress", "all", None, None, "0.0.0.0/0", None, None),
    ]
    first = groups.to_row(GROUP)[0]
    assert (first["group_name"], first["description"]) == ("web", "<b>web</b>")
    assert (first["vpc_id"], first["account_id"]) == ("vpc-0a", "111122223333")
    assert (first["rule_description"], first["tags"]) == ("temporary", [("env", "prod")])
    assert groups.to_row(GROUP)[4]["peer_account_id"] == "444455556666"


def test_group_without_rules_is_one_row() -> None:
    assert read_rules({"GroupId": "sg-1", "IpPermissions": []}) == [(None,) * 7]


def test_spelling_of_aws_config() -> None:
    permission = {
        "ipProtocol": "tcp",
        "fromPort": 80,
        "toPort": 80,
        "ipRanges": ["0.0.0.0/0"],
        "ipv4Ranges": [{"cidrIp": "0.0.0.0/0"}],
        "prefixListIds": ["pl-2"],
    }
    assert read_rules({"groupId": "sg-1", "ipPermissions": [permission]}) == [
        ("ingress", "tcp", 80, 80, "0.0.0.0/0", None, None),
        ("ingress", "tcp", 80, 80, None, "pl-2", None),
    ]


def test_rules_of_describe_security_group_rules() -> None:
    assert groups.matches({"SecurityGroupRules": [RULE]}) == [RULE]
    assert read_rules(RULE) == [("ingress", "udp", 53, 53, "2001:db8::/32", None, None)]
    (row,) = groups.to_row(RULE)
    assert (row["rule_id"], row["rule_description"]) == ("sgr-1", "DNS")
    assert row["description"] is None  # the rule's, not the group's
    egress = RULE | {"IsEgress": True, "CidrIpv6": None, "ReferencedGroupInfo": {"GroupId": "sg-9"}}
    assert read_rules(egress) == [("egress", "udp", 53, 53, None, None, "sg-9")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"SecurityGroups": [GROUP]}, [GROUP]),
        ({"status_code": 200, "data": {"SecurityGroups": [GROUP]}}, [GROUP]),
        ([GROUP], [GROUP]),
        (GROUP, [GROUP]),
        ({"SecurityGroups": []}, []),
        # The groups of an instance are references.
        ({"InstanceId": "i-1", "SecurityGroups": [{"GroupId": "sg-1", "GroupName": "x"}]}, None),
        ({"GroupId": "g-1", "DisplayName": "people"}, None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert groups.matches(value) == expected


def test_malformed_permissions_are_left_out_and_group_without_id_is_rejected() -> None:
    malformed = {
        "GroupId": "sg-1",
        "IpPermissions": [None, 7, {"IpRanges": {"x": 1}, "FromPort": 1e9}],
    }
    assert read_rules(malformed) == [(None,) * 7]
    with pytest.raises(BadRecord, match="no GroupId"):
        groups.to_row({"IpPermissions": []})
