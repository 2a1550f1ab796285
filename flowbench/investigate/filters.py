"""Filters of what a case lists: by period, address, port, and whether it was rejected.

Each filter has one meaning for every kind of row. A period keeps the rows that overlap it. A peer
is the other address, or the caller's. Rejected are connections with the action REJECT, and API
events with an error. Rows without the filtered value are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np

from flowbench.connections.zones import is_host
from flowbench.detect import Finding, Findings
from flowbench.enrich.namesakes import recorded_name
from flowbench.errors import InputError
from flowbench.investigate import where
from flowbench.text import format_utc

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case

_ENDS = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")


@dataclass(frozen=True)
class Filters:
    """Which rows are wanted; all by default.

    Attributes:
        since: Start of the period, UTC.
        until: Its end, exclusive.
        peer: An address, as the case spells it.
        ports: Service ports; of a flow record, either port.
        rejected: Only what was rejected or failed.
        where: A filter expression for connections and flow records; see investigate.where.

    Raises:
        InputError: The period ends before it starts.
    """

    since: datetime | None = None
    until: datetime | None = None
    peer: str | None = None
    ports: tuple[int, ...] = ()
    rejected: bool = False
    where: where.Expression = where.EVERYTHING

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise InputError(
                f"the period is empty: it starts at {format_utc(self.since, seconds=True)} and ends"
                f" before {format_utc(self.until, seconds=True)}"
            )

    def overlaps(self, first: datetime | None, last: datetime | None = None) -> bool:
        """Whether something that happened from ``first`` to ``last`` is in the period."""
        if first is None:
            return self.since is None and self.until is None
        last = last or first
        return (self.since is None or last >= self.since) and (
            self.until is None or first < self.until
        )


def filter_period(table: ibis.Table, filters: Filters, first: str, last: str) -> ibis.Table:
    """Keep the rows of a table that overlap the period, from the column ``first`` to ``last``."""
    if filters.since is not None:
        table = table.filter(table[last] >= ibis.literal(filters.since))
    if filters.until is not None:
        table = table.filter(table[first] < ibis.literal(filters.until))
    return table


def filter_frame(rows: pd.DataFrame, filters: Filters, first: str, last: str) -> pd.DataFrame:
    """Keep the rows of a frame that overlap the period; see ``filter_period``."""
    if filters.since is not None:
        rows = rows[rows[last].fillna(rows[first]) >= filters.since]
    if filters.until is not None:
        rows = rows[rows[first] < filters.until]
    return rows


def filter_flows(case: Case, filters: Filters, address: str | None = None) -> ibis.Table:
    """Return the flow records from or to an address and a peer, if they are given."""
    table = where.filter_flows(case, filters.where)
    table = filter_period(table, filters, "start", "end")
    for wanted in filter(None, (address, filters.peer)):
        if "%" in wanted:
            table = table.filter(is_host(table, _ENDS, [wanted], case.address_zones))
        else:
            table = table.filter(ibis.or_(*(table[name] == wanted for name in _ENDS)))
    if filters.ports:
        ports = list(filters.ports)
        table = table.filter(table.srcport.isin(ports) | table.dstport.isin(ports))
    return table.filter(table.action == "REJECT") if filters.rejected else table


def filter_connections(case: Case, filters: Filters) -> ibis.Table:
    """Return the connections that match; of those of the peer, all hosts that have its address."""
    terms = [filters.where]
    if filters.peer is not None:
        terms.append(where.parse(f"ip = {filters.peer}"))
    table = where.filter_connections(case, where.And(tuple(terms)))
    table = filter_period(table, filters, "first_seen", "last_seen")
    if filters.ports:
        table = table.filter(table.service_port.isin(filters.ports))
    return table.filter(table.rejected) if filters.rejected else table


def filter_api_events(
    case: Case,
    filters: Filters,
    *,
    keys: Sequence[str] = (),
    principals: Sequence[str] = (),
    names: Sequence[str] = (),
    errors: Sequence[str] = (),
) -> ibis.Table:
    """Return the API events that match one of each list that is not empty.

    Args:
        case: The case.
        filters: The peer is the caller's address; ports select nothing.
        keys: Access keys that signed the call, or that it returned.
        principals: Names or ARNs of callers, and of the roles of their sessions.
        names: Names of API calls; ``*`` stands for any characters, and case is ignored.
        errors: Error codes, in the same way.
    """
    table = filter_period(case.api_events, filters, "event_time", "event_time")
    if keys:
        table = table.filter(table.access_key_id.isin(keys) | table.new_access_key_id.isin(keys))
    if principals:
        table = table.filter(_is_principal(table, principals))
    for column, patterns in (("event_name", names), ("error_code", errors)):
        if patterns:
            table = table.filter(table[column].re_search(_to_regex(patterns)))
    if filters.peer is not None:
        table = table.filter(table.source_ip == filters.peer)
    if filters.ports:
        table = table.filter(ibis.literal(False))
    return table.filter(table.error_code.notnull()) if filters.rejected else table


def _is_principal(table: ibis.Table, names: Sequence[str]) -> Any:
    """Whether an event's caller, or the role of its session, has one of these names or ARNs.

    A name without an account is that of the principals of all accounts.
    """
    called = (table.principal_name, recorded_name(table.principal_name))
    roles = (name.re_replace("/.*", "") for name in called)
    columns = (*called, *roles, table.principal_arn, table.issuer_arn)
    conditions = [column.isin(names).fill_null(False) for column in columns]
    return ibis.or_(*conditions)


def _to_regex(patterns: Iterable[str]) -> str:
    """Return a regular expression for whole words with ``*``, whose case is ignored."""
    alternatives = (re.escape(pattern).replace(r"\*", ".*") for pattern in patterns)
    return f"(?i)^(?:{'|'.join(alternatives)})$"


def filter_findings(findings: Findings, filters: Filters) -> Findings:
    """Return the findings that match, suppressed ones among the suppressed."""
    some = Findings(
        *([f for f in part if is_wanted(f, filters)] for part in (findings, findings.suppressed)),
        kept=findings.kept,
        not_kept_reason=findings.not_kept_reason,
    )
    some.warnings = findings.warnings
    return some


def filter_changes(changes: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Keep the rows of a frame with the columns of findings that match."""
    rows = changes.to_dict("records")
    wanted = np.array([is_wanted(Finding.from_row(row), filters) for row in rows], dtype=bool)
    return changes[wanted]


def is_wanted(finding: Finding, filters: Filters) -> bool:
    """Whether a finding matches."""
    return (
        filters.overlaps(finding.first_seen, finding.last_seen)
        and (filters.peer is None or filters.peer in {finding.subject, *finding.peers})
        and (not filters.ports or not set(filters.ports).isdisjoint(finding.evidence.ports))
        and (is_rejected(finding) or not filters.rejected)
    )


def is_rejected(finding: Finding) -> bool:
    """Whether a finding is about rejected traffic, by its title."""
    return "reject" in finding.title.casefold()
