"""flowbench hunt: search a case for indicators."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.text import escape_controls, format_count, format_period

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.investigate.filters import Filters
    from flowbench.investigate.hunt import HuntResult

_MAX_UNREADABLE = 20  # lines that are reported
_COLUMNS = (
    "indicator host service_port contacts first_seen kind rejected in_period peer log bytes_out"
    " bytes_in instance_id"
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
@filter_options("peer", "port", "rejected")
@common.limit_option
@common.output_options
def hunt(  # each is an option
    case: Path,
    lists: tuple[Path, ...],
    sql: str | None,
    table: str,
    packet_addresses: bool,
    columns: tuple[str, ...],
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """Search CASE for the indicators in LISTS.

    The lists are read, not loaded into the case. Flow logs, API events and DNS queries are
    searched, also before and after the period in which an indicator is valid. Lines without an
    indicator are skipped and reported. With --sql nothing is searched: the query is printed, to be
    run on flow logs in S3. Exit code 1 if there was contact.
    """
    from flowbench.enrich import athena
    from flowbench.investigate import hunt as hunting
    from flowbench.investigate.indicator_lists import read_lists

    if sql is not None:
        indicators, unreadable = read_lists(lists, case, columns)
        _note_unreadable(unreadable)
        click.echo(
            athena.build_query(indicators, table, packet_addresses=packet_addresses), nl=False
        )
        return
    result = hunting.hunt(common.open_case(case), lists, columns, filters)
    if len(result.contacts) or not out.is_terminal:
        out.write_frame(result.contacts, _COLUMNS, limit)
    _note_result(result)
    if len(result.contacts):
        sys.exit(common.EXIT_PROBLEMS)


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


def _note_unreadable(rows: pd.DataFrame) -> None:
    """Report the first lines of the lists that are skipped, and how many there are."""
    import pandas as pd

    for row in rows.head(_MAX_UNREADABLE).itertuples():
        where = f"{row.file}, line {row.line}" if row.line is not pd.NA else row.file
        common.note(escape_controls(f"skipped: {where}: {row.reason}"))
    if (more := len(rows) - _MAX_UNREADABLE) > 0:
        common.note(f"and {more:,} more of {format_count(len(rows), 'line')} that cannot be read")
