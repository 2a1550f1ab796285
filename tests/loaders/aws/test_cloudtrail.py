"""CloudTrail: who, what and about which machine, from every container."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import cloudtrail

EVENT: dict[str, Any] = {
    "eventVersion": "1.11",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:i-0a1b2c3d4e5f60718",
        "arn": "arn:aws:sts::111122223333:assumed-role/web/i-0a1b2c3d4e5f60718",
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/web"}
        },
    },
    "eventTime": "2026-09-01T03:10:04Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "RunInstances",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "198.51.100.23",
    "userAgent": "aws-cli/2.31",
    "requestParameters": {
        "instancesSet": {"items": [{"imageId": "ami-0example", "minCount": 1}]},
        "userData": "IyEvYmluL3NoCmN1cmw=",
    },
    "responseElements": {
        "instancesSet": {
            "items": [
                {
                    "instanceId": "i-0ffffeeee11112222",
                    "privateIpAddress": "10.0.9.9",
                    "networkInterfaceSet": {
                        "items": [
                            {
                                "networkInterfaceId": "eni-0ccc",
                                "privateIpAddress": "10.0.9.9",
                                "privateIpAddressesSet": {
                                    "item": [
                                        {"privateIpAddress": "10.0.9.9"},
                                        {"privateIpAddress": "10.0.9.10"},
                                    ]
                                },
                                "ipv6AddressesSet": {"items": [{"ipv6Address": "2001:DB8::9"}]},
                                "attachment": {"attachmentId": "eni-attach-0ddd"},
                            }
                        ]
                    },
                }
            ]
        }
    },
    "eventID": "0e0e0e0e-1111-2222-3333-444444444444",
    "readOnly": False,
    "eventType": "AwsApiCall",
    "recipientAccountId": "111122223333",
}


def test_an_event() -> None:
    (row,) = cloudtrail.TABLE.rows([cloudtrail.to_row(EVENT)]).to_pylist()
    request, response = json.loads(row.pop("request")), json.loads(row.pop("response"))
    assert request == {
        "instancesSet": {"items": [{"imageId": "ami-0example", "minCount": 1}]},
        "userData": "[redacted]",
    }
    assert response == EVENT["responseElements"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "event_id": "0e0e0e0e-1111-2222-3333-444444444444",
        "event_time": datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC),
        "event_source": "ec2.amazonaws.com",
        "event_name": "RunInstances",
        "aws_region": "us-east-1",
        "account_id": "111122223333",
        "principal_type": "AssumedRole",
        "principal_arn": "arn:aws:sts::111122223333:assumed-role/web/i-0a1b2c3d4e5f60718",
        "principal_id": "AROAEXAMPLE:i-0a1b2c3d4e5f60718",
        "principal_name": "web/i-0a1b2c3d4e5f60718",
        "access_key_id": "ASIAEXAMPLE",
        "issuer_arn": "arn:aws:iam::111122223333:role/web",
        "source_ip": "198.51.100.23",
        "user_agent": "aws-cli/2.31",
        "read_only": False,
        "event_type": "AwsApiCall",
        "instance_ids": ["i-0ffffeeee11112222"],
        "interface_ids": ["eni-0ccc"],
        "addresses": ["10.0.9.9", "10.0.9.10", "2001:db8::9"],
    }


def lookup(event: object = None) -> dict[str, Any]:
    return {
        "EventId": EVENT["eventID"],
        "EventName": "RunInstances",
        "EventTime": 1788232204.0,
        "Resources": [
            {"ResourceType": "AWS::EC2::NetworkInterface", "ResourceName": "eni-0eee"},
            {"ResourceType": "AWS::EC2::Instance", "ResourceName": "i-0ffffeeee11112222"},
            {"ResourceType": "AWS::EC2::SecurityGroup", "ResourceName": "default"},
        ],
        "CloudTrailEvent": json.dumps(EVENT) if event is None else event,
    }


@pytest.mark.parametrize(
    ("value", "records"),
    [
        ({"Records": [EVENT, None]}, [EVENT, None]),
        ({"Records": []}, []),
        (EVENT, [EVENT]),
        ([EVENT], [EVENT]),
        ({"Events": [lookup()], "NextToken": "x"}, [lookup()]),
        (lookup(), [lookup()]),
    ],
    ids=["file", "empty file", "bare", "list", "lookup-events", "element"],
)
def test_containers(value: object, records: list[object]) -> None:
    assert cloudtrail.matches(value) == records


def test_eventbridge() -> None:
    event = {"version": "0", "detail-type": "AWS API Call via CloudTrail", "detail": EVENT}
    assert cloudtrail.matches(event) == [event]
    assert cloudtrail.to_row(event) == cloudtrail.to_row(EVENT)


def test_what_only_looks_like_cloudtrail() -> None:
    notice = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "x", "eventName": "y",
              "awsRegion": "us-east-1", "s3": {}}  # fmt: skip
    assert cloudtrail.matches({"Records": [notice]}) is None
    assert cloudtrail.matches({"Events": [{"EventId": "1"}]}) is None


def test_lookup_events_name_more_resources() -> None:
    row = cloudtrail.to_row(lookup())
    assert row["interface_ids"] == ["eni-0ccc", "eni-0eee"]
    assert row["instance_ids"] == ["i-0ffffeeee11112222"]
    assert row | {"interface_ids": 0} == cloudtrail.to_row(EVENT) | {"interface_ids": 0}


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ({"type": "IAMUser", "userName": "mallory", "arn": "a"}, "mallory"),
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/path/mallory"}, "mallory"),
        ({"type": "Root", "arn": "arn:aws:iam::1:root", "principalId": "1"}, "root"),
        ({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"},
         "autoscaling.amazonaws.com"),
        ({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/fred"}, "fred"),
        ({"type": "SAMLUser", "userName": "sam", "principalId": "x:sam"}, "sam"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}}, "u-1"),
        ({"type": "AWSAccount", "principalId": "AIDA1", "accountId": "1"}, "AIDA1"),
        ({"type": "AWSAccount", "accountId": "1"}, "1"),
        ("nonsense", None),
        (None, None),
    ],
)  # fmt: skip
def test_principal_name(identity: object, name: str | None) -> None:
    assert cloudtrail.to_row(EVENT | {"userIdentity": identity})["principal_name"] == name


def test_ids_in_lists_filters_arns_and_wrapped_requests() -> None:
    row = cloudtrail.to_row(
        EVENT
        | {
            "requestParameters": {
                "instanceIds": ["i-0aaaa", "mi-0bbbb", "not-i-0cccc"],
                "CreateThing": {"NetworkInterfaceId": "eni-0aaa", "PublicIp": "203.0.113.80"},
                "cidrIp": "10.0.0.0/8",
                "publicIp": "no address",
            },
            "responseElements": None,
            "serviceEventDetails": {"instanceIdSet": ["i-0dddd"]},
            "resources": [{"ARN": "arn:aws:ec2:us-east-1:1:instance/i-0eeee"}, "odd", None],
        }
    )
    assert row["instance_ids"] == ["i-0aaaa", "mi-0bbbb", "i-0dddd", "i-0eeee"]
    assert (row["interface_ids"], row["addresses"]) == (["eni-0aaa"], ["203.0.113.80"])


def test_keys_that_a_call_handed_out() -> None:
    made = {"accessKey": {"userName": "bob", "accessKeyId": "AKIANEW", "status": "Active"}}
    row = cloudtrail.to_row(
        EVENT | {"requestParameters": {"userName": "bob"}, "responseElements": made}
    )
    assert (row["target_user"], row["new_access_key_id"]) == ("bob", "AKIANEW")
    assumed = {"credentials": {"accessKeyId": "ASIANEW", "sessionToken": "FwoGZXIvYXdzEBYaD"}}
    row = cloudtrail.to_row(EVENT | {"responseElements": assumed})
    assert row["new_access_key_id"] == "ASIANEW"
    assert "FwoGZXIvYXdzEBYaD" not in str(row)


def test_parameters_given_as_text_are_json_all_the_same() -> None:
    told = json.dumps({"instanceId": "i-0aaaa", "password": "hunter2"})
    row = cloudtrail.to_row(EVENT | {"requestParameters": told, "responseElements": "HIDDEN"})
    assert json.loads(row["request"]) == {"instanceId": "i-0aaaa", "password": "[redacted]"}
    assert (row["instance_ids"], row["response"]) == (["i-0aaaa"], '"HIDDEN"')


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("2022-02-08 09:23:37+11:00", datetime(2022, 2, 7, 22, 23, 37, tzinfo=UTC)),
        ("2026-09-01T03:10:04.123456789Z", datetime(2026, 9, 1, 3, 10, 4, 123456, tzinfo=UTC)),
        ("2026-09-01T03:10:04", datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)),
        (1788232204, datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)),
        (1788232204000, datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)),
        ("1788232204.5", datetime(2026, 9, 1, 3, 10, 4, 500000, tzinfo=UTC)),
    ],
)
def test_times(told: object, meant: datetime) -> None:
    assert cloudtrail.to_row(EVENT | {"eventTime": told})["event_time"] == meant


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (EVENT | {"eventTime": None}, "no eventTime"),
        (EVENT | {"eventTime": "x"}, "eventTime is not a time: 'x'"),
        (EVENT | {"eventTime": "20260901"}, "eventTime is not a time: '20260901'"),
        (EVENT | {"eventTime": 10**40}, "eventTime is not a time: 1000"),
        (EVENT | {"eventName": {}}, "no eventName"),
        (lookup("{"), "CloudTrailEvent holds no JSON object"),
        (lookup([1]), "CloudTrailEvent holds no JSON object"),
        ("text", "not a CloudTrail event"),
    ],
)
def test_what_an_event_cannot_be_without(record: object, reason: str) -> None:
    with pytest.raises(BadRecord, match=f"^{reason}"):
        cloudtrail.to_row(record)


def test_an_old_event_has_no_id_and_is_kept() -> None:
    assert cloudtrail.to_row(EVENT | {"eventID": None})["event_id"] is None
