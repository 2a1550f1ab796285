"""flowbench flows: the flow log records of a case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options, parse_address

if TYPE_CHECKING:
    from flowbench.investigate.filters import Filters


@click.command()
@common.case_argument
@click.option("--address", metavar="ADDRESS", help="Only records from or to this address or host.")
@filter_options("peer", "port", "rejected", "where")
@common.limit_option
@common.output_options
def flows(
    case: Path, address: str | None, filters: Filters, limit: int | None, out: common.Output
) -> None:
    """List the flow log records of CASE.

    They are ordered by time, with evidence id and line. Columns have AWS's field names with
    underscores; a field that a record lacks is null. With --address and --peer: the records between
    the two. --port is the source or destination port. --where takes a filter expression.
    """
    from flowbench.investigate.filters import filter_flows
    from flowbench.schema import record_key

    opened = common.open_case(case)
    wanted = None if address is None else parse_address(address)
    table = filter_flows(opened, filters, wanted)
    origin = record_key(table.columns)
    shown = "start srcaddr srcport dstaddr dstport action protocol bytes packets".split()
    out.write_table(opened, table.order_by("start", *origin), [*shown, *origin], limit)
