"""Flow logs from recorded describe-flow-logs answers: what they record, where they deliver it.

A resource without a flow log leaves no records, and a flow log that fails to deliver leaves a gap:
check here before reading an absence of records as an absence of traffic.
"""

from __future__ import annotations

from flowbench.errors import InputError
from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, record_table
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.values import items, pick, text, unique

KIND = "flow-log-settings"


def _tag_fields(record: object) -> list[str]:
    return unique(
        f"{text(pick(field, 'resourceType')) or ''} {key}".strip()
        for field in items(pick(record, "tagFieldSpecifications"))
        for key in map(text, items(pick(field, "tagKeys")))
        if key
    )


TABLE = record_table(
    "flow_logs",
    "a flow log",
    Column("flow_log_id", "FlowLogId", "fl-…", required=True),
    describe.NAME,
    Column("resource_id", "ResourceId", "VPC, subnet, interface or transit gateway"),
    Column("status", "FlowLogStatus", "ACTIVE"),
    Column("deliver_status", "DeliverLogsStatus", "SUCCESS or FAILED"),
    Column("deliver_error", "DeliverLogsErrorMessage", "Access error, Rate limited, …"),
    Column("traffic_type", "TrafficType", "ACCEPT, REJECT or ALL: traffic it records"),
    Column("destination_type", "LogDestinationType", "cloud-watch-logs, s3, …"),
    Column("destination", "LogDestination", "ARN of the bucket, stream or log group"),
    Column("log_group", "LogGroupName", "log group of CloudWatch Logs"),
    Column("file_format", "DestinationOptions.FileFormat", "plain-text or parquet"),
    Column("hourly", "DestinationOptions.PerHourPartition", "whether folders are hourly", "bool"),
    Column("interval_s", "MaxAggregationInterval", "maximum, in seconds: 60 or 600", "int64"),
    Column("log_format", "LogFormat", "its fields, as ${…} variables"),
    Column("created_at", "CreationTime", "when it was created: it has no earlier records", "time"),
    Column("tag_fields", "@", "tag fields: resource type, key", "strings", _tag_fields),
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the flow logs in an answer of describe-flow-logs, or bare ones; None otherwise."""
    return describe.find_records(value, "flowLogs", "flowLogId", "resourceId", "logFormat")


to_row = TABLE.to_row


def formats(value: object) -> list[tuple[str, ...]]:
    """Return the distinct record formats of the flow logs in a JSON value.

    Each is the names of its columns (``interface_id``) in order. Values that ``matches`` does not
    know and invalid formats are left out.
    """
    distinct: dict[tuple[str, ...], None] = {}
    for record in matches(value) or ():
        try:
            distinct[record_formats.parse_format_string(text(pick(record, "logFormat")) or "")] = (
                None
            )
        except InputError:
            continue
    return list(distinct)
