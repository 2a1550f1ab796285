"""Interfaces whose internal end is unknown: no finding covers their traffic.

Detectors examine connections that have an internal end. With AWS's default fields, the records of
an interface may have two public addresses only, and nothing shows which is its own (see
enrich.own_addresses): its traffic is left out. An analyst has to know that before reading findings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibis import _

from flowbench.text import format_count, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST_INTERFACES = 3  # named


def warn_of_unknown_ends(case: Case) -> list[str]:
    """Return a sentence about the interfaces whose internal end is unknown, if there are any."""
    if not case.has("flows"):
        return []
    c = case.connections
    of_interface = c.filter(c.interface_id.notnull()).group_by("interface_id")
    counts = of_interface.aggregate(
        connections=_.count(), unknown=_.count(where=_.direction == "external")
    )
    totals = counts.aggregate(interfaces=_.count(), connections=_.connections.sum())
    (total,) = totals.to_pyarrow().to_pylist()
    unknown = counts.filter(_.unknown == _.connections).order_by("interface_id")
    rows = unknown.to_pyarrow().to_pylist()
    if not rows:
        return []
    left_out = sum(row["connections"] for row in rows)
    names = list_some((row["interface_id"] for row in rows), _MOST_INTERFACES)
    return [
        f"{len(rows):,} of {format_count(total['interfaces'], 'interface')} ({names}):"
        " both ends of all records are public addresses, and no data source shows which end is"
        f" internal. No finding covers their connections ({left_out:,} of"
        f" {total['connections']:,}). Ingest the output of describe-network-interfaces or"
        " describe-vpcs, or flow logs with the field flow-direction."
    ]
