"""Rules on logging and detection: an example of each, and ordinary calls."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.detect.api_logging_rules import LOGGING_RULES
from tests.detect.test_api_matches import event, ids

EXPIRE = {"bucketName": "audit", "LifecycleConfiguration": {"Rule": {"Expiration": {"Days": 1}}}}

EXAMPLES = {
    "stop-trail": event("StopLogging", service="cloudtrail"),
    "stop-data-store": event("DeleteEventDataStore", service="cloudtrail"),
    "restrict-trail": event(
        "PutEventSelectors", {"eventSelectors": [{"includeManagementEvents": False}]}
    ),
    "weaken-trail": event("UpdateTrail", {"isMultiRegionTrail": False}),
    "expire-logs": event("PutBucketLifecycle", EXPIRE, service="s3"),
    "stop-traffic-logs": event("DeleteFlowLogs", service="ec2"),
    "delete-log-group": event("DeleteLogGroup", {"logGroupName": "x"}, service="logs"),
    "stop-other-logs": event("StopConfigurationRecorder", service="config"),
    "stop-detection": event("DeleteDetector", service="guardduty"),
    "suspend-detector": event("UpdateDetector", {"enable": False}, service="guardduty"),
    "trust-addresses": event("CreateIPSet", service="guardduty"),
    "archive-findings": event("CreateFilter", {"action": "ARCHIVE"}, service="guardduty"),
    "leave-detection": event("DisassociateMembers", service="guardduty"),
    "leave-organization": event("LeaveOrganization", service="organizations"),
}


@pytest.mark.parametrize("rule", LOGGING_RULES, ids=lambda rule: rule.id)
def test_an_example_matches_each_rule(rule: Any) -> None:
    assert ids([EXAMPLES[rule.id]]) == [rule.id]


@pytest.mark.parametrize(
    "row",
    [
        event("StartLogging", service="cloudtrail"),
        event("DescribeTrails", service="cloudtrail"),
        event("UpdateDetector", {"enable": True}, service="guardduty"),
        event("CreateFlowLogs", service="ec2"),
        event("CreateIPSet", service="wafv2"),
        event("DeleteLogGroup", service="logs", kind="AssumedRole", who="ci/build"),
    ],
)
def test_ordinary_calls_match_none(row: dict[str, Any]) -> None:
    assert ids([row]) == []
