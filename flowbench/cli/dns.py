"""flowbench dns: DNS queries, and connections with and without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.errors import InputError
from flowbench.text import format_count

if TYPE_CHECKING:
    from flowbench.case import Case


@click.command()
@common.case_argument
@click.option(
    "--resolved", is_flag=True, help="List the names that hosts queried before they connected."
)
@click.option(
    "--missing", is_flag=True, help="List external addresses connected to without a query."
)
@click.option("--host", metavar="ADDRESS", help="Only queries or connections of this host.")
@common.limit_option
@common.output_options
def dns(
    case: Path,
    resolved: bool,
    missing: bool,
    host: str | None,
    limit: int | None,
    out: common.Output,
) -> None:
    """List the DNS queries in CASE's Resolver query logs.

    With --resolved: for each host and address that it connected to, the name it had queried last,
    at most a day before.

    With --missing: external addresses that hosts connected to without a query for any name. Only
    hosts with logged queries are covered. Addresses that appear in no logged DNS answer are listed
    first. For the others, the host may have cached the answer or used another resolver.
    """
    from flowbench.enrich import dns_names

    if resolved and missing:
        raise InputError("--resolved and --missing exclude each other: choose one")
    opened = common.open_case(case)
    columns: list[str] | None = None
    if resolved:
        rows, host_column = dns_names.resolved_destinations(opened.connections, opened.dns), "host"
    elif missing:
        rows = dns_names.unresolved_destinations(opened.connections, opened.dns)
        host_column = "host"
    else:
        rows = opened.dns.order_by("query_time", "srcaddr", "name", "evidence_id", "item")
        host_column = "srcaddr"
        columns = ["query_time", "srcaddr", "name", "query_type", "rcode", "answers"]
    if host is not None:
        rows = rows.filter(rows[host_column] == common.parse_address(host))
    out.write_table(opened, rows, columns, limit)
    if missing:
        _note_hosts_covered(opened)


def _note_hosts_covered(case: Case) -> None:
    """Note for how many of the hosts with outbound connections queries are logged."""
    summaries = case.connection_summaries
    is_outbound = (summaries.direction == "outbound") & ~summaries.intermediate
    hosts = summaries.filter(is_outbound).select(host=summaries.initiator).distinct()
    covered = hosts.semi_join(case.dns.select(host=case.dns.srcaddr).distinct(), "host")
    count, total = (table.count().execute() for table in (covered, hosts))
    rest = "; the others have no logged queries" if count < total else ""
    internal = format_count(total, "internal host")
    common.note(f"covered: {count:,} of {internal} with outbound connections{rest}")
