"""Commands about addresses: who is this, what was reached without a name, where clouds are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowbench.cli.common import answers, canonical, case_argument, main, open_case

if TYPE_CHECKING:
    import ibis
    import pandas as pd

    from flowbench.case import Case

_SHOWN = 200  # rows that a terminal gets unasked


@main.command()
@case_argument
@click.argument("wanted", nargs=-1, metavar="[ADDRESS]…")
@click.option("--outside", is_flag=True, help="Only addresses that are nobody's of the case's own.")
@click.option("--limit", type=click.IntRange(1), help="At most so many; 200 on a terminal.")
@answers
def addresses(
    case: Path,
    wanted: tuple[str, ...],
    outside: bool,
    limit: int | None,
    form: str,
    output: Path | None,
) -> None:
    """Who is who in CASE: the address book, or all that is known of each ADDRESS.

    Whose an address is comes from the inventory and the logs; country and network owner from the
    databases loaded as evidence (.mmdb, CSV), else from what the registries assigned; cloud and
    service from the clouds' own lists and from the logs; names from the Resolver query logs. Each
    answer names its source.
    """
    from flowbench.cli import output as out

    opened = open_case(case)
    asked = [canonical(text) for text in wanted]
    book = opened.addresses
    if asked:
        book = book.filter(book.address.isin(asked))
    if outside:
        book = book.filter(~book.internal)
    rows = book.order_by("address", book.valid_from.asc(nulls_first=True), "interface_id")
    if not asked or form != "table" or output is not None:
        shown = [
            "address", "valid_from", "interface_id", "service", "name", "country", "network_owner",
            "cloud_service", "names", "kinds",
        ]  # fmt: skip
        _write(opened, rows, limit, form, output, shown)
    else:
        out.write(_one_by_one(rows.to_pyarrow().to_pylist()), form)
    seen = set(book.address.to_pyarrow().to_pylist()) if asked else set()
    for address in asked:
        if address not in seen:
            click.echo(f"{address}: not in this case", err=True)


@main.command()
@case_argument
@click.option("--limit", type=click.IntRange(1), help="At most so many; 200 on a terminal.")
@answers
def unresolved(case: Path, limit: int | None, form: str, output: Path | None) -> None:
    """Outside addresses that hosts of CASE reached without looking up any name.

    Only hosts whose look-ups are logged are judged. First come the addresses that no host was ever
    given as an answer; for the others a host's own cache, or another resolver, is likely.
    """
    from flowbench.enrich import dns_names

    opened = open_case(case)
    found = dns_names.unresolved(opened.connections, opened.dns)
    _write(opened, found, limit, form, output)
    p = opened.connection_summaries
    senders = (
        p.filter(p.direction == "outbound", ~p.intermediate).select(host=p.initiator).distinct()
    )
    judged = senders.semi_join(opened.dns.select(host=opened.dns.srcaddr).distinct(), "host")
    click.echo(
        f"judged: {judged.count().execute()} of {senders.count().execute()} inside hosts that"
        " connected outwards; the look-ups of the others are not logged",
        err=True,
    )


@main.command()
@case_argument
@click.option("--limit", type=click.IntRange(1), help="At most so many; 200 on a terminal.")
@answers
def resolved(case: Path, limit: int | None, form: str, output: Path | None) -> None:
    """The names that hosts of CASE looked up before they connected.

    For each host and address the name it had asked for last, at most a day before; what a host's
    own cache or another resolver answered is not in the logs.
    """
    from flowbench.enrich import dns_names

    opened = open_case(case)
    _write(opened, dns_names.used(opened.connections, opened.dns), limit, form, output)


@main.command("cloud-ranges")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder it goes to; flowbench's cache otherwise.",
)
def cloud_ranges(folder: Path | None) -> None:
    """Fetch AWS's list of its address ranges, and print where it is now.

    Ingest it into a case, and the address book tells AWS's services and regions. This asks the
    network: ip-ranges.amazonaws.com.
    """
    from flowbench.fetch import cloud_ranges as published_ranges

    click.echo(published_ranges.fetch(folder))


def _write(
    case: Case,
    rows: ibis.Table,
    limit: int | None,
    form: str,
    output: Path | None,
    columns: list[str] | None = None,
) -> None:
    """The rows, of which a terminal gets the first _SHOWN unless more are asked for."""
    from flowbench.cli import output as out

    cut = limit or (_SHOWN if form == "table" and output is None else None)
    out.write(case.stream(rows.limit(cut) if cut else rows), form, output, columns=columns)
    if limit is None and cut and (count := rows.count().execute()) > cut:
        click.echo(f"{cut} of {count:,}; --limit or --format for more", err=True)


def _one_by_one(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Each row of the book with a line for everything that is known."""
    import pandas as pd

    lines = [
        (row["address"], field, _text(value))
        for row in rows
        for field, value in row.items()
        if field != "address" and value not in (None, [])
    ]
    return pd.DataFrame(lines, columns=["address", "what", "value"])


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list):  # of words, or of a tag's name and value
        return ", ".join("=".join(one) if isinstance(one, tuple) else one for one in value)
    return str(value)
