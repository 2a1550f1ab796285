"""Normalisation of flow log records: columns named, typed and ordered as in FLOWS.

Records come as lines of known fields, or as columns (Parquet, CSV, JSON) in which numbers may be
numbers or text, times numbers or dates, and missing values null, empty, '-' or 'None'.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import validate
from flowbench.loaders.flowlogs.column_names import field_of
from flowbench.loaders.flowlogs.validate import RawRecords
from flowbench.loaders.values import time as parse_time
from flowbench.schema import FLOW_FIELDS, FLOWS, TYPES
from flowbench.text import canonical_address

MISSING = "-"  # a field without a value in a line

_BINARY = (
    *(pa.types.is_binary, pa.types.is_large_binary),
    *(pa.types.is_fixed_size_binary, pa.types.is_binary_view),
)
_SAMPLE = 500  # rows that mostly show whether a column has more than one word
_MIN_MILLISECONDS = 100_000_000_000  # a larger number of seconds lies 3,000 years ahead
_MISSING_WORDS = pa.array(["", MISSING, "None"])
_DATE = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?"
    r"( ?UTC|Z|[+-]00:?00)?$"
)
_DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
# As the portal of Log Analytics exports times for readers in the United States.
_US_DATE = (
    r"^(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}),?\s(?P<hour>0?[1-9]|1[0-2])"
    r":(?P<rest>\d\d:\d\d(?:\.\d{1,9})?)[ \x{a0}\x{202f}](?P<half>[AP])M$"
)
_SPREADSHEET_NUMBER = r"^\d+(\.\d+)?[EFef]\+?\d+$"  # an account id that a spreadsheet converted
_FRACTION = r"^.{19}\.?(\d*).*$"
_NUMBER = r"^[0-9]{1,18}$"


def normalize(
    rows: pa.Table,
    lines: np.ndarray,
    raw: RawRecords,
    file: File,
    items: np.ndarray | None = None,
) -> pa.Table:
    """Convert records in columns; those with an impossible value go to quarantine.

    Args:
        rows: Records with columns named by ``column_names``.
        lines: Their lines.
        raw: Returns their bytes, by item if there are ``items``, else by line.
        file: Their file.
        items: Their numbers in a file whose records are not lines.

    Returns:
        A table as ``finish`` returns it.
    """
    faults: dict[int, str] = {}
    typed = {}
    for name in rows.column_names:
        field = FLOW_FIELDS.get(field_of(name))
        if field is not None and field.type in validate.NUMBERS:
            typed[name] = _to_integers(field_of(name), rows[name], faults)
        else:
            typed[name] = to_text(rows[name], is_account=field_of(name) == "account_id")
    table = pa.table(typed).append_column("line", pa.array(lines, pa.int64()))
    if items is not None:
        table = table.append_column("item", pa.array(items, pa.int64()))
    for row, reason in sorted(faults.items()):
        line, item = int(lines[row]), None if items is None else int(items[row])
        file.quarantine(reason, line=line, item=item, raw=raw(line if item is None else item))
    if faults:
        table = validate.drop_rows(table, faults)
    return finish(validate.quarantine_faults(encode_text(table), raw, file))


def encode_text(table: pa.Table) -> pa.Table:
    """Encode text columns as dictionaries, so that each of the few words is looked at once.

    The word for a missing value becomes null. Raises ArrowInvalid for invalid UTF-8.
    """
    columns = {name: table[name] for name in table.column_names}
    for name, column in columns.items():
        if column.type == pa.string():
            words = _encode_single_word(column)
            if words is None:
                words = column.dictionary_encode().combine_chunks()  # of one dictionary
            words.dictionary.validate(full=True)
            columns[name] = _replace_missing(words)
    return pa.table(columns)


def finish(table: pa.Table) -> pa.Table:
    """Give columns their declared types and order; unknown ones follow, by name.

    A column that the log does not have is not added: readers of the table fill it with nulls. Of
    a field that the log has twice (see ``column_names.number_repeats``) the first is kept.
    """
    columns = {}
    extra = sorted(name for name in set(table.column_names) - set(FLOWS.columns) if "@" not in name)
    for name in [*(n for n in FLOWS.columns if n in table.column_names), *extra]:
        column = table[name]
        kind = TYPES[FLOW_FIELDS[name].type] if name in FLOW_FIELDS else None
        if name in validate.ADDRESSES:
            column = _spell_canonically(column)
        if name in ("start", "end"):
            column = _to_times(column)
        elif kind is not None and column.type != kind and not pa.types.is_dictionary(column.type):
            column = column.cast(kind)
        columns[name] = column
    return pa.table(columns)


def to_text(column: pa.ChunkedArray, *, is_account: bool = False) -> pa.ChunkedArray:
    """Convert a column to text, missing values to null, account ids to twelve digits.

    An account id that a spreadsheet rounded (``1.11122E+11``) is missing.
    """
    if pa.types.is_floating(column.type):  # integers with gaps, as pandas writes them
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if pc.all(pc.equal(pc.floor(column), column)).as_py() and _fits_int64(column):
            column = column.cast(pa.int64())
    if pa.types.is_nested(column.type) or any(is_kind(column.type) for is_kind in _BINARY):
        values = [_value_to_text(value) for value in column.to_pylist()]
        words = pa.chunked_array([pa.array(values, pa.string())])
    else:
        words = column.cast(pa.string())
    words = pc.if_else(pc.is_in(words, _MISSING_WORDS), pa.scalar(None, pa.string()), words)
    if not is_account:
        return words
    if pa.types.is_integer(column.type):
        return pc.utf8_lpad(words, 12, "0")
    is_rounded = pc.match_substring_regex(words, _SPREADSHEET_NUMBER)
    return pc.if_else(pc.fill_null(is_rounded, False), pa.scalar(None, pa.string()), words)


def _encode_single_word(column: pa.ChunkedArray) -> pa.DictionaryArray | None:
    """Encode a column with the same word in every row, as many have: it is quicker to find out."""
    if not len(column) or column.null_count:
        return None
    first = column.slice(0, 1).combine_chunks()
    if not all(pc.all(pc.equal(part, first[0])).as_py() for part in (column[:_SAMPLE], column)):
        return None
    return pa.DictionaryArray.from_arrays(np.zeros(len(column), np.int32), first)


def _replace_missing(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Replace the word for a missing value by null, and remove it from the dictionary."""
    words = column.dictionary
    index = pc.index(words, MISSING).as_py()
    if index < 0:
        return column
    others = pa.concat_arrays([words[:index], words[index + 1 :]])
    new_indices = np.arange(len(words), dtype=np.int32)
    new_indices[index:] -= 1
    mapping = pa.array(new_indices, mask=np.arange(len(words)) == index)
    return pa.DictionaryArray.from_arrays(mapping.take(column.indices), others)


def _spell_canonically(addresses: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert IPv6 addresses to canonical form (RFC 5952), and IPv4-mapped ones to IPv4.

    Otherwise the records of one host would count as those of several.
    """
    if not pa.types.is_dictionary(addresses.type) or not len(addresses):
        return addresses
    encoded = addresses.combine_chunks()
    words = encoded.dictionary
    is_ipv6 = pc.match_substring(words, ":")
    if not pc.any(is_ipv6).as_py():
        return addresses
    others = words.filter(is_ipv6)
    canonical = pa.array(map(canonical_address, others.to_pylist()), pa.string())
    if canonical.equals(others):
        return addresses
    new_words = pc.replace_with_mask(words, pc.fill_null(is_ipv6, False), canonical)
    spelled = pa.DictionaryArray.from_arrays(encoded.indices, new_words).dictionary_decode()
    return pa.chunked_array([spelled.dictionary_encode()])


def _to_times(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert epoch seconds (or milliseconds, which some producers write) to UTC timestamps."""
    largest = pc.max(numbers).as_py()
    if largest is not None and largest >= _MIN_MILLISECONDS:
        is_in_ms = pc.greater_equal(numbers, _MIN_MILLISECONDS)
        ms = pc.if_else(is_in_ms, numbers, pc.multiply(numbers, 1000))
        return ms.cast(pa.timestamp("ms", tz="UTC")).cast(TYPES["time"])
    return numbers.cast(pa.timestamp("s", tz="UTC")).cast(TYPES["time"])


def _to_integers(name: str, column: pa.ChunkedArray, faults: dict[int, str]) -> pa.ChunkedArray:
    """Convert a column to integers; what is not one becomes null and a fault of its row."""
    if pa.types.is_timestamp(column.type):
        if column.type.unit == "s":  # in milliseconds it may not fit
            return column.cast(pa.int64())
        return _to_epoch(column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64()))
    if pa.types.is_integer(column.type) and column.type != pa.uint64():  # may not fit
        return column.cast(pa.int64())
    words = to_text(column)
    if FLOW_FIELDS[name].type == "time":
        words = _dates_to_milliseconds(_us_dates_to_iso(words))
    is_number = pc.fill_null(pc.match_substring_regex(words, _NUMBER), True)
    if not pc.all(is_number).as_py():
        words = _repair_numbers(words, is_time=FLOW_FIELDS[name].type == "time")
        is_number = pc.fill_null(pc.match_substring_regex(words, _NUMBER), True)
        for row in pc.indices_nonzero(pc.invert(is_number)).to_pylist():
            faults.setdefault(row, validate.not_a_number(name, str(words[row].as_py())))
        words = pc.if_else(is_number, words, pa.scalar(None, pa.string()))
    return words.cast(pa.int64())


def _repair_numbers(words: pa.ChunkedArray, *, is_time: bool) -> pa.ChunkedArray:
    """Replace what is a whole number with decimals, and times in rarer spellings, by digits."""
    words = pc.replace_substring_regex(words, r"^([0-9]{1,15})\.0{1,6}$", r"\1")
    if not is_time:
        return words
    encoded = words.combine_chunks().dictionary_encode()
    digits = [_time_to_digits(word) for word in encoded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(digits, pa.string()).take(encoded.indices)])


def _time_to_digits(word: str) -> str:
    """Return epoch milliseconds for a time of day on a date, else the word."""
    time = parse_time(word) if ":" in word else None
    return word if time is None else str(round(time.timestamp() * 1000))


def _to_epoch(milliseconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return seconds for the few milliseconds after 1970 that would be taken for seconds."""
    is_early = pc.less(milliseconds, _MIN_MILLISECONDS)
    return pc.if_else(is_early, pc.divide(milliseconds, 1000), milliseconds)


def _dates_to_milliseconds(words: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace times that a query wrote as dates by epoch milliseconds."""
    is_date = pc.fill_null(pc.match_substring_regex(words, _DATE), False)
    if not pc.any(is_date).as_py():
        return words
    date = pc.replace_substring(pc.utf8_slice_codeunits(words, 0, 19), "T", " ")
    parsed = pc.strptime(
        pc.if_else(is_date, date, pa.scalar(None, pa.string())),
        format=_DATE_FORMAT,
        unit="s",
        error_is_null=True,
    )
    # 30 February can be parsed, but is not written back the same.
    is_date = pc.fill_null(pc.equal(pc.strftime(parsed, format=_DATE_FORMAT), date), False)
    digits = pc.if_else(is_date, pc.replace_substring_regex(words, _FRACTION, r"\1"), "0")
    fraction = pc.utf8_rpad(pc.utf8_slice_codeunits(digits, 0, 3), 3, "0")
    milliseconds = pc.add(pc.multiply(parsed.cast(pa.int64()), 1000), fraction.cast(pa.int64()))
    milliseconds = _to_epoch(milliseconds)
    return pc.if_else(is_date, milliseconds.cast(pa.string()), words)


def _us_dates_to_iso(words: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace ``3/15/2023, 1:20:00.000 PM`` by ISO 8601, unless the day may come first."""
    is_date = pc.fill_null(pc.match_substring_regex(words, _US_DATE), False)
    if not pc.any(is_date).as_py():
        return words
    parts = pc.extract_regex(words, _US_DATE)
    part = {
        name: pc.struct_field(parts, name)
        for name in ("year", "month", "day", "hour", "half", "rest")
    }
    if pc.max(part["month"].cast(pa.int8())).as_py() > 12:
        return words
    hour = pc.subtract(
        part["hour"].cast(pa.int8()), pc.if_else(pc.equal(part["hour"], "12"), 12, 0)
    )
    hour = pc.add(hour, pc.if_else(pc.equal(part["half"], "P"), 12, 0)).cast(pa.string())
    month, day, hour = (pc.utf8_lpad(each, 2, "0") for each in (part["month"], part["day"], hour))
    date = pc.binary_join_element_wise(part["year"], month, day, "-")
    time = pc.binary_join_element_wise(hour, part["rest"], ":")
    return pc.if_else(is_date, pc.binary_join_element_wise(date, time, "T"), words)


def _fits_int64(column: pa.ChunkedArray) -> bool:
    ends = pc.min_max(column).as_py()
    return ends["min"] is None or (ends["min"] > -(2**63) and ends["max"] < 2**63)


def _value_to_text(value: object) -> str | None:
    if isinstance(value, bytes):  # some writers do not declare their text as text
        return value.decode("utf-8", "backslashreplace")
    return None if value is None else json.dumps(value, default=str)
