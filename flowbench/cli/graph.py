"""flowbench graph: who communicated with whom, as a table and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.files import write_figure
from flowbench.cli.filters import filter_options

if TYPE_CHECKING:
    from flowbench.investigate.filters import Filters

_COLUMNS = "source target ports connections rejected bytes_out bytes_in first_seen verdict".split()


@click.command()
@common.case_argument
@click.argument("what", required=False)
@click.option(
    "--level",
    default="address",
    show_default=True,
    metavar="LEVEL",
    help="What a node is: address, interface, instance, subnet, vpc, account, service, country,"
    " 'network owner', or tag:KEY; with WHAT, address or instance.",
)
@click.option(
    "--outsiders",
    default="address",
    show_default=True,
    metavar="GROUP",
    help="How external addresses are grouped: address (not at all), country, 'network owner' or"
    " together. Those with an indicator match that was not rejected, an administrative session or"
    " a call of the AWS API stay alone.",
)
@click.option(
    "--hops",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    metavar="N",
    help="With WHAT: the number of connections away from it.",
)
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also draw the graph, as a page (HTML).",
)
@filter_options("peer", "port", "rejected", "where")
@common.limit_option
@common.output_options
def graph(
    case: Path,
    what: str | None,
    level: str,
    outsiders: str,
    hops: int,
    figure: Path | None,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """Show who communicated with whom in CASE, or near WHAT.

    A row is an edge, from initiator to responder, with the sums of its connections: those with an
    indicator match first, then by bytes. `flowbench export CASE --to graphml` writes the whole
    graph for other tools.

    WHAT is an address, a network (10.0.0.0/24), an interface, an instance, the value of a Name tag,
    a domain, a user, a role, a role session or an access key; of a principal or key, the addresses
    are those that its calls came from.
    """
    from flowbench import plot
    from flowbench.investigate import about

    opened = common.open_case(case)
    found = about.graph(opened, what, level=level, outsiders=outsiders, hops=hops, filters=filters)
    out.write_frame(about.edges(found), _COLUMNS, limit)
    if figure is not None:
        write_figure(plot.network(found), figure, "graph")
