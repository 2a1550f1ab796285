"""Files of JSON: one document, one value a line, or values run together, whatever they hold.

Every value is offered to the JSON kinds; which kind it is, is decided by its shape alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pyarrow as pa

from flowbench.errors import BadRecord
from flowbench.load.base import File
from flowbench.load.redaction import redact
from flowbench.schema import Table

LARGEST = 1 << 30  # bytes of JSON held at once; a document cannot be read in pieces

_ROWS = 20_000  # rows that become one Arrow table
_SPACE = re.compile(r"[ \t\r\n,\ufeff]*")
_NEXT_VALUE = re.compile(r"\n(?=[{\[])")


def looks_like(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is JSON."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def read(file: File, kinds: list[ModuleType]) -> Iterator[tuple[str, pa.Table]]:
    """The records in a JSON file as (table name, rows without ``source``), in the file's order.

    What is no JSON, of no known kind, or a record that lacks what makes it one, goes to quarantine.
    """
    raw = file.opened.whole(LARGEST)
    if raw is None:
        file.opened.drain()
        file.quarantine(f"a JSON file of more than {LARGEST >> 30} GB: split it into smaller files")
        return
    waiting: dict[str, tuple[Table, list[dict[str, Any]]]] = {}
    seen: list[str] = []
    item = 0
    for line, value in _values(raw, file):
        kind, records = next(
            ((k, found) for k in kinds if (found := k.claim(value)) is not None), (None, [])
        )
        if kind is None:
            file.quarantine(_unclaimed(value), line=line, raw=_dump(value))
            continue
        if kind.KIND not in seen:
            seen.append(kind.KIND)
            file.kind = "+".join(seen)
        for record in records:
            item += 1
            for table, rows_of in ((kind.TABLE, kind.row), *getattr(kind, "ALSO", ())):
                try:
                    made = rows_of(record)
                except BadRecord as reason:
                    file.quarantine(str(reason), line=line, item=item, raw=_dump(record))
                    break
                _, rows = waiting.setdefault(table.name, (table, []))
                for row in made if isinstance(made, list) else [made]:
                    rows.append(row | {"line": line, "item": item})
                if len(rows) >= _ROWS:
                    yield table.name, _table(table, rows, file)
                    rows.clear()
    for name in sorted(waiting):
        table, rows = waiting[name]
        if rows:
            yield name, _table(table, rows, file)
    if file.opened.problem:
        file.quarantine(file.opened.problem)


def _values(raw: bytes, file: File) -> Iterator[tuple[int, object]]:
    """Each top-level value with the line on which it starts; the rest goes to quarantine."""
    text = raw.decode("utf-8", "surrogateescape")
    decoder = json.JSONDecoder()
    place, line, counted = 0, 1, 0
    while True:
        place = _SPACE.match(text, place).end()  # type: ignore[union-attr]  # it always matches
        line += text.count("\n", counted, place)
        counted = place
        if place >= len(text):
            return
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            # Whatever is wrong, the next line that opens a value of its own may be sound.
            following = _NEXT_VALUE.search(text, place)
            end = following.start() if following else len(text)
            file.quarantine(_broken(error, text, place), line=line, raw=_encode(text[place:end]))
            place = end
            continue
        yield line, value
        place = end


def _broken(error: Exception, text: str, place: int) -> str:
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            return "the JSON ends early: the file was cut off"
        if error.pos == place:
            return "not JSON"
        return f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, RecursionError):
        return "JSON nested too deeply to be evidence of any kind"
    return f"not JSON that can be read: {error}"


def _unclaimed(value: object) -> str:
    if isinstance(value, dict):
        names = ", ".join(sorted(str(name)[:40] for name in value)[:6])
        return f"JSON of no kind flowbench knows; its keys: {names or 'none'}"
    return f"JSON of no kind flowbench knows: a {type(value).__name__}"


def _table(table: Table, rows: list[dict[str, Any]], file: File) -> pa.Table:
    schema = pa.schema([f for f in table.arrow if f.name != "source"])
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


def _dump(value: object) -> bytes:
    return _encode(json.dumps(redact(value), ensure_ascii=False, default=str))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape" if _escapes_only(text) else "backslashreplace")


def _escapes_only(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
