"""Flow log records that reach a file as JSON: a bare record in a text, or an object of its fields.

What wraps them (CloudWatch Logs, Firehose, answers of queries) is opened by ``envelope``. Texts are
read like lines of a log without a header. Objects have AWS's names in any spelling, as exports of
Athena, Logs Insights and log shippers write them; Insights' ``@timestamp`` is the start of a record
that names none. Fields that are no flow log's are kept when they are named like one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.io.json_stream import encode
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs.normalize import ours, sound
from flowbench.loaders.json_file import Record, dump
from flowbench.schema import FLOW_FIELDS, FLOWS
from flowbench.text import replace_unstorable

KIND = "flow-logs"
TABLE = FLOWS

MOST_EXTRA = 100  # columns of a file that are no flow log's; more is somebody's joke

# A record names an interface or says what became of the traffic; a custom format may leave out
# both, and then has two addresses.
_RECORD = re.compile(
    r"(?:^|\s)(?:ACCEPT|REJECT|NODATA|SKIPDATA|(?:eni|tgw|tgw-attach|nat)-[0-9a-z]+)(?:\s|$)"
)
_ADDRESS = re.compile(r"(?:^|\s)(?:\d+(?:\.\d+){3}|(?=\S*::|(?:\S*?:){4})[0-9a-f:.]+)(?=\s|$)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_WHO = {"srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr", "interface_id", "resource_id", "tgw_id"}
_WHAT = {"packets", "bytes", "start", "end", "action", "log_status"}
_TIMES = {"start", "end"}


def matches(value: object) -> list[object] | None:
    """The flow log records in a JSON value, or None for anything else.

    A text that holds a record, an object of its fields, or a list of such.
    """
    if isinstance(value, list):
        return value if any(map(_is_record, value)) else None
    return [value] if _is_record(value) else None


def to_tables(waiting: list[Record], file: File) -> Iterator[pa.Table]:
    """Records as tables of FLOWS' columns without ``evidence_id``, then ``item`` and any others."""
    texts, objects = list[tuple[int, int, bytes]](), list[Record]()
    shapes: dict[int, tuple[dict[str, str], str | None]] = {}  # by identity: _columns keeps them
    for line, item, record in waiting:
        if isinstance(record, str):
            texts.append((line, item, encode(record)))
            continue
        columns = _columns(tuple(record)) if isinstance(record, dict) else None
        if columns is None:
            file.quarantine("no flow log record", line=line, item=item, raw=dump(record))
            continue
        if id(columns) not in shapes:
            shapes[id(columns)] = columns, _wrong(columns, file)
        if reason := shapes[id(columns)][1]:
            file.quarantine(reason, line=line, item=item, raw=dump(record))
        else:
            objects.append((line, item, record))
    if texts:
        yield from flow_text.from_messages(texts, file)
    if objects:
        yield _table(objects, [columns for columns, reason in shapes.values() if not reason], file)


def column(values: list[Any]) -> pa.Array:
    """Values of JSON as a column: of one type where they have one, else as text."""
    try:
        found = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
        found = pa.array(list(map(_text, values)), pa.string())
    if pa.types.is_nested(found.type) or (
        pa.types.is_string(found.type) and pc.any(pc.match_substring(found, "\0")).as_py()
    ):
        return pa.array(list(map(_text, values)), pa.string())
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value and replace_unstorable(value)
    try:
        return replace_unstorable(json.dumps(value))
    except (ValueError, RecursionError):  # digits or levels without end
        return "?"


def _is_record(value: object) -> bool:
    if isinstance(value, str):
        return bool(_RECORD.search(value)) or len(_ADDRESS.findall(value, 0, 4096)) > 1
    return isinstance(value, dict) and _columns(tuple(value)) is not None


@lru_cache(maxsize=4096)
def _columns(names: tuple[str, ...]) -> dict[str, str] | None:
    """Which field of an object is which column, or None when it is no flow log record's.

    Fewer than half known, two fields for one column, no address or interface, or nothing that
    happened: then it is something else that has an address.
    """
    found = {name: ours(name) for name in names if _NAME.fullmatch(name)}
    known = FLOW_FIELDS.keys() & found.values()
    plain = sum(not name.startswith("@") for name in names)
    if len(known) < max(2, plain / 2) or not known & _WHO or len(set(found.values())) < len(found):
        return None
    if not known & _TIMES and "@timestamp" in names:
        found["@timestamp"] = "start"
        known = known | {"start"}
    return found if known & _WHAT else None


def _wrong(columns: dict[str, str], file: File) -> str | None:
    """Why objects of this shape cannot be records, or None when they can: then it is noted."""
    names = set(columns.values())
    if not names & _TIMES:
        return "neither start nor end: what was counted or cut down is no record"
    extra = names.difference(FLOW_FIELDS)
    if extra and len(extra | file.fields.difference(FLOW_FIELDS)) > MOST_EXTRA:
        return f"more than {MOST_EXTRA} fields in this file that are no flow log's"
    file.fields.update(names)
    return None


def _table(objects: list[Record], shapes: list[dict[str, str]], file: File) -> pa.Table:
    """Objects of these shapes as one table, less those with a value that cannot be: quarantine."""
    spelt: dict[str, list[str]] = {}  # column: the names that it has in the objects
    for columns in shapes:
        for name, mine in columns.items():
            if name not in spelt.setdefault(mine, []):
                spelt[mine].append(name)
    records: list[Any] = [record for *_, record in objects]
    made = {}
    for mine, names in spelt.items():
        values = [record.get(names[0]) for record in records]
        for other in sorted(names[1:], reverse=True):  # @timestamp only where there is no start
            values = [
                record.get(other) if value is None else value
                for record, value in zip(records, values, strict=True)
            ]
        made[mine] = column(values)
    lines, items = (np.array([each[place] for each in objects], np.int64) for place in (0, 1))
    return sound(pa.table(made), lines, RawRecords(objects), file, items)


class RawRecords:
    """Records of JSON by their number in the file, as the quarantine shows them."""

    def __init__(self, objects: list[Record]) -> None:
        self._objects = objects
        self._places: dict[int, int] | None = None

    def __getitem__(self, item: int) -> bytes:
        if self._places is None:
            self._places = {number: place for place, (_, number, _) in enumerate(self._objects)}
        return dump(self._objects[self._places[item]][2])
