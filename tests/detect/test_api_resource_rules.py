"""Rules on resources: an example of each, and ordinary calls."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.detect.api_resource_rules import COMPUTE_RULES, DATA_RULES
from tests.detect.test_api_matches import event, ids

OTHER = "444455556666"
POLICY = {"Statement": {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "s3:*"}}
EXPIRE = {"bucketName": "photos", "LifecycleConfiguration": {"Rule": {"Expiration": {"Days": 1}}}}
SUSPEND = {"bucketName": "photos", "VersioningConfiguration": {"Status": "Suspended"}}
SSE_C = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}
KEY = f"arn:aws:kms:us-east-1:{OTHER}:key/1"
OPEN = {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIp": "0.0.0.0/0"}
START_SCRIPT = {"userData": "[redacted]", "instanceId": "i-1"}

EXAMPLES = {
    "share-snapshot": [event("ModifyDBSnapshotAttribute", {"valuesToAdd": ["all"]})],
    "share-resource": [event("PutBucketPolicy", {"bucketPolicy": POLICY}, service="s3")],
    "mirror-traffic": [event("CreateTrafficMirrorSession", service="ec2")],
    "delete-data": [
        event("DeleteSnapshot", {"snapshotId": f"snap-{n}"}, service="ec2") for n in range(5)
    ],
    "delete-objects": [
        event("DeleteObject", {"bucketName": "b", "key": f"k{n}"}, service="s3") for n in range(100)
    ],
    "expire-objects": [event("PutBucketLifecycle", EXPIRE, service="s3")],
    "suspend-versioning": [event("PutBucketVersioning", SUSPEND, service="s3")],
    "encrypt-bucket": [event("PutBucketEncryption", {"kMSMasterKeyID": KEY}, service="s3")],
    "encrypt-objects": [event("CopyObject", SSE_C, service="s3")],
    "unusual-instances": [event("RunInstances", {"instanceType": "p3.2xlarge"}, service="ec2")],
    "change-user-data": [event("ModifyInstanceAttribute", START_SCRIPT, service="ec2")],
    "run-command": [event("StartSession", {"target": "i-1"}, service="ssm")],
    "push-key": [event("SendSSHPublicKey", {"instanceId": "i-1"}, service="ec2-instance-connect")],
    "serial-console": [event("EnableSerialConsoleAccess", service="ec2")],
    "open-port": [event("AuthorizeSecurityGroupIngress", OPEN, service="ec2")],
    "function-permission": [event("AddPermission", {"principal": "*"}, service="lambda")],
    "function-code": [event("UpdateFunctionCode", service="lambda")],
    "function-layer": [
        event("UpdateFunctionConfiguration", {"layers": ["arn:x"]}, service="lambda")
    ],
    "model-access": [event("PutUseCaseForModelAccess", service="bedrock")],
}


@pytest.mark.parametrize("rule", [*DATA_RULES, *COMPUTE_RULES], ids=lambda rule: rule.id)
def test_an_example_matches_each_rule(rule: Any) -> None:
    if rule.new_only:
        pytest.skip("of new principals only: tests/detect/test_api_matches.py")
    assert ids(EXAMPLES[rule.id]) == [rule.id]
    if rule.least > 1:
        assert ids(EXAMPLES[rule.id][1:]) == []


@pytest.mark.parametrize(
    "row",
    [
        event("RunInstances", {"instanceType": "t3.medium"}, service="ec2"),
        event("AuthorizeSecurityGroupIngress", OPEN | {"cidrIp": "10.0.0.0/8"}, service="ec2"),
        event("AuthorizeSecurityGroupIngress", OPEN | {"fromPort": 443, "toPort": 443}),
        event("ModifyInstanceAttribute", {"instanceType": "t3.micro"}, service="ec2"),
        event("UpdateFunctionCode", service="lambda", kind="AssumedRole", who="ci/build"),
        event("AddPermission", {"principal": "s3.amazonaws.com"}, service="lambda"),
        event("PutBucketPolicy", {"bucketPolicy": {"Statement": []}}, service="s3"),
        event("PutObject", {"bucketName": "b", "key": "k"}, service="s3"),
        event("InvokeModel", service="bedrock"),
    ],
)
def test_ordinary_calls_match_none(row: dict[str, Any]) -> None:
    assert ids([row]) == []
