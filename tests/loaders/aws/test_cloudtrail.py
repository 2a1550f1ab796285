"""CloudTrail: caller, call and resources of an event, from every container and in recordings."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import cloudtrail

PRIVATE_ADDRESSES = [{"privateIpAddress": "10.0.9.9"}, {"privateIpAddress": "10.0.9.10"}]
CREATED_INTERFACE = {
    "networkInterfaceId": "eni-0ccc",
    "privateIpAddress": "10.0.9.9",
    "privateIpAddressesSet": {"item": PRIVATE_ADDRESSES},
    "ipv6AddressesSet": {"items": [{"ipv6Address": "2001:DB8::9"}]},
    "attachment": {"attachmentId": "eni-attach-0ddd"},
}
CREATED_INSTANCE = {
    "instanceId": "i-0ffffeeee11112222",
    "privateIpAddress": "10.0.9.9",
    "networkInterfaceSet": {"items": [CREATED_INTERFACE]},
}
EVENT: dict[str, Any] = {
    "eventVersion": "1.11",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:i-0a1b2c3d4e5f60718",
        "arn": "arn:aws:sts::111122223333:assumed-role/web/i-0a1b2c3d4e5f60718",
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/web"}},
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
    "responseElements": {"instancesSet": {"items": [CREATED_INSTANCE]}},
    "eventID": "0e0e0e0e-1111-2222-3333-444444444444",
    "readOnly": False,
    "eventType": "AwsApiCall",
    "recipientAccountId": "111122223333",
}


def test_values_of_an_event() -> None:
    (row,) = cloudtrail.TABLE.rows([cloudtrail.to_row(EVENT)]).to_pylist()
    request, response = json.loads(row.pop("request")), json.loads(row.pop("response"))
    assert request == EVENT["requestParameters"] | {"userData": "[redacted]"}
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


def test_similar_json_does_not_match() -> None:
    keys = ("eventVersion", "eventSource", "eventTime", "eventName")
    notification = dict.fromkeys(keys, "x")
    assert cloudtrail.matches({"Records": [notification]}) == [notification]
    assert cloudtrail.matches({"Records": [notification | {"s3": {}}]}) is None
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
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com"),
        ({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/fred"}, "fred"),
        ({"type": "SAMLUser", "userName": "sam", "principalId": "x:sam"}, "sam"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}}, "u-1"),
        ({"type": "AWSAccount", "principalId": "AIDA1", "accountId": "1"}, "AIDA1"),
        ({"type": "AWSAccount", "accountId": "1"}, "1"),
        ("nonsense", None),
        (None, None),
    ],
)
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


def test_access_keys_that_a_call_returned() -> None:
    created = {"accessKey": {"userName": "bob", "accessKeyId": "AKIANEW", "status": "Active"}}
    row = cloudtrail.to_row(
        EVENT | {"requestParameters": {"userName": "bob"}, "responseElements": created}
    )
    assert (row["target_user"], row["new_access_key_id"]) == ("bob", "AKIANEW")
    assumed = {"credentials": {"accessKeyId": "ASIANEW", "sessionToken": "FwoGZXIvYXdzEBYaD"}}
    row = cloudtrail.to_row(EVENT | {"responseElements": assumed})
    assert row["new_access_key_id"] == "ASIANEW"
    assert "FwoGZXIvYXdzEBYaD" not in str(row)


def test_parameters_as_json_text() -> None:
    parameters = json.dumps({"instanceId": "i-0aaaa", "password": "hunter2"})
    row = cloudtrail.to_row(EVENT | {"requestParameters": parameters, "responseElements": "HIDDEN"})
    assert json.loads(row["request"]) == {"instanceId": "i-0aaaa", "password": "[redacted]"}
    assert (row["instance_ids"], row["response"]) == (["i-0aaaa"], '"HIDDEN"')


@pytest.mark.parametrize(
    ("additional", "expected"),
    [
        ({"LoginTo": "https://console.example", "MFAUsed": "No"}, "No"),
        ({"MFAUsed": "Yes"}, "Yes"),
        ('{"MFAUsed": "No"}', "No"),  # as Athena and Lake give it
        ({"mFAUsed": None}, None),
        ("No", None),
        (None, None),
    ],
)
def test_whether_a_sign_in_used_mfa(additional: object, expected: str | None) -> None:
    row = cloudtrail.to_row(EVENT | {"additionalEventData": additional})
    assert row["mfa_used"] == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2022-02-08 09:23:37+11:00", datetime(2022, 2, 7, 22, 23, 37, tzinfo=UTC)),
        ("2026-09-01T03:10:04.123456789Z", datetime(2026, 9, 1, 3, 10, 4, 123456, tzinfo=UTC)),
        ("2026-09-01T03:10:04", datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)),
        (1788232204, datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)),
        (1788232204000, datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)),
        ("1788232204.5", datetime(2026, 9, 1, 3, 10, 4, 500000, tzinfo=UTC)),
    ],
)
def test_times(written: object, expected: datetime) -> None:
    assert cloudtrail.to_row(EVENT | {"eventTime": written})["event_time"] == expected


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
def test_event_without_a_required_value_is_rejected(record: object, reason: str) -> None:
    with pytest.raises(BadRecord, match=f"^{reason}"):
        cloudtrail.to_row(record)


def test_event_without_id_is_kept() -> None:
    assert cloudtrail.to_row(EVENT | {"eventID": None})["event_id"] is None


@pytest.fixture(scope="module")
def stratus(samples: Path) -> list[dict]:
    """Return the events of the Stratus Red Team attack techniques as rows."""
    rows = []
    for path in sorted(samples.glob("cloudtrail/stratus/*.json")):
        rows += map(cloudtrail.to_row, cloudtrail.matches(json.loads(path.read_text())) or [])
    return cloudtrail.TABLE.rows(rows).to_pylist()


def test_recorded_events_of_attack_techniques(stratus: list[dict]) -> None:
    assert len(stratus) == len({row["event_id"] for row in stratus}) == 310
    assert Counter(row["principal_type"] for row in stratus) == {
        "IAMUser": 241,
        "AssumedRole": 68,
        "FederatedUser": 1,
    }
    names = Counter(row["principal_name"] for row in stratus)
    assert names["christophe"] == 239
    assert names["stratus-red-team-ec2-steal-credentials-role/i-786a3A8B5C0d92eF4"] == 2
    assert None not in names
    assert sum(row["error_code"] is not None for row in stratus) == 52


def test_access_keys_returned_in_recorded_events(stratus: list[dict]) -> None:
    created = [row for row in stratus if row["new_access_key_id"]]
    assert Counter(row["event_name"] for row in created) == {
        "AssumeRole": 8,
        "CreateAccessKey": 2,
        "GetFederationToken": 1,
    }
    assert ("malicious-iam-user", "AKIAXAFZN8JEPF6L682H") in {
        (row["target_user"], row["new_access_key_id"]) for row in created
    }


def test_secrets_of_recorded_events_are_redacted(samples: Path, stratus: list[dict]) -> None:
    secrets: set[str] = set()

    def collect(value: object) -> None:
        for key, each in value.items() if isinstance(value, dict) else ():
            if key in {"sessionToken", "secretAccessKey", "tokenValue"}:
                secrets.add(each)
            collect(each)
        for each in value if isinstance(value, list) else ():
            collect(each)

    for path in samples.glob("cloudtrail/stratus/*.json"):
        collect(json.loads(path.read_text()))
    assert len(secrets) == 10
    all_text = "\n".join(str(row) for row in stratus)
    assert not [secret for secret in secrets if secret in all_text]
    assert "IQoJb3JpZ2luX2Vj" not in all_text  # how each of these session tokens starts


def test_recorded_lookup_events(samples: Path) -> None:
    lines = (samples / "cloudtrail/plaso/aws_cloudtrail.jsonl").read_text().splitlines()
    rows = [
        cloudtrail.to_row(each) for line in lines for each in cloudtrail.matches(json.loads(line))
    ]
    assert [row["event_name"] for row in rows] == [
        *("DescribeInstances", "TerminateInstances", "StopInstances"),
        *("SharedSnapshotVolumeCreated", "RunInstances", "CreateSecurityGroup"),
    ]
    run = rows[4]
    assert run["event_time"] == datetime(2022, 2, 7, 22, 19, 5, tzinfo=UTC)
    assert (run["principal_name"], run["read_only"]) == ("fakeusername", False)
    assert run["instance_ids"] == ["i-01234567890123456"]
    assert run["interface_ids"] == ["eni-01234567890123456"]
    assert run["addresses"] == ["1.2.3.4"]
