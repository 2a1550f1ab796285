"""Flow logs themselves, from recorded describe-flow-logs answers: what was recorded, and where.

What no flow log covers leaves no record, and one that fails to deliver leaves a hole: look here
before you read silence as peace.
"""

from __future__ import annotations

from flowbench import schema
from flowbench.errors import BadRecord, InputError
from flowbench.loaders.aws import describe
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.values import flag, items, pick, text, time, unique, whole

KIND = "flow-log-settings"

TABLE = schema.Table.of(
    "flow_logs",
    ("flow_log_id", "string", "fl-…"),
    ("name", "string", "its Name tag"),
    ("resource_id", "string", "VPC, subnet, interface or transit gateway that it covers"),
    ("status", "string", "ACTIVE"),
    ("deliver_status", "string", "SUCCESS or FAILED"),
    ("deliver_error", "string", "Access error, Rate limited, …"),
    ("traffic_type", "string", "ACCEPT, REJECT or ALL: what is recorded at all"),
    ("destination_type", "string", "cloud-watch-logs, s3 or kinesis-data-firehose"),
    ("destination", "string", "ARN of the bucket, stream or log group"),
    ("log_group", "string", "log group of CloudWatch Logs"),
    ("file_format", "string", "plain-text or parquet, in S3"),
    ("hourly", "bool", "whether S3 gets a folder an hour"),
    ("interval_s", "int64", "longest window of a record in seconds: 60 or 600"),
    ("log_format", "string", "its fields, as ${…} variables"),
    ("created_at", "time", "when it was made: nothing was recorded before"),
    ("tag_fields", "strings", "resource type and tag key of each tag field of the format"),
    ("tags", "tags", "all its tags"),
    ("observed_at", "time", "when it was seen to be so; null where the evidence does not say"),
    *schema.ORIGIN,
    schema.ITEM,
)


def matches(value: object) -> list[object] | None:
    """The flow logs in an answer of describe-flow-logs (bare ones too), or None otherwise."""
    return describe.listed(value, "flowLogs", "flowLogId", "resourceId", "logFormat")


def to_row(record: object) -> dict[str, object]:
    """One flow log as a row of TABLE. Raises BadRecord without a FlowLogId."""
    if not isinstance(record, dict):
        raise BadRecord("not a flow log: no JSON object")
    flow_log_id = text(pick(record, "flowLogId"))
    if flow_log_id is None:
        raise BadRecord("no FlowLogId")
    named = describe.tags(record)
    asked = pick(record, "destinationOptions")
    return {
        "flow_log_id": flow_log_id,
        "name": named.get("Name") or None,
        "resource_id": text(pick(record, "resourceId")),
        "status": text(pick(record, "flowLogStatus")),
        "deliver_status": text(pick(record, "deliverLogsStatus")),
        "deliver_error": text(pick(record, "deliverLogsErrorMessage")),
        "traffic_type": text(pick(record, "trafficType")),
        "destination_type": text(pick(record, "logDestinationType")),
        "destination": text(pick(record, "logDestination")),
        "log_group": text(pick(record, "logGroupName")),
        "file_format": text(pick(asked, "fileFormat")),
        "hourly": flag(pick(asked, "perHourPartition")),
        "interval_s": whole(pick(record, "maxAggregationInterval")),
        "log_format": text(pick(record, "logFormat")),
        "created_at": time(pick(record, "creationTime")),
        "tag_fields": unique(
            f"{text(pick(field, 'resourceType')) or ''} {key}".strip()
            for field in items(pick(record, "tagFieldSpecifications"))
            for key in map(text, items(pick(field, "tagKeys")))
            if key
        ),
        "tags": list(named.items()),
        "observed_at": None,
    }


def formats(value: object) -> list[tuple[str, ...]]:
    """The formats of the flow logs in a JSON value: the fields of each in order, each format once.

    Names are those of the columns (``interface_id``). An answer of describe-flow-logs in any form
    that ``matches`` knows; what is none, and formats that are none, give nothing.
    """
    found: dict[tuple[str, ...], None] = {}
    for record in matches(value) or ():
        try:
            found[record_formats.from_format(text(pick(record, "logFormat")) or "")] = None
        except InputError:
            continue
    return list(found)
