"""The edges of a graph, and the indicators that its ends match, computed in the engine."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.schema import TYPES, to_frame
from flowbench.text import list_some

if TYPE_CHECKING:
    from flowbench.case import Case

SUMS = ("connections", "rejected", "answered", "bytes_out", "bytes_in")
_ENDS = ("initiator", "responder")
_KEY = [*_ENDS, "service_port"]
_MOST_PORTS = 6  # named on an edge


def sum_services(summaries: ibis.Table) -> ibis.Table:
    """Sum connection summaries by ends and service port, without intermediate devices."""
    kept = summaries.filter(~summaries.intermediate)
    return kept.group_by(_KEY).aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        **{name: kept[name].sum().cast("int64") for name in SUMS},
    )


def sum_edges(services: ibis.Table, nodes: pd.Series) -> pd.DataFrame:
    """Sum rows of ``sum_services`` by the nodes of their ends.

    Args:
        services: As ``sum_services`` returns them.
        nodes: The node of each end.

    Returns:
        source, target, SUMS, first_seen, last_seen, ports (text); ordered by source and target.
    """
    ends, names = pa.array(nodes.index, pa.string()), pa.array(nodes, pa.string())
    named = ibis.memtable(pa.table({"end": ends, "node": names}))
    rows = services
    for end, node in zip(_ENDS, ("source", "target"), strict=True):
        t = named.view()
        rows = rows.join(t, rows[end] == t.end).rename({node: "node"}).drop("end")
    sums = {name: rows[name].sum().cast("int64") for name in SUMS}
    times = {"first_seen": _.first_seen.min(), "last_seen": _.last_seen.max()}
    ports = rows.group_by("source", "target", "service_port").aggregate(**times, **sums)
    edges = ports.group_by("source", "target").aggregate(
        **times,
        **{name: ports[name].sum().cast("int64") for name in SUMS},
        first_ports=ports.service_port.collect(order_by=ports.service_port)[:_MOST_PORTS],
        port_count=ports.service_port.count(),
    )
    frame = to_frame(edges.order_by("source", "target").to_pyarrow())
    frame["ports"] = [
        _list_ports(first, count)
        for first, count in zip(frame["first_ports"], frame["port_count"], strict=True)
    ]
    return frame.drop(columns=["first_ports", "port_count"])


def _list_ports(first: list[int], count: int) -> str:
    return list_some([*first, *[""] * (count - len(first))], _MOST_PORTS)


def match_indicators(case: Case, services: ibis.Table, ends: pd.DataFrame) -> pd.DataFrame:
    """Return which ends matched an indicator, by the ends of their connections.

    Returns:
        initiator, responder, end (the one that matches), kind, valid (whether it was in force at
        the time), reached (whether a connection was not rejected); in this order.
    """
    columns = ("address", "kind", "valid_from", "valid_until")
    listed = to_frame(case.indicator_matches.select(*columns).distinct().to_pyarrow())
    periods = ends[["address"]].rename_axis("end").reset_index().merge(listed, on="address")
    if periods.empty:
        return pd.DataFrame(columns=[*_ENDS, "end", "kind", "valid", "reached"])
    in_force = ibis.memtable(
        pa.table(
            {name: pa.array(periods[name], pa.string()) for name in ("end", "kind")}
            | {name: _times(periods[name]) for name in ("valid_from", "valid_until")}
        )
    )
    both = []
    for end in _ENDS:
        t = in_force.view()
        rows = services.join(t, services[end] == t.end)
        valid = (rows.valid_from.isnull() | (rows.valid_from <= rows.last_seen)) & (
            rows.valid_until.isnull() | (rows.valid_until >= rows.first_seen)
        )
        reached = (rows.answered > 0) | (rows.rejected == 0)
        both.append(rows.select(*_ENDS, "end", "kind", valid=valid, reached=reached))
    key = [*_ENDS, "end", "kind"]
    matches = ibis.union(*both).group_by(key)
    matches = matches.aggregate(valid=_.valid.any(), reached=_.reached.any())
    return to_frame(matches.order_by(key).to_pyarrow())


def _times(values: pd.Series) -> pa.Array:
    moments: list[datetime | None] = [None if pd.isna(time) else time for time in values]
    return pa.array(moments, TYPES["time"])


def judge(edge: dict[str, Any]) -> str:
    """The verdict of an edge: see the package's docstring."""
    if edge["rejected"] and not edge["answered"]:
        return "rejected"  # with or without indicator: at most an attempt, mostly noise
    return "indicator match" if edge["indicator_match"] else "accepted"
