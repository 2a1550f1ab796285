"""Validation of flow log records: values that no record can have, found column by column.

Text, CSV, JSON, Parquet and OCSF all pass here, so that a record is judged the same wherever it
came from. Tables are as ``normalize.encode_text`` returns them: text in dictionaries, numbers as
integers.

Two kinds of values would distort a whole case, so that a record with one is quarantined:

* Counts that no interface carries within a capture window: sums of them do not fit 64 bits. A
  window has at most 600 s, and the fastest network cards of EC2 have 400 Gbit/s: 30 TB.
* Times that stretch the period of the case over decades or millennia: before 1990 (clocks that were
  not set report 1970 or 1980), after 2099, and more than ten years from the median of the records
  that are checked together (some ten thousand neighbours), where most agree on one. Amazon has flow
  logs since 2015, but older captures are converted to them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.loaders.base import File
from flowbench.loaders.flowlogs.column_names import field_of
from flowbench.schema import FLOW_FIELDS

STATUSES = ("OK", "NODATA", "SKIPDATA", "INCOMPLETEDATA")  # the last from Cloud WAN only
ACTIONS = ("ACCEPT", "REJECT")
ADDRESSES = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
NUMBERS = ("int32", "int64", "time")  # types of fields that are numbers in a record
MAX_BYTES = 10**14  # of a record: 1.3 Tbit/s for 600 s
MAX_PACKETS = MAX_BYTES // 20  # an IP header has 20 bytes at least
LIMITS = {"srcport": 65_535, "dstport": 65_535, "protocol": 255, "bytes": MAX_BYTES} | {
    name: MAX_PACKETS for name in FLOW_FIELDS if name.startswith("packets")
}
NARROW = {255: pa.uint8(), 65_535: pa.uint16()}  # the types that hold no more than a limit

# Returns the bytes of a record by its line, or by its item in files whose records are not lines.
RawRecords = Callable[[int], bytes]

_MAX_SHOWN = 40  # characters of a value in a reason
_MAX = {"int32": 2**31 - 1, "int64": 2**63 - 1}  # the largest value of each type
_FIRST_TIME, _LAST_TIME = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds
_MAX_APART = 10 * 366 * 86_400  # seconds between the median of some records and a time of them
_EXPLANATIONS = {
    "bytes": ": no interface carries that in a capture window",
    "packets": ": no interface carries that in a capture window",
    "time": ": before 1990, after 2099, or more than ten years from the records around it",
}
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"^{_OCTET}(?:\.{_OCTET}){{3}}$"


def quarantine_faults(table: pa.Table, raw: RawRecords, file: File) -> pa.Table:
    """Move the records with an impossible value to the quarantine.

    Args:
        table: Records with ``line``, and with ``item`` where records are not lines.
        raw: Returns their bytes, by ``item`` if the table has it, else by ``line``.
        file: Their file.

    Returns:
        The other records.
    """
    faults = find_faults(table)
    if not faults:
        return table
    lines = table["line"]
    items = table["item"] if "item" in table.column_names else None
    for row in sorted(faults):
        line = lines[row].as_py()
        item = items[row].as_py() if items is not None else None
        record = raw(line if item is None else item).rstrip(b"\r")
        file.quarantine(faults[row], line=line, item=item, raw=record)
    return drop_rows(table, faults)


def find_faults(table: pa.Table) -> dict[int, str]:
    """Find the records with an impossible value: their index, and the reason."""
    faults: dict[int, str] = {}
    for name in table.column_names:
        if "@" in name:
            faults |= _find_contradictions(table, name)
            continue
        if (is_impossible := _find_impossible(name, table[name])) is None:
            continue
        for row in pc.indices_nonzero(is_impossible).to_pylist():
            value = str(table[name][row].as_py())[:_MAX_SHOWN]
            why = _EXPLANATIONS.get("time" if _is_time(name) else name, "")
            faults.setdefault(row, f"{aws_name(name)} cannot be {value!r}{why}")
    return faults


def _find_contradictions(table: pa.Table, repeated: str) -> dict[int, str]:
    """Find the records in which a field that the format names twice has two values."""
    field = field_of(repeated)
    first, other = (table[name].cast(pa.string()) for name in (field, repeated))
    differs = pc.not_equal(pc.fill_null(first, ""), pc.fill_null(other, ""))
    reason = f"{aws_name(field)} occurs twice, with different values"
    return dict.fromkeys(pc.indices_nonzero(differs).to_pylist(), reason)


def not_a_number(name: str, value: str) -> str:
    """Return the reason for a column whose value is not a number."""
    return f"{aws_name(name)} is not a number: {value[:_MAX_SHOWN]!r}"


def drop_rows(table: pa.Table, rows: dict[int, str]) -> pa.Table:
    """Return the table without some rows, given by index."""
    keep = [row for row in range(table.num_rows) if row not in rows]
    return table.take(pa.array(keep, pa.int64()))


def aws_name(column: str) -> str:
    """Return the name of a column as a log's header has it."""
    return column.replace("_", "-")


def _find_impossible(name: str, column: pa.ChunkedArray) -> pa.Array | None:
    """Return which values of a column are impossible, as booleans; None when none is."""
    if pa.types.is_dictionary(column.type):
        words = column.chunk(0).dictionary if column.num_chunks else []
        wrong = _impossible_words(name, words) if len(words) else []
        return pc.is_in(column, pa.array(wrong, pa.string())) if wrong else None
    if not pa.types.is_integer(column.type):
        return None
    if _is_time(name):
        return _find_impossible_times(column)
    limit = LIMITS.get(name, _MAX[FLOW_FIELDS[name].type] if name in FLOW_FIELDS else 2**63 - 1)
    if column.type == NARROW.get(limit):
        return None
    ends = pc.min_max(column).as_py()
    if ends["min"] is None or (ends["min"] >= 0 and ends["max"] <= limit):
        return None
    return pc.fill_null(pc.or_(pc.less(column, 0), pc.greater(column, limit)), False)


def _is_time(name: str) -> bool:
    return name in FLOW_FIELDS and FLOW_FIELDS[name].type == "time"


def _find_impossible_times(column: pa.ChunkedArray) -> pa.Array | None:
    """Return which epoch seconds or milliseconds are impossible; None when none is."""
    first, last = _FIRST_TIME, _LAST_TIME
    ends = pc.min_max(column).as_py()
    if ends["min"] is None or (
        ends["min"] >= first and ends["max"] < last and ends["max"] - ends["min"] <= _MAX_APART
    ):
        return None
    seconds = column.to_numpy().astype("float64")  # missing ones become NaN
    with np.errstate(invalid="ignore"):
        is_ms = (seconds >= first * 1000) & (seconds < last * 1000)
        seconds = np.where(is_ms, seconds / 1000, seconds)
        is_plausible = (seconds >= first) & (seconds < last)
        if is_plausible.any():
            medians = (
                np.quantile(seconds[is_plausible], 0.5, method="lower"),
                np.quantile(seconds[is_plausible], 0.5, method="higher"),
            )
            if medians[1] - medians[0] <= _MAX_APART:
                is_plausible &= np.abs(seconds - medians[0]) <= _MAX_APART
    is_impossible = ~is_plausible & ~np.isnan(seconds)
    return pa.array(is_impossible) if is_impossible.any() else None


def _impossible_words(name: str, words: pa.StringArray) -> list[str]:
    """Return the words that the column cannot have."""
    if name in ADDRESSES:
        is_other = pc.invert(pc.match_substring_regex(words, _IPV4))
        return [word for word in words.filter(is_other).to_pylist() if not _is_ipv6(word)]
    possible = {"action": ACTIONS, "log_status": STATUSES}.get(name)
    return [word for word in words.to_pylist() if word not in possible] if possible else []


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True
