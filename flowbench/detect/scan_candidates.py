"""Candidates for scans: sources with many failed connection attempts, and what they attempted.

A row of an attempt table is one source and one network service (host, port, protocol). A candidate
is a source; what an internal source attempts internally and externally is one candidate, what an
external source attempts is another.

An attempt needs a packet from its initiator, and for TCP a SYN where flags are logged: stray FINs,
and SYN-ACKs or resets to a host that sent nothing (backscatter), are none. Where the initiator is
only guessed, nobody has attempted anything.
"""

from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from flowbench.connections.initiator import RELIABLE_RULES
from flowbench.detect.logins import DATABASES, LOGINS
from flowbench.engine import epoch_seconds

SERVICE = ["responder", "service_port", "protocol"]
CANDIDATE = ["initiator", "internal"]
ROWS = [
    *CANDIDATE,
    *SERVICE,
    "failed",
    "answered",
    "rejected",
    "first_seen",
    "last_seen",
    "connections",
    "bytes_out",
    "bytes_in",
    "accepted",
]

_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_HEADER_BYTES = 80  # a packet up to that size carries hardly any data
_PROBE_PACKETS = 6  # to one service
_SYNS = 20  # of one connection: a client's seven, repeated
_CHECKS = 10  # more connections to a service that answers without data are health checks
_SESSION_BYTES, _SESSION_SECONDS = 20_000, 1_200  # more than a login attempt
_LOGIN_PORTS = sorted(LOGINS.keys() | DATABASES.keys())


def build_attempts(connections: ibis.Table) -> ibis.Table:
    """Return what each source attempted: a row per source, direction and service.

    An attempt failed that was rejected, of any protocol and size; a SYN without an answer; and a
    TCP connection without data (a reset, or a handshake and no more), unless the source made so
    many of them that they are health checks. Without an answer other protocols are silent, which
    proves nothing: much UDP has none. A TCP connection that carried data and has no answer has lost
    its other direction: it is no attempt. Of ICMP only what external sources were rejected counts;
    the rest is for silent_sweeps.

    Args:
        connections: The connections of a case.

    Returns:
        The columns initiator, direction, responder, service_port, protocol; failed, silent (else a
        connection had data in its answer); answered, rejected, has_handshake (without data),
        has_syn (null without flags), has_session (longer or larger than a login attempt),
        min_source_port, max_source_port, packets_out, connections, first_seen, last_seen, bytes_out
        and bytes_in.
    """
    c = connections.filter(~connections.intermediate, connections.direction != "external")
    c = c.filter(~c.protocol.isin([_ICMP, _ICMP6]) | (c.rejected & (c.direction == "inbound")))
    is_tcp = c.protocol == _TCP
    is_certain = c.initiator_rule.isin(RELIABLE_RULES) & (c.packets_out > 0)
    is_attempt = is_certain & c.syn_sent.fill_null(True)
    sent_nothing = c.bytes_out <= _HEADER_BYTES * c.packets_out
    is_empty = (c.bytes_in <= _HEADER_BYTES * c.packets_in) & (c.packets_in <= 3)
    is_empty &= is_tcp & sent_nothing & (c.packets_out <= _PROBE_PACKETS)
    is_unanswered = ~c.answered & sent_nothing & (c.packets_out <= _SYNS)
    fails = c.rejected | (is_tcp & (is_unanswered | (c.answered & is_empty)))
    seconds = epoch_seconds(c["last_seen"]) - epoch_seconds(c.first_seen)
    facts = {
        "fails": is_attempt & fails,
        "silent": is_certain & ~is_tcp & ~c.rejected & ~c.answered,
        "succeeds": c.answered & ~is_empty & (c.packets_out > 0),
        "answered": c.answered,
        "rejected": c.rejected,
        # A reset answers each SYN; a handshake has more packets of the initiator.
        "has_handshake": c.answered & is_empty & (c.packets_in < c.packets_out),
        "has_syn": c.syn_sent.fill_null(False),
        "has_session": (c.bytes_in > _SESSION_BYTES) | (seconds >= _SESSION_SECONDS),
    }
    # As the bits of one number, since eight columns cost more than all the rest.
    bits = {name: 1 << place for place, name in enumerate(facts)}
    c = c.mutate(facts=sum(facts[name].cast("int16") * bit for name, bit in bits.items()))
    relevant = bits["fails"] | bits["silent"] | bits["succeeds"]
    attempts = c.filter((c.facts & relevant) > 0)
    attempts = attempts.group_by("initiator", "direction", *SERVICE).aggregate(
        facts=_.facts.bit_or(),
        min_source_port=_.initiator_port.min(),
        max_source_port=_.initiator_port.max(),  # a distinct count costs twice all the rest
        packets_out=_.packets_out.sum(),
        connections=_.count(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        bytes_out=_.bytes_out.sum(),
        bytes_in=_.bytes_in.sum(),
    )
    attempts = attempts.mutate(**{name: (_.facts & bit) > 0 for name, bit in bits.items()})
    is_check = attempts.answered & (attempts.connections > _CHECKS)
    return attempts.mutate(
        failed=~_.succeeds & _.fails & ~is_check, silent=~_.succeeds & ~_.fails
    ).drop("facts", "succeeds", "fails")


def exclude_backscatter(attempts: ibis.Table) -> ibis.Table:
    """Return the attempts without backscatter (Moore et al., USENIX Security 2001).

    A flooded victim answers forged senders: from one well-known port to about as many ports as
    hosts. Without TCP flags, its answers look like connection attempts.
    """
    spread = attempts.filter(
        attempts.min_source_port < 1_024, attempts.min_source_port == attempts.max_source_port
    )
    spread = spread.group_by("initiator", "min_source_port").aggregate(
        hosts=_.responder.nunique(), ports=_.service_port.nunique()
    )
    spread = spread.filter(spread.hosts >= 3, spread.ports * 2 >= spread.hosts)
    spread = spread.filter(spread.hosts * 2 >= spread.ports)
    return attempts.anti_join(spread, ["initiator", "min_source_port"])


def find_candidates(attempts: ibis.Table, min_failed: int, popular_clients: int) -> ibis.Table:
    """Return the attempts of all candidates.

    All failed services of a source belong to its scan. Of the services that answered it, those of
    the same hosts belong to it that it first reached during the scan; for an external source, or
    after the scan: a scanner comes back to what it found.

    Args:
        attempts: The result of ``build_attempts``.
        min_failed: How many more services must have failed than answered.
        popular_clients: A service that answered so many external sources is open to all.

    Returns:
        ROWS. ``accepted``: the service answered this source and few external ones, or it is a login
        service that had a session.
    """
    attempts = attempts.filter(~attempts.silent)
    reached = _sources(attempts, min_failed)
    source = ["initiator", "direction"]
    rows = attempts.semi_join(reached, source).mutate(internal=_.direction != "inbound")
    failed = rows.filter(rows.failed)
    periods = failed.group_by(CANDIDATE).aggregate(
        begin=_.first_seen.min(), until=_.first_seen.max()
    )
    hosts = failed.select(*CANDIDATE, "responder").distinct()
    answered = rows.filter(~rows.failed).semi_join(hosts, [*CANDIDATE, "responder"])
    answered = answered.join(periods, CANDIDATE)
    during = answered.first_seen.between(answered.begin, answered.until)
    answered = answered.filter(
        ibis.ifelse(answered.internal, during, answered.first_seen >= answered.begin)
    )
    clients = attempts.filter(attempts.direction == "inbound", ~attempts.failed)
    clients = clients.group_by(SERVICE).aggregate(client_count=_.initiator.nunique())
    popular = clients.filter(clients.client_count >= popular_clients)
    answered = answered.left_join(popular, SERVICE)
    login_session = answered.has_session & answered.service_port.isin(_LOGIN_PORTS)
    answered = answered.mutate(accepted=answered.client_count.isnull() | login_session)
    return failed.mutate(accepted=False).select(ROWS).union(answered.select(ROWS))


def _sources(attempts: ibis.Table, min_failed: int) -> ibis.Table:
    """Return initiator and direction of the sources whose count reaches ``min_failed``.

    The count rises with a failed and falls with an answered service, in the order of first
    contact, and never falls below zero: it is the running sum less its least value so far (CUSUM).
    """
    source = ["initiator", "direction"]
    totals = attempts.group_by(source).aggregate(failed=_.failed.sum(), answered=(~_.failed).sum())
    totals = totals.filter(totals.failed >= min_failed)
    # Where the totals alone suffice, the count reaches the threshold in any order.
    is_certain = totals.failed - totals.answered >= min_failed
    steps = attempts.semi_join(totals.filter(~is_certain), source)
    so_far = ibis.cumulative_window(group_by=source, order_by=["first_seen", *SERVICE])
    steps = steps.mutate(count=(steps.failed.cast("int64") * 2 - 1).sum().over(so_far))
    steps = steps.mutate(least=steps["count"].min().over(so_far))
    steps = steps.filter(steps["count"] - ibis.least(steps["least"], 0) >= min_failed)
    return totals.filter(is_certain).select(source).union(steps.select(source), distinct=True)


def find_background(attempts: ibis.Table, candidates: ibis.Table) -> ibis.Table:
    """Return the attempts (ROWS) of external sources that reached nothing, however few these are.

    They were rejected, refused (a reset for each SYN) or not answered. Left out are

    * sources that some service answered with data, or that are candidates;
    * attempts at a service that answers more external sources than it fails: a client's bad luck;
    * attempts at a host that opened connections to the source itself: late packets, or a peer;
    * without flags, attempts from a port below 1024: answers to forged senders look the same;
    * ICMP that was not rejected (for silent_sweeps), and UDP of more than a few packets.
    """
    inbound = attempts.filter(attempts.direction == "inbound")
    fails = inbound.failed | inbound.silent
    answering = inbound.group_by(SERVICE).aggregate(
        answered=inbound.count(where=~fails), unanswered=inbound.count(where=fails)
    )
    answering = answering.filter(answering.answered > answering.unanswered)
    is_probe = inbound.failed & ~inbound.has_handshake
    is_probe |= (
        inbound.silent & (inbound.protocol == _UDP) & (inbound.packets_out <= _PROBE_PACKETS)
    )
    is_clear = (inbound.protocol != _TCP) | inbound.has_syn | (inbound.min_source_port >= 1_024)
    probes = inbound.filter(is_probe, is_clear)
    probes = probes.anti_join(answering, SERVICE)
    probes = probes.anti_join(inbound.filter(~fails), "initiator")
    probes = exclude_candidates(probes, candidates)
    peers = attempts.filter(attempts.direction == "outbound", ~attempts.failed, ~attempts.silent)
    peers = peers.select(initiator="responder", responder="initiator").distinct()
    probes = probes.anti_join(peers, ["initiator", "responder"])
    return probes.mutate(failed=True, internal=False, accepted=False).select(ROWS)


def exclude_candidates(rows: ibis.Table, candidates: ibis.Table) -> ibis.Table:
    """Return the rows of the external sources that are no candidates."""
    return rows.anti_join(candidates.filter(~candidates.internal), "initiator")


def select_candidates(rows: ibis.Table, candidates: list[dict[str, Any]]) -> ibis.Table:
    """Return the rows of some of the candidates."""
    keys = {name: [candidate[name] for candidate in candidates] for name in CANDIDATE}
    types = pa.schema({"initiator": pa.string(), "internal": pa.bool_()})
    return rows.semi_join(ibis.memtable(pa.table(keys, types)), CANDIDATE)
