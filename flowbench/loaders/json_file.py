"""Files of JSON: every record in them is offered to the JSON kinds, whatever it is wrapped in.

The kind of a record is decided by its shape alone; one file may hold several kinds.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import cast

import pyarrow as pa

from flowbench.errors import BadRecord
from flowbench.io.json_stream import InvalidJson, encode_text, read_values
from flowbench.io.redact import redact
from flowbench.loaders import unwrap
from flowbench.loaders.base import QUARANTINE, File
from flowbench.schema import Table

EMPTY = "empty"

_ROWS_AT_ONCE = 5_000  # records that become a table at once: one of CloudTrail has kilobytes
_QUARANTINE_AT_ONCE = 20_000  # entries after which they are handed on
_NO_ROWS = QUARANTINE.arrow.empty_table()
_SAMPLE = 20  # lines, or elements of a list, by which the kind is guessed
_CONVERSION_ERRORS = (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError)

Record = tuple[int, int, object]  # line, item, and the JSON of the record


def is_json(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is JSON, if need be with a damaged first value."""
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text[:1] in (b"{", b"["):
        return True
    first, *others = [line for line in text.split(b"\n", _SAMPLE)[:_SAMPLE] if line.strip()] or [
        b""
    ]
    if others:
        return 2 * sum(line.startswith((b'{"', b"{ ")) for line in others) > len(others)
    return b'}{"' in first


def read(file: File, kinds: list[ModuleType]) -> Iterator[tuple[str, pa.Table]]:
    """Read the records of a JSON file.

    Invalid JSON, JSON of no kind, and records that a kind rejects go to quarantine.

    Args:
        file: The file.
        kinds: The JSON kinds (see ``base``).

    Returns:
        Table names and rows without ``evidence_id``, for each kind in the file's order.
    """
    yield from convert_values(_values(file), file, kinds)


def convert_values(
    values: Iterable[tuple[int, object]], file: File, kinds: list[ModuleType]
) -> Iterator[tuple[str, pa.Table]]:
    """Convert JSON values, or rows of a table, with their lines; as ``read`` does."""
    sorter = _Sorter(file, kinds)
    for line, value in values:
        for content in unwrap.unwrap(value):
            sorter.add(line, content, is_wrapped=content is not value)
            if sorter.full is not None:
                yield from sorter.take_tables(sorter.full)
        if len(file.quarantine_rows) >= _QUARANTINE_AT_ONCE:
            yield QUARANTINE.name, _NO_ROWS  # they are handed on with the next table
    for kind in kinds:
        yield from sorter.take_tables(kind)
    if not sorter.seen and not file.quarantined:
        file.kind = EMPTY  # health checks, answers without events
    file.quarantine_rows.sort(
        key=lambda row: (row["line"] is None, row["line"] or 0, row["item"] or 0)
    )


def _values(file: File) -> Iterator[tuple[int, object]]:
    yield from read_values(file.stream.chunks())
    if file.stream.problem:
        file.quarantine(file.stream.problem)


class TableRow(dict[str, object]):
    """A row of a table as an object of its columns.

    Attributes:
        text: The row as it is written.
    """

    text = ""


class _Sorter:
    """Records sorted by kind.

    Attributes:
        seen: The kinds in the file, in the order of their first record.
        full: The kind that has enough records for a table.
    """

    def __init__(self, file: File, kinds: list[ModuleType]) -> None:
        self.seen: list[str] = []
        self.full: ModuleType | None = None
        self._file = file
        self._kinds = list(kinds)  # the last that matched comes first: kinds are disjoint
        self._waiting: dict[ModuleType, list[Record]] = {kind: [] for kind in kinds}
        self._item = 0

    def add(self, line: int, value: object, is_wrapped: bool) -> None:
        """Add the records of a value to their kind, or the value to the quarantine."""
        kind, records = self._match(value)
        if kind is None and (message := unwrap.message(value)) is not None:
            kind, records = self._match(message)
        if kind is None:
            self._item += is_wrapped
            item = self._item if is_wrapped else None
            if isinstance(value, InvalidJson):
                self._file.quarantine(value.reason, line=line, item=item, raw=value.raw)
            else:
                reason = _describe_unknown(value)
                self._file.quarantine(reason, line=line, item=item, raw=redact_and_dump(value))
            return
        if kind.KIND not in self.seen:
            self.seen.append(kind.KIND)
            self._file.kind = "+".join(self.seen)
        waiting = self._waiting[kind]
        for record in records:
            self._item += 1
            waiting.append((line, self._item, record))
        if len(waiting) >= _ROWS_AT_ONCE:
            self.full = kind

    def take_tables(self, kind: ModuleType) -> Iterator[tuple[str, pa.Table]]:
        """Convert the records of a kind to tables of at most _ROWS_AT_ONCE records."""
        waiting, self._waiting[kind], self.full = self._waiting[kind], [], None
        for start in range(0, len(waiting), _ROWS_AT_ONCE):
            records = waiting[start : start + _ROWS_AT_ONCE]
            if hasattr(kind, "to_tables"):
                for rows in kind.to_tables(records, self._file):
                    yield kind.TABLE.name, rows
            else:
                yield from _convert_records(kind, records, self._file)

    def _match(self, value: object) -> tuple[ModuleType | None, list[object]]:
        if isinstance(value, list) and len(value) > _SAMPLE:
            self._match(value[:_SAMPLE])  # puts its kind first, so that no other sees the list
        for index, kind in enumerate(self._kinds):
            if (records := kind.matches(value)) is not None:
                if index:
                    self._kinds.insert(0, self._kinds.pop(index))
                return kind, records
        return None, []


def _convert_records(
    kind: ModuleType, records: list[Record], file: File
) -> Iterator[tuple[str, pa.Table]]:
    """Convert records by a kind's ``to_row`` and ``EXTRA_TABLES``."""
    converters = ((kind.TABLE, kind.to_row), *getattr(kind, "EXTRA_TABLES", ()))
    table_rows: list[list[dict[str, object]]] = [[] for _ in converters]
    for line, item, record in records:
        try:
            converted = [convert(record) for _, convert in converters]
        except BadRecord as reason:
            own = kind.original(record) if hasattr(kind, "original") else record
            file.quarantine(str(reason), line=line, item=item, raw=redact_and_dump(own))
            continue
        for rows, new in zip(table_rows, converted, strict=True):
            new_rows = new if isinstance(new, list) else [new]
            rows += [row | {"line": line, "item": item} for row in new_rows]
    for (table, _), rows in zip(converters, table_rows, strict=True):
        if rows:
            yield table.name, _to_table(table, rows, file)


def _describe_unknown(value: object) -> str:
    if isinstance(value, TableRow):
        return "a row of no kind flowbench knows"
    if isinstance(value, dict):
        names = ", ".join(sorted(str(name)[:40] for name in value)[:6])
        return f"JSON of no kind flowbench knows; its keys: {names or 'none'}"
    if isinstance(value, str):
        return "text of no kind flowbench knows"
    return f"JSON of no kind flowbench knows: a {type(value).__name__}"


def _to_table(table: Table, rows: list[dict[str, object]], file: File) -> pa.Table:
    schema = pa.schema([field for field in table.arrow if field.name != "evidence_id"])
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except _CONVERSION_ERRORS:
        good = []
        for row in rows:
            try:
                good.append(pa.Table.from_pylist([row], schema=schema))
            except _CONVERSION_ERRORS as error:
                reason = f"a value that does not fit its column: {error}"
                line, item = cast("int", row["line"]), cast("int", row["item"])
                file.quarantine(reason, line=line, item=item)
        return pa.concat_tables([schema.empty_table(), *good])


def redact_and_dump(value: object) -> bytes:
    """Return a JSON value or a row as the quarantine shows it, without secrets."""
    if isinstance(value, TableRow):
        value = value.text
    if isinstance(value, str):
        return encode_text(value)
    return encode_text(json.dumps(redact(value), ensure_ascii=False, default=str))
