"""CloudTrail events as rows of tables: names of Athena, the console, Sentinel and others."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.errors import BadRecord
from flowbench.loaders.aws import cloudtrail, cloudtrail_rows

ARN = "arn:aws:sts::111122223333:assumed-role/backup/i-0bb22cc33dd44ee55"
ISSUER = "arn:aws:iam::111122223333:role/backup"
STRUCT = (
    f"{{type=AssumedRole, principalid=AROAX:web, arn={ARN}, accountid=111122223333, invokedby=null,"
    " accesskeyid=ASIAROW, username=null, sessioncontext={attributes={mfaauthenticated=false},"
    f" sessionissuer={{type=Role, arn={ISSUER}, username=backup}}}}}}"
)
COMMON = {"eventsource": "ec2.amazonaws.com", "eventname": "StopInstances"}
ATHENA = COMMON | {
    "useridentity": STRUCT,
    "eventtime": "2026-09-01T03:10:00Z",
    "sourceipaddress": "198.51.100.7",
    "requestparameters": '{"instanceId": "i-0aa11bb22cc33dd44"}',
    "responseelements": "null",
    "recipientaccountid": "111122223333",
    "resources": "[]",
}
SENTINEL = {
    "TimeGenerated [UTC]": "9/1/2026, 3:10:00.000 AM",
    "EventSource": "ec2.amazonaws.com",
    "EventName": "StopInstances",
    "UserIdentityType": "AssumedRole",
    "UserIdentityArn": ARN,
    "UserIdentityAccessKeyId": "ASIAROW",
    "SessionIssuerArn": ISSUER,
    "SourceIpAddress": "198.51.100.7",
    "RequestParameters": '{"instanceId": "i-0aa11bb22cc33dd44"}',
    "RecipientAccountId": "111122223333",
}
FLATTENED = {
    "eventTime": "2026-09-01T03:10:00Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "StopInstances",
    "userIdentity.type": "AssumedRole",
    "userIdentity.arn": ARN,
    "userIdentity.accessKeyId": "ASIAROW",
    "userIdentity.sessionContext.sessionIssuer.arn": ISSUER,
    "sourceIPAddress": "198.51.100.7",
    "requestParameters.instanceId": "i-0aa11bb22cc33dd44",
    "recipientAccountId": "111122223333",
}
TAILPIPE = {
    "event_time": "2026-09-01 03:10:00",
    "event_source": "ec2.amazonaws.com",
    "event_name": "StopInstances",
    "user_identity": {
        "type": "AssumedRole",
        "arn": ARN,
        "access_key_id": "ASIAROW",
        "session_context": {"session_issuer": {"arn": ISSUER}},
    },
    "source_ip_address": "198.51.100.7",
    "request_parameters": {"instanceId": "i-0aa11bb22cc33dd44"},
    "recipient_account_id": "111122223333",
}


@pytest.mark.parametrize("row", [ATHENA, SENTINEL, FLATTENED, TAILPIPE])
def test_an_event_is_the_same_whatever_the_names(row) -> None:
    assert cloudtrail.matches(row) == [row]
    event = cloudtrail.to_row(row)
    assert str(event["event_time"]) == "2026-09-01 03:10:00+00:00"
    assert (event["event_name"], event["source_ip"]) == ("StopInstances", "198.51.100.7")
    assert (event["principal_arn"], event["issuer_arn"]) == (ARN, ISSUER)
    assert (event["access_key_id"], event["account_id"]) == ("ASIAROW", "111122223333")
    assert event["instance_ids"] == ["i-0aa11bb22cc33dd44"]
    assert event["response"] is None


@pytest.mark.parametrize(
    "resources",
    [
        {"Resources": '[{"resourceType":"AWS::EC2::Instance","resourceName":"i-0aa11bb22cc3"}]'},
        {"Resource type": "EC2 Instance", "Resource name": "i-0aa11bb22cc3"},
    ],
)
def test_a_row_of_the_event_history_of_the_console(resources) -> None:
    row = {
        "Event ID": "00000000-0000-4000-8000-00000000000f",
        "Event time": "2026-09-01T03:10:00Z",
        "User name": "bob",
        "Event name": "StopInstances",
        "AWS access key": "AKIAROW",
        "Event source": "ec2.amazonaws.com",
        "Source IP address": "198.51.100.7",
        "Error code": None,
        "Read-only": "false",
        **resources,
    }
    event = cloudtrail.to_row(row)
    assert (event["principal_name"], event["access_key_id"]) == ("bob", "AKIAROW")
    assert (event["read_only"], event["error_code"]) == (False, None)
    assert event["instance_ids"] == ["i-0aa11bb22cc3"]


def test_a_struct_goes_before_single_columns() -> None:
    event = cloudtrail_rows.to_event({"username": "x", **ATHENA})
    assert event["userIdentity"]["arn"] == ARN


@pytest.mark.parametrize(
    "row",
    [
        {"Event name": "x", "Event time": "2026-09-01"},
        {"EventName": "x", "EventSource": "y", "User": "z"},
        {"srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "start": 1},
        {},
    ],
)
def test_other_rows_are_no_events(row) -> None:
    assert cloudtrail.matches(row) is None


TEXT = st.none() | st.text(max_size=20) | st.just(STRUCT) | st.just("{") | st.just("[{a=1}]")


@given(st.dictionaries(st.sampled_from([*ATHENA, *SENTINEL, *FLATTENED, "User name"]), TEXT))
def test_any_row_is_an_event_or_refused(row) -> None:
    if cloudtrail.matches(row) is None:
        return
    with suppress(BadRecord):
        assert cloudtrail.to_row(row)["event_name"]
