"""flowbench dns: DNS queries, and connections with and without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options, parse_address
from flowbench.errors import InputError
from flowbench.text import format_count

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case
    from flowbench.investigate.filters import Filters

_QUERIES = "query_time srcaddr name query_type rcode answers"
_RESOLVED = "host address name first_seen last_seen connections bytes_out bytes_in"
_MISSING = (
    "host address service_port first_seen connections answered bytes_out bytes_in last_seen"
    " protocol names"
)


@click.command()
@common.case_argument
@click.option(
    "--resolved", is_flag=True, help="List the names that hosts queried before they connected."
)
@click.option(
    "--missing", is_flag=True, help="List external addresses connected to without a query."
)
@click.option("--host", metavar="ADDRESS", help="Only queries or connections of this host.")
@click.option("--name", metavar="DOMAIN", help="Only queries for this domain and names under it.")
@filter_options("peer")
@common.limit_option
@common.output_options
def dns(
    case: Path,
    resolved: bool,
    missing: bool,
    host: str | None,
    name: str | None,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """List the DNS queries in CASE's Resolver query logs.

    With --resolved: for each host and address that it connected to, the name it had queried last,
    at most a day before.

    With --missing: external addresses that hosts connected to without a query for any name. Only
    hosts with logged queries are covered. Addresses that appear in no logged DNS answer are listed
    first. For the others, the host may have cached the answer or used another resolver.

    --peer is an address in the answers, or the one connected to.
    """
    from flowbench.enrich import dns_names

    if resolved and missing:
        raise InputError("--resolved and --missing exclude each other: choose one")
    if missing and name is not None:
        raise InputError("--name and --missing exclude each other: choose one")
    opened = common.open_case(case)
    if resolved:
        rows, columns = dns_names.resolved_destinations(opened.connections, opened.dns), _RESOLVED
    elif missing:
        rows = dns_names.unresolved_destinations(opened.connections, opened.dns)
        columns = _MISSING
    else:
        rows = opened.dns.order_by("query_time", "srcaddr", "name", "evidence_id", "item")
        columns = _QUERIES
    rows = _filter(rows, host and parse_address(host), name, filters)
    out.write_table(opened, rows, columns.split(), limit)
    if missing:
        _note_hosts_covered(opened)


def _filter(rows: ibis.Table, host: str | None, name: str | None, filters: Filters) -> ibis.Table:
    """Keep the rows of a host, a domain, an address and a period."""
    from flowbench.investigate.filters import filter_period

    is_query = "query_time" in rows.columns
    times = ("query_time", "query_time") if is_query else ("first_seen", "last_seen")
    rows = filter_period(rows, filters, *times)
    if host is not None:
        rows = rows.filter((rows.srcaddr if is_query else rows.host) == host)
    if name is not None:
        domain = name.casefold().strip(".")
        rows = rows.filter((rows.name == domain) | rows.name.endswith(f".{domain}"))
    if filters.peer is not None:
        peer = filters.peer
        rows = rows.filter(rows.answers.contains(peer) if is_query else rows.address == peer)
    return rows


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
