"""flowbench pack: a case as one archive."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.cli.files import output_file_option


@click.command()
@common.case_argument
@output_file_option("The archive.  [default: CASE.zip, beside the case]")
@click.option("--with-evidence", is_flag=True, help="Put the evidence files into it.")
@click.option(
    "--pseudonymise",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEYFILE",
    help="Replace account ids, keys, names and resource ids; KEYFILE is made if it does not exist.",
)
def pack(case: Path, output: Path | None, with_evidence: bool, key_file: Path | None) -> None:
    """Pack CASE into one archive.

    A zip file with the SHA-256 of each member, which `flowbench unpack` checks. The cache is left
    out. With --pseudonymise the archive has a case made anew, whose custody log is not that of
    CASE: keep KEYFILE, it gives the same pseudonyms again, and do not send it along.
    """
    from flowbench.case import pack as packs
    from flowbench.case import pseudonyms
    from flowbench.case.outputs import check_output
    from flowbench.errors import InputError

    opened = common.open_case(case)
    target = output or opened.path.absolute().with_name(f"{opened.path.absolute().name}.zip")
    check_output(opened, target)
    if key_file is None:
        packs.pack_case(opened.path, opened.log, target, with_evidence=with_evidence)
    elif with_evidence:
        raise InputError("--pseudonymise cannot change evidence: leave out --with-evidence")
    else:
        pseudonyms.pack_pseudonymised(opened.path, opened.log, target, key_file)
    click.echo(target)
