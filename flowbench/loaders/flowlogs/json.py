"""Flow log records in JSON: a record in a text, or an object of its fields.

Envelopes around them (CloudWatch Logs, Firehose, answers of queries) are opened by ``unwrap``.
Texts are read like lines of a log without a header. Objects have AWS's field names in any spelling,
as exports of Athena, Logs Insights and log shippers write them; ``@timestamp`` of Insights is the
start of a record that has none. Other fields are kept as columns if their names permit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.io.json_stream import encode_text
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs.column_names import column_names, field_of, has_flow_columns
from flowbench.loaders.flowlogs.normalize import normalize
from flowbench.loaders.flowlogs.validate import RawRecords
from flowbench.loaders.json_file import Record, redact_and_dump
from flowbench.loaders.values import JsonObject
from flowbench.schema import FLOW_FIELDS, FLOWS
from flowbench.text import replace_unstorable

KIND = "flow-logs"
TABLE = FLOWS

MAX_EXTRA = 100  # columns of a file that are not flow log fields; more are not meant seriously

# A record names an interface, an action or a status; in a custom format without these, it has two
# addresses.
_RECORD = re.compile(
    r"(?:^|\s)(?:ACCEPT|REJECT|NODATA|SKIPDATA|(?:eni|tgw|tgw-attach|nat)-[0-9a-z]+)(?:\s|$)"
)
_ADDRESS = re.compile(r"(?:^|\s)(?:\d+(?:\.\d+){3}|(?=\S*::|(?:\S*?:){4})[0-9a-f:.]+)(?=\s|$)")
_ADDRESS_SAMPLE = 4096  # characters of a text in which addresses are looked for
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_ENDPOINTS = {
    "srcaddr",
    "dstaddr",
    "pkt_srcaddr",
    "pkt_dstaddr",
    "interface_id",
    "resource_id",
    "tgw_id",
}
_ENDS = {"srcaddr", "dstaddr"}
_PACKET_ENDS = {"pkt_srcaddr", "pkt_dstaddr"}
_TRAFFIC = {"packets", "bytes", "start", "end", "action", "log_status"}
_TIMES = {"start", "end"}
_CONVERSION_ERRORS = (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError)


def matches(value: object) -> list[object] | None:
    """Return the flow log records in a JSON value, or None for anything else.

    They are a text with a record, an object of its fields, or a list of such.
    """
    if isinstance(value, list):
        return value if any(map(_is_record, value)) else None
    return [value] if _is_record(value) else None


def to_tables(records: list[Record], file: File) -> Iterator[pa.Table]:
    """Convert records to tables of FLOWS' columns without ``evidence_id``, then any others.

    The tables have ``item`` after ``line``.
    """
    texts, objects = list[flow_text.Message](), list[Record]()
    # The columns of each shape of object, and why it cannot be a record, by the id of the columns,
    # which the cache of _map_columns keeps alive.
    shapes: dict[int, tuple[dict[str, str], str | None]] = {}
    for line, item, record in records:
        if isinstance(record, str):
            texts.append((line, item, encode_text(record)))
            continue
        columns = _map_columns(tuple(record)) if isinstance(record, dict) else None
        if columns is None:
            raw = redact_and_dump(record)
            file.quarantine("not a flow log record", line=line, item=item, raw=raw)
            continue
        if id(columns) not in shapes:
            shapes[id(columns)] = columns, _add_fields(columns, file)
        if reason := shapes[id(columns)][1]:
            file.quarantine(reason, line=line, item=item, raw=redact_and_dump(record))
        else:
            objects.append((line, item, record))
    if texts:
        yield from flow_text.read_messages(texts, file)
    if objects:
        good_shapes = [columns for columns, reason in shapes.values() if not reason]
        yield _to_table(objects, good_shapes, file)


def to_column(values: list[object]) -> pa.Array:
    """Convert JSON values to a column: of one type if they have one, else as text."""
    try:
        column = pa.array(values)
    except _CONVERSION_ERRORS:
        return _text_column(values)
    if pa.types.is_nested(column.type) or (
        pa.types.is_string(column.type) and pc.any(pc.match_substring(column, "\0")).as_py()
    ):
        return _text_column(values)
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column


def raw_by_item(records: list[Record]) -> RawRecords:
    """Return a function from a record's number in the file to its JSON for the quarantine."""
    by_item = {item: record for _, item, record in records}
    return lambda item: redact_and_dump(by_item[item])


def _text_column(values: list[object]) -> pa.Array:
    return pa.array(list(map(_value_to_text, values)), pa.string())


def _value_to_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value and replace_unstorable(value)
    try:
        return replace_unstorable(json.dumps(value))
    except (ValueError, RecursionError):  # too many digits or levels
        return "?"


def _is_record(value: object) -> bool:
    if isinstance(value, str):
        addresses = _ADDRESS.findall(value, 0, _ADDRESS_SAMPLE)
        return bool(_RECORD.search(value)) or len(addresses) > 1
    return isinstance(value, dict) and _map_columns(tuple(value)) is not None


@lru_cache(maxsize=4096)
def _map_columns(names: tuple[str, ...]) -> dict[str, str] | None:
    """Return the column for each field of an object, or None when it is not a flow log record.

    Other objects have an address too. So at least half of the fields must be a flow log's, each
    once; one of them an endpoint, and one something about the traffic.
    """
    usable = [name for name in names if _NAME.fullmatch(name)]
    columns = dict(zip(usable, column_names(usable), strict=True))
    known = FLOW_FIELDS.keys() & columns.values()
    width = sum(not name.startswith("@") for name in names)
    if not has_flow_columns(columns.values(), width) or not known & _ENDPOINTS:
        return None
    if len(known & _ENDS) == 1 and not known >= _PACKET_ENDS:
        return None  # a DNS query has a source address and port, too
    if not known & _TIMES and "@timestamp" in names:
        columns["@timestamp"] = "start"
        known = known | {"start"}
    return columns if known & _TRAFFIC else None


def _add_fields(columns: Mapping[str, str], file: File) -> str | None:
    """Note the fields of a shape of object, or return why such objects cannot be records."""
    names = set(map(field_of, columns.values()))
    if not names & _TIMES:
        return "neither start nor end: rows of an aggregate or a selection are not records"
    extra = names.difference(FLOW_FIELDS)
    if extra and len(extra | file.fields.difference(FLOW_FIELDS)) > MAX_EXTRA:
        return f"more than {MAX_EXTRA} fields in this file that are not flow log fields"
    file.fields.update(names)
    return None


def _to_table(objects: list[Record], shapes: list[dict[str, str]], file: File) -> pa.Table:
    """Convert objects of some shapes; those with an impossible value go to quarantine."""
    spellings: dict[str, list[str]] = {}  # of each column
    for columns in shapes:
        for name, column in columns.items():
            if name not in spellings.setdefault(column, []):
                spellings[column].append(name)
    records = [cast("JsonObject", record) for *_, record in objects]
    table = {}
    for column, names in spellings.items():
        values = [record.get(names[0]) for record in records]
        for other in sorted(names[1:], reverse=True):  # @timestamp only where there is no start
            values = [
                record.get(other) if value is None else value
                for record, value in zip(records, values, strict=True)
            ]
        table[column] = to_column(values)
    lines, items = (np.array([record[index] for record in objects], np.int64) for index in (0, 1))
    return normalize(pa.table(table), lines, raw_by_item(objects), file, items)
