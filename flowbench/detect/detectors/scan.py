"""Port scan: which source attempted many services, of which hardly any answered?

Question: which source attempted many network services (host, port, protocol), of which hardly any
answered with data?

Method: after TRW (Threshold Random Walk; Jung et al., IEEE S&P 2004), reduced to what flow logs
hold. Each first contact with a service failed (rejected, unanswered, or answered without data: a
reset, or a handshake and no more) or succeeded. Failed less successful contacts is the logarithm of
TRW's likelihood ratio to the base 4, with θ0 = 0.8 and θ1 = 0.2. TRW stops at 4 (odds of 99 to 1);
``min_failed`` is higher, because every address on the internet is probed now and then. The count
runs in the order of first contacts and never falls below zero (CUSUM; Page, Biometrika 1954), so
that earlier successful contacts do not offset a scan. A service counts once, however often it is
attempted: a client whose server is down does not scan. A scan is fast by Zeek's older thresholds:
15 ports of a host, or 25 hosts on a port, within 5 minutes.

Backscatter is excluded: the answers of a flooded victim to forged senders, which come from one
service port to about as many ports as hosts. It is recognised without TCP flags too.

Severity: high for an internal source. External sources scan every public address all day; those
without a finding of their own are one finding of low severity, Internet background scanning. An
external source has a finding of its own, low unless stated, if it

* was accepted: a service of a scanned host answered it, then or later, and fewer than
  ``popular_clients`` external addresses in all (a public site does not count), or a login service
  had a session longer or larger than a login attempt. Medium; more than ``max_separate`` such
  sources at one port are one finding;
* matches an indicator other than of kind scanner, or the allow list, which suppresses the finding;
* failed at ``min_large`` services or more, and at ten times as many as 95 % of the external
  sources. Medium if the scan was fast.

False positives: authorised vulnerability scanners and discovery services, monitoring of many hosts
that are down.

Limitations: not detected are scans of fewer than ``min_failed`` services per source, scans
distributed over many sources, UDP scans that nothing rejects (half of all UDP has no answer), and
a compromise through a public site. Sources that share a NAT address are one source.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.scan_candidates import (
    CANDIDATE,
    build_attempts,
    exclude_backscatter,
    find_candidates,
    select_candidates,
    sum_attempts,
    sum_groups,
)
from flowbench.engine import epoch_seconds
from flowbench.text import format_bytes, format_count, format_period, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="scan",
    title="Port scan",
    question="Which source attempted many services, of which hardly any answered?",
    technique="T1046",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end"}),
)
INTERNET = "internet"  # the subject of a finding about many external addresses

_FAST_SECONDS = 300
_FAST_PORTS, _FAST_HOSTS = 15, 25
_LARGE_FACTOR = 10  # of the failed services of 95 % of the external sources


def find(
    case: Case,
    *,
    min_failed: int = 8,
    popular_clients: int = 10,
    min_large: int = 100,
    max_separate: int = 5,
) -> list[Finding]:
    """Return one finding per scanning source, and one for Internet background scanning.

    The subject of a finding about several external sources is ``INTERNET``; its peers are the
    sources. What an external address attempts is counted apart from what an internal one does.

    Args:
        case: The case.
        min_failed: How many more services of a source must have failed than answered.
        popular_clients: A service that answered so many external addresses is open to all.
        min_large: Least number of failed services with which an external source stands out.
        max_separate: Greatest number of sources accepted at one port that have their own findings.
    """
    with case.materialized(build_attempts(case.connections)) as attempts:
        candidates = find_candidates(exclude_backscatter(attempts), min_failed, popular_clients)
        with case.materialized(candidates) as rows:
            return _build_findings(case, rows, min_large, max_separate)


def _build_findings(
    case: Case, rows: ibis.Table, min_large: int, max_separate: int
) -> list[Finding]:
    """Return the findings: decide which sources have their own and which are grouped by port."""
    port = _.service_port.first(where=_.accepted, order_by=[_.bytes_in.desc(), _.service_port])
    candidates = rows.group_by(CANDIDATE).aggregate(sum_attempts(rows), accepted_port=port)
    candidates = candidates.order_by(CANDIDATE).to_pyarrow().to_pylist()
    external = [candidate for candidate in candidates if not candidate["internal"]]
    listed = _match_lists(case, [candidate["initiator"] for candidate in external])
    large = _large_count([candidate["failed_count"] for candidate in external], min_large)
    groups: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
    separate = []
    for candidate in candidates:
        is_large = candidate["failed_count"] >= large
        if candidate["internal"] or candidate["initiator"] in listed or is_large:
            separate.append(candidate)
        else:
            groups[candidate["accepted_port"]].append(candidate)
    for port in [p for p in groups if p is not None and len(groups[p]) <= max_separate]:
        separate += groups.pop(port)
    sources = [[candidate["initiator"] for candidate in group] for group in groups.values()]
    grouped = zip(groups.items(), sum_groups(rows, sources), strict=True)
    return [
        *(_group_finding(port, group, sums) for (port, group), sums in grouped),
        *_separate_findings(rows, separate),
    ]


def _match_lists(case: Case, sources: list[str]) -> set[str]:
    """Return the sources with an allow list or indicator match, other than of kind scanner."""
    if not sources or not case.has("indicators"):
        return set()
    table = ibis.memtable({"source": pa.array(sources, pa.string())})
    listed: set[str] = set()
    for matches in (
        case.indicator_matches.filter(case.indicator_matches.kind != "scanner"),
        case.allow_list_matches,
    ):
        current = matches.filter(matches.in_period.fill_null(True))
        current = current.semi_join(table, current.address == table.source)
        listed.update(current.select("address").distinct().to_pyarrow()["address"].to_pylist())
    return listed


def _large_count(counts: list[int], min_large: int) -> int:
    """Return with how many failed services a source stands out among sources of these counts."""
    if len(counts) < 2:  # there is no other source to compare it with
        return min_large
    return max(min_large, _LARGE_FACTOR * sorted(counts)[int(0.95 * (len(counts) - 1))])


def _group_finding(
    port: int | None, candidates: list[dict[str, Any]], sums: dict[str, Any]
) -> Finding:
    """Return the finding of the external sources accepted at ``port``, or at none."""
    hosts = sums["hosts"]
    by_failed = sorted(candidates, key=lambda c: (-c["failed_count"], c["initiator"]))
    names = list_some(f"{c['initiator']} ({c['failed_count']:,})" for c in by_failed)
    summary = (
        f"{format_count(len(candidates), 'external address', 'external addresses')} attempted"
        f" connections to {format_count(sums['distinct_services'], 'service')} on"
        f" {format_count(len(hosts), 'host')} from {_period(sums)}:"
        f" {format_count(sums['failed_count'], 'pair')} of source and service failed"
        f" ({sums['rejected_count']:,} rejected, {sums['empty_count']:,} answered without data)."
    )
    if port is None:
        summary += " None got an answer from a service with few external clients."
        if reached := sum(c["service_count"] > c["failed_count"] for c in candidates):
            summary += (
                f" {reached:,} of them got an answer from a service with many external clients."
            )
        caveats = "A compromise through a service that is open to all would not show here."
    else:
        summary += f" Port {port} answered each of them, and few or no other external addresses."
        by_answer = sorted(candidates, key=lambda c: (-c["bytes_in"], c["initiator"]))
        answers = (f"{c['initiator']} ({format_bytes(c['bytes_in'])})" for c in by_answer)
        summary += f" The largest answers went to {list_some(answers)}."
        caveats = (
            "Legitimate clients that also attempt closed ports have the same traffic pattern; check"
            f" who is authorised to use port {port}."
        )
    summary += f" Sources with the most failed attempts: {names}."
    counts = zip(sums["attempted_ports"], sums["port_sources"], strict=True)
    ports = (f"{attempted} (by {sources:,})" for attempted, sources in counts)
    summary += f" Most attempted ports: {list_some(ports)}."
    title = "Internet background scanning"
    return make_finding(
        DETECTOR,
        INTERNET,
        [candidate["initiator"] for candidate in candidates],
        _traffic(sums),
        targets=hosts,
        severity="low" if port is None else "medium",
        score=0.3 if port is None else 0.5,  # below a source that has a finding of its own
        summary=summary,
        caveats="Internet-wide scanning of public addresses is common. The peers are the sources."
        f" {caveats}",
        title=title if port is None else f"{title}, answered on port {port}",
        technique="T1595.001",
        about="" if port is None else str(port),
    )


def _separate_findings(rows: ibis.Table, candidates: list[dict[str, Any]]) -> list[Finding]:
    """Return a finding for each of these candidates."""
    sums = {(c["initiator"], c["internal"]): c for c in candidates}
    columns = [*CANDIDATE, "responder", "service_port", "failed"]
    selected = select_candidates(rows, candidates)
    selected = selected.select(*columns, first_seen_s=epoch_seconds(selected.first_seen))
    attempts = selected.order_by(CANDIDATE).to_pyarrow().to_pylist()
    return [
        _separate_finding(sums[key], list(group))
        for key, group in groupby(attempts, key=itemgetter(*CANDIDATE))
    ]


def _separate_finding(sums: dict[str, Any], attempts: list[dict[str, Any]]) -> Finding:
    """Return the finding of one source."""
    source, internal = sums["initiator"], sums["internal"]
    failed = [row for row in attempts if row["failed"]]
    ports = sorted({row["service_port"] for row in failed})
    host_count = len({row["responder"] for row in failed})
    fastest = _describe_fastest(failed)
    answered = sums["service_count"] - sums["failed_count"]
    severity = "high" if internal else "medium" if sums["accepted_count"] or fastest else "low"
    summary = (
        f"{source} attempted {format_count(len(attempts), 'service')}"
        f" ({format_count(host_count, 'host')}, {format_count(len(ports), 'port')}:"
        f" {list_some(ports, 12)}) from {_period(sums)}: {len(failed):,} failed"
        f" ({sums['rejected_count']:,} rejected, {sums['empty_count']:,} answered without data),"
        f" {answered:,} answered."
    )
    if not internal and sums["accepted_count"]:
        summary += (
            f" It reached {format_count(sums['accepted_count'], 'service')} that few or no other"
            " external addresses use, or where a login port had a session."
        )
    if fastest:
        summary += f" At most {fastest}."
    caveats = (
        "An authorised scanner, discovery service or monitor can have the same traffic pattern."
    )
    if not internal:
        caveats = (
            "Internet-wide scanning of public addresses is common: check what the source did next."
        )
    return make_finding(
        DETECTOR,
        source,
        [row["responder"] for row in attempts],
        _traffic(sums),
        severity=severity,
        score=min(1.0, 0.5 + 0.5 * (len(failed) - answered) / 50),
        summary=summary,
        caveats=caveats,
        title=None if internal else "Port scan from an external address",
        technique=None if internal else "T1595.001",
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
