"""Answers on a terminal, in a pipe or in a file: readable there, exact here, harmless everywhere.

Values come from evidence that attackers wrote. On a terminal control characters are shown, not
obeyed; in CSV a text that a spreadsheet would run as a formula is made plain text.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbench.errors import InputError
from flowbench.text import escape_controls, escape_formula

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMATS = ("table", "json", "jsonl", "csv", "parquet")

_PROSE = ("why", "what", "changed", "raw", "reason", "detail", "question", "file", "name")
_WIDEST = 600  # characters of a cell on a terminal
_WIDTHS = {"raw": 100}  # rubbish, of which a glimpse is enough
_STRANDS = 8  # of a story on a terminal


def write(
    data: pd.DataFrame | pa.RecordBatchReader,
    form: str,
    output: Path | None = None,
    *,
    columns: list[str] | None = None,
) -> None:
    """Print a frame or a stream of record batches, or write it to ``output``, in one of FORMATS.

    ``columns`` are the ones a terminal has room for; the other formats give all. Raises InputError
    when the file cannot be written, or when Parquet would go to a terminal.
    """
    schema, batches = _batches(data)
    if form == "table" and output is None:
        _table(schema, batches, columns)
    elif form == "parquet":
        _parquet(schema, batches, output)
    else:
        makers = {"json": _json, "jsonl": _jsonl, "csv": _csv, "table": _csv}
        _save(makers[form](schema, batches), output)


def tell(stories: pd.DataFrame, strands: pd.DataFrame) -> None:
    """Print findings grouped by host (detect.STORIES, detect.STRANDS) for a person to read."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 250, highlight=False)
    by_subject = dict(list(strands.groupby("subject")))
    for story in stories.to_dict("records"):
        grades = [
            f"{story[grade]} {grade}"
            for grade in ("critical", "high", "medium", "low")
            if story[grade]
        ]
        head = f"{escape_controls(story['subject'])}  {', '.join(grades)}  {_period(story)}"
        console.print(Text(head, style="bold"))
        mine = by_subject[story["subject"]].to_dict("records")
        for strand in mine[:_STRANDS]:
            peers = strand["peers"]
            whom = f"{len(peers)} peers" if len(peers) > 1 else "".join(peers)
            parts = [
                f"{strand['severity']} {strand['score']:.2f}",
                whom,
                f"{strand['title']} ({', '.join(strand['finding_ids'])})",  # for `evidence`
                _period(strand),
            ]
            line = Text(escape_controls("  ".join(part for part in parts if part)))
            console.print(Padding(line, (0, 0, 0, 2), expand=False))
            console.print(Padding(Text(_cell(strand["why"], _WIDEST)), (0, 0, 0, 6), expand=False))
        if len(mine) > _STRANDS:
            worst = mine[_STRANDS]["severity"]
            rest = f"and {len(mine) - _STRANDS} more, the gravest {worst}: --format csv has all"
            console.print(Text(f"  {rest}"))


def _period(row: dict[str, Any]) -> str:
    first, last = (f"{row[name]:%Y-%m-%d %H:%M}" for name in ("first_seen", "last_seen"))
    return f"{first} to {last} UTC"


def _batches(
    data: pd.DataFrame | pa.RecordBatchReader,
) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    import pyarrow as pa

    if isinstance(data, pa.RecordBatchReader):
        return data.schema, data
    table = pa.Table.from_pandas(data, preserve_index=False)
    return table.schema, table.to_batches()


def _table(schema: pa.Schema, batches: Iterable[pa.RecordBatch], columns: list[str] | None) -> None:
    import pyarrow as pa
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = columns or schema.names
    for name in shown:
        kind = schema.field(name).type
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        table.add_column(
            name,
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=name not in _PROSE,  # an address cut in two lines cannot be read
        )
    for record in _records(batches):
        table.add_row(*(Text(_cell(record[name], _WIDTHS.get(name, _WIDEST))) for name in shown))
    # A pipe has no width: give each line the room it needs rather than fold at 80.
    Console(width=None if sys.stdout.isatty() else 250).print(table)


def _cell(value: object, most: int) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, dict):
        value = ", ".join(f"{name}={inner}" for name, inner in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 100_000 else str(value)
    if isinstance(value, float):
        return f"{value:.3g}"
    text = escape_controls(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _simple(value: Any) -> Any:
    """A value as JSON knows it: ISO 8601 UTC for times, an object for tags."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return dict(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and math.isnan(value):  # NaN is no JSON
        return None
    return value


def _records(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        for record in batch.to_pylist():
            yield {name: _simple(value) for name, value in record.items()}


def _json(_: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    before = "[\n"
    for record in _records(batches):
        yield before + json.dumps(record)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _jsonl(_: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    for record in _records(batches):
        yield json.dumps(record) + "\n"


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    def line(cells: Iterable[object]) -> str:
        text = io.StringIO()
        csv.writer(text).writerow(cells)  # RFC 4180: CR LF between records
        return text.getvalue()

    yield line(schema.names)
    for record in _records(batches):
        yield line(
            escape_formula(json.dumps(value) if isinstance(value, list | dict) else value)
            for value in record.values()
        )


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], output: Path | None) -> None:
    import pyarrow.parquet as pq

    if output is None and sys.stdout.isatty():
        raise InputError("Parquet is not for a terminal: give a file with --output")
    try:
        with pq.ParquetWriter(output or sys.stdout.buffer, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error


def _save(pieces: Iterator[str], output: Path | None) -> None:
    if output is None:
        try:
            for piece in pieces:
                sys.stdout.write(piece)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputError(f"cannot write the answer: {error.strerror}") from error
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error
