"""The command for the day on which a new indicator list comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli.common import COLUMNS, answers, case_argument, main, open_case

if TYPE_CHECKING:
    from flowbench.investigate.hunt import Hunted


@main.command()
@case_argument
@click.argument("lists", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--sql", type=click.Choice(["athena"]), help="Print the question as SQL instead.")
@click.option("--table", default="vpc_flow_logs", show_default=True, help="With --sql: the table.")
@click.option(
    "--packet-addresses",
    is_flag=True,
    help="With --sql: ask pkt_srcaddr and pkt_dstaddr (version 3), the ends behind gateways.",
)
@click.option("--columns", multiple=True, metavar="MAP", help=COLUMNS)
@answers
def hunt(
    case: Path,
    lists: tuple[Path, ...],
    sql: str | None,
    table: str,
    packet_addresses: bool,
    columns: tuple[str, ...],
    form: str,
    output: Path | None,
) -> None:
    """Who in CASE was ever in touch with what these indicator LISTS name?

    The lists are read, not loaded: the case stays as it is. Flow logs, API calls and look-ups are
    asked, inside and outside the time for which an indicator holds. With --sql nothing is asked:
    the same question is printed for flow logs that lie in S3.
    """
    from flowbench.cli import output as out
    from flowbench.enrich import athena
    from flowbench.investigate import hunt as hunting

    if sql is not None:
        rows, refused = hunting.read(lists, case, columns)
        if refused:
            click.echo(f"{refused:,} lines of the lists cannot be read and are left out", err=True)
        click.echo(athena.sql(rows, table, packet_addresses=packet_addresses), nl=False)
        return
    found = hunting.hunt(open_case(case), lists, columns)
    shown = [
        "first_seen", "indicator", "kind", "log", "host", "instance_id", "peer", "service_port",
        "contacts", "in_period", "refused", "bytes_out", "bytes_in",
    ]  # fmt: skip
    if len(found.contacts) or form != "table":
        out.write(found.contacts, form, output, columns=shown)
    _say(found)


def _say(found: Hunted) -> None:
    from flowbench.text import escape_controls

    rows = found.contacts
    some = f"contact with {rows['indicator'].nunique():,}" if len(rows) else "no contact with any"
    click.echo(f"{some} of {found.indicators:,} indicators; looked at:", err=True)
    for log in found.looked_at.itertuples():
        when = (
            f", {log.first_seen:%Y-%m-%d %H:%M} to {log.last_seen:%Y-%m-%d %H:%M} UTC"
            if log.records
            else ""
        )
        click.echo(f"  {log.log}: {log.records:,} records{when}", err=True)
    if found.refused:
        click.echo(
            f"{found.refused:,} lines of the lists cannot be read and were left out", err=True
        )
    for row in found.ignored.itertuples():
        click.echo(
            f"{escape_controls(row.indicator)} covers {row.addresses:,} addresses seen, and was"
            f" ignored for"
            f" them: {row.reason}",
            err=True,
        )
