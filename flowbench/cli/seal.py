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
    help="Sign with this SSH key, or the public key of one that ssh-agent has.",
)
@click.option("--gpg-key", metavar="ID", help="Sign with this key of your GnuPG keyring.")
@click.option(
    "--timestamp",
    metavar="URL",
    help="Get a time stamp from this authority (RFC 3161). It gets a digest, nothing else.",
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

    Writes an anchor: a text file with the digest of the log's last entry. It covers all that was
    done to the case so far. `flowbench verify` says whether the log still has that entry, and
    checks the signatures and time stamps. An anchor without any is worth something where nobody
    who can write the case can change it.
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
    common.note("Keep a copy of these files where nobody who can write the case can change them.")
