"""Names of flow log columns: AWS's, those of other tools, repeated ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.loaders.flowlogs import column_names
from flowbench.schema import FLOW_FIELDS

ENDS = ("srcaddr", "dstaddr")


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("srcaddr", "srcaddr"),
        ("srcAddr", "srcaddr"),
        ("pkt-src-aws-service", "pkt_src_aws_service"),
        ("startTime", "start"),
        ("logStatus", "log_status"),
        ("@timestamp", "@timestamp"),
        ("Brand New", "brand_new"),
        ("sourceaddress", "srcaddr"),
        ("DestinationPort", "dstport"),
        ("num_packets", "packets"),
        ("packetsourceaddress", "pkt_srcaddr"),
        ("src_addr", "srcaddr"),
        ("Start [UTC]", "start"),
        ("End (utc)", "end"),
        ("Start [Local Time]", "start__local_time_"),
        ("line", "field_line"),
        ("Evidence-ID", "field_evidence_id"),
    ],
)
def test_column_names(field, column) -> None:
    assert column_names.column_name(field) == column


@pytest.mark.parametrize(
    ("columns", "width", "expected"),
    [
        (["srcaddr", "dstaddr"], None, True),
        (["srcaddr", "dstaddr", "a", "b"], None, True),
        (["srcaddr", "dstaddr", "a", "b", "c"], None, False),
        (["srcaddr"], None, False),
        (["srcaddr", "srcaddr", "dstaddr"], None, False),
        (["srcaddr", "dstaddr", "a", "b", "c"], 4, True),
        ([], None, False),
    ],
)
def test_tables_of_flow_log_columns(columns, width, expected) -> None:
    assert column_names.has_flow_columns(columns, width) is expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["account", *ENDS, "status"], ["account_id", *ENDS, "log_status"]),
        (["account", "subnet_id", "status"], ["account", "subnet_id", "status"]),
        ([*ENDS, "account", "account_id"], [*ENDS, "account", "account_id"]),
        ([*ENDS, "status", "logStatus"], [*ENDS, "status", "log_status"]),
        (["Type", "TrafficType"], ["field_type", "type"]),
        (["traffictype"], ["type"]),
        (["protocol", "protocol_code"], ["field_protocol", "protocol"]),
        (["action", "vpcflow_action"], ["field_action", "action"]),
        (["src_ip", "dest_ip", "interface_id"], ["srcaddr", "dstaddr", "interface_id"]),
        (["SrcIP", "DestIP", "FlowDirection"], ["srcip", "destip", "flow_direction"]),  # Azure
        (["src_ip", "dest_ip", "bytes"], ["src_ip", "dest_ip", "bytes"]),  # of any tool
        (["account-id", "x", "account-id"], ["account_id", "x", "account_id@2"]),
    ],
)
def test_names_together(names, expected) -> None:
    assert column_names.column_names(names) == expected


@given(st.lists(st.sampled_from([*FLOW_FIELDS, "account", "status", "traffic_type"]) | st.text()))
def test_any_names_give_distinct_columns(names) -> None:
    columns = column_names.column_names(names)
    assert len(columns) == len(names)
    assert len(set(columns)) == len(columns) or any("@" in name for name in names)
    assert {column_names.field_of(column) for column in columns if "@" not in column} <= set(
        columns
    )
