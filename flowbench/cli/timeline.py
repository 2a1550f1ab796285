"""flowbench timeline: findings, API events, alerts, DNS queries and notes in order."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@click.option("--about", metavar="ADDRESS", help="Only what concerns this address.")
@common.output_options
def timeline(case: Path, about: str | None, out: common.Output) -> None:
    """Show the timeline of CASE.

    Findings of high and critical severity, the API events of the principals concerned, alerts, DNS
    queries and notes, by time.
    """
    from flowbench.investigate import timeline as timelines

    address = None if about is None else common.parse_address(about)
    rows = timelines.build(common.open_case(case), about=address)
    if rows.empty and address is None:
        common.note("no findings; --about ADDRESS shows what concerns an address")
    out.write(rows, ["time", "end", "data_source", "severity", "activity", "reference"])
