"""flowbench verify: check a case against its digests."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flowbench.cli.common import (
    EXIT_PROBLEMS,
    Output,
    case_argument,
    note,
    open_case,
    output_options,
)


@click.command()
@case_argument
@output_options
def verify(case: Path, out: Output) -> None:
    """Check CASE against the digests taken at loading.

    Evidence, tables and custody log are read again. Exit code 1 if anything does not match.
    """
    checks = open_case(case).verify()
    failed = checks[~checks["ok"]]
    if not out.is_terminal:
        out.write(checks)
    elif len(failed):
        out.write(failed, columns=["what", "name", "detail"])
    counts = checks["what"].value_counts().sort_index().items()
    checked = ", ".join(f"{count:,} {what}" for what, count in counts)
    note(f"checked {checked}: {f'{len(failed):,} failed' if len(failed) else 'all match'}")
    if len(failed):
        sys.exit(EXIT_PROBLEMS)
