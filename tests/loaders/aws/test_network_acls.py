"""Network ACLs from describe-network-acls."""

from __future__ import annotations

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import network_acls

ACL = {
    "NetworkAclId": "acl-0a",
    "VpcId": "vpc-0a",
    "IsDefault": True,
    "OwnerId": "111122223333",
    "Associations": [{"NetworkAclId": "acl-0a", "SubnetId": "subnet-0a"}],
    "Entries": [
        {"Egress": False, "RuleNumber": 100, "RuleAction": "allow", "Protocol": "6"}
        | {"CidrBlock": "10.0.0.0/8", "PortRange": {"From": 443, "To": 444}},
        {"Egress": True, "RuleNumber": 32767, "RuleAction": "deny", "Protocol": "-1"}
        | {"Ipv6CidrBlock": "::/0"},
        {"Egress": False, "RuleNumber": 110, "RuleAction": "deny", "Protocol": "1"}
        | {"CidrBlock": "0.0.0.0/0", "IcmpTypeCode": {"Type": -1, "Code": 3}},
        "no entry",
    ],
}
COLUMNS = "direction rule_number rule_action protocol from_port to_port icmp_type icmp_code cidr"


def test_every_entry_is_a_row() -> None:
    rows = network_acls.to_row(ACL)
    assert [tuple(row[name] for name in COLUMNS.split()) for row in rows] == [
        ("ingress", 100, "allow", "6", 443, 444, None, None, "10.0.0.0/8"),
        ("egress", 32767, "deny", "all", None, None, None, None, "::/0"),
        ("ingress", 110, "deny", "1", None, None, -1, 3, "0.0.0.0/0"),
    ]
    assert rows[0]["subnet_ids"] == ["subnet-0a"]
    assert rows[0]["is_default"] is True


def test_an_acl_without_entries_is_a_row_without_direction() -> None:
    (row,) = network_acls.to_row({"NetworkAclId": "acl-1", "Entries": None})
    assert (row["direction"], row["subnet_ids"]) == (None, [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"NetworkAcls": [ACL]}, [ACL]),
        ([ACL], [ACL]),
        ({"NetworkAcls": []}, []),
        ({"NetworkAclId": "acl-1", "SubnetId": "subnet-1"}, None),
        ("acl-1", None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert network_acls.matches(value) == expected


@pytest.mark.parametrize("record", [{"Entries": []}, "acl-1"])
def test_an_acl_without_id_is_rejected(record: object) -> None:
    with pytest.raises(BadRecord):
        network_acls.to_row(record)
