"""flowbench addresses: the address inventory of a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.text import format_utc, split_zone

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.investigate.filters import Filters

_COLUMNS = (
    "address interface_id service name kinds country network_owner cloud_service names valid_from"
).split()


@click.command()
@common.case_argument
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]…")
@click.option("--external", is_flag=True, help="Only external addresses.")
@filter_options()
@common.limit_option
@common.output_options
def addresses(
    case: Path,
    addresses: tuple[str, ...],
    external: bool,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """List the address inventory of CASE.

    With ADDRESS: all that is known of it. Several hosts of one address have a zone
    (10.0.0.5%vpc-0a1).

    Assignments to interfaces come from the inventory, CloudTrail and the logs; country and network
    owner from the databases loaded as evidence (.mmdb, CSV), else from the registries' allocations;
    cloud and service from the clouds' published ranges and from the logs; names from the Resolver
    query logs. Each value names its data source. --from and --until keep the assignments that held
    in the period, and addresses without one.
    """
    opened = common.open_case(case)
    wanted = [common.parse_address(text) for text in addresses]
    inventory = opened.addresses
    if wanted:
        inventory = inventory.mutate(bare=inventory.address.re_replace("%.*", ""))
        is_wanted = inventory.address.isin(wanted) | inventory.bare.isin(wanted)
        inventory = inventory.filter(is_wanted).drop("bare")
    if external:
        inventory = inventory.filter(~inventory.internal)
    if filters.since is not None:
        end = inventory.valid_until
        inventory = inventory.filter(end.isnull() | (end > filters.since))
    if filters.until is not None:
        start = inventory.valid_from
        inventory = inventory.filter(start.isnull() | (start < filters.until))
    rows = inventory.order_by("address", inventory.valid_from.asc(nulls_first=True), "interface_id")
    if wanted and out.is_terminal:
        out.write(_transpose(rows.to_pyarrow().to_pylist()))
    else:
        out.write_table(opened, rows, _COLUMNS, limit)
    names = inventory.address.to_pyarrow().to_pylist() if wanted else []
    known = {*names, *(split_zone(name)[0] for name in names)}
    for address in wanted:
        if address not in known:
            common.note(f"{address}: not in this case")


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
