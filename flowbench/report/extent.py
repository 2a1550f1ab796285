"""The extent of an incident: what its hosts sent to external addresses, and when it was last seen.

Known limits: flow logs count bytes and have no content; they do not have what was read or shared
through the AWS API. That the logs are silent afterwards does not show that access has ended.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

import ibis

from flowbench.report.containment import GRACE
from flowbench.text import format_bytes, format_count, format_duration, format_utc

if TYPE_CHECKING:
    from flowbench.case import Case


def sum_outbound(case: Case, hosts: Collection[str], external: Collection[str]) -> dict[str, int]:
    """Sum the bytes that hosts sent to external addresses, whichever end opened the connections.

    Args:
        case: The case.
        hosts: The internal addresses.
        external: The external addresses.

    Returns:
        Bytes by external address, the most first; only addresses that have connections with hosts.
    """
    if not hosts or not external:
        return {}
    table = case.connection_summaries.filter(~ibis._.intermediate)
    ours, theirs = sorted(hosts), sorted(external)
    opened = table.filter(table.initiator.isin(ours), table.responder.isin(theirs))
    accepted = table.filter(table.responder.isin(ours), table.initiator.isin(theirs))
    sent = opened.select(peer="responder", sent="bytes_out").union(
        accepted.select(peer="initiator", sent="bytes_in")
    )
    sums = sent.group_by("peer").aggregate(total=sent.sent.sum())
    rows = sums.order_by(sums.total.desc(), "peer").to_pyarrow().to_pylist()
    return {row["peer"]: int(row["total"] or 0) for row in rows}


def describe_outbound(case: Case, sent: dict[str, int]) -> str:
    """State how much was sent, and what flow logs do not have: their content."""
    if case.span[0] is None:
        return "unknown: the case has no flow logs"
    if not sent:
        return "no traffic of the hosts with external addresses of the findings"
    peers = format_count(len(sent), "external address", "external addresses")
    total = format_bytes(sum(sent.values()))
    return f"{total} to {peers} of the findings. Flow logs do not show which data."


def describe_end(
    case: Case, last_connection: datetime | None, external: Collection[str]
) -> list[str]:
    """State when the incident was last seen, and how long the logs are silent afterwards.

    Args:
        case: The case.
        last_connection: The end of the last connection of its findings; None without any.
        external: The external addresses of its findings, from which API calls may have come.

    Returns:
        Sentences about connections, about API calls, and that more is not known.
    """
    table = case.api_events
    calls = table.filter(table.source_ip.isin(sorted(external))) if external else None
    last_call = None if calls is None else calls.event_time.max().to_pyarrow().as_py()
    logs_end, trail_end = case.span[1], table.event_time.max().to_pyarrow().as_py()
    sentences = []
    if last_connection is not None and logs_end is not None:
        sentences.append(_describe_last("Last connection", last_connection, logs_end, "flow logs"))
    if last_call is not None:
        what = "Last API call from the external addresses"
        sentences.append(_describe_last(what, last_call, trail_end, "CloudTrail"))
    return [*sentences, "The evidence does not show whether it is over."]


def _describe_last(what: str, last: datetime, end: datetime, logs: str) -> str:
    """State when something was last seen, and how much of the logs has nothing after it."""
    if end - last <= GRACE:
        return f"{what} {format_utc(last)}, at the end of {logs}."
    silence = format_duration((end - last).total_seconds())
    return f"{what} {format_utc(last)}, {silence} before the end of {logs}."
