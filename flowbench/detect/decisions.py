"""Analysts' decisions about findings: confirmed findings are marked, dismissed ones suppressed.

The latest decision about a finding counts. A dismissal covers the activity that was dismissed, not
what comes later: a dismissed finding returns, marked as such, when its severity rises, when its
period begins earlier or ends later than at the decision, or when it has more peers. A confirmed or
reopened finding is shown whatever its evidence becomes, also where the allow lists that suppressed
it at the decision still do. The rule is this project's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.detect.finding import SEVERITIES, Finding, severity_rank
from flowbench.detect.findings import Findings
from flowbench.text import format_utc

if TYPE_CHECKING:
    from flowbench.case import Case


def apply_decisions(case: Case, findings: Findings) -> Findings:
    """Return the findings with the decisions about them, dismissed ones among the suppressed.

    Args:
        case: The case with the decisions.
        findings: The findings of a run, new or kept.
    """
    latest = {decision["finding_id"]: decision for decision in case.decisions}
    if not latest:
        return findings
    return findings.replace(
        _apply(finding, latest[finding.finding_id]) if finding.finding_id in latest else finding
        for finding in findings.all
    )


def _apply(finding: Finding, entry: Mapping[str, Any]) -> Finding:
    decision, reason = entry["decision"], entry.get("reason")
    if decision == "dismissed" and (growth := describe_growth(finding, entry)):
        decision, reason = "returned", f"dismissed with: {reason}; returned as {growth}"
    decided = replace(
        finding,
        decision=decision,
        decided_by=entry["by"],
        decided_at=pd.Timestamp(entry["written"]),
        decision_reason=reason,
    )
    if decision in ("confirmed", "reopened") and finding.suppressed_by == entry.get(
        "suppressed_by"
    ):
        return replace(decided, suppressed_by=None, suppression_reason=None)
    if decision != "dismissed" or finding.suppressed_by is not None:
        return decided
    by = f"dismissed by {entry['by']} at {format_utc(pd.Timestamp(entry['written']))}"
    return replace(decided, suppressed_by=by, suppression_reason=reason)


def describe_growth(finding: Finding, entry: Mapping[str, Any]) -> str:
    """Return how a finding exceeds what was dismissed, as a phrase; empty if it does not.

    Args:
        finding: The finding as it is now.
        entry: A decision (Case.decisions), with what the finding was then.
    """
    first, last = pd.Timestamp(entry["first_seen"]), pd.Timestamp(entry["last_seen"])
    severity = entry["severity"] if entry["severity"] in SEVERITIES else SEVERITIES[0]
    parts = []
    if severity_rank(finding.severity) < severity_rank(severity):
        parts.append(f"its severity is {finding.severity}, it was {severity}")
    if finding.last_seen > last:
        seen, was = (format_utc(time, seconds=True) for time in (finding.last_seen, last))
        parts.append(f"it was last seen {seen}, then {was}")
    if finding.first_seen < first:
        seen, was = (format_utc(time, seconds=True) for time in (finding.first_seen, first))
        parts.append(f"it was first seen {seen}, then {was}")
    if len(finding.peers) > entry["peers"]:
        parts.append(f"it has {len(finding.peers):,} peers, then {entry['peers']:,}")
    return "; ".join(parts)
