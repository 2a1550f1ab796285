"""Findings grouped by subject, and by subject and peers.

A group is about one host or principal, or about several hosts with one external address: where the
same detector has findings about one peer for three hosts or more, the findings about that peer
form a group of their own, whose subject is the peer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from flowbench.detect.finding import SEVERITIES, Finding
from flowbench.detect.findings import Findings
from flowbench.schema import Table

_CAMPAIGN = 3  # subjects with findings about one peer that form a group
_OUTBOUND = ("beacon", "contact", "exfiltration", "mining")  # the subject is a host, not the peer

_SHARED = (
    ("severity", "string", "of the most severe finding"),
    ("score", "float64", "the highest score among the most severe findings"),
    ("findings", "int64", "number of findings"),
    ("detectors", "strings", "their detectors, that of the most severe first"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last connection"),
)

FINDING_GROUPS = Table.of(
    "finding_groups",
    ("subject", "string", "the address or principal that the findings concern"),
    ("hosts", "strings", "the subjects of its findings: several where they have a peer in common"),
    *_SHARED,
    *((name, "int64", f"findings of {name} severity") for name in reversed(SEVERITIES)),
    ("related", "int64", "number of rows of RELATED_FINDINGS"),
)

RELATED_FINDINGS = Table.of(
    "related_findings",
    ("subject", "string", "the address or principal that the findings concern"),
    ("peer", "string", "the other address; null when there are several"),
    ("peers", "strings", "every other address"),
    ("hosts", "strings", "the subjects of its findings"),
    *_SHARED,
    ("title", "string", "the title of each detector's findings, the most severe first"),
    ("summary", "string", "of the most severe finding"),
    ("finding_ids", "strings", "its findings, the most severe first"),
    ("decisions", "strings", "finding id and decision, of those that were decided about"),
)


def group_findings(findings: Findings) -> pd.DataFrame:
    """Return one row for each group (FINDING_GROUPS), in the order of its most severe finding."""
    return FINDING_GROUPS.frame(
        _summarize(group)
        | {"subject": subject, "related": len({_peers_key(finding) for finding in group})}
        | {name: sum(finding.severity == name for finding in group) for name in SEVERITIES}
        for subject, group in findings_by_group(findings).items()
    )


def relate_findings(findings: Findings) -> pd.DataFrame:
    """Return one row for the findings of one group about the same peers (RELATED_FINDINGS).

    In the order of ``group_findings``, within a group the most severe first.
    """
    rows = []
    for subject, group in findings_by_group(findings).items():
        related: dict[tuple[str, ...], list[Finding]] = {}
        for finding in group:
            related.setdefault(_peers_key(finding), []).append(finding)
        rows += [
            _summarize(same)
            | {
                "subject": subject,
                "peer": same[0].peer,
                "peers": list(same[0].peers),
                "title": " + ".join(dict.fromkeys(finding.title for finding in same)),
                "summary": same[0].summary,
                "finding_ids": [finding.finding_id for finding in same],
                "decisions": [
                    f"{finding.finding_id}: {finding.decision_text}"
                    for finding in same
                    if finding.decision_text
                ],
            }
            for same in related.values()
        ]
    return RELATED_FINDINGS.frame(rows)


def findings_by_group(findings: Findings) -> dict[str, list[Finding]]:
    """Return the findings of each group by its subject, the most severe first."""
    subjects: dict[tuple[str, str], set[str]] = {}
    for finding in findings:
        if finding.peer is not None and finding.detector in _OUTBOUND:
            subjects.setdefault((finding.detector, finding.peer), set()).add(finding.subject)
    common = {peer for (_detector, peer), hosts in subjects.items() if len(hosts) >= _CAMPAIGN}
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        subject = finding.peer if finding.peer in common else None
        groups.setdefault(subject or finding.subject, []).append(finding)
    return groups


def _peers_key(finding: Finding) -> tuple[str, ...]:
    """Return what relates findings about one subject: their peers; without any, nothing does."""
    return finding.peers or (finding.finding_id,)


def _summarize(group: Sequence[Finding]) -> dict[str, Any]:
    return {
        "severity": group[0].severity,
        "score": group[0].score,
        "findings": len(group),
        "hosts": list(dict.fromkeys(finding.subject for finding in group)),
        "detectors": list(dict.fromkeys(finding.detector for finding in group)),
        "first_seen": min(finding.first_seen for finding in group),
        "last_seen": max(finding.last_seen for finding in group),
    }
