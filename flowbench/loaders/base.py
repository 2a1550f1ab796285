"""What every loader shares: the file being read, its quarantine, and the protocol of a kind.

A kind of evidence is one module of this package. It has ``KIND`` (the word users see), ``TABLE``
(what its records become) and one of three ways to be read:

* JSON: ``matches(value)`` returns the records of this kind in a JSON value, or None. ``to_row``
  turns a record into a row or a list of rows, or raises BadRecord. Where records also fill other
  tables, ``EXTRA_TABLES`` has pairs of a table and a function from a record to a list of its rows.
  A kind of many records has ``to_tables(records, file)`` instead of ``to_row``: from (line, item,
  record) to Arrow tables without ``evidence_id``; it quarantines bad records itself. Envelopes
  around records (see ``unwrap``) are opened before.
* text: ``matches_head(head)`` is whether a file that starts with ``head`` is of this kind.
  ``read(file)`` yields Arrow tables without ``evidence_id``, or ``read_lines(lines, label)`` rows.
* binary: a file that starts with ``MAGIC`` is of this kind; ``read(file)`` as for text. Or one that
  has ``TRAILER_MAGIC`` in its last 128 KiB; ``read(file, whole)``, ``whole`` being seekable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import pyarrow as pa

from flowbench import schema
from flowbench.io.redact import scrub
from flowbench.io.stream import Block, Opened
from flowbench.text import replace_unstorable

QUARANTINE = schema.Table.of(
    "quarantine",
    ("evidence_id", "string", "evidence id of the file; null when it could not even be read"),
    ("file", "string", "the file as it was given"),
    ("kind", "string", "what the file was taken for"),
    ("line", "int64", "line, from 1; null when the whole file is meant"),
    ("item", "int64", "record of the file, from 1, where records are not lines"),
    ("reason", "string", "why it could not be read, and the remedy where there is one"),
    ("raw", "string", "its first 4,096 characters, secrets out; bytes that are no text as \\xNN"),
    ("raw_bytes", "int64", "its whole length in bytes"),
)

_RAW_KEPT = 4096


def printable(raw: bytes) -> str:
    """The start of some bytes as text that any table can hold, without secrets it spells out."""
    text = raw[:_RAW_KEPT].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    return scrub(text)


@dataclass
class File:
    """One evidence file while it is read: its blocks, and what turned out to be wrong with it."""

    name: str
    kind: str
    opened: Opened
    formats: tuple[tuple[str, ...], ...] = ()  # of flow logs without a header: fields in order
    columns: tuple[tuple[str, str], ...] = ()  # of indicator lists: our name, the header's
    fields: set[str] = field(default_factory=set)
    bad: list[dict[str, Any]] = field(default_factory=list)
    quarantined: int = 0  # entries in all; ``bad`` holds those not yet handed on

    def quarantine(
        self, reason: str, *, line: int | None = None, item: int | None = None, raw: bytes = b""
    ) -> None:
        """Keep what could not be read, with its place and the reason."""
        self.quarantined += 1
        self.bad.append(
            {
                "file": self.name,
                "kind": self.kind,
                "line": line,
                "item": item,
                "reason": replace_unstorable(reason),
                "raw": printable(raw),
                "raw_bytes": len(raw),
            }
        )

    def blocks(self) -> Iterator[Block]:
        """The file's whole lines, block by block; lines too long to hold go to quarantine."""
        for block in self.opened.blocks():
            if block.dropped:
                self.quarantine(
                    f"a line of {block.dropped:,} bytes: longer than any record can be",
                    line=block.first_line,
                    raw=block.data,
                )
                self.bad[-1]["raw_bytes"] = block.dropped
            else:
                yield block
        if self.opened.problem:
            self.quarantine(self.opened.problem)


class TextKind(Protocol):
    """A module that reads a kind of text."""

    KIND: str
    TABLE: schema.Table

    def matches_head(self, head: bytes) -> bool:
        """Whether a file that starts with ``head`` is of this kind."""

    def read(self, file: File) -> Iterator[pa.Table]:
        """The file's records as tables without ``evidence_id``."""


Kind = ModuleType
