"""What the report says of its sources: interfaces without logs, quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case


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
