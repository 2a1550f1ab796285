"""What every loader shares: the file being read, its quarantine, and the loader protocol.

A kind of evidence is one module of this package. It has ``KIND`` (the word users see), ``TABLE``
(what its records become) and one of three ways to be read:

* JSON: ``matches(value)`` returns the records of this kind in a JSON value, or None. ``to_row``
  turns a record into a row or a list of rows, or raises BadRecord. Where records also fill other
  tables, ``EXTRA_TABLES`` has pairs of a table and a function from a record to a list of its rows.
  A kind of many records has ``to_tables(records, file)`` instead of ``to_row``: from (line, item,
  record) to Arrow tables without ``evidence_id``; it quarantines bad records itself. Envelopes
  around records are opened before (see ``unwrap``). Where ``matches`` adds to records what holds
  for all of them, ``original(record)`` returns what stands in the evidence, for the quarantine.
* Text: ``matches_head(head)`` is whether a file that starts with ``head`` is of this kind.
  ``read(file)`` yields Arrow tables without ``evidence_id``, or ``read_lines(lines, label)`` rows.
* Binary: a file that starts with ``MAGIC`` is of this kind, and ``read(file)`` is as for text; or a
  file with ``TRAILER_MAGIC`` in its last 128 KiB, and ``read(file, content)`` gets its content as a
  seekable file.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from flowbench import schema
from flowbench.io.blocks import Block
from flowbench.io.redact import redact_text
from flowbench.io.stream import EvidenceStream
from flowbench.text import replace_unstorable

QUARANTINE = schema.Table.of(
    "quarantine",
    ("evidence_id", "string", "evidence id of the file; null when it could not even be read"),
    ("file", "string", "the file, as it was given"),
    ("kind", "string", "kind of evidence as which it was read"),
    ("line", "int64", "line, from 1; null when the whole file is meant"),
    ("item", "int64", "record of the file, from 1, where records are not lines"),
    ("reason", "string", "why it could not be read, and the remedy where there is one"),
    ("raw", "string", "its first 4,096 characters without secrets; invalid UTF-8 as \\xNN"),
    ("raw_bytes", "int64", "its whole length in bytes"),
)

_RAW_KEPT = 4096  # bytes of what is quarantined

Formats = tuple[tuple[str, ...], ...]  # of flow logs without a header: field names in their order
ListColumns = tuple[tuple[str, str], ...]  # of indicator lists: our name, the name in the header


class QuarantineRow(TypedDict):
    """A row of QUARANTINE without ``evidence_id``."""

    file: str
    kind: str
    line: int | None
    item: int | None
    reason: str
    raw: str
    raw_bytes: int


@dataclass
class File:
    """An evidence file while it is read.

    Attributes:
        name: The name to show.
        kind: The kind of evidence, once it is known.
        stream: Its bytes.
        formats: Record formats that flow logs without a header may have.
        list_columns: The user's map of columns for indicator lists.
        fields: The flow log fields that were seen.
        quarantine_rows: Entries in quarantine that have not been handed on yet.
        quarantined: Number of entries in quarantine in all.
    """

    name: str
    kind: str
    stream: EvidenceStream
    formats: Formats = ()
    list_columns: ListColumns = ()
    fields: set[str] = field(default_factory=set)
    quarantine_rows: list[QuarantineRow] = field(default_factory=list)
    quarantined: int = 0

    def quarantine(
        self, reason: str, *, line: int | None = None, item: int | None = None, raw: bytes = b""
    ) -> None:
        """Put what cannot be read into quarantine.

        Args:
            reason: Why it cannot be read.
            line: Its line, from 1; None for the whole file.
            item: Its number among the file's records, where these are not lines.
            raw: Its bytes.
        """
        self.quarantined += 1
        self.quarantine_rows.append(
            {
                "file": self.name,
                "kind": self.kind,
                "line": line,
                "item": item,
                "reason": replace_unstorable(reason),
                "raw": _excerpt(raw),
                "raw_bytes": len(raw),
            }
        )

    def blocks(self) -> Iterator[Block]:
        """Yield the file's whole lines in blocks; lines too long to keep go to quarantine."""
        for block in self.stream.blocks():
            if block.oversized:
                self.quarantine(
                    f"a line of {block.oversized:,} bytes: longer than any record can be",
                    line=block.first_line,
                    raw=block.data,
                )
                self.quarantine_rows[-1]["raw_bytes"] = block.oversized
            else:
                yield block
        if self.stream.problem:
            self.quarantine(self.stream.problem)


def describe_bug(error: Exception) -> str:
    """Return the reason for a file that a bug of flowbench kept from being read."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "flowbench" in Path(frame.filename).parts]
    where = "".join(f", {Path(frame.filename).name}:{frame.lineno}" for frame in own[-1:])
    return (
        f"flowbench failed to read the file ({type(error).__name__}: {error}{where}): a bug. What"
        " was read before it is kept; please report this line to the project"
    )


def _excerpt(raw: bytes) -> str:
    """Return the start of some bytes as text that a table can hold, without secrets."""
    text = raw[:_RAW_KEPT].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    return redact_text(text)
