"""flowbench flows: the flow log records of a case."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common


@click.command()
@common.case_argument
@click.option("--address", metavar="ADDRESS", help="Only records from or to this address or host.")
@common.limit_option
@common.output_options
def flows(case: Path, address: str | None, limit: int | None, out: common.Output) -> None:
    """List the flow log records of CASE.

    They are ordered by time, with evidence id and line. Columns have AWS's field names with
    underscores; a field that a record lacks is null.
    """
    import ibis

    from flowbench.connections.zones import is_host
    from flowbench.schema import record_key

    opened = common.open_case(case)
    table = opened.flows
    if address is not None:
        wanted = common.parse_address(address)
        columns = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
        if "%" in wanted:
            table = table.filter(is_host(table, columns, [wanted], opened.address_zones))
        else:
            table = table.filter(ibis.or_(*(table[name] == wanted for name in columns)))
    origin = record_key(table.columns)
    shown = "start srcaddr srcport dstaddr dstport protocol bytes action".split()
    out.write_table(opened, table.order_by("start", *origin), [*shown, *origin], limit)
