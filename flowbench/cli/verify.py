"""flowbench verify: check a case against its recorded hashes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@common.output_options
def verify(case: Path, out: common.Output) -> None:
    """Check CASE against the SHA-256 hashes recorded at ingest.

    Evidence, tables and custody log are read again. Exit code 1 if anything does not match.
    """
    checks = common.open_case(case).verify()
    failed = checks[~checks["ok"]]
    if not out.is_terminal:
        out.write(checks)
    elif len(failed):
        out.write(failed, columns=["what", "name", "detail"])
    counts = checks["what"].value_counts().sort_index().items()
    checked = ", ".join(f"{count:,} {what}" for what, count in counts)
    common.note(f"checked {checked}: {f'{len(failed):,} failed' if len(failed) else 'all match'}")
    if len(failed):
        sys.exit(common.EXIT_PROBLEMS)
