"""What a detector concludes: the finding, and how detectors make one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from flowbench.detect import display
from flowbench.detect.detector import Detector
from flowbench.enrich.namesakes import split_account
from flowbench.schema import Table
from flowbench.selector import ApiEventSelector, DnsSelector, EvidenceSelector
from flowbench.text import format_utc

SEVERITIES = ("low", "medium", "high", "critical")

FINDINGS = Table.of(
    "findings",
    ("finding_id", "string", "stable: equal for the same subject, peer and port in every run"),
    ("detector", "string", "id of the detector"),
    ("title", "string", "what was detected, as a noun phrase"),
    ("severity", "string", "low, medium, high or critical: the impact if the finding is true"),
    ("score", "float64", "0 to 1: how well the records fit"),
    ("technique", "string", "ATT&CK technique id (v18)"),
    ("subject", "string", "the address concerned; or a principal, 'flow logs', 'internet'"),
    ("peer", "string", "the other address; null when there are several"),
    ("peers", "strings", "every other address"),
    ("service_port", "int32", "the port; null when there are several"),
    ("protocol", "int32", "IANA protocol number; null when there are several"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last connection"),
    ("connections", "int64", "number of connections that support the finding"),
    ("bytes_out", "int64", "bytes from the subject"),
    ("bytes_in", "int64", "bytes to the subject"),
    ("summary", "string", "what was observed, in a sentence or two for a ticket"),
    ("scores", "scores", "the named parts of the score, each 0 to 1"),
    ("caveats", "string", "other explanations, and what the records cannot show"),
    ("evidence", "string", "selector of the supporting records, as JSON; see Case.evidence_for"),
    ("suppressed_by", "string", "the allow lists or the decision that suppress it; null if none"),
    ("suppression_reason", "string", "the reason that these give; untrusted text"),
    ("decision", "string", "confirmed, dismissed, returned (after dismissal) or reopened; or null"),
    ("decided_by", "string", "the user who decided"),
    ("decided_at", "time", "when"),
    ("decision_reason", "string", "the reason given, and why it returned; untrusted text"),
)
# Not kept with a run: the custody log has the decisions, also those made later.
DECISION_COLUMNS = ("decision", "decided_by", "decided_at", "decision_reason")


@dataclass(frozen=True)
class Finding:
    """What one detector concluded about one subject; the fields are the columns of FINDINGS.

    ``peers_complete`` is False where a detector names only the peers with most traffic: an allow
    list that covers all of those named does not cover the finding then.
    """

    finding_id: str
    detector: str
    title: str
    severity: str
    score: float
    technique: str
    subject: str
    peer: str | None
    peers: tuple[str, ...]
    service_port: int | None
    protocol: int | None
    first_seen: pd.Timestamp
    last_seen: pd.Timestamp
    connections: int
    bytes_out: int
    bytes_in: int
    summary: str
    scores: Mapping[str, float] = field(hash=False)
    caveats: str
    evidence: EvidenceSelector
    suppressed_by: str | None = None
    suppression_reason: str | None = None
    decision: str | None = None
    decided_by: str | None = None
    decided_at: pd.Timestamp | None = None
    decision_reason: str | None = None
    peers_complete: bool = field(default=True, repr=False, compare=False)

    @property
    def decision_text(self) -> str | None:
        """The decision as 'confirmed by alice at 2026-09-02 03:09 UTC: the reason'."""
        if self.decision is None or self.decided_at is None:
            return None
        text = f"{self.decision} by {self.decided_by} at {format_utc(self.decided_at)}"
        return f"{text}: {self.decision_reason}" if self.decision_reason else text

    @property
    def is_target(self) -> bool:
        """Whether the peers opened the connections, to the subject."""
        if self.detector == "brute-force":  # it names the source first
            return not self.summary.startswith(f"{self.subject} opened ")
        return self.detector == "remote-access"

    def ends(self) -> Iterator[tuple[str, str]]:
        """Yield each pair of addresses concerned: the subject, or its targets, and each peer."""
        return product(self.evidence.targets or (self.subject,), self.peers)

    def to_row(self) -> dict[str, Any]:
        """Return the finding as a row of FINDINGS."""
        row = {name: getattr(self, name) for name in FINDINGS.columns}
        scores, evidence = list(self.scores.items()), self.evidence.to_json()
        return row | {"peers": list(self.peers), "scores": scores, "evidence": evidence}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Finding:
        """Return the finding of a row of FINDINGS, as ``pyarrow.Table.to_pylist`` gives it."""
        times = {name: pd.Timestamp(row[name]) for name in ("first_seen", "last_seen")}
        decided = row["decided_at"]
        return cls(
            **{name: row[name] for name in FINDINGS.columns}
            | times
            | {
                "decided_at": None if pd.isna(decided) else pd.Timestamp(decided),
                "peers": tuple(row["peers"]),
                "scores": dict(row["scores"]),
                "evidence": EvidenceSelector.from_json(row["evidence"]),
                "peers_complete": row.get("peers_complete", True),
            }
        )

    def add_caveat(self, text: str) -> Finding:
        """Return the finding with another caveat at its end."""
        return replace(self, caveats=f"{self.caveats} {text}")

    def _repr_html_(self) -> str:
        return display.finding_to_html(self.to_row(), self.decision_text)


class Traffic(NamedTuple):
    """The traffic of a finding: ports, protocol, period, connections and bytes each way."""

    ports: tuple[int, ...]
    protocol: int | None  # None: unknown, or several
    first_seen: pd.Timestamp
    last_seen: pd.Timestamp
    connections: int = 0
    bytes_out: int = 0  # from the subject
    bytes_in: int = 0


def sum_traffic(
    rows: pd.DataFrame,
    *,
    connections: str = "connections",
    bytes_out: str = "bytes_out",
    bytes_in: str = "bytes_in",
) -> Traffic:
    """Sum the traffic of rows that have service_port, protocol, first_seen and last_seen.

    Args:
        rows: Connections or connection summaries, at least one.
        connections: Column with the number of connections of a row.
        bytes_out: Column with the bytes from the subject.
        bytes_in: Column with the bytes to the subject.
    """
    protocols = rows["protocol"]
    single = protocols.notna().all() and protocols.nunique() == 1
    return Traffic(
        tuple(rows["service_port"].dropna().unique()),
        int(protocols.iloc[0]) if single else None,
        rows["first_seen"].min(),
        rows["last_seen"].max(),
        int(rows[connections].sum()),
        int(rows[bytes_out].sum()),
        int(rows[bytes_in].sum()),
    )


def make_finding(  # noqa: PLR0913  # the fields of a finding
    detector: Detector,
    subject: str,
    peers: Iterable[str],
    traffic: Traffic,
    *,
    severity: str,
    score: float,
    summary: str,
    caveats: str,
    scores: Mapping[str, float] | None = None,
    title: str | None = None,
    technique: str | None = None,
    about: str = "",
    targets: Iterable[str] = (),
    peers_complete: bool = True,
    api_events: ApiEventSelector | None = None,
    dns: DnsSelector | None = None,
    flows: bool | None = None,
) -> Finding:
    """Make a finding of ``detector``, with its id and the selector of its supporting records.

    Args:
        detector: The detector; gives title and technique unless these are given.
        subject: The address, principal or other name that the finding concerns.
        peers: The other addresses, in any order.
        traffic: Ports, protocol, period and volume.
        severity: One of SEVERITIES.
        score: 0 to 1.
        summary: What was observed.
        caveats: Other explanations, and what the records cannot show.
        scores: Named parts of the score, 0 to 1 each.
        title: A title other than the detector's.
        technique: An ATT&CK technique other than the detector's.
        about: Distinguishes findings that have the same ends, port and protocol; about principals
            also by their accounts, which the id leaves out of the subject's name.
        targets: The internal addresses that the peers communicated with, where the subject stands
            for many. The id depends on neither peers nor ports then, since these come and go.
        peers_complete: Whether ``peers`` are all of them.
        api_events: The API events that support the finding.
        dns: The DNS queries that support it.
        flows: Whether flow records between subject and peers support it too; by default they do
            where neither API events nor DNS queries are given.
    """
    peers, ports = sorted(set(peers)), sorted({int(port) for port in traffic.ports})
    protocol = None if traffic.protocol is None else int(traffic.protocol)
    peer = peers[0] if len(peers) == 1 else None
    port = ports[0] if len(ports) == 1 else None
    targets = tuple(sorted(set(targets)))
    # With several peers the list would change as evidence is added: the subject is the key then.
    ends = [] if targets else [peer or "", str(port), str(protocol)]
    # Nor does it depend on whether the case has an account with a principal of the same name.
    key = "|".join([detector.id, split_account(subject)[0], *ends, *([about] if about else [])])
    return Finding(
        finding_id=f"{detector.id}-{hashlib.sha256(key.encode()).hexdigest()[:10]}",
        detector=detector.id,
        title=title or detector.title,
        severity=severity,
        score=round(float(score), 3),
        technique=technique or detector.technique,
        subject=subject,
        peer=peer,
        peers=tuple(peers),
        service_port=port,
        protocol=protocol,
        first_seen=traffic.first_seen,
        last_seen=traffic.last_seen,
        connections=int(traffic.connections),
        bytes_out=int(traffic.bytes_out),
        bytes_in=int(traffic.bytes_in),
        summary=summary,
        scores={name: round(float(part), 3) for name, part in (scores or {}).items()},
        caveats=caveats,
        evidence=EvidenceSelector(
            subject=subject,
            peers=tuple(peers),
            ports=tuple(port for port in ports if port),  # 0 means no port: it selects nothing
            protocol=protocol,
            first_seen=traffic.first_seen,
            last_seen=traffic.last_seen,
            targets=targets,
            flows=api_events is None and dns is None if flows is None else flows,
            api_events=api_events,
            dns=dns,
        ),
        peers_complete=peers_complete,
    )


def severity_rank(severity: str) -> int:
    """Return the place of a severity, 0 for the most severe."""
    return len(SEVERITIES) - 1 - SEVERITIES.index(severity)


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: the most severe first, then by score, detector, subject and id."""
    return sorted(
        findings,
        key=lambda f: (severity_rank(f.severity), -f.score, f.detector, f.subject, f.finding_id),
    )


def limit_low(
    findings: Sequence[Finding], most: int, key: Callable[[Finding], Any], what: str
) -> list[Finding]:
    """Return findings with at most ``most`` of severity low, and say so in their caveats.

    Args:
        findings: Findings of one detector.
        most: How many of severity low to keep: the first by ``key``.
        key: Sort key.
        what: What there are more of: "hosts have such paths".
    """
    low = sorted((finding for finding in findings if finding.severity == "low"), key=key)
    if len(low) <= most:
        return list(findings)
    caveat = f"{len(low)} {what}; {most} are listed."
    left_out = {finding.finding_id for finding in low[most:]}
    rest = [finding for finding in findings if finding.finding_id not in left_out]
    return [f.add_caveat(caveat) if f.severity == "low" else f for f in rest]
