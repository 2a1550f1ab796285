"""flowbench timeline: findings, API events, alerts, DNS queries and notes in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options

if TYPE_CHECKING:
    from flowbench.investigate.filters import Filters


@click.command()
@common.case_argument
@click.option("--about", metavar="ADDRESS", help="Only what concerns this address.")
@filter_options("peer", "port", "rejected")
@common.limit_option
@common.output_options
def timeline(
    case: Path, about: str | None, filters: Filters, limit: int | None, out: common.Output
) -> None:
    """Show the timeline of CASE.

    Findings of high and critical severity, the API events of the principals concerned, alerts, DNS
    queries and notes, by time.
    """
    from flowbench.investigate import timeline as timelines

    address = None if about is None else common.parse_address(about)
    rows = timelines.build(common.open_case(case), about=address, filters=filters)
    if rows.empty and address is None:
        common.note("nothing to show; --about ADDRESS shows what concerns an address")
    columns = ["time", "severity", "activity", "data_source", "end", "reference"]
    out.write_frame(rows, columns, limit)
