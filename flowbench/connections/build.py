"""From staged records to the two tables on disk, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import ibis
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections.initiator import initiator_rule, with_inside
from flowbench.connections.sessions import joined
from flowbench.connections.staging import Staged, stage
from flowbench.connections.tables import IDLE, PAIRS, TABLE

PER_PART = 4_000_000  # records worked on at a time: about a gigabyte of memory

_PAIR = ["initiator", "responder", "service_port", "protocol", "direction", "intermediate"]
_SUMS = ["bytes_out", "bytes_in", "packets_out", "packets_in", "records"]


def write(
    connection: Backend,
    flows: ibis.Table,
    interfaces: ibis.Table,
    folder: Path,
    *,
    idle: int = IDLE,
    per_part: int = PER_PART,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Write connections.parquet (TABLE) and connection_summaries.parquet (PAIRS) into ``folder``.

    ``flows`` are flow log records (schema.FLOWS); ``interfaces`` (load.inventory.TABLE, may be
    empty) tells whose address is whose; what it does not know is learned from the records.
    ``idle`` is in seconds. ``per_part`` records are worked on at a time; rows come ordered by part,
    then by initiator, responder, port and time. ``progress`` is called with (steps done, of steps,
    what is done next). ``folder`` is also where what lies between is kept.
    """
    progress(0, 1, "sorting flow log records by their ends")
    staged = stage(connection, flows, interfaces, folder / "records", per_part)
    partial: list[ibis.Table] = []
    steps = len(staged.parts) + 2

    def parts() -> Iterator[ibis.Table]:
        for number, part in enumerate(staged.parts):
            progress(number + 1, steps, "joining records to connections")
            records = engine.load(connection, part)
            with joined(connection, records, staged.own, idle) as rows:
                found = engine.keep(connection, _described(rows, staged))
            partial.append(engine.keep(connection, pairs(found)))
            yield _spelled(found, staged).select(*TABLE.columns)
            engine.drop(connection, found)

    engine.save(connection, parts(), folder / "connections.parquet", TABLE.arrow)
    progress(steps - 1, steps, "summing connections up by ends")
    sums = [_spelled(_merged(partial), staged).select(*PAIRS.columns)] if partial else []
    engine.save(connection, sums, folder / "connection_summaries.parquet", PAIRS.arrow)
    progress(steps, steps, "")


def pairs(connections: ibis.Table) -> ibis.Table:
    """Connections (TABLE) summed up by ends, service port and protocol (PAIRS)."""
    c = connections
    return (
        c.group_by(_PAIR)
        .aggregate(
            first_seen=c.first_seen.min(),
            last_seen=c.last_seen.max(),
            connections=c.count(),
            rejected=c.count(where=c.rejected),
            answered=c.count(where=c.answered),
            **{name: c[name].sum() for name in _SUMS},
        )
        .select(*PAIRS.columns)
    )


def _merged(partial: list[ibis.Table]) -> ibis.Table:
    """The pairs of all parts."""
    p = ibis.union(*partial) if len(partial) > 1 else partial[0]
    sums = {name: p[name].sum() for name in ("connections", "rejected", "answered", *_SUMS)}
    return p.group_by(_PAIR).aggregate(
        first_seen=p.first_seen.min(), last_seen=p.last_seen.max(), **sums
    )


def _described(rows: ibis.Table, staged: Staged) -> ibis.Table:
    """Low and high become initiator and responder (still ids); what follows is worked out."""
    rows = with_inside(rows, staged.addresses)
    low_opened, told = initiator_rule(rows)
    j = rows.mutate(low_opened=low_opened, decided_by=told)

    def sides(low: str, high: str) -> tuple[ibis.Value, ibis.Value]:
        return j.low_opened.ifelse(j[low], j[high]), j.low_opened.ifelse(j[high], j[low])

    initiator, responder = sides("low", "high")
    initiator_port, service_port = sides("low_port", "high_port")
    bytes_out, bytes_in = sides("bytes_up", "bytes_down")
    packets_out, packets_in = sides("packets_up", "packets_down")
    refusing_out, refusing_in = sides("refusing_up", "refusing_down")
    spoken, _spoken_in = sides("first_up", "first_down")
    _accepted_out, answered = sides("accepted_up", "accepted_down")
    own_place, _other = sides("interface_low", "interface_high")
    initiator_internal, responder_internal = sides("low_internal", "high_internal")
    direction = ibis.cases(
        (initiator_internal & responder_internal, "internal"),
        (initiator_internal, "outbound"),
        (responder_internal, "inbound"),
        else_="external",
    )
    return j.select(
        "first_seen",
        "last_seen",
        "records",
        "refused_records",
        "decided_by",
        initiator=initiator,
        initiator_port=initiator_port,
        responder=responder,
        service_port=service_port,
        protocol=j.protocol.nullif(-1).cast("int32"),
        place=ibis.coalesce(own_place, j.interface_any),
        bytes_out=bytes_out,
        bytes_in=bytes_in,
        packets_out=packets_out,
        packets_in=packets_in,
        # A reply that was rejected (a network ACL) refuses too, if there was something to reply to.
        rejected=~answered & (refusing_out | (refusing_in & spoken.notnull())),
        answered=answered,
        direction=direction,
        intermediate=j.low_intermediate | j.high_intermediate,
    )


def _spelled(rows: ibis.Table, staged: Staged) -> ibis.Table:
    """Rows with words for numbers, in a total order."""
    known = staged.addresses.select("id", "address")
    here = known.rename(initiator_address="address", initiator="id")
    there = known.rename(responder_address="address", responder="id")
    r = rows.join(here, "initiator").join(there, "responder")
    order = ["initiator", "responder", "service_port", "protocol", "first_seen"]
    if "place" in rows.columns:
        r = r.join(staged.places.select("interface_id", place="id"), "place")
        order.append("initiator_port")
    return r.order_by(order).mutate(initiator=r.initiator_address, responder=r.responder_address)
