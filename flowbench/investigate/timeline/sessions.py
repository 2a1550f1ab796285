"""Administrative sessions as rows of the timeline, with the principals of the address.

Sessions are those of enrich.admin_sessions, of any severity: what an external address did on a host
before it misbehaved belongs to its timeline also where no detector reports it. Those from one
internal host to another are movement, or the routine of administrators: the caller gives the time
from which they count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa

from flowbench.enrich.admin_sessions import find_sessions, mark_sessions
from flowbench.enrich.ports import label
from flowbench.investigate.api_events import read_callers
from flowbench.investigate.timeline.event import Event
from flowbench.investigate.timeline.origins import UNKNOWN, find_origins
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count

if TYPE_CHECKING:
    from flowbench.case import Case

ACTIVITY = "Administrative session"
MOST_ROWS = 5  # sessions of one address with one service that have a row each; more share one

_ENDS = ["initiator", "responder", "service_port"]
_COLUMNS = [*_ENDS, "initiator_port", "protocol", "first_seen", "last_seen"]
_COLUMNS += ["bytes_out", "bytes_in"]


def session_rows(
    case: Case, addresses: Collection[str], since: Mapping[str, datetime] | None = None
) -> Iterator[Event]:
    """Yield the administrative sessions of some hosts or external addresses, in order of time.

    Args:
        case: The case.
        addresses: Either end of the sessions from external addresses.
        since: Either end of sessions between internal hosts, and the time from which they count.
    """
    sessions = find_sessions(case.connections)
    wanted = sorted(set(addresses))
    sessions = sessions.filter(sessions.responder.isin(wanted) | sessions.initiator.isin(wanted))
    if since:
        sessions = sessions.union(_internal_sessions(case, since))
    order = ["first_seen", *_ENDS, "initiator_port"]
    rows = to_frame(sessions.select(_COLUMNS).order_by(order).to_pyarrow())
    if rows.empty:
        return
    count = rows.groupby(_ENDS)["first_seen"].transform("size")
    rows["number"] = rows.groupby(_ENDS).cumcount().where(count <= MOST_ROWS, 0)
    groups = rows.groupby([*_ENDS, "number"], sort=False)
    origins = find_origins(case, groups.head(1))
    callers = read_callers(case)
    for _key, group in groups:
        first = group.iloc[0]
        names = callers.get(first["initiator"])
        yield Event(
            first["first_seen"],
            "flow logs",
            ACTIVITY,
            _describe(group, names),
            actor=first["initiator"],
            object=first["responder"],
            end=group["last_seen"].max(),
            count=len(group),
            peers=(names,) if names else (),
            ports=(int(first["service_port"]),),
            **origins.get(first.name, UNKNOWN),
        )


def _internal_sessions(case: Case, since: Mapping[str, datetime]) -> ibis.Table:
    times = pa.array(list(since.values()), pa.timestamp("us", tz="UTC"))
    wanted = ibis.memtable(pa.table({"host": pa.array(list(since), pa.string()), "since": times}))
    sessions = mark_sessions(case.connections, direction="internal")
    sessions = sessions.filter(sessions.is_session).drop("is_session")
    of_hosts = [
        sessions.join(wanted, [sessions[end] == wanted.host, sessions.first_seen >= wanted.since])
        for end in ("initiator", "responder")
    ]
    return of_hosts[0].union(of_hosts[1]).select(sessions.columns).distinct()


def _describe(group: pd.DataFrame, callers: str | None) -> str:
    first = group.iloc[0]
    held = format_count(len(group), "administrative session")
    port = label(int(first["service_port"]), int(first["protocol"]))
    sent, received = (format_bytes(int(group[name].sum())) for name in ("bytes_out", "bytes_in"))
    text = (
        f"{first['initiator']} held {held} on {port} with {first['responder']}"
        f" ({sent} to the host, {received} from it)."
    )
    return f"{text} From this address {callers} called the AWS API." if callers else text
