"""Files of JSON: every record in them, whatever it is wrapped in, offered to the JSON kinds.

Which kind a record is, is decided by its shape alone; one file may hold several.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pyarrow as pa

from flowbench.errors import BadRecord
from flowbench.io.json_stream import Broken, encode, values
from flowbench.io.redact import redact
from flowbench.loaders import unwrap
from flowbench.loaders.base import File
from flowbench.schema import Table

EMPTY = "empty"

_ROWS = 20_000  # records that become tables at once
_HEAD = 20  # elements of a list that tell whose it is

Record = tuple[int, int, object]  # line, item, and what is to become a row


def looks_like(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is JSON."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def read(file: File, kinds: list[ModuleType]) -> Iterator[tuple[str, pa.Table]]:
    """Records of a JSON file as (table name, rows without ``evidence_id``), in the file's order.

    What is no JSON, of no known kind, or a record that lacks what makes it one, goes to quarantine.
    """
    sorter = _Sorter(file, kinds)
    for line, value in values(file.opened.pieces()):
        for found in unwrap.contents(value):
            sorter.take(line, found, wrapped=found is not value)
            if sorter.full is not None:
                yield from sorter.tables(sorter.full)
    for kind in kinds:
        yield from sorter.tables(kind)
    if file.opened.problem:
        file.quarantine(file.opened.problem)
    elif not sorter.seen and not file.quarantined:
        file.kind = EMPTY  # health checks, answers without events
    file.bad.sort(key=lambda bad: (bad["line"] is None, bad["line"], bad["item"] or 0))


class _Sorter:
    """Records on their way to the kinds that claim them."""

    def __init__(self, file: File, kinds: list[ModuleType]) -> None:
        self.seen: list[str] = []
        self.full: ModuleType | None = None  # the kind whose records are to be taken now
        self._file = file
        self._kinds = list(kinds)  # the one that claimed last comes first: kinds are disjoint
        self._waiting: dict[ModuleType, list[Record]] = {kind: [] for kind in kinds}
        self._item = 0

    def take(self, line: int, value: object, wrapped: bool) -> None:
        """Put a value's records to the kind that claims it, or the value into quarantine."""
        kind, records = self._claimed(value)
        if kind is None and (inside := unwrap.message(value)) is not None:
            kind, records = self._claimed(inside)
        if kind is None:
            self._item += wrapped
            item = self._item if wrapped else None
            if isinstance(value, Broken):
                self._file.quarantine(value.reason, line=line, item=item, raw=value.raw)
            else:
                self._file.quarantine(_unclaimed(value), line=line, item=item, raw=dump(value))
            return
        if kind.KIND not in self.seen:
            self.seen.append(kind.KIND)
            self._file.kind = "+".join(self.seen)
        waiting = self._waiting[kind]
        for record in records:
            self._item += 1
            waiting.append((line, self._item, record))
        if len(waiting) >= _ROWS:
            self.full = kind

    def _claimed(self, value: object) -> tuple[ModuleType | None, list[object]]:
        if isinstance(value, list) and len(value) > _HEAD:
            self._claimed(value[:_HEAD])  # whose they are, without every kind looking at all
        for place, kind in enumerate(self._kinds):
            if (records := kind.matches(value)) is not None:
                if place:
                    self._kinds.insert(0, self._kinds.pop(place))
                return kind, records
        return None, []

    def tables(self, kind: ModuleType) -> Iterator[tuple[str, pa.Table]]:
        """What waits for a kind, as tables of at most _ROWS records."""
        waiting, self._waiting[kind], self.full = self._waiting[kind], [], None
        for start in range(0, len(waiting), _ROWS):
            records = waiting[start : start + _ROWS]
            if hasattr(kind, "to_tables"):
                for rows in kind.to_tables(records, self._file):
                    yield kind.TABLE.name, rows
            else:
                yield from _by_row(kind, records, self._file)


def _by_row(kind: ModuleType, records: list[Record], file: File) -> Iterator[tuple[str, pa.Table]]:
    """The records of a kind that makes rows; what it refuses goes to quarantine."""
    makers = ((kind.TABLE, kind.to_row), *getattr(kind, "EXTRA_TABLES", ()))
    made: list[list[dict[str, Any]]] = [[] for _ in makers]
    for line, item, record in records:
        try:
            found = [rows_of(record) for _, rows_of in makers]
        except BadRecord as reason:
            file.quarantine(str(reason), line=line, item=item, raw=dump(record))
            continue
        for rows, each in zip(made, found, strict=True):
            rows += [
                row | {"line": line, "item": item}
                for row in (each if isinstance(each, list) else [each])
            ]
    for (table, _), rows in zip(makers, made, strict=True):
        if rows:
            yield table.name, _table(table, rows, file)


def _unclaimed(value: object) -> str:
    if isinstance(value, dict):
        names = ", ".join(sorted(str(name)[:40] for name in value)[:6])
        return f"JSON of no kind flowbench knows; its keys: {names or 'none'}"
    if isinstance(value, str):
        return "text of no kind flowbench knows"
    return f"JSON of no kind flowbench knows: a {type(value).__name__}"


def _table(table: Table, rows: list[dict[str, Any]], file: File) -> pa.Table:
    schema = pa.schema([f for f in table.arrow if f.name != "evidence_id"])
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
        good = []
        for row in rows:
            try:
                good.append(pa.Table.from_pylist([row], schema=schema))
            except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError) as error:
                file.quarantine(
                    f"a value that does not fit its column: {error}",
                    line=row["line"],
                    item=row["item"],
                )
        return pa.concat_tables([schema.empty_table(), *good])


def dump(value: object) -> bytes:
    """A JSON value as the quarantine keeps it, without secrets."""
    if isinstance(value, str):
        return encode(value)
    return encode(json.dumps(redact(value), ensure_ascii=False, default=str))
