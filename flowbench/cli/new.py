"""flowbench new: create a case."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@click.option("--name", metavar="TEXT", help="Name of the case.  [default: the folder's name]")
def new(case: Path, name: str | None) -> None:
    """Create an empty case in the folder CASE."""
    from flowbench.case import Case

    created = Case.create(case, name)
    command = f"flowbench ingest {shlex.quote(str(created.path))} LOGS…"
    common.note(f"{created.path}: created. Next: {command}")
