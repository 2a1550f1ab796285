"""flowbench unpack: open an archive of flowbench pack."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@click.argument("archive", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("folder", type=click.Path(path_type=Path))
def unpack(archive: Path, folder: Path) -> None:
    """Unpack the case in ARCHIVE.

    FOLDER must not exist yet. Nothing is written anywhere else, and nothing at all if a file is not
    as the archive's manifest has it.
    """
    from flowbench.case import pack

    path = pack.unpack_case(archive, folder)
    common.note(f"{path}: unpacked. Next: flowbench verify {shlex.quote(str(path))}")
