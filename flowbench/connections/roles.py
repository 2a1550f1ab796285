"""The two ends of a connection as initiator and responder."""

from __future__ import annotations

import ibis

from flowbench.connections.initiator import choose_initiator

_KEPT = ["first_seen", "last_seen", "records", "rejected_records", "initiator_rule"]


def with_roles(rows: ibis.Table) -> ibis.Table:
    """Turn the low and high end of connections into initiator and responder, with what follows.

    Args:
        rows: Connections (sessions.join_records, initiator.with_ownership) with low_clients and
            high_clients (service_ports). Ends and points are ids, or names.

    Returns:
        The columns of tables.TABLE, but ``point`` for interface_id.
    """
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
