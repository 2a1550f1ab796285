"""What ended a resource: by name or id, in request or response, in the same account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbench.case import Case
from flowbench.investigate.api_events import read_events
from flowbench.investigate.resource_ends import endings_of, find_endings, find_key_ending
from tests.incident_case import api_event
from tests.investigate.credentials import OTHER_ACCOUNT
from tests.traffic import T0, connect, make_case

SSH = {"groupId": "sg-2", "ipPermissions": {"items": [
    {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
     "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}}  # fmt: skip
WEB = {"groupId": "sg-2", "ipPermissions": {"items": [
    {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443,
     "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}}  # fmt: skip
ARN = "arn:aws:iam::aws:policy/AdministratorAccess"
KEY = {"userName": "eve2", "accessKeyId": "AKIAEXAMPLE000000K1"}
HOST = {"instancesSet": {"items": [{"instanceId": "i-0aaaa1111"}]}}
# What created it: its request and response; the calls after it; and what became of it.
CASES: dict[str, tuple[str, Any, Any, list[tuple[str, Any]], str | None]] = {
    "group by id": (
        "CreateSecurityGroup", {"groupName": "web", "vpcId": "vpc-1"}, {"groupId": "sg-1"},
        [("DeleteSecurityGroup", {"groupId": "sg-1"})], "deleted"),
    "another group of its VPC": (
        "CreateSecurityGroup", {"groupName": "old", "vpcId": "vpc-1"}, {"groupId": "sg-9"},
        [("DeleteVpc", {"vpcId": "vpc-1"})], None),
    "key pair by id": (
        "CreateKeyPair", {"keyName": "k"}, {"keyName": "k", "keyPairId": "key-01"},
        [("DeleteKeyPair", {"keyPairId": "key-01"})], "deleted"),
    "imported key pair": (
        "ImportKeyPair", {"keyName": "imported"}, None,
        [("DeleteKeyPair", {"keyName": "imported"})], "deleted"),
    "user": (
        "CreateUser", {"userName": "u1"}, {"user": {"userName": "u1"}},
        [("DeleteUser", {"userName": "u1"})], "deleted"),
    "profile": (
        "CreateInstanceProfile", {"instanceProfileName": "p1"}, None,
        [("DeleteInstanceProfile", {"instanceProfileName": "p1"})], "deleted"),
    "volume": (
        "CreateVolume", {"size": "8"}, {"volumeId": "vol-1"},
        [("DeleteVolume", {"volumeId": "vol-1"})], "deleted"),
    "snapshot, not its volume": (
        "CreateSnapshot", {"volumeId": "vol-2"}, {"snapshotId": "snap-1", "volumeId": "vol-2"},
        [("DeleteVolume", {"volumeId": "vol-2"})], None),
    "snapshots": (
        "CreateSnapshots", {"instanceId": "i-1"},
        {"snapshotSet": {"items": [{"snapshotId": "snap-2"}]}},
        [("DeleteSnapshot", {"snapshotId": "snap-2"})], "deleted"),
    "image": (
        "CreateImage", {"instanceId": "i-1", "name": "img"}, {"imageId": "ami-1"},
        [("DeregisterImage", {"imageId": "ami-1"})], "deregistered"),
    "function by ARN": (
        "CreateFunction20150331", {"functionName": "f1"}, None,
        [("DeleteFunction20150331",
          {"functionName": "arn:aws:lambda:us-east-1:111122223333:function:f1"})], "deleted"),
    "bucket": (
        "CreateBucket", {"bucketName": "b1"}, None,
        [("DeleteBucket", {"bucketName": "b1"})], "deleted"),
    "trail by ARN": (
        "CreateTrail", {"name": "t1", "s3BucketName": "logs"}, None,
        [("DeleteTrail", {"name": "arn:aws:cloudtrail:us-east-1:111122223333:trail/t1"})],
        "deleted"),
    "detector": (
        "CreateDetector", {"enable": True}, {"detectorId": "d-1"},
        [("DeleteDetector", {"detectorId": "d-1"})], "deleted"),
    "flow log": (
        "CreateFlowLogs", {"CreateFlowLogsRequest": {"ResourceId": {"content": "vpc-1"}}},
        {"CreateFlowLogsResponse": {"flowLogIdSet": {"item": "fl-1"}}},
        [("DeleteFlowLogs", {"DeleteFlowLogsRequest": {"FlowLogId": {"content": "fl-1"}}})],
        "deleted"),
    "policy of one user": (
        "AttachUserPolicy", {"userName": "u2", "policyArn": ARN}, None,
        [("DetachUserPolicy", {"userName": "u3", "policyArn": ARN})], None),
    "policy": (
        "AttachUserPolicy", {"userName": "u4", "policyArn": ARN}, None,
        [("DetachUserPolicy", {"userName": "u4", "policyArn": ARN})], "detached"),
    "member": (
        "AddUserToGroup", {"userName": "u4", "groupName": "admins"}, None,
        [("RemoveUserFromGroup", {"userName": "u4", "groupName": "admins"})], "removed"),
    "password": (
        "CreateLoginProfile", {"userName": "u4"}, None,
        [("DeleteLoginProfile", {"userName": "u4"})], "deleted"),
    "rule": (
        "AuthorizeSecurityGroupIngress", SSH, None,
        [("RevokeSecurityGroupIngress", SSH)], "revoked"),
    "another rule": (
        "AuthorizeSecurityGroupIngress", WEB | {"groupId": "sg-3"}, None,
        [("RevokeSecurityGroupIngress", SSH | {"groupId": "sg-3"})], None),
    "rule by id": (
        "AuthorizeSecurityGroupIngress", SSH | {"groupId": "sg-4"},
        {"securityGroupRuleSet": {"items": [{"groupId": "sg-4", "securityGroupRuleId": "sgr-1"}]}},
        [("RevokeSecurityGroupIngress", {"groupId": "sg-4", "securityGroupRuleIds": {
            "items": [{"securityGroupRuleId": "sgr-1"}]}})], "revoked"),
    "stopped, then terminated": (
        "RunInstances", None, HOST, [("StopInstances", HOST), ("TerminateInstances", HOST)],
        "terminated"),
    "stopped, then started": (
        "RunInstances", None, {"instancesSet": {"items": [{"instanceId": "i-0bbbb2222"}]}},
        [("StopInstances", {"instanceId": "i-0bbbb2222"}),
         ("StartInstances", {"instanceId": "i-0bbbb2222"})], None),
    "key that was disabled": (
        "CreateAccessKey", {"userName": "eve2"}, {"accessKey": KEY},
        [("UpdateAccessKey", KEY | {"status": "Inactive"})], "disabled"),
    "key that was enabled again": (
        "CreateAccessKey", {"userName": "x"}, {"accessKey": {"accessKeyId": "AKIAAGAIN"}},
        [("UpdateAccessKey", {"accessKeyId": "AKIAAGAIN", "status": "Inactive"}),
         ("UpdateAccessKey", {"accessKeyId": "AKIAAGAIN", "status": "Active"})], None),
    "hostile name": (
        "CreateRole", {"roleName": 'a"b\\\n\u202e'}, None,
        [("DeleteRole", {"roleName": 'a"b\\\n\u202e'})], "deleted"),
    "request that is no object": ("CreateUser", ["u9"], "text", [("DeleteUser", [1, None])], None),
}  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    events = []
    for n, (name, request, response, ends, _made) in enumerate(CASES.values()):
        events.append(api_event(f"c{n:02}", name, T0 + n, request=request, response=response))
        events += [
            api_event(f"e{n:02}-{m}", end, T0 + 100 + m, request=asked)
            for m, (end, asked) in enumerate(ends)
        ]
    # The same name in another account, and a call that failed, end nothing.
    events.append(api_event("c98", "CreateUser", T0, request={"userName": "only"}))
    elsewhere = api_event("e98", "DeleteUser", T0 + 9, request={"userName": "only"})
    events.append(elsewhere | {"recipientAccountId": OTHER_ACCOUNT})
    events.append(
        api_event("e99", "DeleteUser", T0 + 9, request={"userName": "only"}, error="AccessDenied")
    )
    records = connect("10.0.0.5", "192.0.2.1", 443, T0)
    return make_case(tmp_path_factory.mktemp("ends"), records, json_lines=events)


def test_what_became_of_each_resource(case: Case) -> None:
    table = case.api_events
    creations = read_events(table.filter(table.event_id.startswith("c")))
    ends = find_endings(case, creations)
    found = {event.event_id: ends[n].verb for n, event in enumerate(creations) if n in ends}
    expected = {
        f"c{n:02}": made for n, (*_rest, made) in enumerate(CASES.values()) if made is not None
    }
    named = {f"c{n:02}": name for n, name in enumerate(CASES)}
    assert {named[k]: v for k, v in found.items()} == {named[k]: v for k, v in expected.items()}


def test_nothing_was_created(case: Case, tmp_path: Path) -> None:
    assert find_endings(case, []) == {}
    empty = make_case(tmp_path, connect("10.0.0.5", "192.0.2.1", 443, T0))
    assert find_key_ending(empty, "AKIAX") is None


def test_the_ending_of_a_key_whoever_created_it(case: Case) -> None:
    ending = find_key_ending(case, "AKIAEXAMPLE000000K1")
    assert ending is not None
    assert (ending.verb, ending.event.event_name) == ("disabled", "UpdateAccessKey")
    assert find_key_ending(case, "AKIAAGAIN") is None
    assert find_key_ending(case, 'AKIA"') is None


def test_the_names_of_endings() -> None:
    assert endings_of("CreateFunction20150331v2")["DeleteFunction"] == "deleted"
    assert endings_of("CreateVpcEndpoint")["DeleteVpcEndpoints"] == "deleted"
    assert endings_of("CopyImage")["DeregisterImage"] == "deregistered"
    assert endings_of("PutBucketPolicy")["DeleteBucketPolicy"] == "deleted"
    assert endings_of("ListBuckets") == {}
    assert endings_of("Create") == {}
