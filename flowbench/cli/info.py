"""flowbench info: what a case holds."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.text import format_count, format_period


@click.command()
@common.case_argument
@common.output_options
def info(case: Path, out: common.Output) -> None:
    """Show what CASE holds.

    Files, records and period by kind of evidence, and the head of the custody log.
    """
    opened = common.open_case(case)
    columns = "kind records quarantined first_seen last_seen files bytes".split()
    out.write(opened.info(), columns)
    for problem in opened.log.check():
        common.note(f"{problem}; `flowbench verify {case}` checks all files")
    if out.is_terminal:
        first, last = opened.span
        if first is not None and last is not None:
            click.echo(f"\nflow records from {format_period(first, last, seconds=True)}")
        click.echo(f"custody log: {format_count(len(opened.custody), 'entry', 'entries')}")
        click.echo(f"head {opened.log.head}")
