"""The first flow log record of connections: the file and line that a row of the timeline cites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
from ibis import _

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case

UNKNOWN: dict[str, Any] = {"evidence_id": None, "line": None, "item": None}

_KEY = ["initiator_port", "service_port", "first_seen", "last_seen"]


def find_origins(case: Case, connections: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    """Find the file, line and item of the initiator's first record of some connections.

    Args:
        case: The case.
        connections: Rows of ``case.connections``, with unique index.

    Returns:
        evidence_id, line and item, by the index of the row.
    """
    if connections.empty:
        return {}
    flows = case.flows
    keys = connections[_KEY].assign(row=range(len(connections)))
    # Records have no zone: it is of the observation point.
    for end in ("initiator", "responder"):
        keys[end] = connections[end].str.partition("%")[0]
    wanted = ibis.memtable(pa.Table.from_pandas(keys, preserve_index=False))
    item = flows["item"] if "item" in flows.columns else ibis.null("int64")
    ports = [int(port) for port in sorted(set(keys["initiator_port"]))]
    f = flows.filter(flows.srcport.isin(ports)).select(
        "srcport",
        "dstport",
        "evidence_id",
        "line",
        source=flows.pkt_srcaddr.coalesce(flows.srcaddr),
        destination=flows.pkt_dstaddr.coalesce(flows.dstaddr),
        start=flows["start"],
        item=item,
    )
    j = f.join(
        wanted,
        [
            f.source == wanted.initiator,
            f.destination == wanted.responder,
            f.srcport == wanted.initiator_port,
            f.dstport == wanted.service_port,
        ],
    )
    j = j.filter(j["start"] >= j.first_seen, j["start"] <= j.last_seen)
    order = [j["start"], j.evidence_id, j.line, j["item"]]
    rows = j.group_by("row").aggregate(
        evidence_id=_.evidence_id.first(order_by=order),
        line=_.line.first(order_by=order),
        item=_["item"].first(order_by=order),
    )
    found = rows.to_pyarrow().to_pylist()
    return {connections.index[row.pop("row")]: row for row in found}
