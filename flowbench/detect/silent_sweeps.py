"""Sweeps by ICMP and UDP whose targets mostly do not answer.

Silence proves little about either: much UDP has no answer, most ICMP reports errors, and who pinged
whom cannot be known from records both ways. What gives an internal host away is many silent targets
in a short time, none of which sent it anything that its packets could be the answer to.
"""

from __future__ import annotations

from typing import Any

import ibis
from ibis import _

from flowbench.detect.scan_candidates import ROWS, SERVICE
from flowbench.engine import epoch_seconds

PERIOD = 600  # seconds before and after; the longest capture window

_ICMP, _UDP, _ICMP6 = 1, 17, 58
_PACKETS = 10  # to one target: monitoring sends more
_MIN_SILENT_PINGS, _SILENT_PINGS = 3, 0.25
_SILENT_DATAGRAMS = 2 / 3
_MIN_PORTS = 15  # of one host; Zeek's threshold
_TRACEROUTE = (33_434, 33_534)


def find_ping_sweeps(connections: ibis.Table, summaries: ibis.Table, min_hosts: int) -> ibis.Table:
    """Return the hosts that internal hosts pinged in ICMP sweeps, answered or not (ROWS).

    A sweep has ``min_hosts`` targets within PERIOD. At least three and a quarter of them are
    silent: that shows who pinged. Those with records both ways count only besides them.

    Args:
        connections: The connections of a case.
        summaries: Its connection summaries.
        min_hosts: Least number of targets.
    """
    c = connections.filter(
        connections.protocol.isin([_ICMP, _ICMP6]),
        ~connections.intermediate,
        connections.direction != "external",
    )
    silent = c.filter(~c.answered, c.packets_out > 0, c.direction != "inbound")
    silent = silent.select(_turned(silent, "initiator", "responder"))
    silent = silent.anti_join(_senders(summaries, silent), ["initiator", "responder"])
    sources = silent.group_by("initiator").aggregate(targets=_.responder.nunique())
    sources = sources.filter(sources.targets >= _MIN_SILENT_PINGS)
    pings = silent.semi_join(sources, "initiator")
    both = c.filter(c.answered)
    for source, target in (("initiator", "responder"), ("responder", "initiator")):
        answered = both.semi_join(sources, both[source] == sources.initiator)
        pings = pings.union(answered.select(_turned(answered, source, target)))
    targets = _sum_targets(pings)
    targets = targets.filter(targets.packets <= _PACKETS)
    targets = targets.mutate(at=epoch_seconds(targets.first_seen))
    targets = _count_near(targets, ["initiator"])
    is_sweep = (
        (targets.near >= min_hosts)
        & (targets.near_failed >= _MIN_SILENT_PINGS)
        & (targets.near_failed >= _SILENT_PINGS * targets.near)
    )
    return _during(targets, is_sweep, ["initiator"]).select(ROWS)


def find_external_pings(
    connections: ibis.Table, summaries: ibis.Table, min_hosts: int
) -> ibis.Table:
    """Return the hosts that external sources pinged in ICMP sweeps without an answer (ROWS).

    Hosts that rejected the packets are not in it: that is an attempt in itself.

    Args:
        connections: The connections of a case.
        summaries: Its connection summaries.
        min_hosts: Least number of targets within PERIOD.
    """
    silent = connections.filter(
        connections.protocol.isin([_ICMP, _ICMP6]),
        ~connections.intermediate,
        connections.direction == "inbound",
        ~connections.answered,
        connections.packets_out > 0,
    )
    silent = silent.select(_turned(silent, "initiator", "responder"))
    sources = silent.group_by("initiator").aggregate(targets=_.responder.nunique())
    silent = silent.semi_join(sources.filter(sources.targets >= min_hosts), "initiator")
    silent = silent.anti_join(_senders(summaries, silent), ["initiator", "responder"])
    targets = _sum_targets(silent)
    targets = targets.filter(targets.packets <= _PACKETS)
    targets = _count_near(targets.mutate(at=epoch_seconds(targets.first_seen)), ["initiator"])
    swept = _during(targets, targets.near >= min_hosts, ["initiator"])
    return swept.filter(~swept.rejected).mutate(internal=False).select(ROWS)


def find_silent_datagrams(attempts: ibis.Table, min_hosts: int) -> ibis.Table:
    """Return the services at which UDP sweeps of internal hosts got no answer: initiator, SERVICE.

    A sweep has ``min_hosts`` silent or rejecting hosts on one port, or 15 such ports of one host
    (other than those of traceroute), within PERIOD, and two of three are so.

    Args:
        attempts: The result of scan_candidates.build_attempts.
        min_hosts: Least number of hosts.
    """
    udp = attempts.filter(attempts.protocol == _UDP)
    # Tunnels and cluster protocols send each way with ports of their own.
    senders = udp.select(initiator="responder", responder="initiator").distinct()
    udp = udp.filter(udp.direction != "inbound", udp.packets_out <= _PACKETS)
    udp = udp.anti_join(senders, ["initiator", "responder"])
    udp = udp.mutate(failed=udp.failed | udp.silent)
    ports = udp.filter(~udp.service_port.between(*_TRACEROUTE))
    return ibis.union(
        _failed_together(udp, ["initiator", "service_port"], min_hosts),
        _failed_together(ports, ["initiator", "responder"], _MIN_PORTS),
        distinct=True,
    )


def count_as_failed(attempts: ibis.Table, services: ibis.Table) -> ibis.Table:
    """Return the attempts, of which the silent ones at these services have failed."""
    key = ["initiator", *SERVICE]
    marked = attempts.left_join(services.mutate(is_swept=True), key)
    is_swept = marked.is_swept.fill_null(False) & marked.silent
    marked = marked.mutate(failed=marked.failed | is_swept, silent=marked.silent & ~is_swept)
    return marked.select(attempts.columns)


def _failed_together(rows: ibis.Table, key: list[str], least: int) -> ibis.Table:
    """Return the failed rows of the keys of which ``least``, and two of three, failed in PERIOD."""
    many = rows.filter(rows.failed).group_by(key).aggregate(count=_.count())
    rows = rows.semi_join(many.filter(many["count"] >= least), key)
    rows = _count_near(rows.mutate(at=epoch_seconds(rows.first_seen)), key)
    failed = rows.near_failed
    swept = _during(rows, (failed >= least) & (failed >= _SILENT_DATAGRAMS * rows.near), key)
    return swept.filter(swept.failed).select("initiator", *SERVICE)


def _count_near(rows: ibis.Table, key: list[str]) -> ibis.Table:
    """Add how many rows of its key, and how many failed ones, began within PERIOD of a row."""
    return rows.mutate(
        near=rows.count().over(_near(key)),
        near_failed=rows.failed.cast("int64").sum().over(_near(key)),
    )


def _during(rows: ibis.Table, is_sweep: ibis.Value, key: list[str]) -> ibis.Table:
    """Return the rows within PERIOD of one that is in the middle of a sweep."""
    rows = rows.mutate(is_sweep=is_sweep.cast("int8"))
    rows = rows.mutate(swept=rows.is_sweep.max().over(_near(key)))
    return rows.filter(rows.swept == 1)


def _near(key: list[str]) -> Any:
    # Before and after: the first few of many pings that are answered may be silent by chance.
    return ibis.range_window(preceding=PERIOD, following=PERIOD, group_by=key, order_by="at")


def _turned(c: ibis.Table, source: str, target: str) -> dict[str, ibis.Value]:
    """Return the columns of a ping from one end of ICMP connections to the other."""
    is_out = source == "initiator"
    return {
        "initiator": c[source],
        "responder": c[target],
        "protocol": c.protocol,
        "answered": c.answered,
        "rejected": c.rejected,
        "packets": c.packets_out if is_out else c.packets_in,
        "bytes_out": c.bytes_out if is_out else c.bytes_in,
        "bytes_in": c.bytes_in if is_out else c.bytes_out,
        "first_seen": c.first_seen,
        "last_seen": c["last_seen"],
    }


def _senders(summaries: ibis.Table, pings: ibis.Table) -> ibis.Table:
    """Return initiator and responder of those pings whose target sent the source other packets.

    Such a ping may report an error.
    """
    s = summaries.filter(~summaries.protocol.isin([_ICMP, _ICMP6]))
    pairs = pings.select("initiator", "responder").distinct()
    opened = s.filter(s.packets_out > 0).select(initiator="responder", responder="initiator")
    replied = s.filter(s.packets_in > 0).select("initiator", "responder")
    return opened.union(replied).semi_join(pairs, ["initiator", "responder"]).distinct()


def _sum_targets(pings: ibis.Table) -> ibis.Table:
    """Return a row per source and target; a target failed that never answered."""
    targets = pings.group_by("initiator", "responder", "protocol").aggregate(
        failed=(~_.answered).all(),
        answered=_.answered.any(),
        rejected=_.rejected.any(),
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        connections=_.count(),
        packets=_.packets.sum(),
        bytes_out=_.bytes_out.sum(),
        bytes_in=_.bytes_in.sum(),
    )
    return targets.mutate(service_port=ibis.literal(0, "int32"), internal=True, accepted=False)
