"""flowbench coverage: what the evidence covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.text import format_count

if TYPE_CHECKING:
    from flowbench.investigate.filters import Filters


@click.command()
@common.case_argument
@filter_options()
@common.limit_option
@common.output_options
def coverage(case: Path, filters: Filters, limit: int | None, out: common.Output) -> None:
    """Show what each evidence file of CASE covers.

    Period, records, NODATA, SKIPDATA and duplicates. NODATA: the interface had no traffic in the
    capture window. SKIPDATA: records are missing. Duplicates are records that another file holds
    too (overlapping flow logs); connections count them once.
    """
    from flowbench.case import coverage as cover
    from flowbench.investigate.filters import filter_frame

    opened = common.open_case(case)
    rows = cover.coverage_by_file(opened.flows, opened.evidence)
    rows = filter_frame(rows, filters, "first_seen", "last_seen")
    columns = "file kind records first_seen last_seen nodata skipdata repeated".split()
    out.write_frame(rows, columns, limit)
    if duplicates := int(rows["repeated"].sum()):
        records = format_count(int(rows["records"].sum()), "record")
        common.note(f"{duplicates:,} of {records} are duplicates; connections count them once")
