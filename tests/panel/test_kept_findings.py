"""The findings that panels begin with have the decisions and allow lists of the case."""

from __future__ import annotations

from flowbench.case import Case
from flowbench.panel.kept_findings import kept_findings
from tests.incident_case import POOL


def test_a_case_without_a_run_has_none(tmp_path) -> None:
    assert kept_findings(Case.create(tmp_path / "case")) is None


def test_decided_and_allowed_findings_are_suppressed(incident: Case, tmp_path) -> None:
    before = list(kept_findings(incident))
    assert before
    incident.decide(before[0].finding_id, "dismissed", "a test")
    (tmp_path / "allow.csv").write_text(f"indicator,kind,feed\n{POOL},allow,known\n")
    incident.ingest(tmp_path / "allow.csv")
    after = kept_findings(incident)
    assert before[0].finding_id not in {finding.finding_id for finding in after}
    assert not [finding for finding in after if finding.peers == (POOL,)]
    assert len(after.all) == len(before)
