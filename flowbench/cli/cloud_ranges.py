"""flowbench cloud-ranges: download AWS's published address ranges."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("cloud-ranges")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Folder for the file.  [default: flowbench's cache]",
)
def cloud_ranges(folder: Path | None) -> None:
    """Download AWS's list of its address ranges.

    The path of the file is printed. Ingest it into a case, and the case's addresses show AWS
    services and regions. Uses the network:
    ip-ranges.amazonaws.com.
    """
    from flowbench.fetch import cloud_ranges as published

    click.echo(published.fetch(folder))
