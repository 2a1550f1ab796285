"""Flow log records of any container: values that cannot be right sorted out, the rest typed.

Text, CSV, JSON and Parquet loaders all end here, so that a record means the same wherever it came
from.
"""

from __future__ import annotations

import socket
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.loaders.base import File
from flowbench.schema import FLOW_FIELDS, FLOWS, TYPES

STATUSES = ("OK", "NODATA", "SKIPDATA", "INCOMPLETEDATA")  # the last from Cloud WAN only
ACTIONS = ("ACCEPT", "REJECT")
ADDRESSES = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
NUMBERS = ("int32", "int64", "time")
LIMITS = {"srcport": 65_535, "dstport": 65_535, "protocol": 255}
NARROW = {255: pa.uint8(), 65_535: pa.uint16()}  # the types that can hold no more than a limit
MISSING = "-"  # what stands in a line where a field has no value

_SAMPLE = 500  # rows that mostly show whether a column has more than one word
_MILLISECONDS = 100_000_000_000  # a larger number of seconds lies 3,000 years ahead
# The largest value a column of each type can hold; times end with the year 9999, in ms.
_MOST = {"int32": 2**31 - 1, "int64": 2**63 - 1, "time": 253_402_300_799_999}
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"^{_OCTET}(?:\.{_OCTET}){{3}}$"


class RawLines(Protocol):
    """Raw lines by their number in the file."""

    def __getitem__(self, number: int, /) -> bytes: ...


def encoded(table: pa.Table) -> pa.Table:
    """The table with dictionaries for text: each of the few words is looked at once, written once.

    The word for a missing value becomes null. Raises ArrowInvalid for bytes that are no text
    (UTF-8).
    """
    columns = {name: table[name] for name in table.column_names}
    for name, column in columns.items():
        if column.type == pa.string():
            words = _of_one_word(column)
            if words is None:
                words = column.dictionary_encode().combine_chunks()  # of one dictionary
            words.dictionary.validate(full=True)
            columns[name] = _without(MISSING, words)
    return pa.table(columns)


def _of_one_word(column: pa.ChunkedArray) -> pa.DictionaryArray | None:
    """A column that has the same word in every row, as many have: telling so is quicker."""
    if not len(column) or column.null_count:
        return None
    first = column.slice(0, 1).combine_chunks()
    if not all(pc.all(pc.equal(part, first[0])).as_py() for part in (column[:_SAMPLE], column)):
        return None
    return pa.DictionaryArray.from_arrays(np.zeros(len(column), np.int32), first)


def _without(word: str, column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The column with null where the word stands."""
    words = column.dictionary
    place = pc.index(words, word).as_py()
    if place < 0:
        return column
    others = pa.concat_arrays([words[:place], words[place + 1 :]])
    moved = np.arange(len(words), dtype=np.int32)
    moved[place:] -= 1
    moves = pa.array(moved, mask=np.arange(len(words)) == place)
    return pa.DictionaryArray.from_arrays(moves.take(column.indices), others)


def without_faults(table: pa.Table, raw: RawLines, file: File) -> pa.Table:
    """The table (with ``line``) less the records in which a value cannot be right: quarantine.

    ``raw`` gives a record's text by its ``item`` where the table has that, else by its ``line``.
    Text comes out as dictionaries, see ``encoded``.
    """
    table = encoded(table)
    found = faults(table)
    if not found:
        return table
    numbers = table["line"]
    items = table["item"] if "item" in table.column_names else None
    for row in sorted(found):
        line = numbers[row].as_py()
        item = items[row].as_py() if items is not None else None
        text = raw[line if item is None else item].rstrip(b"\r")
        file.quarantine(found[row], line=line, item=item, raw=text)
    keep = [row for row in range(table.num_rows) if row not in found]
    return table.take(pa.array(keep, pa.int64()))


def faults(table: pa.Table) -> dict[int, str]:
    """Why rows of a table (as ``encoded`` gives it) cannot be right; none for most."""
    found: dict[int, str] = {}
    for name in table.column_names:
        if (bad := _impossible(name, table[name])) is None:
            continue
        for row in pc.indices_nonzero(bad).to_pylist():
            value = str(table[name][row].as_py())[:40]
            found.setdefault(row, f"{aws(name)} cannot be {value!r}")
    return found


def _impossible(name: str, column: pa.ChunkedArray) -> pa.Array | None:
    """Which values of a column no record can have; None when all are possible."""
    if pa.types.is_dictionary(column.type):
        words = column.chunk(0).dictionary if column.num_chunks else []
        wrong = _wrong(name, words) if len(words) else []
        return pc.is_in(column, pa.array(wrong, pa.string())) if wrong else None
    if not pa.types.is_integer(column.type):
        return None
    most = LIMITS.get(name, _MOST[FLOW_FIELDS[name].type] if name in FLOW_FIELDS else 2**63 - 1)
    if column.type == NARROW.get(most):
        return None
    ends = pc.min_max(column).as_py()
    if ends["min"] is None or (ends["min"] >= 0 and ends["max"] <= most):
        return None
    return pc.fill_null(pc.or_(pc.less(column, 0), pc.greater(column, most)), False)


def _wrong(name: str, words: pa.StringArray) -> list[str]:
    """Which of these words the column cannot hold."""
    if name in ADDRESSES:
        odd = words.filter(pc.invert(pc.match_substring_regex(words, _IPV4))).to_pylist()
        return [word for word in odd if not _is_ipv6(word)]
    possible = {"action": ACTIONS, "log_status": STATUSES}.get(name)
    return [word for word in words.to_pylist() if word not in possible] if possible else []


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def finish(table: pa.Table) -> pa.Table:
    """The columns in their declared types and order; unknown ones after them, by name.

    A column that the log has not is not made up: what reads the parts fills it with nulls.
    """
    columns = {}
    extra = sorted(set(table.column_names) - set(FLOWS.columns))
    for name in [*(n for n in FLOWS.columns if n in table.column_names), *extra]:
        kind = TYPES[FLOW_FIELDS[name].type] if name in FLOW_FIELDS else None
        if name in ("start", "end"):
            columns[name] = _time(table[name])
        else:
            column = table[name]
            same = kind is None or column.type == kind or pa.types.is_dictionary(column.type)
            columns[name] = column if same else column.cast(kind)
    return pa.table(columns)


def _time(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Epoch seconds (or the milliseconds that some producers write) as UTC timestamps."""
    largest = pc.max(numbers).as_py()
    if largest is not None and largest >= _MILLISECONDS:
        in_ms = pc.greater_equal(numbers, _MILLISECONDS)
        ms = pc.if_else(in_ms, numbers, pc.multiply(numbers, 1000))
        return ms.cast(pa.timestamp("ms", tz="UTC")).cast(TYPES["time"])
    return numbers.cast(pa.timestamp("s", tz="UTC")).cast(TYPES["time"])


def aws(name: str) -> str:
    """A column's name as it stands in the log."""
    return name.replace("_", "-")
