"""flowbench evidence: the records that support a finding."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.errors import InputError
from flowbench.text import escape_controls, format_count

_COLUMNS = "start srcaddr srcport dstaddr dstport protocol bytes action file line".split()


@click.command()
@common.case_argument
@click.argument("finding")
@common.output_options
def evidence(case: Path, finding: str, out: common.Output) -> None:
    """List the records that support a FINDING of CASE.

    Each has its file and line. FINDING is a finding id, as `flowbench detect CASE` prints it, or
    its start.
    """
    from flowbench import detect

    opened = common.open_case(case)
    # Only the detector that the id names has to run again.
    only = [name for name in detect.registered() if finding.startswith(f"{name}-")]
    chosen = detect.run(opened, only=only or None, keep=False).by_id(finding)
    if len(chosen) != 1:
        problem = f"{len(chosen):,} findings have an id" if len(chosen) else "no finding has an id"
        raise InputError(
            f"{problem} that starts with {finding!r}; `flowbench detect {case}` prints the ids"
        )
    common.note(
        f"{chosen[0].finding_id} ({chosen[0].severity}): {escape_controls(chosen[0].summary)}"
    )
    records = opened.evidence_for(chosen[0])
    out.write(records, _COLUMNS)
    common.note(format_count(len(records), "record"))
