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

An attempt needs a packet of its initiator, and for TCP a SYN where flags are logged. So backscatter
is excluded (answers of a flooded victim to forged senders: SYN-ACKs and resets to a host that sent
nothing); without flags, one-way records from a service's port to others, which answer no recorded
request, and sources that send from one port below 1024 to about as many ports as hosts.

Silence proves little about UDP and ICMP. An internal host sweeps by UDP where two of three hosts on
one port, ``min_failed`` or more within 10 minutes of each other, are silent: these count as failed.
It sweeps by ICMP where a quarter of ``min_failed`` or more hosts is silent; that is a finding of
its own, Host sweep (ICMP). Zeek's icmp-scans needs 25 hosts, Juniper's ip-sweep screen 10. See
silent_sweeps.

Severity: high for an internal source. External sources scan every public address all day; those
without a finding of their own are one finding of low severity, Internet background scanning. In it
is every external source that reached no service at all, also with a single attempt, and every one
that sent ICMP to ``min_failed`` hosts within 10 minutes without an answer. An external source has a
finding of its own, low unless stated, if it

* was accepted: a service of a scanned host answered it, during the scan or later, and fewer than
  ``popular_clients`` external addresses in all (a public site does not count), or a login service
  had a session longer or larger than a login attempt. Medium; more than ``max_separate`` such
  sources at one port are one finding;
* matches an indicator other than of kind scanner, or the allow list, which suppresses the finding;
* failed at ``min_large`` services or more, and at ten times as many as 95 % of the external
  sources. Medium if the scan was fast.

What belongs to which detector: attempts at many services that failed are a scan, also at login
ports; many short accepted connections to one login port are brute-force; an accepted session from
an external address at an administrative port that lasts or transfers is remote-access.

False positives: authorised vulnerability scanners and discovery services, monitoring of many hosts
that are down or that starts with the log, peer-to-peer nodes; in Internet background scanning,
clients of a service that was down, and routers that report errors by ICMP.

Limitations: not detected are scans of fewer than ``min_failed`` services per internal source, scans
distributed over many of them, sweeps by UDP or ICMP of fewer than ``min_failed`` hosts in 10
minutes, sweeps by ICMP that more than three quarters answer (who pinged whom cannot be known), and
a compromise through a public site. Sources that share a NAT address are one source.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
from ibis import _

from flowbench.detect import scan_candidates, silent_sweeps
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding
from flowbench.detect.scan_candidates import CANDIDATE
from flowbench.detect.scan_findings import group_findings, ping_findings, separate_findings
from flowbench.detect.scan_sums import sum_attempts

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="scan",
    title="Port scan",
    question="Which source attempted many services, of which hardly any answered?",
    technique="T1046",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end"}),
)

_LARGE_FACTOR = 10  # of the failed services of 95 % of the external sources


def find(
    case: Case,
    *,
    min_failed: int = 8,
    popular_clients: int = 10,
    min_large: int = 100,
    max_separate: int = 5,
    max_sources: int = 10_000,
) -> list[Finding]:
    """Return one finding per scanning source, and one for Internet background scanning.

    The subject of a finding about several external sources is 'internet'; its peers are the
    sources. What an external address attempts is counted apart from what an internal one does.

    Args:
        case: The case.
        min_failed: How many more services of a source must have failed than answered; least number
            of hosts of a sweep by UDP or ICMP.
        popular_clients: A service that answered so many external addresses is open to all.
        min_large: Least number of failed services with which an external source stands out.
        max_separate: Greatest number of sources accepted at one port that have their own findings.
        max_sources: Greatest number of sources that a finding about several of them names.
    """
    with ExitStack() as stack:

        def keep(table: ibis.Table) -> ibis.Table:
            return stack.enter_context(case.materialized(table))

        attempts = keep(scan_candidates.build_attempts(case.connections))
        attempts = scan_candidates.exclude_backscatter(attempts)
        swept = keep(silent_sweeps.find_silent_datagrams(attempts, min_failed))
        if swept.count().execute():
            attempts = silent_sweeps.count_as_failed(attempts, swept)
        rows = keep(scan_candidates.find_candidates(attempts, min_failed, popular_clients))
        summaries = case.connection_summaries
        background = scan_candidates.find_background(attempts, rows)
        pings = silent_sweeps.find_external_pings(case.connections, summaries, min_failed)
        background = background.union(scan_candidates.exclude_candidates(pings, rows))
        if case.has("indicators"):
            allowed = case.allow_list_matches
            allowed = allowed.filter(allowed.in_period.fill_null(True))
            background = background.anti_join(allowed, background.initiator == allowed.address)
        background = keep(background)
        pings = silent_sweeps.find_ping_sweeps(case.connections, summaries, min_failed)
        separate, groups = _divide(case, rows, min_large, max_separate)
        return [
            *group_findings(DETECTOR, rows, background, groups, max_sources),
            *separate_findings(DETECTOR, rows, separate),
            *ping_findings(DETECTOR, pings),
        ]


def _divide(
    case: Case, rows: ibis.Table, min_large: int, max_separate: int
) -> tuple[list[dict[str, Any]], dict[int | None, list[dict[str, Any]]]]:
    """Divide the candidates: those with a finding of their own, and the others by accepted port."""
    port = _.service_port.first(where=_.accepted, order_by=[_.bytes_in.desc(), _.service_port])
    sums = sum_attempts(rows)
    del sums["ports"]  # of few candidates they are needed
    candidates = rows.group_by(CANDIDATE).aggregate(**sums, accepted_port=port)
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
    return separate, groups


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
