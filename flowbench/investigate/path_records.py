"""What the flow log records between two ends say, at each interface and in each direction.

A request goes from X to Y's port, a reply from that port to X. The records of both are counted at
X's interfaces (source), at Y's (destination), and at others (between). A record that several flow
logs hold counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ibis
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.investigate.filters import Filters, filter_period

if TYPE_CHECKING:
    from flowbench.case import Case

_PLACES = {"source": 0, "destination": 1, "between": 2}
_SYN_ACK, _RST = 18, 4
_TUPLE = ["interface_id", "direction", "srcaddr", "dstaddr", "srcport", "dstport"]


@dataclass(frozen=True)
class End:
    """One end of the path: its addresses and the interfaces that have them."""

    name: str
    addresses: tuple[str, ...]
    interface_ids: tuple[str, ...]


@dataclass(frozen=True)
class Observation:
    """The records of one direction with one action at one interface.

    Attributes:
        place: source, destination or between.
        interface_id: The interface; None where the records do not name one.
        direction: request or reply.
        action: ACCEPT or REJECT; None where the records have none.
        records: Their number, each counted once.
        late: REJECT records whose addresses and ports also have ACCEPT records there.
        syn_acks: Records with the flags SYN and ACK; None without tcp-flags.
        resets: Records with the flag RST; None without tcp-flags.
        without_data: Records whose packets are no larger than headers without options.
        reject_reasons: Reasons that the records name, sorted.
        first_port: Lowest source port of requests, destination port of replies.
        last_port: The highest.
        first_seen: Start of the first record.
        last_seen: End of the last.
        evidence_id: File of the first record.
        file: Its name.
        line: Its line.
    """

    place: str
    interface_id: str | None
    direction: str
    action: str | None
    records: int
    late: int
    syn_acks: int | None
    resets: int | None
    without_data: int
    reject_reasons: tuple[str, ...]
    first_port: int | None
    last_port: int | None
    first_seen: datetime | None
    last_seen: datetime | None
    evidence_id: str
    file: str
    line: int


def observe(
    case: Case, source: End, destination: End, protocol: int, port: int | None, filters: Filters
) -> list[Observation]:
    """Return what the records say, ordered by direction, place, interface and action.

    Args:
        case: The case.
        source: The end that sends requests.
        destination: The end that answers.
        protocol: IANA number.
        port: The destination's port; None for ICMP.
        filters: The period.
    """
    f = filter_period(case.flows, filters, "start", "end").filter(_.protocol == protocol)
    from_x, to_y = _has_end(f, "src", source), _has_end(f, "dst", destination)
    from_y, to_x = _has_end(f, "src", destination), _has_end(f, "dst", source)
    is_request, is_reply = from_x & to_y, from_y & to_x
    if port is not None:
        is_request &= f.dstport == port
        is_reply &= f.srcport == port
    f = f.filter(is_request.fill_null(False) | is_reply.fill_null(False)).mutate(
        direction=is_request.fill_null(False).ifelse("request", "reply")
    )
    names = dict(zip(case.evidence["evidence_id"], case.evidence["file"], strict=True))
    rows = _aggregate(f).to_pyarrow().to_pylist()
    observations = [_to_observation(row, source, destination, names) for row in rows]
    return sorted(
        observations,
        key=lambda o: (
            o.direction == "reply",
            _PLACES[o.place],
            o.interface_id or "",
            o.action or "",
        ),
    )


def count_logged(case: Case, end: End, filters: Filters) -> dict[str, int]:
    """Return how many records an end's interfaces have in the period.

    Returns:
        Numbers of records, of those with NODATA, with SKIPDATA, with a capture window over 130
        seconds, with ACCEPT and with REJECT.
    """
    f = filter_period(case.flows, filters, "start", "end")
    f = f.filter(f.interface_id.isin(end.interface_ids))
    length = epoch_seconds(f["end"]) - epoch_seconds(f.start)
    counts = f.aggregate(
        records=f.count(),
        nodata=f.count(where=f.log_status == "NODATA"),
        skipdata=f.count(where=f.log_status == "SKIPDATA"),
        long=f.count(where=length > 130),
        accepted=f.count(where=f.action == "ACCEPT"),
        rejected=f.count(where=f.action == "REJECT"),
    )
    (row,) = counts.to_pyarrow().to_pylist()
    return {name: int(value or 0) for name, value in row.items()}


def _has_end(f: ibis.Table, side: str, end: End) -> Any:
    """Whether an address of a record, or of its packets, is one of an end's."""
    columns = (f[f"{side}addr"], f[f"pkt_{side}addr"])
    return ibis.or_(*(column.isin(end.addresses).fill_null(False) for column in columns))


def _aggregate(f: ibis.Table) -> ibis.Table:
    """Count the records of each interface, direction and action, with the first of each."""
    reason = f.reject_reason if "reject_reason" in f.columns else ibis.null("string")
    f = f.mutate(
        hash=ibis.struct(
            {name: f[name] for name in (*_TUPLE, "start", "end", "packets", "bytes", "action")}
        ).hash(),
        accepted=(f.action == "ACCEPT").cast("int64").sum().over(ibis.window(group_by=_TUPLE)),
        client_port=(f.direction == "request").ifelse(f.srcport, f.dstport),
        header=f.srcaddr.contains(":").ifelse(60, 40),
        reason=reason,
    )
    keys = ["interface_id", "direction", "action"]
    window = ibis.window(group_by=keys, order_by=[f.start, f.evidence_id, f.line, *_item(f)])
    f = f.mutate(rank=ibis.row_number().over(window))
    flags = f.tcp_flags.fill_null(0)
    bits = {"syn_acks": (flags & _SYN_ACK) == _SYN_ACK, "resets": (flags & _RST) == _RST}
    has_flags = f.tcp_flags.notnull().any()
    return f.group_by(keys).aggregate(
        records=f["hash"].nunique(),
        late=f["hash"].nunique(where=(f.action == "REJECT") & (f.accepted > 0)),
        without_data=f["hash"].nunique(where=f.bytes <= f.packets * f.header),
        reasons=f.reason.collect(distinct=True),
        first_port=f.client_port.min(),
        last_port=f.client_port.max(),
        first_seen=f.start.min(),
        last_seen=f["end"].max(),
        evidence_id=f.evidence_id.max(where=f["rank"] == 0),
        line=f.line.max(where=f["rank"] == 0),
        **{
            name: has_flags.ifelse(f["hash"].nunique(where=bit), ibis.null("int64"))
            for name, bit in bits.items()
        },
    )


def _item(f: ibis.Table) -> list[Any]:
    return [f.item] if "item" in f.columns else []


def _to_observation(
    row: dict[str, Any], source: End, destination: End, names: dict[str, str]
) -> Observation:
    interface_id = row["interface_id"]
    place = "between"
    for name, end in (("destination", destination), ("source", source)):
        if interface_id in end.interface_ids:
            place = name
    values = {n: row[n] for n in row if n != "reasons"}
    reasons = sorted(reason for reason in row["reasons"] or () if reason not in (None, "-"))
    file = names.get(row["evidence_id"], "")
    return Observation(place=place, reject_reasons=tuple(reasons), file=file, **values)
