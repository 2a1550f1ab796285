"""flowbench coverage: what the evidence covers, and what logging it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.files import write_figure
from flowbench.cli.filters import filter_options
from flowbench.errors import InputError
from flowbench.text import escape_controls, format_bytes, format_count, format_duration

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.investigate.filters import Filters
    from flowbench.pricing import PriceTable

_COSTS = ("day", "field", "destination", "saving")
_ROWS = ("file", "vpc", "subnet", "interface", "hour", *_COSTS)


@click.command()
@common.case_argument
@click.option(
    "--by",
    type=click.Choice(_ROWS),
    help="What a row is; interfaces without records are listed too. The last four are for --cost."
    "  [default: file; with --cost: day, with prices: destination]",
)
@click.option("--cost", is_flag=True, help="Show what logging costs: volumes; money with prices.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --cost: a dated price table, JSON or CSV.",
)
@click.option(
    "--accept-prices",
    is_flag=True,
    help="With --cost: use flowbench's table of us-east-1, most of whose prices are unverified.",
)
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also draw interfaces by hour, as a page (HTML).",
)
@filter_options()
@common.limit_option
@common.output_options
def coverage(
    case: Path,
    by: str | None,
    cost: bool,
    prices: Path | None,
    accept_prices: bool,
    figure: Path | None,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """Show what CASE covers, or what logging costs.

    By evidence file; or by VPC, subnet, interface or hour.

    Period, records, NODATA, SKIPDATA and duplicates. NODATA: the interface had no traffic in the
    capture window. SKIPDATA: records are missing. Duplicates are records that another file holds
    too (overlapping flow logs); connections count them once.

    With --cost, the volume by day or field, what 30 days cost at each destination, and what changes
    would save. The case has no prices: give a table, or accept flowbench's.
    """
    _check_options(by, cost=cost, has_prices=prices is not None, accept=accept_prices)
    opened = common.open_case(case)
    if cost:
        _show_cost(opened, by, _read_prices(prices, accept=accept_prices), filters, limit, out)
    elif by in (None, "file"):
        _show_files(opened, filters, limit, out)
    else:
        rows = _cover(opened, by, filters)
        out.write_frame(rows, None, limit)
        if by == "interface" and (silent := int((rows["records"] == 0).sum())):
            interfaces = format_count(silent, "interface")
            common.note(f"{interfaces} of the inventory without a record")
    if figure is not None:
        _write_figure(opened, filters, figure)


def _check_options(by: str | None, *, cost: bool, has_prices: bool, accept: bool) -> None:
    """Raise InputError where options do not belong together."""
    if not cost and (has_prices or accept):
        raise InputError("--prices and --accept-prices are for --cost: add it")
    if has_prices and accept:
        raise InputError("--prices and --accept-prices are two price tables: give one")
    if not cost and by in _COSTS:
        raise InputError(f"--by {by} is for --cost: add it")
    if cost and by is not None and by not in _COSTS:
        raise InputError(f"--cost has no rows by {by}: use --by {', '.join(_COSTS)}")


def _show_files(case: Case, filters: Filters, limit: int | None, out: common.Output) -> None:
    from flowbench.case import coverage as cover
    from flowbench.investigate.filters import filter_frame

    rows = cover.coverage_by_file(case.flows, case.evidence)
    rows = filter_frame(rows, filters, "first_seen", "last_seen")
    columns = "file kind records first_seen last_seen nodata skipdata repeated".split()
    out.write_frame(rows, columns, limit)
    if duplicates := int(rows["repeated"].sum()):
        records = format_count(int(rows["records"].sum()), "record")
        common.note(f"{duplicates:,} of {records} are duplicates; connections count them once")


def _cover(case: Case, by: str | None, filters: Filters) -> pd.DataFrame:
    """Return coverage by vpc, subnet, interface or hour."""
    from flowbench.case import coverage_by
    from flowbench.investigate.filters import filter_period

    flows = filter_period(case.flows, filters, "start", "end")
    if by == "hour":
        return coverage_by.by_hour(flows)
    rows = coverage_by.by_interface(flows, case.interfaces, case.table("flow_logs"))
    return rows if by == "interface" else coverage_by.by_group(rows, f"{by}_id")


def _read_prices(path: Path | None, *, accept: bool) -> PriceTable | None:
    from flowbench import pricing

    if path is not None:
        return pricing.read_prices(path)
    return pricing.shipped_prices() if accept else None


def _show_cost(
    case: Case,
    by: str | None,
    prices: PriceTable | None,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    from flowbench import pricing
    from flowbench.investigate.filters import filter_period

    flows = filter_period(case.flows, filters, "start", "end")
    volumes = pricing.measure(case, flows)
    by = by or ("day" if prices is None else "destination")
    if by == "day":
        rows = volumes
    elif by == "field":
        rows = pricing.measure_fields(case, flows)
    elif by == "destination":
        rows = pricing.cost(volumes, prices)
    else:
        rows = pricing.savings(case, prices, flows=flows)
    out.write_frame(rows, None, limit)
    _note_volume(case, volumes)
    _note_prices(prices)


def _note_volume(case: Case, volumes: pd.DataFrame) -> None:
    """Note the volume of 30 days, what it is extrapolated from, and what is not counted."""
    from flowbench import pricing

    for row in pricing.extrapolate(volumes).astype(object).to_dict("records"):
        each = f"{row['flow_log']}: {row['bytes_per_record']:.0f} bytes a record"
        month = "; no record has a start, so no rate is known"
        if row["observed_s"]:
            records = format_count(row["month_records"], "record")
            volume = f"{records}, {format_bytes(row['month_bytes'])}"
            month = f"; 30 days at the rate of {format_duration(row['observed_s'])}: {volume}"
        common.note(escape_controls(each + month))
    evidence = case.evidence
    lines = int(evidence.loc[evidence["kind"] == "flow-logs", "quarantined"].sum())
    if lines:
        common.note(f"{format_count(lines, 'line')} in quarantine not counted")


def _note_prices(prices: PriceTable | None) -> None:
    if prices is None:
        common.note(
            "no prices: give a table with --prices FILE, or accept flowbench's with --accept-prices"
        )
        return
    unverified = sum(row["confidence"] == "unverified" for row in prices.rows)
    check = ": compare them with AWS's price pages before you rely on an amount"
    common.note(
        f"prices of {escape_controls(prices.region)}, {prices.date.isoformat()}, in"
        f" {escape_controls(prices.currency)}: {unverified} of {len(prices.rows)} unverified"
        f"{check if unverified else ''}"
    )
    common.note("not priced: queries (Athena, Logs Insights), encryption keys, transfer, retrieval")


def _write_figure(case: Case, filters: Filters, figure: Path) -> None:
    """Draw interfaces by hour; raise InputError where the page cannot be written."""
    from flowbench import plot
    from flowbench.case import coverage_by
    from flowbench.investigate.filters import filter_period

    cells = coverage_by.by_interface_and_hour(filter_period(case.flows, filters, "start", "end"))
    drawn = plot.coverage(cells, _cover(case, "interface", filters))
    write_figure(drawn, figure, "coverage")
