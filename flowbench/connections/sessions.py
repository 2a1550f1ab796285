"""Records between the same two ends become connections, each byte counted once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.staging import ENDS

_SYN, _ACK = 2, 16
_RECORD = [*ENDS, "place", "leg", "up", "rejected", "start", "end", "packets", "bytes"]
# What a record says, as bits that an aggregate can gather; 32 times as much from the high end.
_ACCEPTED, _REFUSING, _SYNS, _SYN_ACKS, _MIDWAY = 1, 2, 4, 8, 16
_OTHER_WAY = 32


@contextmanager
def joined(
    connection: Backend, records: ibis.Table, own: ibis.Table, idle: int
) -> Iterator[ibis.Table]:
    """A row per connection in the staged ``records``, not yet knowing who opened it.

    Columns: ENDS, first_seen, last_seen, records, refused_records, for each way bytes, packets and
    first (start of the first record), for each way accepted, refusing, syn, syn_ack and midway
    (whether there was one), interface_low, interface_high, interface_any (ids of places).
    """
    once = engine.keep(connection, _once(records))
    whole = engine.keep(connection, _summed(once.mutate(session=ibis.literal(0, "int64")), own))
    apart = (engine.seconds(whole.latest) - engine.seconds(whole.first_seen)) > idle
    # Sorting every record is what costs, and most ends talk once and briefly: only those whose
    # records lie further apart than ``idle`` are looked at for silences.
    several = once.semi_join(whole.filter(apart), ENDS)
    split = _summed(_with_session(several, idle), own)
    yield _with_marks(whole.filter(~apart).union(split))
    engine.drop(connection, once, whole)


def _once(records: ibis.Table) -> ibis.Table:
    """Each record once, however many flow logs tell of it; with flags if one of them has flags."""
    return records.group_by(_RECORD).aggregate(flags=_.flags.max())


def _with_session(records: ibis.Table, idle: int) -> ibis.Table:
    """Number the talks of the same two ends that a silence of more than ``idle`` sets apart."""
    # By start, not by record: what begins together belongs together, whichever is sorted first.
    slots = records.group_by([*ENDS, "start"]).aggregate(until=_["end"].max())
    earlier = ibis.window(group_by=ENDS, order_by="start", preceding=(None, 1), following=None)
    slots = slots.mutate(before=slots.until.max().over(earlier))
    silence = engine.seconds(slots.start) - engine.seconds(slots.before)
    slots = slots.mutate(fresh=(silence > idle).fill_null(False).cast("int64"))
    so_far = ibis.cumulative_window(group_by=ENDS, order_by="start")
    slots = slots.mutate(session=slots.fresh.sum().over(so_far).cast("int64"))
    keys = [*ENDS, "start"]
    return records.join(slots.select(*keys, "session"), keys)


def _summed(records: ibis.Table, own: ibis.Table) -> ibis.Table:
    """One row per connection: each direction as the place saw it that saw most of it."""
    r = records
    seen = r.group_by([*ENDS, "session", "place", "leg"]).aggregate(
        first_seen=r.start.min(),
        latest=r.start.max(),
        last_seen=r["end"].max(),
        records=r.count(),
        refused_records=r.rejected.cast("int64").sum(),
        bytes_up=r.bytes.sum(where=r.up).fill_null(0),
        bytes_down=r.bytes.sum(where=~r.up).fill_null(0),
        packets_up=r.packets.sum(where=r.up).fill_null(0),
        packets_down=r.packets.sum(where=~r.up).fill_null(0),
        first_up=r.start.min(where=r.up),
        first_down=r.start.min(where=~r.up),
        marks=_marks(r).bit_or(),
    )
    for end in ("low", "high"):
        mine = own.select("place", **{end: own.address, f"own_{end}": own.place})
        seen = seen.left_join(mine, ["place", end]).drop("place_right", f"{end}_right")
    s = seen
    return s.group_by([*ENDS, "session"]).aggregate(
        first_seen=s.first_seen.min(),
        latest=s.latest.max(),
        last_seen=s.last_seen.max(),
        records=s.records.sum(),
        refused_records=s.refused_records.sum(),
        **{
            f"{name}_{way}": s[f"{name}_{way}"].max()
            for name in ("bytes", "packets")
            for way in ("up", "down")
        },
        first_up=s.first_up.min(),
        first_down=s.first_down.min(),
        marks=s.marks.bit_or(),
        interface_low=s.own_low.min(),
        interface_high=s.own_high.min(),
        interface_any=s.place.min(),
    )


def _marks(r: ibis.Table) -> ibis.Value:
    """What a record says of its connection, as bits."""
    flags = r.flags.fill_null(0)
    syn = (flags & _SYN) == _SYN
    # What can refuse: any reject but that of a TCP packet known to carry no SYN.
    refusing = r.rejected & ((r.protocol != 6) | r.flags.isnull() | syn)
    ack = (flags & _ACK) == _ACK
    says = (
        (~r.rejected, _ACCEPTED),
        (refusing, _REFUSING),
        (syn & ~ack, _SYNS),
        (syn & ack, _SYN_ACKS),
        ((r.protocol == 6) & r.flags.notnull() & ~syn, _MIDWAY),
    )
    bits = sum((fact.ifelse(bit, 0) for fact, bit in says), ibis.literal(0, "int64"))
    return r.up.ifelse(bits, bits * _OTHER_WAY).cast("int64")


def _with_marks(c: ibis.Table) -> ibis.Table:
    """The gathered bits as columns."""
    bits = {
        "accepted": _ACCEPTED,
        "refusing": _REFUSING,
        "syn": _SYNS,
        "syn_ack": _SYN_ACKS,
        "midway": _MIDWAY,
    }
    found = {
        f"{name}_{way}": (c.marks & (bit * scale)) > 0
        for name, bit in bits.items()
        for way, scale in (("up", 1), ("down", _OTHER_WAY))
    }
    return c.mutate(**found).drop("marks", "latest")
