"""flowbench connections: the connections of a case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options

if TYPE_CHECKING:
    from flowbench.investigate.filters import Filters


@click.command()
@common.case_argument
@filter_options("peer", "port", "rejected", "where")
@common.limit_option
@common.output_options
def connections(case: Path, filters: Filters, limit: int | None, out: common.Output) -> None:
    """List the connections of CASE.

    A connection joins the records of both directions and all capture windows. They are ordered by
    time. --port is the service port. --where takes a filter expression, such as
    'src in 10.0.0.0/8 and bytes > 1MB and tag:env = prod'.
    """
    from flowbench.connections import TABLE
    from flowbench.investigate.filters import filter_connections

    opened = common.open_case(case)
    table = filter_connections(opened, filters)
    first = ["first_seen", "initiator", "responder", "service_port", "protocol", "initiator_port"]
    rest = [name for name in TABLE.columns if name not in first]
    shown = "first_seen initiator responder service_port protocol bytes_out bytes_in rejected"
    out.write_table(opened, table.order_by(first + rest), shown.split(), limit)
