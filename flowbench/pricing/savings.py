"""What changes of flow logging would save in 30 days, each with what it assumes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from flowbench.case.coverage import SLOT
from flowbench.engine import epoch_seconds
from flowbench.errors import InputError
from flowbench.pricing import costs
from flowbench.pricing.prices import PriceTable, least_sure
from flowbench.pricing.volume import (
    FLOW_LOG,
    FORMAT,
    describe_files,
    extrapolate,
    measure_columns,
    to_fields,
    to_volumes,
)
from flowbench.schema import VPC_FIELDS, Table, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

SAVINGS = Table.of(
    "savings",
    ("change", "string", "what is changed"),
    ("destination", "string", "where the flow logs are delivered before the change"),
    ("gb", "float64", "GB of text that 30 days have less"),
    ("amount", "float64", "what 30 days cost less; negative where they cost more"),
    ("currency", "string", "the currency; null without a price table"),
    ("confidence", "string", "how sure the least sure price is; null without a price"),
    ("priced_on", "string", "region and date of the price table; null without one"),
    ("assumption", "string", "what the row assumes"),
)

# What the records of one flow in ten minutes may differ in.
_VARYING = ("packets", "bytes", "start", "end", "tcp_flags")
_LONGEST = 120  # seconds of a record of a flow log with windows of 60 s, with a margin
_S3 = "the same volume; queries of CloudWatch Logs Insights or Athena are not counted"
_PARQUET = "the same volume; queries read less of Parquet, which is not counted"
_WINDOWS = (
    "upper bound: all records of a flow in the same ten minutes become one of mean size; interfaces"
    " of Nitro instances record at most 60 s in any case"
)
# Fields that no detector reads, nor what detectors rest on: connections, inventory, coverage.
UNREAD_FIELDS = frozenset(
    "version type region az_id sublocation_type sublocation_id traffic_path encryption_status"
    " ecs_cluster_arn ecs_cluster_name ecs_container_instance_arn ecs_container_instance_id"
    " ecs_container_id ecs_second_container_id ecs_service_name ecs_task_definition_arn"
    " ecs_task_arn ecs_task_id next_hop_interface_id next_hop_subnet_id next_hop_az_id"
    " next_hop_vpc_id next_hop_interface_type".split()
)


def savings(
    case: Case,
    prices: PriceTable | None = None,
    *,
    flows: ibis.Table | None = None,
    destination: str = costs.S3_TEXT,
) -> pd.DataFrame:
    """Return what changes would save (SAVINGS): destination, format, windows, fields.

    Fields come last, the largest first: only those that no detector needs (UNREAD_FIELDS), each
    with what would be lost.

    Args:
        case: The case.
        prices: The price table; without it only volumes are known.
        flows: Some of the case's flow records; all by default.
        destination: Where flow logs go now (one of costs.DESTINATIONS), for windows and fields.

    Raises:
        InputError: ``destination`` is unknown.
    """
    if destination not in costs.DESTINATIONS:
        known = "; ".join(costs.DESTINATIONS)
        raise InputError(f"unknown destination: use one of {known}")
    columns = measure_columns(case, flows)
    volumes = to_volumes(columns)
    gb = costs.month_gb(volumes)
    save = functools.partial(_save, prices, costs.count_objects(volumes))
    rows = [
        save(f"{costs.S3_TEXT}, instead", costs.CLOUDWATCH, gb, gb, _S3, costs.S3_TEXT),
        save("Parquet instead of text", costs.S3_TEXT, gb, gb, _PARQUET, costs.S3_PARQUET),
    ]
    if (gb_600 := _merged_gb(case, flows, volumes)) < gb:
        rows.append(save("600 s windows, not 60 s", destination, gb, gb_600, _WINDOWS))
    for field in to_fields(columns).to_dict("records"):
        name = field["field"].replace("-", "_")
        if name in UNREAD_FIELDS:
            lost = f"no detector needs it; lost: {VPC_FIELDS[name].meaning}"
            left = gb * (1 - field["share"])
            rows.append(save(f"without {field['field']}", destination, gb, left, lost))
    return SAVINGS.frame(rows)


def _save(
    prices: PriceTable | None,
    objects: int,
    change: str,
    destination: str,
    gb: float,
    gb_after: float,
    assumption: str,
    destination_after: str | None = None,
) -> dict[str, Any]:
    """Return the row of a change of the GB of text, the destination, or both."""
    row: dict[str, Any] = {"change": change, "destination": destination}
    row |= {"gb": gb - gb_after, "assumption": assumption}
    if prices is None:
        return row
    row |= {"currency": prices.currency, "priced_on": costs.price_label(prices)}
    before = costs.total_amount(destination, gb, prices, objects)
    target = destination_after or destination
    after = costs.total_amount(target, gb_after, prices, objects)
    if before is not None and after is not None:
        row["amount"] = before.amount - after.amount
        row["confidence"] = least_sure((before.confidence, after.confidence))
    return row


def _merged_gb(case: Case, flows: ibis.Table | None, volumes: pd.DataFrame) -> float:
    """Return the GB of text in 30 days if a flow had one record in each ten minutes.

    A flow log with a record of more than two minutes has such windows already and stays as it is.
    Records are compared by a 64-bit hash, as in ``coverage_by_file``.
    """
    if volumes.empty:
        return 0.0
    f, fields = describe_files(case, case.flows if flows is None else flows)
    f = f.filter(f.start.notnull())
    same = ibis.struct({name: f[name] for name in fields if name not in _VARYING}).hash()
    slots = f.group_by(FLOW_LOG, FORMAT, slot=epoch_seconds(f.start) // SLOT, flow=same)
    seconds = epoch_seconds(f["end"]) - epoch_seconds(f.start)
    merged = slots.aggregate(records=f.count(), longest=seconds.max())
    counts = merged.group_by(FLOW_LOG).aggregate(
        merged=merged.count(),
        records=merged.records.sum().cast("int64"),
        longest=merged.longest.max(),
    )
    kept = to_frame(counts.order_by(FLOW_LOG).to_pyarrow()).set_index(FLOW_LOG)
    months = extrapolate(volumes).set_index("flow_log")["month_bytes"].dropna()
    share = (kept["merged"] / kept["records"]).mask(kept["longest"] > _LONGEST, 1.0)
    return float((months.astype("float64") * share.astype("float64")).sum()) / costs.GB
