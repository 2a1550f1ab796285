"""What the triage of findings shows: one value, from which every view of it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from flowbench.detect.findings import Findings
from flowbench.detect.grouping import findings_by_group

if TYPE_CHECKING:
    from flowbench.detect.finding import Finding

OPEN, SUPPRESSED, ANY = "open", "suppressed", "any"
DECISIONS = (OPEN, "confirmed", "dismissed", SUPPRESSED, ANY)


@dataclass(frozen=True)
class FindingsState:
    """Which findings are listed, and which is open.

    Attributes:
        severity: The lowest severity; None for all.
        detector: The id of a detector; None for all.
        decision: 'open' for those that await a decision, 'confirmed', 'dismissed', 'suppressed' (by
            an allow list) or 'any'.
        group: The subject of a finding group; None for all.
        finding: The id of the open finding; None without one.
        page: The page of its supporting records, from 0.
    """

    severity: str | None = None
    detector: str | None = None
    decision: str = OPEN
    group: str | None = None
    finding: str | None = None
    page: int = 0

    def select(self, findings: Findings) -> dict[str, list[Finding]]:
        """Return the listed findings of each group, the most severe group and finding first."""
        shown = findings.all if self.severity is None else findings.at_least(self.severity).all
        if self.detector is not None:
            shown = shown.of(self.detector)
        decided = Findings(f for f in shown if self.decision in (ANY, decision_of(f)))
        groups = findings_by_group(decided)
        return {name: groups[name] for name in groups if self.group in (None, name)}

    def to_code(self) -> str:
        """Return the call that makes the same view."""
        chosen = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.name != "page" and getattr(self, field.name) != field.default
        ]
        return f"fb.panel.findings({', '.join(['case', *chosen])})"

    def to_cell(self) -> str:
        """Return the cell that makes the same view, and lists the records of the open finding."""
        if self.finding is None:
            return self.to_code()
        return f"display({self.to_code()})\ncase.evidence_for({self.finding!r})"


def decision_of(finding: Finding) -> str:
    """Return the choice among DECISIONS that lists a finding, other than 'any'.

    A finding that returned after its dismissal, or was reopened, awaits a decision again.
    """
    if finding.decision == "dismissed":
        return "dismissed"
    if finding.suppressed_by is not None:
        return SUPPRESSED
    return "confirmed" if finding.decision == "confirmed" else OPEN
