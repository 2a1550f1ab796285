"""The command that leads from a finding back to its lines."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.common import answers, case_argument, main, open_case
from flowbench.errors import InputError
from flowbench.text import escape_controls


@main.command()
@case_argument
@click.argument("finding")
@answers
def evidence(case: Path, finding: str, form: str, output: Path | None) -> None:
    """The flow records behind a FINDING of CASE, each with file and line.

    FINDING is a finding_id as `flowbench detect CASE --format json` gives it; its start will do.
    """
    from flowbench import detect as detectors
    from flowbench.cli import output as out

    opened = open_case(case)
    # Only the detector that the id names has to run again.
    only = [name for name in detectors.registered() if finding.startswith(f"{name}-")]
    found = detectors.run(opened, only=only or None, hidden=True)
    chosen = found[found["finding_id"].str.startswith(finding)]
    if len(chosen) != 1:
        what = f"{len(chosen)} findings start with" if len(chosen) else "no finding is called"
        raise InputError(f"{what} {finding}; `flowbench detect {case} --format json` names them")
    row = chosen.iloc[0]
    click.echo(f"{row['finding_id']} ({row['severity']}): {escape_controls(row['why'])}", err=True)
    records = opened.evidence_for(row)
    shown = [
        "start", "srcaddr", "srcport", "dstaddr", "dstport", "protocol", "bytes", "action",
        "file", "line",
    ]  # fmt: skip
    out.write(records, form, output, columns=shown)
    click.echo(f"{len(records):,} records", err=True)
