"""flowbench seal: an anchor of the custody log, signed or time-stamped."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common

if TYPE_CHECKING:
    from flowbench.case.seal import Signer


@click.command()
@common.case_argument
@click.option(
    "--ssh-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Sign with this SSH key: a private key, or the public key of one in ssh-agent.",
)
@click.option("--gpg-key", metavar="ID", help="Sign with this key of your GnuPG keyring.")
@click.option(
    "--timestamp",
    metavar="URL",
    help="Get a time stamp from this authority (RFC 3161). Only a digest is sent.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where to write the anchor.  [default: CASE/seals]",
)
def seal(
    case: Path,
    ssh_key: Path | None,
    gpg_key: str | None,
    timestamp: str | None,
    output: Path | None,
) -> None:
    """Seal the custody log of CASE.

    Writes an anchor: a text file with the digest of the log's last entry, which covers all entries
    before it. `flowbench verify` checks that the log still has that entry, and checks signatures
    and time stamps. Keep an unsigned anchor where those with write access to the case cannot change
    it.
    """
    from flowbench.case import seal as seals
    from flowbench.case import seal_programs
    from flowbench.fetch.time_stamps import request_time_stamp

    opened = common.open_case(case)
    signers: list[Signer] = []
    if ssh_key is not None:
        signers.append(partial(seal_programs.sign_with_ssh, key=ssh_key))
    if gpg_key is not None:
        signers.append(partial(seal_programs.sign_with_gpg, key=gpg_key))
    if timestamp is not None:
        request = partial(request_time_stamp, timestamp)
        signers.append(partial(seal_programs.stamp, request=request))
    head = opened.log.head
    for path in seals.seal_case(opened.path, opened.log, opened.name, signers, output):
        click.echo(path)
    common.note(f"sealed: head {head}")
    common.note("Keep a copy where those with write access to the case cannot change it.")
