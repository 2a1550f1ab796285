"""The external addresses that hold administrative sessions, and what else is known of them.

Each function takes the case and a frame of sources (``host`` and ``peer``: an internal host and the
external address that held sessions with it) and asks the engine one question about all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.indicators import HIGH_RISK_KINDS, match_peers
from flowbench.detect.logins import LOGINS
from flowbench.enrich.ownership import SITE, neighbourhood_key
from flowbench.enrich.ports import POOL_PORTS
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_BANNER = 250  # bytes of a server's answer without a login attempt, for ports that LOGINS lacks
_ORDINARY_PORTS = (22, 53, 80, 123, 443)  # what an administrator's commands open
_SOURCE = ["host", "peer"]


def read_sources(sessions: ibis.Table, quarter: pd.Timestamp | None) -> pd.DataFrame:
    """Sum the sessions of each internal host, external address and port.

    Args:
        sessions: Sessions (admin_sessions.find_sessions).
        quarter: The end of the first quarter of the logs; None where they are too short for it.

    Returns:
        host, peer, network (of the peer), service_port, protocol, sessions, first_seen, last_seen,
        bytes_from_peer, bytes_to_peer; and of the network's sessions with all hosts: days (on which
        one began) and is_early (whether one began in the first quarter).
    """
    s = sessions.mutate(network=neighbourhood_key(sessions.initiator, SITE))
    networks = s.group_by("network").aggregate(
        days=s.first_seen.date().nunique(), network_since=s.first_seen.min()
    )
    rows = s.group_by(
        "network", "service_port", "protocol", host=s.responder, peer=s.initiator
    ).aggregate(
        sessions=_.count(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        bytes_from_peer=_.bytes_out.sum().cast("int64"),
        bytes_to_peer=_.bytes_in.sum().cast("int64"),
    )
    rows = rows.join(networks, "network").order_by([*_SOURCE, "service_port"])
    frame = to_frame(rows.to_pyarrow())
    return frame.assign(is_early=quarter is not None and frame["network_since"] <= quarter)


def find_indicators(case: Case, sources: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the indicator matches of each source, valid while it was connected."""
    matches = match_peers(case, sources["peer"])
    keyed = matches.rename(columns={"subject": "host"}).merge(sources[_SOURCE].drop_duplicates())
    return _by_source(keyed)


def find_calls(
    case: Case, sources: pd.DataFrame, quarter: pd.Timestamp | None
) -> dict[str, pd.DataFrame]:
    """Return the principals that called the AWS API from each source's address.

    Args:
        case: The case.
        sources: Rows of ``read_sources``.
        quarter: The end of the first quarter of the API events; None where they are too short.

    Returns:
        Rows of ``case.principal_addresses`` by address, with ``is_new``, whether the principal
        made no call in that quarter (sessions of one role are one principal), and ``is_known``,
        whether anybody called from the address in it.
    """
    table = case.principal_addresses
    table = table.filter(table.address.isin(sorted(set(sources["peer"]))))
    table = table.mutate(identity=_identity(table.principal_arn))
    events = case.api_events.select("event_time", identity=_identity(_.principal_arn))
    begun = events.group_by("identity").aggregate(identity_since=events.event_time.min())
    rows = to_frame(table.left_join(begun, "identity").to_pyarrow())
    address_since = rows.groupby("address")["first_call"].transform("min")
    rows = rows.assign(
        is_new=quarter is not None and rows["identity_since"] > quarter,
        is_known=quarter is not None and address_since <= quarter,
    )
    rows = rows.sort_values(["address", "first_call", "principal_name"], kind="stable")
    return {str(address): group for address, group in rows.groupby("address", sort=True)}


def _identity(arn: Any) -> Any:
    return arn.re_replace(r"(:assumed-role/[^/]+)/.*$", r"\1")


def count_failures(
    failures: ibis.Table, sources: pd.DataFrame, hours: float, least: int
) -> dict[tuple[str, str], int]:
    """Count a source's connections like failed logins in the hours before its first session.

    Args:
        failures: Connections to administration ports that are no sessions.
        sources: Rows of ``read_sources``.
        hours: How long before.
        least: Sources with fewer are left out: they are thousands.
    """
    first = sources.groupby(_SOURCE, as_index=False)["first_seen"].min()
    begun = _memtable(first.rename(columns={"first_seen": "session_at"}))
    f = failures
    floor = ibis.cases(
        *((f.service_port == port, least) for port, least in LOGINS.items()), else_=_BANNER
    )
    f = f.filter(f.bytes_in >= floor)
    j = f.join(begun, [f.responder == begun.host, f.initiator == begun.peer])
    earliest = j.session_at - ibis.interval(seconds=int(hours * 3600))
    j = j.filter(j.first_seen.between(earliest, j.session_at))
    counted = j.group_by(_SOURCE).aggregate(n=j.count())
    counts = to_frame(counted.filter(counted.n >= least).to_pyarrow())
    return {(row.host, row.peer): int(row.n) for row in counts.itertuples()}


def find_new_contacts(
    case: Case, sessions: ibis.Table, sources: pd.DataFrame, *, hours: float, history: float
) -> dict[tuple[str, str], pd.DataFrame]:
    """Find what each source's host connected to for the first time after a session began.

    Kept are contacts on a mining pool's port, with an address of a high-risk indicator, and, if the
    host was seen for ``history`` hours before the session, on a port that it had not used
    before; but not the ports of web, DNS, NTP and SSH, which any administrator's commands use.

    Args:
        case: The case.
        sessions: Sessions (admin_sessions.find_sessions).
        sources: Rows of ``read_sources``.
        hours: How long after a session's end a contact counts.
        history: Hours.

    Returns:
        responder, service_port, protocol, at (of the first connection), ground ('indicator', 'pool
        port' or 'new port'), kinds and feeds (of indicators), by source, in order of time.
    """
    if sources.empty:
        return {}
    wanted = _memtable(sources[_SOURCE].drop_duplicates())
    held = sessions.select(
        host="responder", peer="initiator", session_at="first_seen", session_end="last_seen"
    ).semi_join(wanted, _SOURCE)
    summaries = case.connection_summaries
    contacts = _first_contacts(summaries, wanted, _risky_addresses(case))
    j = held.join(contacts, "host").join(_seen_since(summaries, wanted), "host")
    j = j.filter(j.at >= j.session_at)
    j = j.filter(j.at <= j.session_end + ibis.interval(seconds=int(hours * 3600)))
    known = j.since <= j.session_at - ibis.interval(seconds=int(history * 3600))
    j = j.mutate(is_new_port=known & (j.at <= j.port_used_at))
    j = j.filter(j.is_risky | j.is_pool_port | (j.is_new_port & ~j.is_ordinary))
    j = j.mutate(
        ground=ibis.cases(
            (j.is_risky, "indicator"), (j.is_pool_port, "pool port"), else_="new port"
        )
    )
    columns = [*_SOURCE, "responder", "service_port", "protocol", "at", "ground"]
    order = ["host", "peer", "at", "responder", "service_port", "ground"]
    return _by_source(to_frame(j.select(columns).distinct().order_by(order).to_pyarrow()))


def _risky_addresses(case: Case) -> list[str]:
    matches = case.indicator_matches
    risky = matches.filter(matches.kind.isin(HIGH_RISK_KINDS), matches.in_period.fill_null(True))
    return sorted(risky.select("address").distinct().to_pyarrow()["address"].to_pylist())


def _first_contacts(summaries: ibis.Table, wanted: ibis.Table, risky: Iterable[str]) -> ibis.Table:
    """The answered services that the hosts opened connections to, and when they first did so.

    Columns: host, responder, service_port, protocol, at, port_used_at (when the host first used the
    port), is_risky, is_pool_port, is_ordinary (the port).
    """
    s = summaries.filter(summaries.direction == "outbound", ~summaries.intermediate)
    s = s.rename(host="initiator").semi_join(wanted.select("host").distinct(), "host")
    host_port = ibis.window(group_by=["host", "service_port", "protocol"])
    s = s.mutate(port_used_at=s.first_seen.min().over(host_port))
    return s.filter(s.answered > 0).select(
        "host",
        "responder",
        "service_port",
        "protocol",
        "port_used_at",
        at=_.first_seen,
        is_risky=_.responder.isin(list(risky)),
        is_pool_port=(_.protocol == 6) & _.service_port.isin(sorted(POOL_PORTS)),
        is_ordinary=_.service_port.isin(_ORDINARY_PORTS) | (_.service_port == 0),
    )


def _seen_since(summaries: ibis.Table, wanted: ibis.Table) -> ibis.Table:
    """When each host was first seen, at either end: (host, since)."""
    ends = [
        summaries.select("first_seen", host=summaries[end]) for end in ("initiator", "responder")
    ]
    seen = ends[0].union(ends[1]).semi_join(wanted.select("host").distinct(), "host")
    return seen.group_by("host").aggregate(since=seen.first_seen.min())


def _memtable(rows: pd.DataFrame) -> ibis.Table:
    return ibis.memtable(pa.Table.from_pandas(rows, preserve_index=False))


def _by_source(rows: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    return dict(iter(rows.groupby(_SOURCE, sort=True)))
