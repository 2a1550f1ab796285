"""Tables read from JSON records: each column is declared once, with the path to its value.

Paths are a small part of JMESPath, the language of the AWS CLI's ``--query``:

* ``State.Name``: a value in nested objects;
* ``Groups[].GroupId``: the values in the elements of a list;
* ``@``: the record itself, for columns that a function computes;
* ``PlatformDetails, Platform``: several paths. A column of type ``strings`` has the values of all
  of them, each once; any other column the first that its converter accepts.

Keys are spelt as in AWS's documentation; in a record they may start with a small or a capital
letter, since SDKs differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.values import (
    abbreviate,
    flag,
    integer,
    items,
    number,
    pick,
    port,
    text,
    time,
    unique,
)
from flowbench.schema import ITEM, ORIGIN, Field, Table

Row = dict[str, object]
Converter = Callable[[Any], Any]  # from any JSON value to what a column holds, or None
Keys = tuple[str, ...]

_CONVERTERS: dict[str, Converter] = {
    "string": text,
    "strings": text,
    "time": time,
    "bool": flag,
    "int32": port,
    "int64": integer,
    "float64": number,
}


@dataclass(frozen=True)
class Column:
    """A column of a table, and where its value is in a record.

    Without a path it is null, until the caller fills it. ``convert`` defaults to the converter of
    the type; ``int32`` is a port. A record without a ``required`` value is refused.
    """

    name: str
    path: str | None
    meaning: str
    type: str = "string"
    convert: Converter | None = None
    required: bool = False

    @cached_property
    def read(self) -> Converter:
        """The function from an object to the value; BadRecord if a required one is missing."""
        if self.path is None:
            return lambda _: None
        convert = self.convert or _CONVERTERS[self.type]
        (keys, element_keys), *others = self._paths
        if self.type == "strings" and keys:
            return lambda record: unique(map(convert, self._find(record)))
        if others or element_keys is not None or self.required:
            return lambda record: self._read_first(record, convert)
        if len(keys) == 1:  # most columns: what pick does, without its loop
            key, capital_key = keys[0], keys[0][:1].upper() + keys[0][1:]
            return lambda record: convert(record[key] if key in record else record.get(capital_key))
        return lambda record: convert(pick(record, *keys))

    def _read_first(self, record: object, convert: Converter) -> object:
        for found in self._find(record):
            if (value := convert(found)) is not None:
                return value
        if self.required:
            raise BadRecord(self._missing(record))
        return None

    @cached_property
    def _paths(self) -> tuple[tuple[Keys, Keys | None], ...]:
        """For each path the keys to a value or list, and the keys in the list's elements."""
        paths = []
        for path in (self.path or "").split(", "):
            before, is_list, after = path.partition("[]")
            paths.append((_keys(before), _keys(after) if is_list else None))
        return tuple(paths)

    def _find(self, record: object) -> Iterator[object]:
        """Yield the values at the paths, None where there is none."""
        for keys, element_keys in self._paths:
            value = pick(record, *keys)
            if element_keys is None:
                yield value
            elif element_keys:
                yield from [pick(element, *element_keys) for element in items(value)]
            else:
                yield from items(value)

    def _missing(self, record: object) -> str:
        key = (self.path or "").partition(",")[0].rpartition(".")[2]
        present = next(filter(None, self._find(record)), None)
        if present is None or self.type != "time":
            return f"no {key}"
        return f"{key} is not a time: {abbreviate(present)}"


@dataclass(frozen=True)
class RecordTable(Table):
    """A table whose rows are read from JSON objects."""

    record_kind: str
    readers: tuple[tuple[str, Converter], ...]  # a column's name and the function that reads it

    def to_row(self, record: object) -> Row:
        """Read one record. Raises BadRecord when it is no object or lacks a required value."""
        if not isinstance(record, dict):
            raise BadRecord(f"not {self.record_kind}: no JSON object")
        return {name: read(record) for name, read in self.readers}


def record_table(name: str, record_kind: str, *columns: Column) -> RecordTable:
    """Declare a table of records of a kind (as in "an instance"), with their place in evidence."""
    declared = ((column.name, column.type, column.meaning) for column in columns)
    fields = tuple(Field(*column) for column in (*declared, *ORIGIN, ITEM))
    readers = tuple((column.name, column.read) for column in columns)
    return RecordTable(name, fields, record_kind, readers)


def _keys(path: str) -> Keys:
    """Split a path without lists into keys as ``pick`` takes them: with a small first letter."""
    names = (name for name in path.split(".") if name not in ("", "@"))
    return tuple(name[0].lower() + name[1:] for name in names)
