"""Write results as tables for a terminal, or as JSON, CSV and Parquet.

Values come from evidence, which attackers can influence. On a terminal, control characters are
escaped; in CSV, text that a spreadsheet would run as a formula is quoted.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowbench.cli.terminal import find_width, print_note
from flowbench.errors import InputError
from flowbench.text import (
    escape_controls,
    escape_formula,
    escape_lines,
    format_count,
    format_period,
    format_utc,
    list_some,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from flowbench.detect import Findings

FORMATS = ("table", "json", "jsonl", "csv", "parquet")

_MAX_LINKS = 5  # of one group on a terminal, in each direction
_MAX_RELATED = 8  # related findings of one subject on a terminal
_SEVERITIES = ("critical", "high", "medium", "low")


def write(
    data: pd.DataFrame | pa.RecordBatchReader,
    form: str,
    output: Path | None = None,
    *,
    columns: Sequence[str] | None = None,
) -> None:
    """Print a frame or a stream of record batches, or write it to a file.

    Args:
        data: The rows.
        form: One of FORMATS; a table that goes to a file is CSV.
        output: The file; standard output otherwise.
        columns: The columns that a terminal shows; the other formats have all.

    Raises:
        InputError: The file cannot be written, or Parquet would go to a terminal.
    """
    schema, batches = _to_batches(data)
    if form == "table" and output is None:
        _print_table(schema, batches, columns)
    elif form == "parquet":
        _write_parquet(schema, batches, output)
    else:
        formats = {"json": _to_json, "jsonl": _to_jsonl, "csv": _to_csv, "table": _to_csv}
        _write_text(formats[form](schema, batches), output)


def write_findings(
    findings: Findings,
    form: str,
    output: Path | None = None,
    *,
    columns: Sequence[str] | None = None,
) -> None:
    """Print or write findings in one of FORMATS; see ``write``.

    The named scores are a map in JSON and Parquet, and columns ``score_<name>`` in CSV.
    """
    if form in ("csv", "table"):
        write(findings.to_pandas(flat=True), form, output, columns=columns)
    else:
        write(findings.to_arrow().to_reader(), form, output)


def print_groups(findings: Findings, links: pd.DataFrame | None = None) -> None:
    """Print findings for a person: by subject, then by peers, the most severe first.

    Args:
        findings: The findings.
        links: Links between their groups (detect.LINKS).
    """
    from flowbench.cli.table import format_cell
    from flowbench.detect import group_findings, relate_findings

    related = dict(list(relate_findings(findings).groupby("subject")))
    for group in group_findings(findings).to_dict("records"):
        counts = [f"{group[name]:,} {name}" for name in _SEVERITIES if group[name]]
        period = format_period(group["first_seen"], group["last_seen"])
        header = f"{escape_controls(group['subject'])}  {', '.join(counts)}  {period}"
        if len(hosts := group["hosts"]) > 1:
            header += f"  {format_count(len(hosts), 'host')}: {escape_controls(list_some(hosts))}"
        _print_text(header, bold=True)
        if links is not None and (text := _format_links(links, group["subject"])):
            _print_text(escape_controls(text), indent=2)
        rows = related[group["subject"]].to_dict("records")
        for row in rows[:_MAX_RELATED]:
            _print_text(escape_controls(_format_related(row)), indent=2)
            _print_text(format_cell(row["summary"], "summary"), indent=6)
            for decision in row["decisions"]:
                _print_text(format_cell(decision, "decision"), indent=6)
        if len(rows) > _MAX_RELATED:
            rest = f"and {len(rows) - _MAX_RELATED:,} more, {rows[_MAX_RELATED]['severity']} or"
            _print_text(f"{rest} below: --format csv lists all", indent=2)


def _format_links(links: pd.DataFrame, group: str) -> str:
    """Return the groups that a group is linked to and from, in order of time, in one line."""
    parts = []
    for here, there, words in (
        ("from_group", "to_group", "to"),
        ("to_group", "from_group", "from"),
    ):
        rows = links[links[here] == group].to_dict("records")
        texts = [f"{row[there]} ({_format_link(row)})" for row in rows]
        if texts:
            parts.append(f"linked {words} {list_some(texts, _MAX_LINKS, separator='; ')}")
    return "; is ".join(parts)


def _format_link(row: Mapping[str, Any]) -> str:
    import pandas as pd

    from flowbench.enrich.ports import label

    text = row["relation"]
    if pd.notna(row["service_port"]):
        text += f" on {label(int(row['service_port']), 6)}, {row['connections']:,}x"
    if isinstance(row["via"], str):
        text += f" {row['via']}"
    return f"{text}, from {format_utc(row['first_seen'])}"


def _print_text(text: str, *, indent: int = 0, bold: bool = False) -> None:
    """Print text, on a terminal broken between words."""
    from flowbench.cli.table import wrap

    width = find_width(sys.stdout)
    for line in [text] if width is None else wrap(text, max(width - indent, 1)):
        click.echo(" " * indent + click.style(line, bold=bold or None))


def _format_related(row: Mapping[str, Any]) -> str:
    """Return severity, score, peers, titles, ids and period of related findings."""
    peers = row["peers"]
    parts = [
        f"{row['severity']} {row['score']:.2f}",
        format_count(len(peers), "peer") if len(peers) > 1 else "".join(peers),
        format_count(len(row["hosts"]), "host") if len(row["hosts"]) > 1 else "",
        f"{row['title']} ({', '.join(row['finding_ids'])})",  # ids for `flowbench evidence`
        format_period(row["first_seen"], row["last_seen"]),
    ]
    return "  ".join(filter(None, parts))


def _to_batches(
    data: pd.DataFrame | pa.RecordBatchReader,
) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    import pyarrow as pa

    if isinstance(data, pa.RecordBatchReader):
        return data.schema, data
    table = pa.Table.from_pandas(data, preserve_index=False)
    return table.schema, table.to_batches()


def _print_table(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], columns: Sequence[str] | None
) -> None:
    import pyarrow as pa

    from flowbench.cli.table import lay_out

    kinds = {name: schema.field(name).type for name in columns or schema.names}
    numbers = {
        name: pa.types.is_integer(kind) or pa.types.is_floating(kind)
        for name, kind in kinds.items()
    }
    width = find_width(sys.stdout)
    table = lay_out(list(_read_records(batches)), numbers, width)
    header, *rows = table.lines
    click.echo(click.style(header, bold=True))
    for row in rows:
        click.echo(row)
    if table.omitted:
        names = ", ".join(table.omitted)
        print_note(f"not shown at {width} characters: {names}; --format csv has all columns")
    elif table.is_shortened and width:
        print_note("… marks shortened text; --format csv has all of it")


def _to_json_value(value: Any) -> Any:
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


def _read_records(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        for record in batch.to_pylist():
            yield {name: _to_json_value(value) for name, value in record.items()}


def _to_json(_: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    before = "[\n"
    for record in _read_records(batches):
        yield before + json.dumps(record)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _to_jsonl(_: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    for record in _read_records(batches):
        yield json.dumps(record) + "\n"


def _to_csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    def line(cells: Iterable[object]) -> str:
        text = io.StringIO()
        csv.writer(text).writerow(cells)  # RFC 4180: CR LF between records
        return text.getvalue()

    yield line(schema.names)
    for record in _read_records(batches):
        yield line(
            escape_formula(json.dumps(value) if isinstance(value, list | dict) else value)
            for value in record.values()
        )


def _write_parquet(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], output: Path | None
) -> None:
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


def _write_text(pieces: Iterator[str], output: Path | None) -> None:
    if output is None:
        try:
            for piece in pieces:
                sys.stdout.write(escape_lines(piece) if sys.stdout.isatty() else piece)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is left is given up: another flush would fail, and tell the same again.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise InputError(f"cannot write the answer: {error.strerror}") from error
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error
