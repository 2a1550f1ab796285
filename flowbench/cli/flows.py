"""flowbench flows: the flow log records of a case."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@click.option("--address", metavar="ADDRESS", help="Only records from or to this address.")
@common.limit_option
@common.output_options
def flows(case: Path, address: str | None, limit: int | None, out: common.Output) -> None:
    """List the flow log records of CASE.

    They are ordered by time, with evidence id and line. Columns have AWS's field names with
    underscores; a field that a record lacks is null.
    """
    from flowbench.schema import record_key

    opened = common.open_case(case)
    table = opened.flows
    if address is not None:
        wanted = common.parse_address(address)
        is_match = table.srcaddr == wanted
        for column in (table.dstaddr, table.pkt_srcaddr, table.pkt_dstaddr):
            is_match |= (column == wanted).fill_null(False)
        table = table.filter(is_match)
    origin = record_key(table.columns)
    columns = "start srcaddr srcport dstaddr dstport protocol bytes action".split()
    out.write_table(opened, table.order_by("start", *origin), [*columns, *origin], limit)
