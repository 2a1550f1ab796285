"""flowbench why: why X cannot reach a port of Y."""

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
@click.argument("x")
@click.argument("y")
@click.argument("port", type=click.IntRange(0, 65_535), required=False)
@click.option(
    "--protocol",
    type=click.Choice(["tcp", "udp", "icmp"]),
    default="tcp",
    show_default=True,
    help="Protocol; ICMP has no PORT.",
)
@filter_options()
@common.output_options
def why(
    case: Path,
    x: str,
    y: str,
    port: int | None,
    protocol: str,
    filters: Filters,
    out: common.Output,
) -> None:
    """Explain why X cannot reach PORT of Y.

    X and Y are addresses, interfaces, instances or Name tags, external addresses too; Y may be a
    network in CIDR form. Records at both ends are compared with recorded security groups, network
    ACLs and route tables. Each cause has a confidence and one command that would settle it;
    flowbench does not run it.
    """
    from flowbench.investigate import reachability

    found = reachability.explain(
        common.open_case(case),
        x,
        y,
        port,
        protocol=protocol,
        since=filters.since,
        until=filters.until,
    )
    if out.is_terminal:
        click.echo(found.to_text())
    else:
        out.write(found.to_pandas())
