"""Hostile JSON for every kind of AWS evidence: no crash, and no value a table cannot hold."""

from __future__ import annotations

import copy
import importlib
import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.errors import BadRecord

KINDS = [
    importlib.import_module(f"flowbench.loaders.{name}")
    for name in (
        *("aws.cloudtrail", "aws.guardduty", "aws.resolver", "aws.interfaces", "aws.instances"),
        *("aws.subnets", "aws.vpcs", "aws.security_groups", "aws.flow_log_settings"),
        *("aws.nat_gateways", "aws.network_acls", "aws.route_tables", "aws.config"),
        "geo.cloud_ranges",
    )
]
VALID: dict[str, dict[str, Any]] = {
    "cloudtrail": {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROA1:i-0a1b2c3d",
            "arn": "arn:aws:sts::111122223333:assumed-role/web/i-0a1b2c3d",
            "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/web"}},
        },
        "eventTime": "2026-09-01T03:10:04Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "requestParameters": {"instancesSet": {"items": [{"imageId": "ami-1"}]}},
        "responseElements": {
            "instancesSet": {
                "items": [{"instanceId": "i-0ffffeee", "privateIpAddress": "10.0.9.9"}]
            },
            "credentials": {"sessionToken": "s3cr3t"},
        },
        "resources": [{"ARN": "arn:aws:ec2:us-east-1:111122223333:instance/i-0ffffeee"}],
    },
    "guardduty": {
        "schemaVersion": "2.0",
        "id": "aabb",
        "type": "CryptoCurrency:EC2/BitcoinTool.B",
        "severity": 8,
        "createdAt": "2026-09-01T03:30:00.000Z",
        "updatedAt": "2026-09-01T04:30:00.000Z",
        "resource": {"instanceDetails": {"networkInterfaces": [{"networkInterfaceId": "eni-1"}]}},
        "service": {
            "count": 4,
            "additionalInfo": {"type": "default", "value": '{"sample": true}'},
            "evidence": {"threatIntelligenceDetails": [{"threatListName": "x"}]},
            "action": {
                "portProbeAction": {
                    "blocked": False,
                    "portProbeDetails": [{"localPortDetails": {"port": 22}}],
                }
            },
        },
    },
    "dns": {
        "query_timestamp": "2026-09-01T03:11:55Z",
        "query_name": "pool.example.net.",
        "query_type": "A",
        "answers": [{"Rdata": "192.0.2.55", "Type": "A"}],
        "srcaddr": "10.0.9.9",
        "srcport": "43210",
        "srcids": {"instance": "i-0ffffeee"},
    },
    "inventory": {
        "NetworkInterfaceId": "eni-1",
        "VpcId": "vpc-1",
        "PrivateIpAddress": "10.0.0.1",
        "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.1", "Association": {"PublicIp": "x"}}],
        "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}],
        "Attachment": {"InstanceId": "i-1", "AttachTime": "2026-09-01T03:10:04+00:00"},
        "Groups": [{"GroupId": "sg-1", "GroupName": "default"}],
        "TagSet": [{"Key": "Name", "Value": "web"}],
    },
    "instances": {
        "InstanceId": "i-1",
        "ImageId": "ami-1",
        "State": {"Name": "terminated"},
        "StateTransitionReason": "User initiated (2026-09-01 03:10:04 GMT)",
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "Attachment": {"AttachmentId": "a"}}],
        "SecurityGroups": [{"GroupId": "sg-1"}],
        "Tags": [{"Key": "Name", "Value": "web"}],
    },
    "subnets": {
        "SubnetId": "subnet-1",
        "VpcId": "vpc-1",
        "CidrBlock": "10.0.0.0/24",
        "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8::/64"}],
    },
    "nat-gateways": {
        "NatGatewayId": "nat-1",
        "VpcId": "vpc-1",
        "ConnectivityType": "public",
        "NatGatewayAddresses": [{"PublicIp": "198.51.100.7", "PrivateIp": "10.0.0.7"}],
        "Tags": [{"Key": "Name", "Value": "egress"}],
    },
    "network-acls": {
        "NetworkAclId": "acl-1",
        "VpcId": "vpc-1",
        "IsDefault": True,
        "Associations": [{"SubnetId": "subnet-1"}],
        "Entries": [
            {
                "RuleNumber": 100,
                "Egress": False,
                "Protocol": "-1",
                "RuleAction": "allow",
                "CidrBlock": "0.0.0.0/0",
                "PortRange": {"From": 22, "To": 22},
                "IcmpTypeCode": {"Type": -1, "Code": -1},
            }
        ],
        "Tags": [{"Key": "Name", "Value": "edge"}],
    },
    "route-tables": {
        "RouteTableId": "rtb-1",
        "VpcId": "vpc-1",
        "Associations": [{"Main": True, "SubnetId": "subnet-1"}],
        "Routes": [
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"},
        ],
        "Tags": [{"Key": "Name", "Value": "main"}],
    },
    "vpcs": {
        "VpcId": "vpc-1",
        "CidrBlock": "10.0.0.0/16",
        "CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16"}],
    },
    "security-groups": {
        "GroupId": "sg-1",
        "GroupName": "web",
        "IpPermissions": [
            {"IpProtocol": "tcp", "FromPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ],
    },
    "flow-log-settings": {
        "FlowLogId": "fl-1",
        "ResourceId": "vpc-1",
        "LogFormat": "${version} ${srcaddr}",
        "TagFieldSpecifications": [{"ResourceType": "instance", "TagKeys": ["env"]}],
    },
    "cloud-ranges": {
        "createDate": "2026-09-01-00-00-00",
        "syncToken": "1788220800",
        "prefixes": [{"ip_prefix": "198.51.100.0/24", "service": "S3", "region": "us-east-1"}],
        "ipv6_prefixes": [],
        "addresses": [],
    },
    "config": {
        "resourceType": "AWS::EC2::Instance",
        "resourceId": "i-1",
        "configurationItemStatus": "OK",
        "configurationItemCaptureTime": "2026-09-01T03:10:04Z",
        "relationships": [{"resourceId": "vpc-1"}],
        "tags": {"Name": "web"},
        "configuration": {
            "instanceId": "i-1",
            "networkInterfaces": [{"networkInterfaceId": "eni-1", "attachment": {}}],
        },
    },
}

# Keys that the kinds read, strings that no table stores, numbers beyond the range of a column.
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["\0", "\ud800", "10.0.0.1", "fe80::1%\ud800", "9" * 400, "1e999", "{}", "[1"]),
    st.sampled_from(["2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1788232204000"]),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**30, -(10**30), 10**400, 2**63, float("nan"), float("inf"), 1e300]),
    st.floats(),
    texts,
)
names = sorted(
    {"items", "item", "Records", "Findings", "detail", "detail-type", "data", "events", "message"}
    | {"Reservations", "Instances", "Subnets", "configurationItems", "configuration", "tags"}
    | {key for record in VALID.values() for key in record}
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(names), texts), inner, max_size=5),
    ),
    max_leaves=20,
)


def read(kind: ModuleType, value: object) -> list[dict[str, object]]:
    """Return the rows read from a value; no exception but BadRecord may occur."""
    rows: list[dict[str, object]] = []
    reasons: list[str] = []
    for record in kind.matches(value) or [value]:
        try:
            new_rows = kind.to_row(record)
            rows += new_rows if isinstance(new_rows, list) else [new_rows]
            for table, to_rows in getattr(kind, "EXTRA_TABLES", ()):
                table.rows(to_rows(record))
        except BadRecord as error:
            reasons.append(str(error))
    assert all(reason.isprintable() for reason in reasons)
    return kind.TABLE.rows(rows).to_pylist()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
@settings(max_examples=60, deadline=None)
@given(value=values)
def test_any_json_is_read_or_rejected(kind: ModuleType, value: object) -> None:
    read(kind, value)
    read(kind, [value, VALID[kind.KIND]])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_record_with_one_wrong_value_is_read_or_rejected(
    kind: ModuleType, data: st.DataObject
) -> None:
    record = copy.deepcopy(VALID[kind.KIND])
    container: Any = record
    while True:
        key = data.draw(st.sampled_from(sorted(container) if isinstance(container, dict) else [0]))
        value = container[key]
        if not value or not isinstance(value, dict | list) or data.draw(st.booleans()):
            container[key] = data.draw(values)
            break
        container = value
    # These have a row for each rule, interface, entry or route, and the drawn value may be a list
    # of them.
    several = ("security-groups", "nat-gateways", "network-acls", "route-tables")
    row_limit = 50 if kind.KIND in several else 1
    assert len(read(kind, record)) <= row_limit


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
def test_valid_record_is_read(kind: ModuleType) -> None:
    assert len(read(kind, VALID[kind.KIND])) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
def test_kinds_are_disjoint(kind: ModuleType) -> None:
    matched = [name for name, record in VALID.items() if kind.matches(record) is not None]
    assert matched == [kind.KIND]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 1, 1.5, "text", "", [], {}, [None], [[]], [1, "x"]),
        *({"Records": None}, {"Records": [None]}, {"Findings": {}}, {"Events": ["x"]}),
        *({"NetworkInterfaces": None}, {"detail-type": "x", "detail": None}, {"data": {"x": 1}}),
        *({"StackEvents": [{"EventId": "x"}]}, {"id": "x", "type": "y"}),
        {"logEvents": [{"message": "2 123 eni-1 ACCEPT OK"}]},
        {"type": "bundle", "id": "bundle--1", "objects": []},
    ],
    ids=json.dumps,
)
def test_other_json_matches_no_kind(kind: ModuleType, value: object) -> None:
    assert kind.matches(value) is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
def test_value_that_is_no_object_is_rejected_with_a_reason(kind: ModuleType) -> None:
    with pytest.raises(BadRecord, match="no JSON object"):
        kind.to_row(None)


def test_deep_nesting_is_cut() -> None:
    deep: Any = "10.1.2.3"
    for _ in range(900):
        deep = {"privateIpAddress": [deep]}
    for kind in KINDS:
        record = VALID[kind.KIND] | {"requestParameters": deep, "service": deep, "answers": [deep]}
        assert len(read(kind, record)) == 1
