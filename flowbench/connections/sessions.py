"""Records between the same two ends joined into connections, each byte counted once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.staging import ENDS

_SYN, _ACK = 2, 16
_RECORD = [*ENDS, "point", "hop", "up", "rejected", "start", "end", "packets", "bytes"]
# Facts of a record as bits that an aggregate can combine; times 32 for records of the high end.
_ACCEPTED, _REJECTING, _SYNS, _SYN_ACKS, _MIDSTREAM = 1, 2, 4, 8, 16
_FROM_HIGH = 32


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
        A row per connection. Columns: ENDS, first_seen, last_seen, records, rejected_records;
        for either direction (``_up``, ``_down``) bytes, packets, first (start of the first record)
        and whether there was a record that was accepted, rejecting, syn, syn_ack or midstream;
        point_low, point_high, point_any (ids of observation points).
    """
    once = engine.materialize(connection, _once(records))
    whole = engine.materialize(
        connection, _summed(once.mutate(session=ibis.literal(0, "int64")), own)
    )
    is_long = (
        engine.epoch_seconds(whole.latest) - engine.epoch_seconds(whole.first_seen)
    ) > idle_timeout
    # Sorting every record is what costs, and most ends have one short connection: only those whose
    # records span more than the timeout are searched for gaps.
    long = once.semi_join(whole.filter(is_long), ENDS)
    split = _summed(_with_session(long, idle_timeout), own)
    yield _with_facts(whole.filter(~is_long).union(split))
    engine.drop(connection, once, whole)


def _once(records: ibis.Table) -> ibis.Table:
    """Each record once, whatever the number of flow logs with it; with flags if one has them."""
    return records.group_by(_RECORD).aggregate(flags=_.flags.max())


def _with_session(records: ibis.Table, idle_timeout: int) -> ibis.Table:
    """Number the sessions of the same two ends, which gaps of more than the timeout separate."""
    # By start, not by record: records of one start belong together, whichever is sorted first.
    slots = records.group_by([*ENDS, "start"]).aggregate(until=_["end"].max())
    earlier = ibis.window(group_by=ENDS, order_by="start", preceding=(None, 1), following=None)
    slots = slots.mutate(previous=slots.until.max().over(earlier))
    gap = engine.epoch_seconds(slots.start) - engine.epoch_seconds(slots.previous)
    slots = slots.mutate(is_new=(gap > idle_timeout).fill_null(False).cast("int64"))
    so_far = ibis.cumulative_window(group_by=ENDS, order_by="start")
    slots = slots.mutate(session=slots.is_new.sum().over(so_far).cast("int64"))
    keys = [*ENDS, "start"]
    return records.join(slots.select(*keys, "session"), keys)


def _summed(records: ibis.Table, own: ibis.Table) -> ibis.Table:
    """One row per connection: each direction as the point recorded it that recorded most."""
    r = records
    seen = r.group_by([*ENDS, "session", "point", "hop"]).aggregate(
        first_seen=r.start.min(),
        latest=r.start.max(),
        last_seen=r["end"].max(),
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
    for end in ("low", "high"):
        points = own.select("point", **{end: own.address, f"own_{end}": own.point})
        seen = seen.left_join(points, ["point", end]).drop("point_right", f"{end}_right")
    s = seen
    return s.group_by([*ENDS, "session"]).aggregate(
        first_seen=s.first_seen.min(),
        latest=s.latest.max(),
        last_seen=s.last_seen.max(),
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
    }
    columns = {
        f"{name}_{direction}": (c.facts & (bit * scale)) > 0
        for name, bit in bits.items()
        for direction, scale in (("up", 1), ("down", _FROM_HIGH))
    }
    return c.mutate(**columns).drop("facts", "latest")
