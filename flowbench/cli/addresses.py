"""Commands about addresses: what was reached without a name, where clouds are."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli.base import answers, case_argument, main, open_case


@main.command()
@case_argument
@answers
def unresolved(case: Path, form: str, output: Path | None) -> None:
    """Outside addresses that hosts of CASE reached without looking up any name.

    Only hosts whose look-ups are logged are judged. First come the addresses that no host was ever
    given as an answer; for the others a host's own cache, or another resolver, is likely.
    """
    from flowbench import output as out
    from flowbench.enrich import names

    opened = open_case(case)
    found = names.unresolved(opened.connections, opened.dns)
    out.write(opened.stream(found), form, output)
    p = opened.pairs
    senders = p.filter(p.direction == "outbound", ~p.relay).select(host=p.initiator).distinct()
    judged = senders.semi_join(opened.dns.select(host=opened.dns.srcaddr).distinct(), "host")
    click.echo(
        f"judged: {judged.count().execute()} of {senders.count().execute()} inside hosts that"
        " connected outwards; the look-ups of the others are not logged",
        err=True,
    )


@main.command("cloud-ranges")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder it goes to; flowbench's cache otherwise.",
)
def cloud_ranges(folder: Path | None) -> None:
    """Fetch AWS's list of its address ranges, and print where it is now.

    Ingest it into a case, and the address book tells AWS's services and regions. This asks the
    network: ip-ranges.amazonaws.com.
    """
    from flowbench.enrich import published

    click.echo(published.fetch(folder))
