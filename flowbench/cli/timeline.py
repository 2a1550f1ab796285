"""flowbench timeline: findings, API events, alerts, DNS queries and notes in order."""

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
@click.argument("about", required=False, metavar="[WHAT]")
@click.option("--about", "about_option", metavar="WHAT", help="The same as WHAT.")
@filter_options("peer", "port", "rejected")
@click.option("--unfold", is_flag=True, help="Show a row for each of repeated API events.")
@click.option("--tz", metavar="ZONE", help="Show times in ZONE (Europe/Berlin) beside UTC.")
@common.limit_option
@common.output_options
def timeline(
    case: Path,
    about: str | None,
    about_option: str | None,
    filters: Filters,
    unfold: bool,
    tz: str | None,
    limit: int | None,
    out: common.Output,
) -> None:
    """Show the timeline of CASE, or of WHAT.

    Findings, their first accepted, first rejected and last connections, administrative sessions,
    API events, alerts, DNS queries, notes and decisions, by time. Without WHAT, of the findings of
    high and critical severity, and of what these lead to: linked hosts, hosts with severe alerts,
    other calls of the same principals and addresses.

    WHAT is an address, a network (10.0.0.0/24), an interface, an instance, the value of a Name tag,
    a domain, a user, a role, a role session or an access key. name:web-1 and principal:web-1 choose
    between several meanings.
    """
    from flowbench.investigate import pivot
    from flowbench.investigate import timeline as timelines

    opened = common.open_case(case)
    wanted = about if about is not None else about_option
    found = None if wanted is None else pivot.resolve(opened, wanted)
    rows = timelines.build(opened, about=found, filters=filters, unfold=unfold)
    if tz is not None:
        rows = timelines.add_local_time(rows, tz)
    if rows.empty and found is None:
        common.note("nothing to show; `flowbench timeline CASE WHAT` shows an address, a user, …")
    columns = ["time", "severity", "activity", "detail", "data_source", "end", "evidence"]
    if tz is not None:
        columns.insert(1, "local_time")
    out.write_frame(rows, columns, limit)
