"""Sums of attempts: of one source, and of a group of external sources.

The rows are those of scan_candidates.ROWS.
"""

from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from flowbench.detect.scan_candidates import SERVICE


def sum_attempts(rows: ibis.Table) -> dict[str, ibis.Value]:
    """Return the counts, ports, protocol (null if several), times and volume of a finding."""
    return {
        "service_count": rows.count(),
        "failed_count": rows.failed.sum(),
        "empty_count": rows.answered.sum(where=rows.failed),  # answered without data
        "rejected_count": rows.rejected.sum(where=rows.failed),
        "accepted_count": rows.accepted.sum(),
        "ports": rows.service_port.collect(distinct=True),
        "protocol": (rows.protocol.min() == rows.protocol.max()).ifelse(
            rows.protocol.min(), ibis.null("int32")
        ),
        "first_seen": rows.first_seen.min(),
        "last_seen": rows.last_seen.max(),
        **{name: rows[name].sum() for name in ("connections", "bytes_out", "bytes_in")},
    }


def members_table(groups: list[list[str]]) -> ibis.Table:
    """Return the sources of each group as a table of initiator and group (its index)."""
    members = [(source, index) for index, group in enumerate(groups) for source in group]
    types = pa.schema({"initiator": pa.string(), "group": pa.int64()})
    columns = [pa.array([member[column] for member in members]) for column in (0, 1)]
    return ibis.memtable(pa.table(columns, names=types.names).cast(types))


def sum_groups(rows: ibis.Table, members: ibis.Table, most_sources: int) -> list[dict[str, Any]]:
    """Sum the attempts of groups of external sources, in the order of the groups.

    Args:
        rows: The attempts of external sources.
        members: Initiator and group (its index).
        most_sources: How many sources of a group to name.

    Returns:
        For each group ``sum_attempts`` and group; source_count, reached_count (sources that some
        service answered), sources (those with most failed attempts, in this order) and
        source_failed (how many); distinct_services, hosts (failed at); attempted_ports, ordered by
        port_sources (how many sources failed there).
    """
    rows = rows.join(members, "initiator")
    failed = rows.filter(rows.failed)
    services = failed.select("group", *SERVICE).distinct().group_by("group")
    services = services.aggregate(
        distinct_services=_.count(), hosts=_.responder.collect(distinct=True)
    )
    ports = failed.group_by("group", "service_port").aggregate(sources=_.initiator.nunique())
    order = [_.sources.desc(), _.service_port]
    ports = ports.group_by("group").aggregate(
        attempted_ports=_.service_port.collect(order_by=order),
        port_sources=_.sources.collect(order_by=order),
    )
    sums = rows.group_by("group").aggregate(sum_attempts(rows))
    sums = sums.join(services, "group").join(ports, "group")
    sums = sums.join(_sum_sources(rows, most_sources), "group")
    return sums.order_by("group").to_pyarrow().to_pylist()


def _sum_sources(rows: ibis.Table, most: int) -> ibis.Table:
    """Return for each group its sources, those with most failed attempts first."""
    sources = rows.group_by("group", "initiator").aggregate(
        failed=_.failed.sum(), reached=(~_.failed).any()
    )
    order = [sources.failed.desc(), sources.initiator]
    ranked = sources.mutate(
        rank=ibis.row_number().over(ibis.window(group_by="group", order_by=order))
    )
    is_named = ranked["rank"] < most
    return ranked.group_by("group").aggregate(
        source_count=_.count(),
        reached_count=_.reached.sum(),
        sources=_.initiator.collect(where=is_named, order_by="rank"),
        source_failed=_.failed.collect(where=is_named, order_by="rank"),
    )
