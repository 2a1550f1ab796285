"""The volume of flow logs: the bytes of their records as AWS writes them.

AWS charges the delivery of flow logs by the bytes of their text, before compression, to every
destination. A record's text is each field of its format and one separator after it: a blank, or at
the end a line feed. Missing values are '-'. So the bytes of a record are known from its values,
also where the evidence is JSON or Parquet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from flowbench.case.coverage import SLOT
from flowbench.engine import byte_length, epoch_seconds
from flowbench.schema import Table, record_key, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

MONTH = 30 * 86_400  # seconds
# Columns that no field of a flow log is called like: their names have no blanks.
FLOW_LOG, FORMAT, _DAY = "flow log", "record format", "record day"

_FLOW_LOG = (
    "flow_log",
    "string",
    "flow log id in the names of the files; of other files their kind, as 'files *.log'",
)
VOLUMES = Table.of(
    "volumes",
    _FLOW_LOG,
    ("day", "time", "start of the day (UTC) on which the records start; null without a start"),
    ("records", "int64", "records"),
    ("bytes", "int64", "bytes of their text"),
    ("observed_s", "int64", "seconds: ten-minute slots of the day in which a record starts"),
)
MONTHS = Table.of(
    "months",
    _FLOW_LOG,
    ("records", "int64", "records measured"),
    ("bytes", "int64", "bytes of their text"),
    ("bytes_per_record", "float64", "their mean"),
    ("observed_s", "int64", "seconds of the ten-minute slots in which a record starts"),
    ("month_records", "int64", "records in 30 days at this rate; null without times"),
    ("month_bytes", "int64", "bytes in 30 days at this rate; null without times"),
)
FIELDS = Table.of(
    "field_volumes",
    ("field", "string", "field of the format, as AWS names it"),
    ("records", "int64", "records whose format has it"),
    ("bytes", "int64", "bytes of its values, each with the separator after it"),
    ("bytes_per_record", "float64", "their mean"),
    ("share", "float64", "share of all bytes, 0 to 1"),
)

_ID = re.compile(r"(?<![0-9A-Za-z-])fl-[0-9a-f]{8,17}(?![0-9A-Za-z-])")
_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{0,7}(?:\.(?:gz|bz2|xz|zst|zip))?$")


def measure(case: Case, flows: ibis.Table | None = None) -> pd.DataFrame:
    """Return the volume of each flow log and day (VOLUMES), ordered by both.

    A record counts on the day on which it starts. Records that several flow logs hold count each
    time, since AWS charges them each time. Lines in quarantine and the header of each file are not
    counted.

    Args:
        case: The case.
        flows: Some of its flow records; all by default.
    """
    return to_volumes(measure_columns(case, flows))


def measure_fields(case: Case, flows: ibis.Table | None = None) -> pd.DataFrame:
    """Return the volume of each field (FIELDS), the largest first; see ``measure``."""
    return to_fields(measure_columns(case, flows))


def extrapolate(volumes: pd.DataFrame) -> pd.DataFrame:
    """Return the volume of each flow log in 30 days at the measured rate (MONTHS), by flow log.

    The rate is that of the ten-minute slots with records. An interface without traffic has NODATA
    records, so slots without any record are periods without logs, not without traffic. Where such
    records are left out of the evidence, the rate is too high. Weekends and growth are not known
    from a few days.

    Args:
        volumes: Rows of VOLUMES.

    Raises:
        InputError: ``volumes`` lacks a column.
    """
    VOLUMES.check(volumes.columns)
    dated = volumes[volumes["day"].notna()]
    names = ["records", "bytes", "observed_s"]
    sums = volumes.groupby("flow_log")[names].sum()
    rates = dated.groupby("flow_log")[names].sum().reindex(sums.index, fill_value=0)
    rows = []
    for flow_log, total in sums.iterrows():
        records, size, observed = (int(total[name]) for name in names)
        rate = rates.loc[flow_log]
        month = {
            f"month_{name}": round(int(rate[name]) * MONTH / observed) if observed else None
            for name in ("records", "bytes")
        }
        row = {"flow_log": flow_log, "records": records, "bytes": size, "observed_s": observed}
        rows.append(row | month | {"bytes_per_record": size / records})
    return MONTHS.frame(rows)


def measure_columns(case: Case, flows: ibis.Table | None = None) -> pd.DataFrame:
    """Return records, slots and the bytes of each field, for each flow log and day.

    Returns:
        A frame with the columns flow_log, day, records, slots; and of each field, under the key
        ``(name, what)``, its ``bytes`` and the ``records`` whose format has it.
    """
    f, fields = describe_files(case, case.flows if flows is None else flows)
    keys: list[tuple[str, str]] = []
    sums: dict[str, ir.Value] = {}
    for number, (name, formats) in enumerate(fields.items()):
        # A format has each field or not, which a null does not tell: it may stand for '-'.
        is_there = f[FORMAT].isin(formats)
        size = _text_length(f[name]).fill_null(1) + 1
        sums[f"bytes_{number}"] = size.sum(where=is_there)
        sums[f"records_{number}"] = is_there.sum()
        keys += [(name, "bytes"), (name, "records")]
    slot = epoch_seconds(f.start) // SLOT
    rows = f.group_by(FLOW_LOG, **{_DAY: f.start.truncate("D").cast("timestamp('UTC')")}).aggregate(
        records=f.count(), slots=slot.nunique(), **sums
    )
    rows = rows.mutate(**{name: rows[name].fill_null(0).cast("int64") for name in sums})
    rows = rows.order_by(FLOW_LOG, rows[_DAY].asc(nulls_first=False))
    names = {FLOW_LOG: "flow_log", _DAY: "day"} | dict(zip(sums, keys, strict=True))
    return to_frame(rows.to_pyarrow()).rename(columns=names)


def describe_files(case: Case, flows: ibis.Table) -> tuple[ibis.Table, dict[str, list[int]]]:
    """Return flow records with their flow log and format, and the formats that have each field.

    Returns:
        The records with the columns FLOW_LOG and FORMAT (a number); and for each field of any
        format, in the order of the table, the numbers of the formats that have it.
    """
    numbers: dict[tuple[str, ...], int] = {}
    rows = [
        {
            "evidence_id": entry["evidence_id"],
            FLOW_LOG: name_flow_log(entry["file"]),
            FORMAT: numbers.setdefault(tuple(entry["fields"]), len(numbers)),
        }
        for entry in case.log.evidence
        if entry["kind"] == "flow-logs"
    ]
    columns = [("evidence_id", pa.string()), (FLOW_LOG, pa.string()), (FORMAT, pa.int64())]
    files = ibis.memtable(pa.Table.from_pylist(rows, schema=pa.schema(columns)))
    own = record_key(flows.columns)
    fields = {
        name: found
        for name in flows.columns
        if name not in own
        and (found := [number for names, number in numbers.items() if name in names])
    }
    return flows.join(files, "evidence_id"), fields


def name_flow_log(file: str) -> str:
    """Return the flow log id in the name of a file, or what files it is one of ('files *.log')."""
    name = file.replace("\\", "/").rpartition("/")[2]
    if found := _ID.search(name):
        return found.group()
    suffix = _SUFFIX.search(name.lower())
    return f"files *{suffix.group()}" if suffix else "files of other names"


def _text_length(column: ir.Column) -> ir.IntegerValue:
    """Return the bytes of a field's values as AWS writes them; null for '-'."""
    kind = column.type()
    if kind.is_timestamp():
        column = epoch_seconds(column)
    return byte_length(column if kind.is_string() else column.cast("string"))


def _field_names(columns: pd.DataFrame) -> list[str]:
    return [key[0] for key in columns.columns if isinstance(key, tuple) and key[1] == "bytes"]


def to_volumes(columns: pd.DataFrame) -> pd.DataFrame:
    """Return the sums over fields of ``measure_columns`` (VOLUMES)."""
    keys: list[Any] = [(name, "bytes") for name in _field_names(columns)]
    rows = columns[["flow_log", "day", "records"]].copy()
    rows["bytes"] = sum((columns[key] for key in keys), start=columns["records"] * 0)
    rows["observed_s"] = columns["slots"] * SLOT
    return rows[VOLUMES.columns]


def to_fields(columns: pd.DataFrame) -> pd.DataFrame:
    """Return the sums over flow logs and days of ``measure_columns`` (FIELDS)."""
    sums = {
        name: (int(columns[(name, "records")].sum()), int(columns[(name, "bytes")].sum()))
        for name in _field_names(columns)
    }
    sums = {name: counts for name, counts in sums.items() if counts[0]}
    total = sum(size for _, size in sums.values())
    ranked = sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))
    return FIELDS.frame(
        {
            "field": name.replace("_", "-"),
            "records": records,
            "bytes": size,
            "bytes_per_record": size / records,
            "share": size / total,
        }
        for name, (records, size) in ranked
    )
