"""Retrospective hunt: contacts with a new list of indicators in the evidence that is loaded.

The list is read, not loaded: the case stays as it is. Flow logs, CloudTrail's source addresses and
DNS queries are searched; contacts outside the period in which an indicator is valid are shown too,
and counted separately.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.enrich.indicators import (
    find_special_purpose_indicators,
    is_answer_valid,
    is_in_period,
    match_indicators,
)
from flowbench.investigate.filters import Filters, filter_api_events, filter_period
from flowbench.investigate.indicator_lists import read_lists
from flowbench.loaders.intel.indicators import ALLOW
from flowbench.schema import Table, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

CONTACTS = Table.of(
    "contacts",
    ("indicator", "string", "the indicator: address, network or domain"),
    ("kind", "string", "its kind in the list"),
    ("feed", "string", "the feed that has it; untrusted text"),
    ("log", "string", "the log that shows the contact: flows, api or dns"),
    ("host", "string", "the other address of the connection, or the one that queried; api: null"),
    ("interface_id", "string", "the interface that recorded it"),
    ("instance_id", "string", "the instance of the interface, if inventory or log name it"),
    ("peer", "string", "the address that the indicator covers; dns: the name queried"),
    ("service_port", "int32", "service port"),
    ("protocol", "int32", "IANA protocol number"),
    ("direction", "string", "inbound, outbound, internal or external"),
    ("first_seen", "time", "start of the first contact"),
    ("last_seen", "time", "end of the last"),
    ("contacts", "int64", "connections, API events or DNS queries"),
    ("in_period", "int64", "of these, those in the period in which the indicator is valid"),
    ("answered", "int64", "answered connections"),
    ("rejected", "int64", "rejected connections"),
    ("bytes_out", "int64", "bytes from host to peer"),
    ("bytes_in", "int64", "bytes from peer to host"),
    ("allowed", "string", "allow lists that have the peer"),
)

_EVERYTHING = Filters()
_KEY = ["indicator", "kind", "feed"]
_ORDER = [
    "first_seen",
    "log",
    *_KEY,
    "host",
    "interface_id",
    "peer",
    "service_port",
    "protocol",
    "direction",
]


@dataclass(frozen=True)
class HuntResult:
    """The result of a hunt.

    Attributes:
        contacts: Rows of CONTACTS, by first contact.
        indicators: The number of indicators in the lists.
        unreadable: The lines of the lists that could not be read (indicator_lists.UNREADABLE).
        special_purpose: Indicators that cover special-purpose addresses
            (enrich.indicators.SPECIAL_PURPOSE_INDICATORS).
        searched: The logs that were searched: log, records, first_seen, last_seen.
    """

    contacts: pd.DataFrame
    indicators: int
    unreadable: pd.DataFrame
    special_purpose: pd.DataFrame
    searched: pd.DataFrame


def hunt(
    case: Case,
    paths: Iterable[Path],
    columns: Iterable[str] = (),
    filters: Filters = _EVERYTHING,
) -> HuntResult:
    """Find every contact in the case's logs with the indicators of some lists.

    Args:
        case: The case; it is not changed.
        paths: Indicator lists.
        columns: Names of the columns of CSV lists, as in ``Case.ingest``.
        filters: Which connections, API events and DNS queries are searched. A peer is either
            address of a connection, the caller of an API, or the host that queried.

    Raises:
        InputError: A path is not an indicator list.
    """
    rows, unreadable = read_lists(paths, case.path, columns)
    indicators = ibis.memtable(rows)
    flow_contacts, flow_allowed = _search_flows(case, indicators, filters)
    api_contacts, api_allowed = _search_api_events(case, indicators, filters)
    parts = [flow_contacts, api_contacts, _search_dns(case, indicators, filters)]
    contacts = to_frame(pa.concat_tables(parts)).sort_values(_ORDER, ignore_index=True)
    contacts["allowed"] = contacts["peer"].map(flow_allowed | api_allowed)
    return HuntResult(
        contacts[CONTACTS.columns],
        rows.num_rows,
        unreadable,
        to_frame(find_special_purpose_indicators(case.connection_summaries, indicators)),
        _summarize_logs(case),
    )


def _search_flows(
    case: Case, indicators: ibis.Table, filters: Filters
) -> tuple[pa.Table, dict[str, str]]:
    """Connections with addresses that indicators cover; and the allow lists of addresses."""
    matches = match_indicators(case.connection_summaries, indicators, case.dns, case.connections)
    columns = [*_KEY, "valid_from", "valid_until", "resolved_from", "resolved_until"]
    m = ibis.memtable(matches).filter(_.kind != ALLOW)
    m = m.select(*columns, peer=m.address).distinct()
    key = ["host", "interface_id", "peer", "service_port", "protocol", "direction"]
    j = _both_ends(_filter_connections(case.connections, filters)).inner_join(m, "peer")
    if filters.peer is not None:
        j = j.filter((j.host == filters.peer) | (j.peer == filters.peer))
    j = j.filter(is_answer_valid(j)).mutate(within=is_in_period(j))
    found = j.group_by([*_KEY, *key]).aggregate(
        first_seen=j.first_seen.min(),
        last_seen=j.last_seen.max(),
        contacts=j.count(),
        in_period=j.count(where=j.within),
        answered=j.count(where=j.answered),
        rejected=j.count(where=j.rejected),
        bytes_out=j.sent.sum().cast("int64"),
        bytes_in=j.received.sum().cast("int64"),
    )
    listed = case.interfaces.filter(_.instance_id.notnull()).select("interface_id", "instance_id")
    logged = case.flows.filter(_.instance_id.notnull()).select("interface_id", "instance_id")
    by_interface = listed.union(logged).group_by("interface_id")
    instances = by_interface.aggregate(instance_id=_.instance_id.min())
    found = found.left_join(instances, "interface_id")
    return _to_contacts(found, log="flows"), _allow_lists(matches)


def _filter_connections(connections: ibis.Table, filters: Filters) -> ibis.Table:
    connections = filter_period(connections, filters, "first_seen", "last_seen")
    if filters.ports:
        connections = connections.filter(connections.service_port.isin(filters.ports))
    return connections.filter(connections.rejected) if filters.rejected else connections


def _both_ends(connections: ibis.Table) -> ibis.Table:
    """Each connection twice: from either end, the other being the peer."""
    shared = ["interface_id", "service_port", "protocol", "direction", "first_seen", "last_seen"]
    views = [
        connections.select(
            *shared,
            "answered",
            "rejected",
            peer=connections[peer],
            host=connections[host],
            sent=connections[sent],
            received=connections[received],
        )
        for peer, host, sent, received in (
            ("responder", "initiator", "bytes_out", "bytes_in"),
            ("initiator", "responder", "bytes_in", "bytes_out"),
        )
    ]
    return views[0].union(views[1])


def _search_api_events(
    case: Case, indicators: ibis.Table, filters: Filters
) -> tuple[pa.Table, dict[str, str]]:
    """API events from addresses that indicators cover; and the allow lists of addresses."""
    events = filter_api_events(case, filters).filter(_.source_ip.notnull())
    calls = events.select(
        address=events.source_ip, first_seen=events.event_time, last_seen=events.event_time
    )
    both_ends = calls.mutate(initiator=calls.address, responder=calls.address)
    matches = match_indicators(both_ends, indicators, case.dns.limit(0))
    m = ibis.memtable(matches).filter(_.kind != ALLOW)
    m = m.select(*_KEY, "valid_from", "valid_until", peer=m.address).distinct()
    j = calls.rename(peer="address").inner_join(m, "peer")
    return _to_contacts(_count_contacts(j, ["peer"]), log="api"), _allow_lists(matches)


def _search_dns(case: Case, indicators: ibis.Table, filters: Filters) -> pa.Table:
    """Queries for domains of the lists and their subdomains, answered or not."""
    domains = indicators.filter(indicators.type == "domain", indicators.kind != ALLOW)
    queries = filter_period(case.dns, filters, "query_time", "query_time")
    if filters.peer is not None:
        queries = queries.filter(queries.srcaddr == filters.peer)
    if filters.ports or filters.rejected:  # a query has neither
        queries = queries.limit(0)
    names = queries.filter(_.name.notnull()).select("name").distinct().to_pyarrow()["name"]
    parents = [(name, parent) for name in names.to_pylist() for parent in _parent_domains(name)]
    names_and_parents = ibis.memtable(
        pa.table(
            {
                "name": pa.array([name for name, _parent in parents], pa.string()),
                "indicator": pa.array([parent for _name, parent in parents], pa.string()),
            }
        )
    )
    wanted = domains.select(*_KEY, "valid_from", "valid_until").distinct()
    j = queries.inner_join(names_and_parents, "name").inner_join(wanted, "indicator")
    j = j.mutate(first_seen=j.query_time, last_seen=j.query_time, host=j.srcaddr, peer=j.name)
    return _to_contacts(_count_contacts(j, ["host", "instance_id", "peer"]), log="dns")


def _count_contacts(joined: ibis.Table, key: list[str]) -> ibis.Table:
    """Count events joined with indicators, by indicator and ``key``."""
    grouped = joined.mutate(within=is_in_period(joined)).group_by([*_KEY, *key])
    return grouped.aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        contacts=_.count(),
        in_period=_.count(where=_.within),
    )


def _parent_domains(name: str) -> list[str]:
    """A name and the domains that it belongs to."""
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(len(labels))]


def _allow_lists(matches: pa.Table) -> dict[str, str]:
    """The allow lists that have each address."""
    feeds: dict[str, set[str]] = {}
    for row in matches.select(["address", "kind", "feed"]).to_pylist():
        if row["kind"] == ALLOW:
            feeds.setdefault(row["address"], set()).add(row["feed"])
    return {address: "; ".join(sorted(names)) for address, names in feeds.items()}


def _to_contacts(found: ibis.Table, *, log: str) -> pa.Table:
    """Complete the columns of CONTACTS, those that a log lacks with nulls."""
    rows = found.mutate(log=ibis.literal(log)).to_pyarrow()
    columns = {
        f.name: rows[f.name].cast(f.type)
        if f.name in rows.column_names
        else pa.nulls(rows.num_rows, f.type)
        for f in CONTACTS.arrow
    }
    return pa.table(columns, schema=CONTACTS.arrow)


def _summarize_logs(case: Case) -> pd.DataFrame:
    """The logs that were searched, also those without records."""
    rows = []
    for log, table, first, last in (
        ("flows", case.flows, "start", "end"),
        ("api", case.api_events, "event_time", "event_time"),
        ("dns", case.dns, "query_time", "query_time"),
    ):
        summary = table.aggregate(
            records=table.count(), first_seen=table[first].min(), last_seen=table[last].max()
        )
        rows += [{"log": log} | row for row in summary.to_pyarrow().to_pylist()]
    return pd.DataFrame(rows, columns=["log", "records", "first_seen", "last_seen"])
