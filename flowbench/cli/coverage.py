"""The command that says what the evidence covers."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.common import answers, case_argument, main, open_case


@main.command()
@case_argument
@answers
def coverage(case: Path, form: str, output: Path | None) -> None:
    """What each file of CASE covers: period, records, silence, holes, repetitions.

    NODATA proves that an interface was silent; SKIPDATA is a hole. Records that another file holds
    as well (overlapping flow logs) are counted once in connections.
    """
    from flowbench.case import coverage as cover
    from flowbench.cli import output as out

    opened = open_case(case)
    found = cover.by_source(opened.flows, opened.evidence)
    shown = [name for name in cover.TABLE.columns if name not in ("evidence_id", "quarantined")]
    out.write(found, form, output, columns=shown)
    if repeated := int(found["repeated"].sum()):
        click.echo(
            f"{repeated:,} of {int(found['records'].sum()):,} records stand in the evidence more"
            " than once; connections count them once",
            err=True,
        )
