"""flowbench trace: from an address to the principal."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@click.argument("address")
@click.option(
    "--at",
    metavar="TIME",
    help="Time at which ADDRESS was assigned, UTC.  [default: its last record]",
)
@common.output_options
def trace(case: Path, address: str, at: str | None, out: common.Output) -> None:
    """Attribute ADDRESS to an interface and a principal.

    The steps are interface, instance, the API call that created it, its principal, and what else
    that principal did. Each step names the record that supports it; a gap says what the evidence
    lacks. CloudTrail names the credentials that were used, not the person who used them.
    """
    import pandas as pd

    from flowbench.fetch.bucket_layout import parse_time
    from flowbench.investigate import attribution

    time = None if at is None else pd.Timestamp(parse_time(at))
    trace = attribution.trace(common.open_case(case), common.parse_address(address), time)
    out.write(trace.to_pandas(), ["step", "description", "time", "file", "line", "item"])
