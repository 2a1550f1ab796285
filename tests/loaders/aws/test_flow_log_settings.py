"""Flow logs from describe-flow-logs, and their record formats."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import flow_log_settings

LOG = {
    "FlowLogId": "fl-0a",
    "ResourceId": "vpc-0a",
    "FlowLogStatus": "ACTIVE",
    "DeliverLogsStatus": "FAILED",
    "DeliverLogsErrorMessage": "Access error",
    "TrafficType": "REJECT",
    "LogDestinationType": "s3",
    "LogDestination": "arn:aws:s3:::bucket/prefix",
    "LogFormat": "${version} ${interface-id} ${srcaddr} ${line}",
    "MaxAggregationInterval": 60,
    "DestinationOptions": {"FileFormat": "parquet", "PerHourPartition": True},
    "CreationTime": "2026-08-01T00:00:00.000Z",
    "TagFieldSpecifications": [{"ResourceType": "instance", "TagKeys": ["env", "app"]}],
    "Tags": [{"Key": "Name", "Value": "all"}],
}
FIELDS = ("version", "interface_id", "srcaddr", "field_line")


def test_values_of_a_flow_log() -> None:
    assert flow_log_settings.to_row(LOG) == {
        "flow_log_id": "fl-0a",
        "name": "all",
        "resource_id": "vpc-0a",
        "status": "ACTIVE",
        "deliver_status": "FAILED",
        "deliver_error": "Access error",
        "traffic_type": "REJECT",
        "destination_type": "s3",
        "destination": "arn:aws:s3:::bucket/prefix",
        "log_group": None,
        "file_format": "parquet",
        "hourly": True,
        "interval_s": 60,
        "log_format": "${version} ${interface-id} ${srcaddr} ${line}",
        "created_at": datetime(2026, 8, 1, tzinfo=UTC),
        "tag_fields": ["instance env", "instance app"],
        "tags": [("Name", "all")],
        "observed_at": None,
    }


OTHER = LOG | {"LogFormat": "${srcaddr} ${dstaddr}"}
INVALID = LOG | {"LogFormat": "rm -rf ${HOME}"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"FlowLogs": [LOG, OTHER, LOG]}, [FIELDS, ("srcaddr", "dstaddr")]),
        ({"data": {"FlowLogs": [LOG], "ResponseMetadata": {}}}, [FIELDS]),
        ([LOG], [FIELDS]),
        (LOG, [FIELDS]),
        ({"flowLogs": [{"flowLogId": "fl-1", "logFormat": "${bytes}"}]}, [("bytes",)]),
        ({"FlowLogs": [INVALID, None, OTHER]}, [("srcaddr", "dstaddr")]),
        ({"FlowLogs": [{"FlowLogId": "fl-1"}]}, []),
        ({"FlowLogs": []}, []),
        ({"Subnets": []}, []),
        (None, []),
    ],
)
def test_formats(value: object, expected: list[tuple[str, ...]]) -> None:
    assert flow_log_settings.formats(value) == expected


def test_flow_log_without_id_is_rejected() -> None:
    with pytest.raises(BadRecord, match="no FlowLogId"):
        flow_log_settings.to_row({"ResourceId": "vpc-1"})
