"""flowbench coverage: what the evidence covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.text import format_count

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.investigate.filters import Filters


@click.command()
@common.case_argument
@click.option(
    "--by",
    type=click.Choice(["file", "vpc", "subnet", "interface", "hour"]),
    default="file",
    show_default=True,
    help="What a row is. Interfaces of the inventory without records are listed too.",
)
@filter_options()
@common.limit_option
@common.output_options
def coverage(case: Path, by: str, filters: Filters, limit: int | None, out: common.Output) -> None:
    """Show what the evidence of CASE covers.

    By evidence file; or by VPC, subnet, interface or hour.

    Period, records, NODATA, SKIPDATA and duplicates. NODATA: the interface had no traffic in the
    capture window. SKIPDATA: records are missing. Duplicates are records that another file holds
    too (overlapping flow logs); connections count them once.
    """
    from flowbench.case import coverage as cover
    from flowbench.investigate.filters import filter_frame

    opened = common.open_case(case)
    if by != "file":
        rows = _cover(opened, by, filters)
        out.write_frame(rows, None, limit)
        if by == "interface" and (silent := int((rows["records"] == 0).sum())):
            interfaces = format_count(silent, "interface")
            common.note(f"{interfaces} of the inventory without a record")
        return
    rows = cover.coverage_by_file(opened.flows, opened.evidence)
    rows = filter_frame(rows, filters, "first_seen", "last_seen")
    columns = "file kind records first_seen last_seen nodata skipdata repeated".split()
    out.write_frame(rows, columns, limit)
    if duplicates := int(rows["repeated"].sum()):
        records = format_count(int(rows["records"].sum()), "record")
        common.note(f"{duplicates:,} of {records} are duplicates; connections count them once")


def _cover(case: Case, by: str, filters: Filters) -> pd.DataFrame:
    """Return coverage by vpc, subnet, interface or hour."""
    from flowbench.case import coverage_by
    from flowbench.investigate.filters import filter_period

    flows = filter_period(case.flows, filters, "start", "end")
    if by == "hour":
        return coverage_by.by_hour(flows)
    rows = coverage_by.by_interface(flows, case.interfaces, case.table("flow_logs"))
    return rows if by == "interface" else coverage_by.by_group(rows, f"{by}_id")
