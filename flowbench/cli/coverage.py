"""flowbench coverage: what the evidence covers."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.common import Output, case_argument, note, open_case, output_options
from flowbench.text import format_count


@click.command()
@case_argument
@output_options
def coverage(case: Path, out: Output) -> None:
    """Show what each evidence file of CASE covers.

    Period, records, NODATA, SKIPDATA and duplicates. NODATA: the interface had no traffic in the
    capture window. SKIPDATA: records are missing. Duplicates are records that another file holds
    too (overlapping flow logs); connections count them once.
    """
    from flowbench.case import coverage as cover

    opened = open_case(case)
    rows = cover.coverage_by_file(opened.flows, opened.evidence)
    columns = [name for name in cover.TABLE.columns if name not in ("evidence_id", "quarantined")]
    out.write(rows, columns)
    if duplicates := int(rows["repeated"].sum()):
        records = format_count(int(rows["records"].sum()), "record")
        note(f"{duplicates:,} of {records} are duplicates; connections count them once")
