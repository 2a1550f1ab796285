"""Findings about scans have the title, severity and sentence of what was attempted."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.detect.detectors.scan import DETECTOR
from flowbench.detect.scan_candidates import build_attempts, find_background, find_candidates
from flowbench.detect.scan_findings import group_findings, ping_findings, separate_findings
from flowbench.detect.silent_sweeps import find_ping_sweeps
from tests.detect.connection_rows import connection, tables

HOST = "10.0.0.5"


@pytest.mark.parametrize(
    ("targets", "title"),
    [
        ([(f"10.0.1.{n}", 445) for n in range(9)], "Host sweep (TCP)"),
        ([(f"10.0.1.{n // 3}", 20 + n % 3) for n in range(9)], "Port scan"),
        ([("10.0.1.1", 20 + n) for n in range(9)], "Port scan"),
    ],
)
def test_a_scan_is_a_sweep_of_hosts_or_of_ports(targets: list[Any], title: str) -> None:
    attempts = build_attempts(tables([connection(HOST, *target) for target in targets])[0])
    rows = find_candidates(attempts, 8, 10)
    sums = {"initiator": HOST, "internal": True, "service_count": 9, "failed_count": 9}
    sums |= {"rejected_count": 0, "empty_count": 0, "accepted_count": 0, "protocol": 6}
    sums |= {"connections": 9, "bytes_out": 540, "bytes_in": 0}
    sums |= {name: connection(HOST, HOST, 1)[name] for name in ("first_seen", "last_seen")}
    (finding,) = separate_findings(DETECTOR, rows, [sums])
    assert (finding.title, finding.severity, finding.technique) == (title, "high", "T1046")
    assert finding.peers == tuple(sorted({host for host, _port in targets}))
    assert finding.evidence.ports == tuple(sorted({port for _host, port in targets}))
    assert "9 failed (0 rejected, 0 answered without data), 0 answered." in finding.summary


def test_sources_that_reached_nothing_are_one_low_finding() -> None:
    rows = [connection(f"198.18.3.{n}", HOST, 20 + n % 2, n, rejected=True) for n in range(4)]
    attempts = build_attempts(tables(rows)[0])
    candidates = find_candidates(attempts, 8, 10)
    background = find_background(attempts, candidates)
    (finding,) = group_findings(DETECTOR, candidates, background, {}, 3)
    assert (finding.severity, finding.technique) == ("low", "T1595.001")
    assert finding.peers == ("198.18.3.0", "198.18.3.1", "198.18.3.2")
    assert finding.evidence.targets == (HOST,)
    assert "4 external addresses attempted connections to 2 services on 1 host" in finding.summary
    assert "Most attempted ports: 20 (by 2), 21 (by 2)." in finding.summary
    assert not finding.peers_complete


@pytest.mark.parametrize(("protocol", "title"), [(1, "ICMP"), (58, "ICMPv6")])
def test_a_ping_sweep_has_no_port(protocol: int, title: str) -> None:
    rows = [connection(HOST, f"10.0.1.{n}", 0, n, protocol=protocol) for n in range(9)]
    (finding,) = ping_findings(DETECTOR, find_ping_sweeps(*tables(rows), 8))
    assert (finding.title, finding.service_port) == (f"Host sweep ({title})", None)
    assert (finding.connections, finding.bytes_out) == (9, 540)
    assert "9 did not answer (0 rejected), 0 answered." in finding.summary
