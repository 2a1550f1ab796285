"""Administrative sessions as rows of the timeline, with the principals of the address.

Sessions are those of enrich.admin_sessions, of any severity: what an external address did on a host
before it misbehaved belongs to its timeline also where no detector reports it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.enrich.admin_sessions import find_sessions
from flowbench.enrich.ports import label
from flowbench.investigate.api_events import read_callers
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_ROWS = 5  # sessions of one address with one service that have a row each; more share one

_ENDS = ["initiator", "responder", "service_port"]
_COLUMNS = [*_ENDS, "initiator_port", "protocol", "first_seen", "last_seen"]
_COLUMNS += ["bytes_out", "bytes_in"]


class Session(NamedTuple):
    """One session of an external address with a host, or several that are told together."""

    host: str
    peer: str
    service_port: int
    first_seen: datetime
    last_seen: datetime
    activity: str  # a sentence
    principals: str | None  # that called the AWS API from the address
    evidence_id: str | None  # of the first record, and its line and item
    line: int | None
    item: int | None


def read_sessions(case: Case, addresses: Collection[str]) -> Iterator[Session]:
    """Read the administrative sessions of some hosts or external addresses, in order of time.

    Args:
        case: The case.
        addresses: Either end of the sessions.
    """
    sessions = find_sessions(case.connections)
    wanted = sorted(set(addresses))
    sessions = sessions.filter(sessions.responder.isin(wanted) | sessions.initiator.isin(wanted))
    order = ["first_seen", *_ENDS, "initiator_port"]
    rows = to_frame(sessions.select(_COLUMNS).order_by(order).to_pyarrow())
    if rows.empty:
        return
    count = rows.groupby(_ENDS)["first_seen"].transform("size")
    rows["number"] = rows.groupby(_ENDS).cumcount().where(count <= MOST_ROWS, 0)
    groups = rows.groupby([*_ENDS, "number"], sort=False)
    origins = _find_origins(case, groups.head(1))
    callers = read_callers(case)
    for _key, group in groups:
        first = group.iloc[0]
        names = callers.get(first["initiator"])
        yield Session(
            host=first["responder"],
            peer=first["initiator"],
            service_port=int(first["service_port"]),
            first_seen=first["first_seen"],
            last_seen=group["last_seen"].max(),
            activity=_describe(group, names),
            principals=names,
            **origins.get(first.name, {"evidence_id": None, "line": None, "item": None}),
        )


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


def _find_origins(case: Case, firsts: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """The file and line of the first flow log record of each of these sessions, by its index."""
    flows = case.flows
    columns = ["initiator", "initiator_port", "service_port", "first_seen", "last_seen"]
    keys = firsts[columns].assign(session=firsts.index)
    wanted = ibis.memtable(pa.Table.from_pandas(keys, preserve_index=False))
    item = flows["item"] if "item" in flows.columns else ibis.null("int64")
    f = flows.filter(flows.srcport.isin(sorted(set(keys["initiator_port"])))).select(
        "srcport",
        "dstport",
        "evidence_id",
        "line",
        source=flows.pkt_srcaddr.coalesce(flows.srcaddr),
        start=flows["start"],
        item=item,
    )
    j = f.join(
        wanted,
        [
            f.source == wanted.initiator,
            f.srcport == wanted.initiator_port,
            f.dstport == wanted.service_port,
        ],
    )
    j = j.filter(j["start"] >= j.first_seen, j["start"] <= j.last_seen)
    order = [j["start"], j.evidence_id, j.line]
    rows = j.group_by("session").aggregate(
        evidence_id=_.evidence_id.first(order_by=order),
        line=_.line.first(order_by=order),
        item=_["item"].first(order_by=order),
    )
    return {row.pop("session"): row for row in rows.to_pyarrow().to_pylist()}
