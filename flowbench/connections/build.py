"""Connections and connection summaries from flow log records, written part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import ibis
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.connections import zones
from flowbench.connections.initiator import choose_initiator, with_ownership
from flowbench.connections.service_ports import find_constant_ports, with_client_ports
from flowbench.connections.sessions import join_records
from flowbench.connections.staging import Staged, stage_records
from flowbench.connections.tables import IDLE_TIMEOUT, SUMMARIES, TABLE
from flowbench.enrich.monitored_network import Inventory

RECORDS_PER_PART = 4_000_000  # about a gigabyte of memory

_SUMMARY_KEY = ["initiator", "responder", "service_port", "protocol", "direction", "intermediate"]
_KEPT = ["first_seen", "last_seen", "records", "rejected_records", "initiator_rule"]
_SUMS = ["bytes_out", "bytes_in", "packets_out", "packets_in", "records"]


def build_connections(  # what it reads, where it writes, and two limits
    connection: Backend,
    flows: ibis.Table,
    inventory: Inventory,
    own: ibis.Table,
    folder: Path,
    *,
    idle_timeout: int = IDLE_TIMEOUT,
    per_part: int = RECORDS_PER_PART,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Write connections (TABLE), connection_summaries (SUMMARIES) and address_zones (.parquet).

    Rows are ordered by part, then by initiator, responder, port and time.

    Args:
        connection: A DuckDB connection to work with.
        flows: Flow log records (schema.FLOWS).
        inventory: The inventory (its tables may be empty).
        own: The own addresses of interfaces (enrich.own_addresses).
        folder: Where both files and intermediate results are written.
        idle_timeout: Seconds without a record after which a new connection starts.
        per_part: Number of records that are processed at a time.
        progress: Called with (steps done, number of steps, description of the next step).
    """
    progress(0, 1, "sorting flow log records by their ends")
    staged = stage_records(connection, flows, inventory, own, folder / "records", per_part)
    zone_file = folder / f"{zones.TABLE.name}.parquet"
    in_order = staged.zones.order_by(list(zones.TABLE.columns))
    engine.write_parquet(connection, [in_order], zone_file, zones.TABLE.arrow)
    partial: list[ibis.Table] = []
    steps = len(staged.parts) + 2

    def parts() -> Iterator[ibis.Table]:
        if not staged.parts:
            return
        constant = find_constant_ports(connection, staged.parts)
        for number, part in enumerate(staged.parts):
            progress(number + 1, steps, "joining records to connections")
            records = engine.read_parquet(connection, part)
            with join_records(connection, records, staged.own, idle_timeout) as rows:
                connections = engine.materialize(connection, _with_roles(rows, staged, constant))
            partial.append(engine.materialize(connection, summarize_connections(connections)))
            yield _with_addresses(connections, staged).select(*TABLE.columns)
            engine.drop(connection, connections)

    engine.write_parquet(connection, parts(), folder / "connections.parquet", TABLE.arrow)
    progress(steps - 1, steps, "summing connections by initiator and responder")
    sums = [_with_addresses(_merged(partial), staged).select(*SUMMARIES.columns)] if partial else []
    engine.write_parquet(connection, sums, folder / "connection_summaries.parquet", SUMMARIES.arrow)
    progress(steps, steps, "")


def summarize_connections(connections: ibis.Table) -> ibis.Table:
    """Sum connections (TABLE) by initiator, responder, port and protocol (SUMMARIES)."""
    c = connections
    return (
        c.group_by(_SUMMARY_KEY)
        .aggregate(
            first_seen=c.first_seen.min(),
            last_seen=c.last_seen.max(),
            connections=c.count(),
            rejected=c.count(where=c.rejected),
            answered=c.count(where=c.answered),
            **{name: c[name].sum() for name in _SUMS},
        )
        .select(*SUMMARIES.columns)
    )


def _merged(partial: list[ibis.Table]) -> ibis.Table:
    """The summaries of all parts as one."""
    p = ibis.union(*partial) if len(partial) > 1 else partial[0]
    sums = {name: p[name].sum() for name in ("connections", "rejected", "answered", *_SUMS)}
    return p.group_by(_SUMMARY_KEY).aggregate(
        first_seen=p.first_seen.min(), last_seen=p.last_seen.max(), **sums
    )


def _with_roles(rows: ibis.Table, staged: Staged, constant: ibis.Table) -> ibis.Table:
    """Turn low and high end into initiator and responder (still ids), with what follows."""
    rows = with_client_ports(with_ownership(rows, staged.addresses), constant)
    low_opened, rule = choose_initiator(rows)
    j = rows.mutate(low_opened=low_opened, initiator_rule=rule)

    def sides(low: str, high: str) -> tuple[ibis.Value, ibis.Value]:
        return j.low_opened.ifelse(j[low], j[high]), j.low_opened.ifelse(j[high], j[low])

    initiator, responder = sides("low", "high")
    initiator_port, service_port = sides("low_port", "high_port")
    bytes_out, bytes_in = sides("bytes_up", "bytes_down")
    packets_out, packets_in = sides("packets_up", "packets_down")
    rejecting_out, rejecting_in = sides("rejecting_up", "rejecting_down")
    first_out, _first_in = sides("first_up", "first_down")
    _accepted_out, answered = sides("accepted_up", "accepted_down")
    own_point, _other = sides("point_low", "point_high")
    syn_out, syn_in = sides("syn_up", "syn_down")
    has_flags = syn_out | syn_in | j.syn_ack_up | j.syn_ack_down | j.midstream_up | j.midstream_down
    initiator_internal, responder_internal = sides("low_internal", "high_internal")
    direction = ibis.cases(
        (initiator_internal & responder_internal, "internal"),
        (initiator_internal, "outbound"),
        (responder_internal, "inbound"),
        else_="external",
    )
    return j.select(
        *_KEPT,
        initiator=initiator,
        initiator_port=initiator_port,
        responder=responder,
        service_port=service_port,
        protocol=j.protocol.nullif(-1).cast("int32"),
        point=ibis.coalesce(own_point, j.point_any),
        bytes_out=bytes_out,
        bytes_in=bytes_in,
        packets_out=packets_out,
        packets_in=packets_in,
        # A rejected reply (network ACL) counts too, if there was something to reply to.
        rejected=~answered & (rejecting_out | (rejecting_in & first_out.notnull())),
        answered=answered,
        syn_sent=has_flags.ifelse(syn_out, ibis.null("bool")),
        direction=direction,
        intermediate=j.low_intermediate | j.high_intermediate,
    )


def _with_addresses(rows: ibis.Table, staged: Staged) -> ibis.Table:
    """Rows with addresses and interfaces for ids, in a total order: the file has one digest."""
    addresses = staged.addresses.select("id", "address")
    initiators = addresses.rename(initiator_address="address", initiator="id")
    responders = addresses.rename(responder_address="address", responder="id")
    r = rows.join(initiators, "initiator").join(responders, "responder")
    order = ["initiator", "responder", "service_port", "protocol", "first_seen", "last_seen"]
    if "point" in rows.columns:
        r = r.join(staged.points.select("interface_id", point="id"), "point")
        order += ["initiator_port", *_SUMS]
    return r.order_by(order).mutate(initiator=r.initiator_address, responder=r.responder_address)
