"""Findings as phrases of a summary for a manager: what a host or principal did, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flowbench.enrich.ports import label
from flowbench.text import format_bytes, format_count, format_duration, list_some

if TYPE_CHECKING:
    from flowbench.detect import Finding

_NAMED = 2  # peers in a phrase


def describe_finding(finding: Finding) -> str:
    """Return what a finding's subject did, without the subject: "sent 2 GB to 198.51.100.77"."""
    phrase = _PHRASES.get(finding.detector, _by_title)
    return phrase(finding)


def _peers(finding: Finding) -> str:
    return list_some(finding.peers, _NAMED) or "several addresses"


def _service(finding: Finding) -> str:
    if not finding.service_port:
        return ""
    return f" on {label(finding.service_port, finding.protocol)}"


def _mining(finding: Finding) -> str:
    return f"exchanged crypto-mining traffic with {_peers(finding)}{_service(finding)}"


def _beacon(finding: Finding) -> str:
    """Name the mean interval between check-ins, from their number and period."""
    seconds = (finding.last_seen - finding.first_seen).total_seconds()
    interval = seconds / max(finding.connections - 1, 1)
    return f"connected to {_peers(finding)}{_service(finding)} every {format_duration(interval)}"


def _contact(finding: Finding) -> str:
    kinds = finding.title.partition("(")[2].rstrip(")")
    listed = f"listed as {kinds}" if kinds else "on an indicator list"
    return f"communicated with {_peers(finding)} ({listed})"


def _lateral(finding: Finding) -> str:
    count = format_count(finding.connections, "connection")
    services = format_count(max(len(finding.peers), 1), "internal host")
    if "eject" in finding.title:
        return f"attempted {count} to {services}, all of which were rejected"
    return f"opened {count} to {services} for the first time"


def _exfiltration(finding: Finding) -> str:
    return f"sent {format_bytes(finding.bytes_out)} to {_peers(finding)}"


def _remote_access(finding: Finding) -> str:
    return f"had an administrative session from {_peers(finding)}{_service(finding)}"


def _brute_force(finding: Finding) -> str:
    return f"had login attempts{_service(finding)} with {_peers(finding)}"


def _scan(finding: Finding) -> str:
    return f"scanned {format_count(max(len(finding.peers), 1), 'address', 'addresses')}"


def _api(finding: Finding) -> str:
    calls = finding.title.partition(": ")[2] or finding.title
    origin = f" from {list_some(finding.peers, _NAMED)}" if finding.peers else ""
    return f"called {calls}{origin}"


def _by_title(finding: Finding) -> str:
    peers = f" ({_peers(finding)})" if finding.peers else ""
    return f"is the subject of “{finding.title}”{peers}"


_PHRASES: Mapping[str, Callable[[Finding], str]] = {
    "mining": _mining,
    "beacon": _beacon,
    "contact": _contact,
    "lateral-movement": _lateral,
    "exfiltration": _exfiltration,
    "remote-access": _remote_access,
    "brute-force": _brute_force,
    "scan": _scan,
    "api-abuse": _api,
}
