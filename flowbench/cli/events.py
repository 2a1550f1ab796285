"""flowbench events: the API events of a case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.errors import InputError

if TYPE_CHECKING:
    from flowbench.investigate.filters import Filters

_COLUMNS = (
    "event_time event_name principal_name error_code source_ip access_key_id event_source"
    " aws_region event_id"
).split()


@click.command()
@common.case_argument
@click.option(
    "--principal",
    "principals",
    multiple=True,
    metavar="NAME",
    help="Only calls of this principal: user, role, role/session, root or ARN (repeatable).",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Only calls with this access key, and the call that returned it (repeatable).",
)
@click.option(
    "--event",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this API call; 'Create*' for all that begin so (repeatable).",
)
@click.option(
    "--error",
    "errors",
    multiple=True,
    metavar="CODE",
    help="Only calls that failed with this error; '*Denied*' for all that contain it (repeatable).",
)
@filter_options("peer", "rejected")
@common.limit_option
@common.output_options
def events(  # each is an option
    case: Path,
    principals: tuple[str, ...],
    keys: tuple[str, ...],
    names: tuple[str, ...],
    errors: tuple[str, ...],
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """List the API events of CASE's CloudTrail logs.

    They are ordered by time, with evidence id and line. --peer is the caller's address; --rejected
    are the calls that failed, with any error.
    """
    from flowbench.investigate.filters import filter_api_events
    from flowbench.schema import record_key

    for option, values in (
        ("--principal", principals),
        ("--key", keys),
        ("--event", names),
        ("--error", errors),
    ):
        if "" in values:
            raise InputError(f"{option} is empty: give a value, or leave it out")
    opened = common.open_case(case)
    if not opened.has("api_events"):
        common.note("the case has no API events: load CloudTrail logs")
    table = filter_api_events(
        opened, filters, keys=keys, principals=principals, names=names, errors=errors
    )
    origin = record_key(table.columns)
    ordered = table.order_by("event_time", "event_id", *origin)
    out.write_table(opened, ordered, [*_COLUMNS, *origin], limit)
