"""What the report says of its sources: GuardDuty findings, interfaces without logs, quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Findings

_MOST_ALERTS = 200


def corroborate_alerts(case: Case, findings: Findings) -> tuple[list[dict[str, Any]], int]:
    """List GuardDuty findings, each with the findings about the same host and peer.

    Returns:
        The first alerts (rows of Case.alerts, with ``corroborated_by``: finding ids), and the
        number of others.
    """
    alerts = case.alerts.order_by("first_seen", "alert_id")
    rows = alerts.limit(_MOST_ALERTS).to_pyarrow().to_pylist()
    answers = _collect(
        case.dns.filter(case.dns.name.isin([row["domain"] for row in rows if row["domain"]]))
        .select(key="name", value=case.dns.answers.unnest())
        .distinct()
    )
    table = case.address_assignments
    assigned = table.filter(table.instance_id.notnull())
    addresses = _collect(assigned.select(key="instance_id", value="address"))
    for row in rows:
        local = {row["local_address"]} | addresses.get(row["instance_id"], set())
        remote = ({*(row["remote_addresses"] or ())} | answers.get(row["domain"], set())) - {None}
        row["corroborated_by"] = [
            f.finding_id for f in findings if f.subject in local and f.peer in remote
        ]
    return rows, max(0, int(case.alerts.count().execute()) - _MOST_ALERTS)


def _collect(pairs: Any) -> Mapping[str, set[str]]:
    """The values of each key of a table with columns ``key`` and ``value``."""
    values: dict[str, set[str]] = {}
    for row in pairs.to_pyarrow().to_pylist():
        values.setdefault(row["key"], set()).add(row["value"])
    return values


def list_unlogged_interfaces(case: Case) -> list[str]:
    """List the interfaces of the inventory that no flow log record names."""
    listed = case.interfaces.select("interface_id").distinct()
    logged = case.flows.select("interface_id").distinct()
    unlogged = listed.anti_join(logged, "interface_id").order_by("interface_id")
    return [name for name in unlogged.interface_id.to_pyarrow().to_pylist() if name]


def summarize_quarantine(case: Case) -> list[dict[str, Any]]:
    """Count the quarantined lines by kind of evidence and reason, each with an example."""
    quarantine = case.quarantine
    counts = quarantine.group_by("kind", "reason").aggregate(
        entries=quarantine.count(),
        files=quarantine.file.nunique(),
        example=quarantine.file.min(),
        line=quarantine.line.min(),
    )
    frame = to_frame(counts.order_by(counts.entries.desc(), "kind", "reason").to_pyarrow())
    return frame.to_dict("records")
