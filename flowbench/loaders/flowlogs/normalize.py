"""Flow log records that come as columns (Parquet, CSV, JSON): named and typed as ours.

Numbers may be numbers or text, times numbers or dates, missing values null, empty, '-' or 'None':
writers differ.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import validate
from flowbench.schema import FLOW_FIELDS

_SQUASHED = {name.replace("_", ""): name for name in FLOW_FIELDS} | {
    "starttime": "start",
    "endtime": "end",
}
_MISSING = pa.array(["", "-", "None"])
_DATE = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?"
    r"( ?UTC|Z|[+-]00:?00)?$"
)
_STAMP = "%Y-%m-%d %H:%M:%S"
_FRACTION = r"^.{19}\.?(\d*).*$"
_NUMBER = r"^[0-9]{1,18}$"


def ours(word: str) -> str:
    """A column's name as ours: from AWS's (hyphens or underscores) or Insights' (``srcAddr``)."""
    name = re.sub(r"[^a-z0-9_@]", "_", word.lower())
    name = _SQUASHED.get(name.replace("_", ""), name)
    return f"field_{name}" if name in ("evidence_id", "line", "item") else name


def sound(
    rows: pa.Table,
    numbers: np.ndarray,
    raw: validate.RawLines,
    file: File,
    items: np.ndarray | None = None,
) -> pa.Table:
    """Rows whose columns are named as ours, in our types, less those with a value that cannot be.

    ``numbers`` are the rows' lines, ``items`` their numbers in a file whose records are not lines.
    ``raw`` gives their text for the quarantine: by item where there is one, else by line.
    """
    faults: dict[int, str] = {}
    typed = {}
    for name in rows.column_names:
        known = FLOW_FIELDS.get(name)
        if known is not None and known.type in validate.NUMBERS:
            typed[name] = _whole(name, rows[name], faults)
        else:
            typed[name] = text(rows[name], padded=known is not None and name == "account_id")
    table = pa.table(typed).append_column("line", pa.array(numbers, pa.int64()))
    if items is not None:
        table = table.append_column("item", pa.array(items, pa.int64()))
    for row, reason in sorted(faults.items()):
        line, item = int(numbers[row]), None if items is None else int(items[row])
        file.quarantine(reason, line=line, item=item, raw=raw[line if item is None else item])
    if faults:
        keep = [row for row in range(table.num_rows) if row not in faults]
        table = table.take(pa.array(keep, pa.int64()))
    return validate.finish(validate.without_faults(table, raw, file))


def _whole(name: str, column: pa.ChunkedArray, faults: dict[int, str]) -> pa.ChunkedArray:
    """A column of whole numbers; what is none is null and named in ``faults``."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    if pa.types.is_integer(column.type) and column.type != pa.uint64():  # may not fit
        return column.cast(pa.int64())
    words = text(column)
    if FLOW_FIELDS[name].type == "time":
        words = _epoch(words)
    right = pc.fill_null(pc.match_substring_regex(words, _NUMBER), True)
    if not pc.all(right).as_py():
        for row in pc.indices_nonzero(pc.invert(right)).to_pylist():
            shown = str(words[row].as_py())[:40]
            faults.setdefault(row, f"{name.replace('_', '-')} is not a number: {shown!r}")
        words = pc.if_else(right, words, pa.scalar(None, pa.string()))
    return words.cast(pa.int64())


def _epoch(words: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times written as dates, which a query may make of them, as milliseconds."""
    dates = pc.fill_null(pc.match_substring_regex(words, _DATE), False)
    if not pc.any(dates).as_py():
        return words
    whole = pc.replace_substring(pc.utf8_slice_codeunits(words, 0, 19), "T", " ")
    parsed = pc.strptime(
        pc.if_else(dates, whole, pa.scalar(None, pa.string())),
        format=_STAMP,
        unit="s",
        error_is_null=True,
    )
    # There is no 30 February, though it can be parsed.
    dates = pc.fill_null(pc.equal(pc.strftime(parsed, format=_STAMP), whole), False)
    part = pc.replace_substring_regex(words, _FRACTION, r"\1")
    part = pc.utf8_rpad(pc.utf8_slice_codeunits(pc.if_else(dates, part, "0"), 0, 3), 3, "0")
    milliseconds = pc.add(pc.multiply(parsed.cast(pa.int64()), 1000), part.cast(pa.int64()))
    return pc.if_else(dates, milliseconds.cast(pa.string()), words)


def text(column: pa.ChunkedArray, *, padded: bool = False) -> pa.ChunkedArray:
    """A column of text without the words for missing; account ids keep their twelve digits."""
    if pa.types.is_floating(column.type):  # whole numbers with gaps, as pandas writes them
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if pc.all(pc.equal(pc.floor(column), column)).as_py() and _fits(column):
            column = column.cast(pa.int64())
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        words = _dumped(column)
    else:
        words = column.cast(pa.string())
    words = pc.if_else(pc.is_in(words, _MISSING), pa.scalar(None, pa.string()), words)
    return pc.utf8_lpad(words, 12, "0") if padded and pa.types.is_integer(column.type) else words


def _fits(column: pa.ChunkedArray) -> bool:
    ends = pc.min_max(column).as_py()
    return ends["min"] is None or (ends["min"] > -(2**63) and ends["max"] < 2**63)


def _dumped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    words = [_as_text(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(words, pa.string())])


def _as_text(value: object) -> str | None:
    if isinstance(value, bytes):  # some writers do not say that their bytes are text
        return value.decode("utf-8", "backslashreplace")
    return None if value is None else json.dumps(value, default=str)
