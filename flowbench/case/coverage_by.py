"""Coverage by VPC, subnet, interface and hour: what is logged since when, and with which gaps.

Interfaces are those of the flow records and of the inventory: one of the inventory without records
is not logged, or was not at the time. Flow logs are those of recorded describe-flow-logs answers,
on the interface, its subnet or its VPC.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ibis
import pandas as pd
from ibis import _

from flowbench.case.coverage import coverage_by_interface, is_continuous
from flowbench.engine import latest_rows
from flowbench.schema import Field, Table

_COUNTS = (
    ("first_seen", "time", "start of the first record"),
    ("last_seen", "time", "end of the last record"),
    ("records", "int64", "records"),
    ("nodata", "int64", "records of status NODATA: no traffic in this capture window"),
    ("skipdata", "int64", "records of status SKIPDATA: AWS left records out"),
)
_LOGGED = (
    ("flow_logs", "strings", "flow logs of the interface, its subnet or its VPC, where recorded"),
    ("logged_since", "time", "when the first of them was created"),
)
_GAPS = (
    ("gaps", "int64", "periods of 30 minutes or more without a record; null: not continuous"),
    ("gap_s", "int64", "seconds of these periods"),
)
INTERFACES = Table.of(
    "coverage_by_interface",
    ("interface_id", "string", "the interface"),
    ("name", "string", "its Name tag"),
    ("subnet_id", "string", "its subnet"),
    ("vpc_id", "string", "its VPC"),
    *_COUNTS,
    *_GAPS,
    *_LOGGED,
)
HOURS = Table.of(
    "coverage_by_hour",
    ("hour", "time", "start of the hour; a record counts where it starts"),
    ("interfaces", "int64", "interfaces with a record"),
    *_COUNTS[2:],
)
CELLS = Table.of(
    "coverage_cells",
    ("interface_id", "string", "the interface"),
    ("hour", "time", "start of the hour; a record counts where it starts"),
    *_COUNTS[2:],
)
_MAX_HOURS = 20_000  # of silent ones: a record with a wrong time must not add a century of them


def group_table(key: str) -> Table:
    """Return the declaration of coverage by 'vpc_id' or 'subnet_id'."""
    return Table(
        f"coverage_by_{key}",
        (
            Field(key, "string", "the VPC or subnet; null where unknown"),
            Field("interfaces", "int64", "interfaces in records or inventory"),
            Field("without_records", "int64", "those in the inventory without a record"),
            *(Field(*column) for column in (*_COUNTS, *_GAPS, *_LOGGED)),
        ),
    )


def by_interface(flows: ibis.Table, interfaces: ibis.Table, flow_logs: ibis.Table) -> pd.DataFrame:
    """Return a row for each interface of records or inventory (INTERFACES), ordered by id.

    Args:
        flows: Flow records.
        interfaces: The inventory (loaders.aws.interfaces.TABLE).
        flow_logs: Recorded settings (loaders.aws.flow_log_settings.TABLE).
    """
    f = flows.filter(flows.interface_id.notnull())
    counts = f.group_by("interface_id").aggregate(
        first_seen=f.start.min(),
        last_seen=f["end"].max(),
        records=f.count(),
        nodata=f.count(where=f.log_status == "NODATA"),
        skipdata=f.count(where=f.log_status == "SKIPDATA"),
        subnet_id=f.subnet_id.max(),
        vpc_id=f.vpc_id.max(),
    )
    rows: dict[str, dict[str, Any]] = {row["interface_id"]: row for row in _rows(counts)}
    inventory = latest_rows(interfaces, "interface_id", "observed_at")
    for row in _rows(inventory.select("interface_id", "name", "subnet_id", "vpc_id")):
        known = {name: value for name, value in row.items() if value is not None}
        empty = {"records": 0, "nodata": 0, "skipdata": 0}
        rows[row["interface_id"]] = rows.get(row["interface_id"], empty) | known
    for row in _rows(coverage_by_interface(flows)):
        gaps = row["gaps"] or ()
        if is_continuous(row["slots"], row["adjacent"], len(gaps)):
            seconds = sum(int((gap["until"] - gap["since"]).total_seconds()) for gap in gaps)
            rows[row["interface_id"]] |= {"gaps": len(gaps), "gap_s": seconds}
    settings = list(_rows(latest_rows(flow_logs, "flow_log_id", "observed_at")))
    return INTERFACES.frame(
        rows[name] | _find_flow_logs(rows[name], settings) for name in sorted(rows)
    )


def by_group(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return coverage by VPC or subnet (``group_table``), ordered by id, the unknown one last.

    Args:
        rows: Coverage by interface.
        key: vpc_id or subnet_id.
    """
    groups = []
    for name, group in rows.groupby(key, dropna=False, sort=True):
        sums = {n: int(group[n].sum()) for n in ("records", "nodata", "skipdata")}
        judged = group["gaps"].notna().any()
        gaps = {n: int(group[n].sum()) if judged else None for n in ("gaps", "gap_s")}
        ids = {each for listed in group["flow_logs"] for each in listed}
        times = {"first_seen": group["first_seen"].min(), "last_seen": group["last_seen"].max()}
        times["logged_since"] = group["logged_since"].min()
        groups.append(
            {
                key: None if pd.isna(name) else name,
                "interfaces": len(group),
                "without_records": int((group["records"] == 0).sum()),
                "flow_logs": sorted(ids),
                **{n: None if pd.isna(time) else time for n, time in times.items()},
                **sums,
                **gaps,
            }
        )
    return group_table(key).frame(groups)


def by_hour(flows: ibis.Table) -> pd.DataFrame:
    """Return coverage by hour (HOURS), in order; silent hours between records have zeros.

    Silent hours are left out where the records span more than 20,000 hours.
    """
    f = flows.filter(flows.start.notnull())
    counts = f.group_by(hour=f.start.truncate("h")).aggregate(
        interfaces=f.interface_id.nunique(),
        records=f.count(),
        nodata=f.count(where=f.log_status == "NODATA"),
        skipdata=f.count(where=f.log_status == "SKIPDATA"),
    )
    rows = HOURS.frame(_rows(counts.order_by(_.hour)))
    if rows.empty:
        return rows
    first, last = rows["hour"].min(), rows["hour"].max()
    if (last - first).total_seconds() > _MAX_HOURS * 3_600:
        return rows
    hours = pd.date_range(first, last, freq="h", name="hour", unit="us")
    filled = rows.set_index("hour").reindex(hours, fill_value=0).reset_index()
    return filled[HOURS.columns]


def by_interface_and_hour(flows: ibis.Table) -> pd.DataFrame:
    """Return the records of each interface and hour (CELLS), ordered by both."""
    f = flows.filter(flows.interface_id.notnull(), flows.start.notnull())
    counts = f.group_by("interface_id", hour=f.start.truncate("h")).aggregate(
        records=f.count(),
        nodata=f.count(where=f.log_status == "NODATA"),
        skipdata=f.count(where=f.log_status == "SKIPDATA"),
    )
    return CELLS.frame(_rows(counts.order_by("interface_id", "hour")))


def _find_flow_logs(row: dict[str, Any], settings: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the flow logs that record an interface, and when the first was created."""
    resources = {row.get(name) for name in ("interface_id", "subnet_id", "vpc_id")} - {None}
    found = [each for each in settings if each["resource_id"] in resources]
    times = [each["created_at"] for each in found if each["created_at"] is not None]
    ids = sorted(each["flow_log_id"] for each in found)
    return {"flow_logs": ids, "logged_since": min(times, default=None)}


def _rows(table: ibis.Table) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()
