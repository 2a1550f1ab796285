"""Findings about scans: groups of external sources, single sources, and sweeps by ICMP.

The rows are those of scan_candidates.ROWS.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from typing import Any

import ibis
import pandas as pd

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.scan_candidates import CANDIDATE, select_candidates
from flowbench.detect.scan_sums import members_table, sum_attempts, sum_groups
from flowbench.engine import epoch_seconds
from flowbench.text import format_bytes, format_count, format_period, list_some

INTERNET = "internet"  # the subject of a finding about many external addresses

_BACKGROUND = "Internet background scanning"
_FAST_SECONDS = 300
_FAST_PORTS, _FAST_HOSTS = 15, 25
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}


def group_findings(
    detector: Detector,
    rows: ibis.Table,
    background: ibis.Table,
    groups: dict[int | None, list[dict[str, Any]]],
    max_sources: int,
) -> list[Finding]:
    """Return a finding for the external sources accepted at each port, and one for the others."""
    ports = [*sorted(port for port in groups if port is not None), None]
    members = members_table([[c["initiator"] for c in groups.get(port, ())] for port in ports])
    others = background.select("initiator", group=ibis.literal(len(ports) - 1, "int64")).distinct()
    external = rows.filter(~rows.internal).union(background)
    return [
        _group_finding(detector, ports[sums["group"]], groups.get(ports[sums["group"]], []), sums)
        for sums in sum_groups(external, members.union(others), max_sources)
    ]


def _group_finding(
    detector: Detector, port: int | None, candidates: list[dict[str, Any]], sums: dict[str, Any]
) -> Finding:
    """Return the finding of the external sources accepted at ``port``, or at none."""
    sources = sums["sources"]
    peers = "The peers are the sources."
    if len(sources) < sums["source_count"]:
        peers = f"The peers are the {len(sources):,} sources with the most failed attempts."
    caveats = f"Internet-wide scanning of public addresses is common. {peers}"
    if port is None:
        caveats += " A compromise of a service with many external clients would not show here."
    else:
        caveats += (
            " Legitimate clients that also attempt closed ports have the same traffic pattern;"
            f" check who is authorised to use port {port}."
        )
    return make_finding(
        detector,
        INTERNET,
        sources,
        _traffic(sums),
        targets=sums["hosts"],
        severity="low" if port is None else "medium",
        score=0.3 if port is None else 0.5,  # below a source that has a finding of its own
        scores={"failed": sums["failed_count"] / sums["service_count"]},
        summary=f"{_describe_attempts(sums)} {_describe_answers(port, candidates, sums)}"
        f" {_describe_most(sums)}",
        caveats=caveats,
        title=_BACKGROUND if port is None else f"{_BACKGROUND}, answered on port {port}",
        technique="T1595.001",
        about="" if port is None else str(port),
        peers_complete=len(sources) == sums["source_count"],
    )


def _describe_attempts(sums: dict[str, Any]) -> str:
    """State how many sources attempted what."""
    return (
        f"{format_count(sums['source_count'], 'external address', 'external addresses')} attempted"
        f" connections to {format_count(sums['distinct_services'], 'service')} on"
        f" {format_count(len(sums['hosts']), 'host')} from {_period(sums)}:"
        f" {format_count(sums['failed_count'], 'attempt')} failed ({sums['rejected_count']:,}"
        f" rejected, {sums['empty_count']:,} answered without data). Repeated attempts of an"
        " address on the same service count as one."
    )


def _describe_answers(
    port: int | None, candidates: list[dict[str, Any]], sums: dict[str, Any]
) -> str:
    """State which services answered the sources."""
    if port is None:
        text = "None received data from a service with few external clients."
        if reached := sums["reached_count"]:
            text += f" {reached:,} of them got an answer from a service with many external clients."
        return text
    by_answer = sorted(candidates, key=lambda c: (-c["bytes_in"], c["initiator"]))
    answers = (f"{c['initiator']} ({format_bytes(c['bytes_in'])})" for c in by_answer)
    return (
        f"Each was answered on port {port}: by a service with few external clients, or in a session"
        f" longer or larger than a login attempt. Most data was received by {list_some(answers)}."
    )


def _describe_most(sums: dict[str, Any]) -> str:
    """Name the sources with most failed attempts, and the ports that most sources attempted."""
    by_failed = zip(sums["sources"], sums["source_failed"], strict=True)
    sources = list_some(f"{source} ({failed:,})" for source, failed in by_failed)
    counts = zip(sums["attempted_ports"], sums["port_sources"], strict=True)
    ports = list_some(f"{port or 'none (ICMP)'} (by {count:,})" for port, count in counts)
    return f"Sources with the most failed attempts: {sources}. Most attempted ports: {ports}."


def separate_findings(
    detector: Detector, rows: ibis.Table, candidates: list[dict[str, Any]]
) -> list[Finding]:
    """Return a finding for each of these candidates."""
    sums = {(c["initiator"], c["internal"]): c for c in candidates}
    columns = [*CANDIDATE, "responder", "service_port", "failed"]
    selected = select_candidates(rows, candidates)
    selected = selected.select(*columns, first_seen_s=epoch_seconds(selected.first_seen))
    attempts = selected.order_by(CANDIDATE).to_pyarrow().to_pylist()
    return [
        _separate_finding(detector, sums[key], list(group))
        for key, group in groupby(attempts, key=itemgetter(*CANDIDATE))
    ]


def _separate_finding(
    detector: Detector, sums: dict[str, Any], attempts: list[dict[str, Any]]
) -> Finding:
    """Return the finding of one source."""
    source, internal = sums["initiator"], sums["internal"]
    failed = [row for row in attempts if row["failed"]]
    ports = sorted({row["service_port"] for row in failed})
    host_count = len({row["responder"] for row in failed})
    fastest = _describe_fastest(failed)
    answered = sums["service_count"] - sums["failed_count"]
    severity = "high" if internal else "medium" if sums["accepted_count"] or fastest else "low"
    summary = (
        f"{source} attempted connections to {format_count(len(attempts), 'service')}"
        f" ({format_count(host_count, 'host')}, {format_count(len(ports), 'port')}:"
        f" {list_some(ports, 12)}) from {_period(sums)}: {len(failed):,} failed"
        f" ({sums['rejected_count']:,} rejected, {sums['empty_count']:,} answered without data),"
        f" {answered:,} answered."
    )
    if not internal and sums["accepted_count"]:
        summary += (
            f" It was answered by {format_count(sums['accepted_count'], 'service')} with few"
            " external clients, or with a session longer or larger than a login attempt."
        )
    if fastest:
        summary += f" Highest rate: {fastest}."
    caveats = (
        "An authorised scanner, discovery service or monitor can have the same traffic pattern."
    )
    if not internal:
        caveats = (
            "Internet-wide scanning of public addresses is common: check what the source did next."
        )
    return make_finding(
        detector,
        source,
        [row["responder"] for row in attempts],
        _traffic(sums | {"ports": {row["service_port"] for row in attempts}}),
        severity=severity,
        score=min(1.0, 0.5 + 0.5 * (len(failed) - answered) / 50),
        scores={"failed": len(failed) / len(attempts), "fast": bool(fastest)},
        summary=summary,
        caveats=caveats,
        title=_title(sums["protocol"], host_count, len(ports))
        + ("" if internal else " from an external address"),
        technique=None if internal else "T1595.001",
    )


def _title(protocol: int | None, hosts: int, ports: int) -> str:
    """Return what failed attempts at so many hosts and ports are called."""
    if hosts <= ports:
        return "Port scan"
    name = _PROTOCOLS.get(protocol or 0)
    return f"Host sweep ({name})" if name else "Host sweep"


def ping_findings(detector: Detector, pings: ibis.Table) -> list[Finding]:
    """Return a finding for each internal host that swept others by ICMP."""
    sums = pings.group_by("initiator").aggregate(
        **sum_attempts(pings) | {"targets": pings.responder.collect(distinct=True)}
    )
    rows = sums.order_by("initiator").to_pyarrow().to_pylist()
    return [_ping_finding(detector, row) for row in rows]


def _ping_finding(detector: Detector, sums: dict[str, Any]) -> Finding:
    source, count, silent = sums["initiator"], sums["service_count"], sums["failed_count"]
    return make_finding(
        detector,
        source,
        sums["targets"],
        _traffic(sums)._replace(ports=()),
        severity="high",
        score=min(1.0, 0.5 + 0.5 * count / 50),
        scores={"silent": silent / count},
        summary=f"{source} sent ICMP packets to {format_count(count, 'host')} from {_period(sums)}:"
        f" {silent:,} did not answer ({sums['rejected_count']:,} rejected), {count - silent:,}"
        " answered.",
        caveats="Flow logs do not record ICMP types: some of the hosts that answered may have"
        " pinged first. A monitor that starts, or an authorised discovery service, can have the"
        " same traffic pattern.",
        title=_title(sums["protocol"], count, 1),
    )


def _describe_fastest(failed: list[dict[str, Any]]) -> str:
    """Describe the five minutes with most attempts if they pass Zeek's thresholds, else ''."""
    ports, hosts = defaultdict(set), defaultdict(set)
    for row in failed:
        slot = row["first_seen_s"] // _FAST_SECONDS
        ports[slot, row["responder"]].add(row["service_port"])
        hosts[slot, row["service_port"]].add(row["responder"])
    if (count := max(map(len, ports.values()))) >= _FAST_PORTS:
        return f"{count} ports of one host in 5 min"
    count = max(map(len, hosts.values()))
    return f"{count} hosts on one port in 5 min" if count >= _FAST_HOSTS else ""


def _period(sums: dict[str, Any]) -> str:
    return format_period(sums["first_seen"], sums["last_seen"])


def _traffic(sums: dict[str, Any]) -> Traffic:
    """Return the traffic of a finding from the sums of its attempts."""
    times = [pd.Timestamp(sums[name]) for name in ("first_seen", "last_seen")]
    volume = [sums[name] for name in ("connections", "bytes_out", "bytes_in")]
    return Traffic(tuple(sums["ports"]), sums["protocol"], *times, *volume)
