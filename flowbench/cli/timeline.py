"""flowbench timeline: findings, API events, alerts, DNS queries and notes in order."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.common import (
    Output,
    case_argument,
    note,
    open_case,
    output_options,
    parse_address,
)


@click.command()
@case_argument
@click.option("--about", metavar="ADDRESS", help="Only what concerns this address.")
@output_options
def timeline(case: Path, about: str | None, out: Output) -> None:
    """Show the timeline of CASE.

    Findings of high and critical severity, the API events of the principals concerned, alerts, DNS
    queries and notes, by time.
    """
    from flowbench.investigate import timeline as timelines

    address = None if about is None else parse_address(about)
    rows = timelines.build(open_case(case), about=address)
    if rows.empty and address is None:
        note("no findings; --about ADDRESS shows what concerns an address")
    out.write(rows, ["time", "end", "data_source", "severity", "activity", "reference"])
