"""Sudden new connections of hosts that the logs show too short a time for a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.connections.initiator import RELIABLE_RULES
from flowbench.detect.baseline import host_lifetimes
from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import ADMIN_PORTS
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_TCP = 6
# Ports that are one kind of service, named by its usual port: SMB, WinRM, Redis, AMQP, Kafka, DAX.
_SAME_KIND = {139: 445, 5986: 5985, 6380: 6379, 61617: 5671, 9111: 8111} | dict.fromkeys(
    (9094, 9096, 9098, 9194, 9196, 9198), 9092
)
# A client of a cluster connects to each of its nodes: only these count by their hosts.
_SINGLE = ADMIN_PORTS | {1433, 1521, 2049, 3306, 5432, 50000}
_SERVICE = ["initiator", "responder", "service_port"]


class Limits(NamedTuple):
    """What makes new connections sudden.

    Attributes:
        quiet: Seconds for which they show a host before: one that starts opens its connections.
        within: Seconds in which the connections are opened.
        kinds: Least number of kinds of service of one target.
        targets: Least number of targets with one of _SINGLE.
        clients: Hosts that make a service one that is shared, which is expected.
        earlier: Targets of the same port before that make a host one that administers others.
        lifetime: Seconds; a host that the logs show for longer has a baseline.
    """

    quiet: float = 900
    within: float = 3_600
    kinds: int = 3
    targets: int = 4
    clients: int = 3
    earlier: int = 2
    lifetime: float = 1.5 * 86_400


def find_sudden_connections(case: Case, services: ibis.Table, limits: Limits) -> pd.DataFrame:
    """Return new connections of hosts without a baseline that are many, and close together.

    Args:
        case: The case.
        services: Connection summaries of internal administration and data services, with the
            columns of a finding's traffic.
        limits: What makes them sudden.

    Returns:
        The columns of ``services``, host_begin and host_end (the time in which the logs show the
        initiator); ordered by initiator and service.
    """
    rows = _candidates(case, services, limits)
    if rows.empty:
        return rows
    rows = rows.sort_values(["initiator", "first_seen", "responder", "service_port"])
    found = [
        part
        for _host, of_host in rows.groupby("initiator")
        if len(part := _sudden(of_host, limits))
    ]
    if not found:
        return rows.iloc[:0]
    return pd.concat(found).sort_values(["initiator", "responder", "service_port"])


def _candidates(case: Case, services: ibis.Table, limits: Limits) -> pd.DataFrame:
    """Return all answered services of the hosts that have enough new ones, at any time.

    Columns: those of ``services``, host_begin, host_end, kind, single (counts by its hosts) and
    fresh (new to the host, and not shared).
    """
    answered = services.filter(services.answered > 0, services.protocol == _TCP)
    clients = ibis.window(group_by=["responder", "service_port"])
    answered = answered.mutate(clients=answered.initiator.count().over(clients))
    hosts = host_lifetimes(case).rename(initiator="host", host_begin="born", host_end="gone")
    lifetime = epoch_seconds(hosts.host_end) - epoch_seconds(hosts.host_begin)
    table = answered.join(hosts.filter(lifetime < limits.lifetime), "initiator")
    age = epoch_seconds(table.first_seen) - epoch_seconds(table.host_begin)
    table = table.mutate(
        kind=ibis.cases(
            *((table.service_port == port, kind) for port, kind in _SAME_KIND.items()),
            else_=table.service_port,
        ),
        single=table.service_port.isin(sorted(_SINGLE)),
        fresh=(age >= limits.quiet) & (table.clients < limits.clients),
    )
    fresh = table.filter(table.fresh)
    deep = fresh.group_by("initiator", "responder").having(_.kind.nunique() >= limits.kinds)
    wide = fresh.filter(fresh.single).group_by("initiator")
    wide = wide.having(_.responder.nunique() >= limits.targets)
    hosts = deep.aggregate().select("initiator").union(wide.aggregate()).distinct()
    kept = table.semi_join(hosts, "initiator").drop("clients")
    rows = to_frame(kept.order_by(_SERVICE).to_pyarrow())
    return rows if rows.empty else rows[_is_known(case, rows)]


def _is_known(case: Case, rows: pd.DataFrame) -> pd.Series:
    """Whether the records show who opened the connections to each service."""
    keys = pa.Table.from_pandas(rows[_SERVICE], preserve_index=False)
    c = case.connections
    c = c.filter(c.direction == "internal", c.answered, c.initiator_rule.isin(RELIABLE_RULES))
    known = c.semi_join(ibis.memtable(keys), _SERVICE).select(_SERVICE).distinct()
    pairs = {tuple(row.values()) for row in known.to_pyarrow().to_pylist()}
    ends = rows[_SERVICE].itertuples(index=False, name=None)
    return pd.Series([end in pairs for end in ends], rows.index, dtype=bool)


def _sudden(rows: pd.DataFrame, limits: Limits) -> pd.DataFrame:
    """Return the rows of one host, in the order of time, that are sudden."""
    times = rows["first_seen"]
    fresh = rows[rows["fresh"]]
    sudden: set[object] = set()
    end = None
    for begin in fresh["first_seen"].unique():
        if end is not None and begin < end:
            continue
        until = begin + pd.Timedelta(seconds=limits.within)
        window = fresh[fresh["first_seen"].between(begin, until)]
        before = rows[(times < begin) & ~rows.index.isin(sudden)]
        before = before.groupby("service_port")["responder"].nunique()
        window = window[~window["service_port"].isin(before[before >= limits.earlier].index)]
        kinds = window.groupby("responder")["kind"].transform("nunique")
        single = window[window["single"]]
        chosen = window[kinds >= limits.kinds]
        # Its other new administration in that time belongs to it.
        if len(chosen) or single["responder"].nunique() >= limits.targets:
            chosen = pd.concat([chosen, single])
        if len(chosen):
            sudden |= set(chosen.index)
            end = until
    return rows[rows.index.isin(sudden)]
