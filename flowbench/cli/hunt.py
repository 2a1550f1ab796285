"""flowbench hunt: search a case for indicators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.text import escape_controls, format_count, format_period

if TYPE_CHECKING:
    from flowbench.investigate.hunt import HuntResult

_COLUMNS = (
    "first_seen indicator kind log host instance_id peer service_port contacts in_period "
    "rejected bytes_out bytes_in"
).split()


@click.command()
@common.case_argument
@click.argument("lists", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--sql", type=click.Choice(["athena"]), help="Print the query as SQL instead.")
@click.option(
    "--table",
    default="vpc_flow_logs",
    show_default=True,
    metavar="NAME",
    help="With --sql: the table.",
)
@click.option(
    "--packet-addresses",
    is_flag=True,
    help="With --sql: also compare pkt_srcaddr and pkt_dstaddr (version 3).",
)
@click.option("--columns", multiple=True, metavar="MAP", help=common.COLUMNS_HELP)
@common.output_options
def hunt(
    case: Path,
    lists: tuple[Path, ...],
    sql: str | None,
    table: str,
    packet_addresses: bool,
    columns: tuple[str, ...],
    out: common.Output,
) -> None:
    """Search CASE for the indicators in LISTS.

    The lists are read, not loaded into the case. Flow logs, API events and DNS queries are
    searched, also before and after the period in which an indicator is valid. With --sql nothing is
    searched: the query is printed, to be run on flow logs in S3.
    """
    from flowbench.enrich import athena
    from flowbench.investigate import hunt as hunting

    if sql is not None:
        indicators, unreadable = hunting.read_lists(lists, case, columns)
        _note_unreadable(unreadable)
        click.echo(
            athena.build_query(indicators, table, packet_addresses=packet_addresses), nl=False
        )
        return
    result = hunting.hunt(common.open_case(case), lists, columns)
    if len(result.contacts) or not out.is_terminal:
        out.write(result.contacts, _COLUMNS)
    _note_result(result)


def _note_result(result: HuntResult) -> None:
    """Note how many indicators had contact, and what was searched."""
    contacts = result.contacts["indicator"].nunique()
    found = f"contact with {contacts:,}" if contacts else "no contact with any"
    common.note(f"{found} of {format_count(result.indicators, 'indicator')}; searched:")
    for log in result.searched.itertuples():
        period = f", {format_period(log.first_seen, log.last_seen)}" if log.records else ""
        common.note(f"  {log.log}: {format_count(log.records, 'record')}{period}")
    _note_unreadable(result.unreadable)
    for row in result.special_purpose.itertuples():
        common.note(
            f"{escape_controls(row.indicator)} covers"
            f" {format_count(row.addresses, 'address', 'addresses')} of the case and is ignored for"
            f" them: {row.reason}"
        )


def _note_unreadable(count: int) -> None:
    if count:
        common.note(f"{format_count(count, 'line')} of the lists cannot be read and are skipped")
