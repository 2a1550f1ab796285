"""flowbench trace: from an address to the principal."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@click.argument("what")
@click.option(
    "--at",
    metavar="TIME",
    help="Time at which an address was assigned, UTC.  [default: its last record]",
)
@common.output_options
def trace(case: Path, what: str, at: str | None, out: common.Output) -> None:
    """Trace WHAT to the principal behind it.

    Or a principal to what it did.

    An address, interface, instance or Name tag is traced to the API call that created it, its
    principal, who created that one, what else it did (by the weight of the ATT&CK tactic), what
    came of it, and where its addresses occur in the flow logs. A user, role, role session or access
    key is traced the other way. Each step names the record that supports it; a gap says what the
    evidence lacks. CloudTrail names the credentials that were used, not the person.
    """
    import pandas as pd

    from flowbench.fetch.bucket_layout import parse_time
    from flowbench.investigate import attribution

    time = None if at is None else pd.Timestamp(parse_time(at))
    trace = attribution.trace(common.open_case(case), what, time)
    out.write(trace.to_pandas(), ["step", "description", "time", "file", "line", "item"])
