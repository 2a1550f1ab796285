"""flowbench quarantine: what could not be read."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.common import Output, case_argument, open_case, output_options


@click.command()
@case_argument
@output_options
def quarantine(case: Path, out: Output) -> None:
    """List what could not be read from the evidence.

    File, line, reason and raw text of each line or file of CASE's evidence that is in quarantine.
    """
    opened = open_case(case)
    rows = opened.quarantine.order_by("file", "evidence_id", "line", "item", "reason")
    out.write(opened.stream(rows), columns=["file", "line", "item", "reason", "raw"])
