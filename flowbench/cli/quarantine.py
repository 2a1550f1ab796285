"""flowbench quarantine: what could not be read."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@common.output_options
def quarantine(case: Path, out: common.Output) -> None:
    """List what could not be read from the evidence.

    File, line, reason and raw text of each line or file of CASE's evidence that is in quarantine.
    """
    opened = common.open_case(case)
    rows = opened.quarantine.order_by("file", "evidence_id", "line", "item", "reason")
    out.write(opened.stream(rows), columns=["file", "line", "item", "reason", "raw"])
