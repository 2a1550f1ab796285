"""Records between the same two ends joined into connections, each byte counted once.

A new connection of the same ends starts

* after an idle timeout without records. That of UDP is the one after which AWS's connection
  tracking forgets a UDP stream (EC2 API, ConnectionTrackingConfiguration: udpStreamTimeout);
* with a record that has a SYN of the initiator, if an earlier record since the start of the
  connection has FIN or RST, or if nothing was recorded for longer than a host waits between two
  SYNs of one attempt. Thus a SYN that is retransmitted into the next capture window and a
  handshake across the edge of two windows stay in one connection.

Limits: without flags only idle time separates connections. Windows of 600 s follow each other
without idle time, so UDP packets and TCP connections without flags every few minutes between the
same ends are one connection there. A record that has the end of one connection and the start of the
next belongs to one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.staging import ENDS, low_and_high

UDP_IDLE_TIMEOUT = 180  # seconds
SYN_TIMEOUT = 60  # seconds; Linux, macOS and Windows wait at most 32 s before they send a SYN again

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_UDP = 17
_POINT = ["point", "hop"]
_RECORD = [*ENDS, "point", "hop", "up", "rejected", "start", "end", "packets", "bytes"]
# Facts of a record as bits that an aggregate can combine; times 64 for records of the high end.
_ACCEPTED, _REJECTING, _SYNS, _SYN_ACKS, _MIDSTREAM, _NO_FLAGS = 1, 2, 4, 8, 16, 32
_FROM_HIGH = 64


@contextmanager
def join_records(
    connection: Backend, records: ibis.Table, own: ibis.Table, idle_timeout: int
) -> Iterator[ibis.Table]:
    """Join staged records to connections whose initiator is not yet decided.

    Args:
        connection: Where the intermediate results are kept.
        records: A part of Staged.
        own: The addresses of the observation points, from Staged.
        idle_timeout: Seconds without a record after which a new connection starts.

    Yields:
        A row per connection. Columns: low, low_port, high, high_port (ids and ports of the ends),
        protocol, first_seen, last_seen, records, rejected_records;
        for either direction (``_up``, ``_down``) bytes, packets, first (start of the first record)
        and whether there was a record that was accepted, rejecting, syn, syn_ack, midstream or
        no_flags (of UDP, or of TCP without flags and with more than one packet);
        point_low, point_high, point_any (ids of observation points). As of engine.name_rows.
    """
    records = engine.name_rows(connection, records, "records_of_period")
    own = engine.name_rows(connection, own, "own_of_points")
    once = engine.materialize(connection, _once(records), "once")
    whole = _summed(once.mutate(session=ibis.literal(0, "int64")), own)
    whole = engine.materialize(connection, whole, "whole")
    # Sorting every record is what costs, and most ends have one short connection: only those whose
    # records span more than the timeout, or have a SYN after the first, may have several.
    span = engine.epoch_seconds(whole.latest) - engine.epoch_seconds(whole.first_seen)
    may_split = (span > _timeout(whole.protocol, idle_timeout)) | whole.reopened
    split = _summed(_with_session(once.semi_join(whole.filter(may_split), ENDS), idle_timeout), own)
    yield _with_facts(whole.filter(~may_split).union(split))
    engine.drop(connection, once, whole)


def _timeout(protocol: ibis.Value, idle_timeout: int) -> ibis.Value:
    """Seconds without a record after which a connection of a protocol has ended."""
    return (protocol == _UDP).ifelse(min(idle_timeout, UDP_IDLE_TIMEOUT), idle_timeout)


def _opens(r: ibis.Table) -> ibis.Value:
    """Whether a record has a SYN without ACK: that of an initiator."""
    return ((r.flags & (_SYN | _ACK)) == _SYN).fill_null(False)


def _once(records: ibis.Table) -> ibis.Table:
    """Each record once, whatever the number of flow logs with it; with flags if one has them."""
    return records.group_by(_RECORD).aggregate(flags=_.flags.max())


def _with_session(records: ibis.Table, idle_timeout: int) -> ibis.Table:
    """Number the connections of the same two ends as ``session``."""
    starts = _starts(records, idle_timeout)
    # A record with a SYN may begin before the SYN, in the window of another observation point, but
    # it ends after it. Any other record belongs to the connection in which it begins.
    has_syn = ((records.flags & _SYN) == _SYN).fill_null(False)
    records = records.mutate(time=has_syn.ifelse(records["end"], records.start))
    times = records.select(*ENDS, "time", begins=ibis.literal(0, "int64"))
    times = times.union(starts.mutate(begins=ibis.literal(1, "int64")))
    times = times.group_by([*ENDS, "time"]).aggregate(begins=_.begins.max())
    so_far = ibis.cumulative_window(group_by=ENDS, order_by="time")
    times = times.mutate(session=times.begins.sum().over(so_far).cast("int64"))
    keys = [*ENDS, "time"]
    return records.join(times.select(*keys, "session"), keys).drop("time")


def _starts(records: ibis.Table, idle_timeout: int) -> ibis.Table:
    """The times at which another connection of the same two ends starts: ENDS, time."""
    slots = _with_gaps(records)
    timeout = slots.opens.ifelse(
        min(idle_timeout, SYN_TIMEOUT), _timeout(slots.protocol, idle_timeout)
    )
    pauses = slots.filter(slots.gap > timeout).select(*ENDS, time="start", start=True, close=False)
    lead = _of_leads(records, slots.filter(slots.gap > idle_timeout))
    syns = lead.filter(_opens(lead)).select(*ENDS, time="start", start=False, close=False)
    closes = lead.filter((lead.flags & (_FIN | _RST)) > 0)
    events = pauses.union(syns, closes.select(*ENDS, time="end", start=False, close=True))
    # All SYNs of a connection begin before any of its FINs and RSTs end.
    events = events.group_by([*ENDS, "time", "close"]).aggregate(start=_.start.any())
    in_order = ibis.window(group_by=ENDS, order_by=["time", "close"])
    events = events.mutate(closed=events.close.lag().over(in_order).fill_null(False))
    return events.filter(~events.close & (events.closed | events.start)).select(*ENDS, "time")


def _with_gaps(records: ibis.Table) -> ibis.Table:
    """The starts of records, and the seconds before them without a record of any point."""
    # By start, not by record: records of one start belong together, whichever is sorted first.
    slots = records.group_by([*ENDS, "start"]).aggregate(
        until=_["end"].max(), opens=_opens(records).any()
    )
    earlier = ibis.window(group_by=ENDS, order_by="start", preceding=(None, 1), following=None)
    slots = slots.mutate(previous=slots.until.max().over(earlier))
    gap = engine.epoch_seconds(slots.start) - engine.epoch_seconds(slots.previous)
    return slots.mutate(gap=gap)


def _of_leads(records: ibis.Table, pauses: ibis.Table) -> ibis.Table:
    """The records with SYN, FIN or RST of the observation point that has most SYNs.

    Only its flags separate connections: the windows of points overlap, and a connection that one
    has closed is still open in a window of another. It is chosen anew after each of the pauses,
    so that what is before a pause depends on nothing after it.
    """
    flagged = records.filter((records.flags & (_FIN | _SYN | _RST)) > 0)
    begins = pauses.select(*ENDS, begins="start")
    flagged = flagged.asof_join(begins, flagged.start >= begins.begins, ENDS)
    epoch = ibis.literal(datetime(1970, 1, 1, tzinfo=UTC))
    flagged = flagged.mutate(block=flagged.begins.fill_null(epoch))
    flagged = flagged.select(*records.columns, "block")
    opening = flagged.filter(_opens(flagged)).group_by([*ENDS, "block", *_POINT])
    counts = opening.aggregate(count=_.count())
    order = ibis.window(group_by=[*ENDS, "block"], order_by=[counts["count"].desc(), *_POINT])
    ranked = counts.mutate(rank=ibis.row_number().over(order))
    leads = ranked.filter(ranked["rank"] == 0).select(*ENDS, "block", *_POINT)
    return flagged.semi_join(leads, [*ENDS, "block", *_POINT])


def _summed(records: ibis.Table, own: ibis.Table) -> ibis.Table:
    """One row per connection: each direction as the point recorded it that recorded most."""
    r = records
    seen = r.group_by([*ENDS, "session", "point", "hop"]).aggregate(
        first_seen=r.start.min(),
        latest=r.start.max(),
        last_seen=r["end"].max(),
        last_syn=r.start.max(where=_opens(r)),
        records=r.count(),
        rejected_records=r.rejected.cast("int64").sum(),
        bytes_up=r.bytes.sum(where=r.up).fill_null(0),
        bytes_down=r.bytes.sum(where=~r.up).fill_null(0),
        packets_up=r.packets.sum(where=r.up).fill_null(0),
        packets_down=r.packets.sum(where=~r.up).fill_null(0),
        first_up=r.start.min(where=r.up),
        first_down=r.start.min(where=~r.up),
        facts=_facts(r).bit_or(),
    )
    low, high = low_and_high(seen.hosts)
    seen = seen.mutate(low=low, high=high)
    for end in ("low", "high"):
        points = own.select("point", **{end: own.address, f"own_{end}": own.point})
        seen = seen.left_join(points, ["point", end]).drop("point_right", f"{end}_right")
    s = seen
    return s.group_by([*ENDS, "session"]).aggregate(
        first_seen=s.first_seen.min(),
        latest=s.latest.max(),
        last_seen=s.last_seen.max(),
        reopened=(s.last_syn > s.first_seen).any().fill_null(False),
        records=s.records.sum(),
        rejected_records=s.rejected_records.sum(),
        **{
            f"{name}_{direction}": s[f"{name}_{direction}"].max()
            for name in ("bytes", "packets")
            for direction in ("up", "down")
        },
        first_up=s.first_up.min(),
        first_down=s.first_down.min(),
        facts=s.facts.bit_or(),
        point_low=s.own_low.min(),
        point_high=s.own_high.min(),
        point_any=s.point.min(),
    )


def _facts(r: ibis.Table) -> ibis.Value:
    """The facts of a record about its connection, as bits."""
    flags = r.flags.fill_null(0)
    syn = (flags & _SYN) == _SYN
    # A rejected TCP packet without SYN is a late packet of a closed connection.
    rejecting = r.rejected & ((r.protocol != 6) | r.flags.isnull() | syn)
    ack = (flags & _ACK) == _ACK
    facts = (
        (~r.rejected, _ACCEPTED),
        (rejecting, _REJECTING),
        (syn & ~ack, _SYNS),
        (syn & ack, _SYN_ACKS),
        ((r.protocol == 6) & r.flags.notnull() & ~syn, _MIDSTREAM),
        (
            (r.protocol == _UDP) | ((r.protocol == 6) & r.flags.isnull() & (r.packets > 1)),
            _NO_FLAGS,
        ),
    )
    bits = sum((fact.ifelse(bit, 0) for fact, bit in facts), ibis.literal(0, "int64"))
    return r.up.ifelse(bits, bits * _FROM_HIGH).cast("int64")


def _with_facts(c: ibis.Table) -> ibis.Table:
    """The combined bits as columns."""
    bits = {
        "accepted": _ACCEPTED,
        "rejecting": _REJECTING,
        "syn": _SYNS,
        "syn_ack": _SYN_ACKS,
        "midstream": _MIDSTREAM,
        "no_flags": _NO_FLAGS,
    }
    columns = {
        f"{name}_{direction}": (c.facts & (bit * scale)) > 0
        for name, bit in bits.items()
        for direction, scale in (("up", 1), ("down", _FROM_HIGH))
    }
    (low, high), (low_port, high_port) = map(low_and_high, (c.hosts, c.ports))
    columns |= {"low": low, "high": high, "low_port": low_port, "high_port": high_port}
    return c.mutate(**columns).drop("facts", "latest", "reopened", "hosts", "ports")
