"""flowbench quarantine: what could not be read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flowbench.cli import common
from flowbench.text import format_count


@click.command()
@common.case_argument
@common.limit_option
@common.output_options
def quarantine(case: Path, limit: int | None, out: common.Output) -> None:
    """List what could not be read from the evidence.

    File, line, reason and raw text of each line or file of CASE's evidence that is in quarantine.
    """
    opened = common.open_case(case)
    rows = opened.quarantine.order_by("file", "evidence_id", "line", "item", "reason")
    if out.is_terminal and rows.count().execute() == 0:
        files = format_count(len(opened.evidence), "file")
        common.note(f"nothing is in quarantine: all records of {files} were read")
        return
    columns = ["file", "line", "reason", "raw", "item"]
    if limit is None and not sys.stdout.isatty():  # a pipe gets all: it may look for a line
        out.write(opened.stream(rows), columns)
    else:
        out.write_table(opened, rows, columns, limit)
