"""Findings grouped by subject, and by subject and peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from flowbench.detect.finding import SEVERITIES, Finding
from flowbench.detect.findings import Findings
from flowbench.schema import Table

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
    *_SHARED,
    *((name, "int64", f"findings of {name} severity") for name in reversed(SEVERITIES)),
    ("related", "int64", "number of rows of RELATED_FINDINGS"),
)

RELATED_FINDINGS = Table.of(
    "related_findings",
    ("subject", "string", "the address or principal that the findings concern"),
    ("peer", "string", "the other address; null when there are several"),
    ("peers", "strings", "every other address"),
    *_SHARED,
    ("title", "string", "the title of each detector's findings, the most severe first"),
    ("summary", "string", "of the most severe finding"),
    ("finding_ids", "strings", "its findings, the most severe first"),
)


def group_findings(findings: Findings) -> pd.DataFrame:
    """Return one row for each subject (FINDING_GROUPS), in the order of its most severe finding."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.subject, []).append(finding)
    return FINDING_GROUPS.frame(
        _summarize(group)
        | {"subject": subject, "related": len({_peers_key(finding) for finding in group})}
        | {name: sum(finding.severity == name for finding in group) for name in SEVERITIES}
        for subject, group in groups.items()
    )


def relate_findings(findings: Findings) -> pd.DataFrame:
    """Return one row for the findings about one subject and the same peers (RELATED_FINDINGS).

    In the order of ``group_findings``, within a subject the most severe first.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
    rank: dict[str, int] = {}
    for finding in findings:
        rank.setdefault(finding.subject, len(rank))
        groups.setdefault((finding.subject, _peers_key(finding)), []).append(finding)
    ordered = sorted(groups.values(), key=lambda group: rank[group[0].subject])  # stable
    return RELATED_FINDINGS.frame(
        _summarize(group)
        | {
            "subject": group[0].subject,
            "peer": group[0].peer,
            "peers": list(group[0].peers),
            "title": " + ".join(dict.fromkeys(finding.title for finding in group)),
            "summary": group[0].summary,
            "finding_ids": [finding.finding_id for finding in group],
        }
        for group in ordered
    )


def _peers_key(finding: Finding) -> tuple[str, ...]:
    """Return what relates findings about one subject: their peers; without any, nothing does."""
    return finding.peers or (finding.finding_id,)


def _summarize(group: Sequence[Finding]) -> dict[str, Any]:
    return {
        "severity": group[0].severity,
        "score": group[0].score,
        "findings": len(group),
        "detectors": list(dict.fromkeys(finding.detector for finding in group)),
        "first_seen": min(finding.first_seen for finding in group),
        "last_seen": max(finding.last_seen for finding in group),
    }
