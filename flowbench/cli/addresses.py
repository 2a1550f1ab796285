"""flowbench addresses: the address inventory of a case, or of what is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options, parse_address
from flowbench.text import escape_controls, format_utc, is_address, list_some

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.investigate.filters import Filters
    from flowbench.investigate.pivot import Pivot

_COLUMNS = (
    "address interface_id service name kinds country network_owner cloud_service names valid_from"
).split()
_MOST_IN_FULL = 12  # rows that a terminal shows with a line for each value


@click.command()
@common.case_argument
@click.argument("wanted", nargs=-1, metavar="[WHAT]…")
@click.option("--external", is_flag=True, help="Only external addresses.")
@filter_options()
@common.limit_option
@common.output_options
def addresses(
    case: Path,
    wanted: tuple[str, ...],
    external: bool,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """List the address inventory of CASE.

    With WHAT: all that is known of it. WHAT is an address, a network (10.0.0.0/24), an interface,
    an instance, the value of a Name tag, a domain (the addresses it resolved to), a user, a role, a
    role session or an access key (the addresses its calls came from). Several hosts of one address
    have a zone (10.0.0.5%vpc-0a1).

    Assignments to interfaces come from the inventory, CloudTrail and the logs; country and network
    owner from the databases loaded as evidence (.mmdb, CSV), else from the registries' allocations;
    cloud and service from the clouds' published ranges and from the logs; names from the Resolver
    query logs. Each value names its data source. --from and --until keep the assignments that held
    in the period, and addresses without one.
    """
    from flowbench.investigate import about

    opened = common.open_case(case)
    pivots = [_resolve(opened, text) for text in wanted]
    inventory = about.addresses(opened, *pivots) if pivots else opened.addresses
    if external:
        inventory = inventory.filter(~inventory.internal)
    if filters.since is not None:
        end = inventory.valid_until
        inventory = inventory.filter(end.isnull() | (end > filters.since))
    if filters.until is not None:
        start = inventory.valid_from
        inventory = inventory.filter(start.isnull() | (start < filters.until))
    rows = inventory.order_by("address", inventory.valid_from.asc(nulls_first=True), "interface_id")
    if pivots and out.is_terminal and inventory.count().execute() <= _MOST_IN_FULL:
        out.write(_transpose(rows.to_pyarrow().to_pylist()))
    else:
        out.write_table(opened, rows, _COLUMNS, limit)
    _note_missing(opened, pivots)


def _resolve(case: Case, text: str) -> Pivot:
    """Return what a text stands for; an address without a zone stands for every host of it."""
    from flowbench.investigate.pivot import Assignment, Pivot, resolve

    if not is_address(text):
        return resolve(case, text)
    address = parse_address(text)
    bare = case.addresses.address.re_replace("%.*", "")
    same = case.addresses.filter(bare == address).select("address").distinct().order_by("address")
    names = {address, *same.to_pyarrow()["address"].to_pylist()}
    return Pivot(address, "address", tuple(map(Assignment, sorted(names))))


def _note_missing(case: Case, pivots: Iterable[Pivot]) -> None:
    """Note what was asked for and has no row: it occurs in no flow record and in no inventory."""
    from flowbench.investigate import about

    for found in pivots:
        named = about.addresses_of(case, found)
        inventory = case.addresses.filter(case.addresses.address.isin(named))
        known = set(inventory.address.to_pyarrow().to_pylist())
        if found.kind == "address" and not known:
            common.note(f"{found.text}: not in this case")
        elif found.kind != "address" and (missing := sorted(set(named) - known)):
            common.note(
                f"{escape_controls(found.text)}: not in the flow logs or an inventory:"
                f" {escape_controls(list_some(missing))}"
            )
        elif not named:
            common.note(f"{escape_controls(found.text)} ({found.kind}): no address in this case")


def _transpose(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a line for each value that is known of an address."""
    import pandas as pd

    lines = [
        (row["address"], name, _format(value))
        for row in rows
        for name, value in row.items()
        if name != "address" and value not in (None, [])
    ]
    return pd.DataFrame(lines, columns=["address", "field", "value"])


def _format(value: object) -> str:
    if isinstance(value, datetime):
        return format_utc(value, seconds=True)
    if isinstance(value, list):  # of words, or of a tag's name and value
        return ", ".join("=".join(item) if isinstance(item, tuple) else item for item in value)
    return str(value)
