"""Coverage by interface, subnet, VPC and hour."""

from __future__ import annotations

from typing import Any

import ibis
import pandas as pd

from flowbench.case import coverage_by
from flowbench.loaders.aws import flow_log_settings, interfaces
from flowbench.schema import FLOWS
from tests.case.test_coverage import HOURS, at, make_flows

ORIGIN = {"evidence_id": "a", "line": 1, "item": 1}
INVENTORY = [
    {"interface_id": "eni-0a", "name": "web", "subnet_id": "subnet-1", "vpc_id": "vpc-1"},
    {"interface_id": "eni-0c", "name": "quiet", "subnet_id": "subnet-2", "vpc_id": "vpc-1"},
]
SETTINGS = [
    {"flow_log_id": "fl-2", "resource_id": "subnet-2", "created_at": at(9)},
    {"flow_log_id": "fl-1", "resource_id": "vpc-1", "created_at": at(-5)},
    {"flow_log_id": "fl-3", "resource_id": "vpc-9", "created_at": at(-9)},
]


def table(declared: Any, rows: list[dict[str, Any]]) -> ibis.Table:
    return ibis.memtable(declared.rows([ORIGIN | row for row in rows]))


def cover(flows: ibis.Table) -> pd.DataFrame:
    inventory = table(interfaces.TABLE, INVENTORY)
    return coverage_by.by_interface(flows, inventory, table(flow_log_settings.TABLE, SETTINGS))


FLOW_PARTS = [
    make_flows(HOURS),  # with a gap of 109 minutes
    make_flows([5], "eni-0b", status="NODATA"),
    make_flows([15], "eni-0b", status="SKIPDATA"),
]


def test_each_interface_of_records_and_inventory() -> None:
    rows = cover(ibis.union(*FLOW_PARTS))
    assert rows.columns.tolist() == coverage_by.INTERFACES.columns
    web, unknown, quiet = rows.to_dict("records")
    assert (web["interface_id"], web["name"], web["records"]) == ("eni-0a", "web", 60)
    assert (web["gaps"], web["gap_s"]) == (1, 109 * 60)
    assert (web["first_seen"], web["last_seen"]) == (at(0), at(691))
    assert (list(web["flow_logs"]), web["logged_since"]) == (["fl-1"], at(-5))
    assert (unknown["interface_id"], unknown["nodata"], unknown["skipdata"]) == ("eni-0b", 1, 1)
    assert (unknown["records"], list(unknown["flow_logs"])) == (2, [])
    assert pd.isna(unknown["gaps"])  # too few records to tell
    assert (quiet["records"], list(quiet["flow_logs"])) == (0, ["fl-1", "fl-2"])
    assert pd.isna(quiet["first_seen"])


def test_groups_sum_their_interfaces() -> None:
    rows = cover(ibis.union(*FLOW_PARTS))
    by_vpc = coverage_by.by_group(rows, "vpc_id")
    first, unknown = by_vpc.to_dict("records")
    assert by_vpc.columns.tolist() == coverage_by.group_table("vpc_id").columns
    assert (first["vpc_id"], first["interfaces"], first["without_records"]) == ("vpc-1", 2, 1)
    assert (first["records"], first["gaps"], first["gap_s"]) == (60, 1, 6_540)
    assert (list(first["flow_logs"]), first["logged_since"]) == (["fl-1", "fl-2"], at(-5))
    assert pd.isna(unknown["vpc_id"])
    assert unknown["records"] == 2
    assert pd.isna(unknown["gaps"])
    by_subnet = coverage_by.by_group(rows, "subnet_id")
    assert by_subnet["without_records"].tolist() == [0, 1, 0]
    assert coverage_by.by_group(rows[:0], "vpc_id").empty


def test_hours_between_records_are_listed_with_zeros() -> None:
    flows = ibis.union(*FLOW_PARTS, make_flows([190], "eni-0b"), make_flows([901], "eni-0b"))
    rows = coverage_by.by_hour(flows)
    assert rows.columns.tolist() == coverage_by.HOURS.columns
    assert rows["hour"].tolist() == [at(60 * n) for n in range(16)]
    assert rows["interfaces"].tolist() == [2, 1, 1, 2, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1]
    assert rows["records"].tolist()[:6] == [8, 6, 6, 7, 6, 0]
    assert rows.loc[0, ["nodata", "skipdata"]].tolist() == [1, 1]


def test_a_record_of_another_century_adds_no_hours() -> None:
    flows = make_flows([0]).union(make_flows([60 * 24 * 365 * 30]))
    assert len(coverage_by.by_hour(flows)) == 2
    assert coverage_by.by_hour(ibis.memtable(FLOWS.rows([]))).empty


def test_each_interface_and_hour() -> None:
    rows = coverage_by.by_interface_and_hour(ibis.union(*FLOW_PARTS[1:], make_flows([70])))
    assert rows.columns.tolist() == coverage_by.CELLS.columns
    assert rows.to_numpy().tolist() == [["eni-0a", at(60), 1, 0, 0], ["eni-0b", at(0), 2, 1, 1]]
