"""flowbench coverage: what the evidence covers."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.text import format_count


@click.command()
@common.case_argument
@common.output_options
def coverage(case: Path, out: common.Output) -> None:
    """Show what each evidence file of CASE covers.

    Period, records, NODATA, SKIPDATA and duplicates. NODATA: the interface had no traffic in the
    capture window. SKIPDATA: records are missing. Duplicates are records that another file holds
    too (overlapping flow logs); connections count them once.
    """
    from flowbench.case import coverage as cover

    opened = common.open_case(case)
    rows = cover.coverage_by_file(opened.flows, opened.evidence)
    columns = [name for name in cover.TABLE.columns if name not in ("evidence_id", "quarantined")]
    out.write(rows, columns)
    if duplicates := int(rows["repeated"].sum()):
        records = format_count(int(rows["records"].sum()), "record")
        common.note(f"{duplicates:,} of {records} are duplicates; connections count them once")
