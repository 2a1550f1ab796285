"""What a note is about: ids, hosts and principals; anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate.note_subjects import resolve_note_subject
from tests.incident_case import CALLER, HOST, INSTANCE, POOL, make_incident_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("subjects") / "incident")


@pytest.fixture(scope="module")
def findings(case: Case) -> detect.Findings:
    patch = pytest.MonkeyPatch()
    patch.setattr(
        "flowbench.detect.registry.MODULES",
        [m for m in detect.registry.MODULES if m.DETECTOR.id in ("contact", "mining")],
    )
    found = detect.run(case)
    patch.undo()
    assert found.kept
    return found


def test_hosts_principals_events_and_alerts(case: Case) -> None:
    (alert,) = case.alerts.alert_id.to_pyarrow().to_pylist()
    event = case.api_events.order_by("event_id").event_id.to_pyarrow().to_pylist()[0]
    for text, kind in {
        HOST: "address",
        f" {POOL} ": "address",
        CALLER: "address",
        INSTANCE: "instance",
        "eve": "principal",
        alert: "alert",
        event: "API event",
    }.items():
        assert resolve_note_subject(case, text) == (text.strip(), kind)


def test_a_finding_by_its_id_and_its_unique_start(case: Case, findings: detect.Findings) -> None:
    for finding in findings:
        start = finding.finding_id[:-3]
        assert resolve_note_subject(case, finding.finding_id) == (finding.finding_id, "finding")
        assert resolve_note_subject(case, start) == (finding.finding_id, "finding")
    contacts = [f.finding_id for f in findings.of("contact")]
    assert len(contacts) >= 2
    with pytest.raises(InputError, match=r"begins the ids of .* findings: give one of contact-"):
        resolve_note_subject(case, "contact-")


def test_anything_else_is_refused_with_the_nearest_names(
    case: Case, findings: detect.Findings
) -> None:
    finding_id = findings[0].finding_id
    wrong = finding_id[:-2] + ("00" if finding_id[-2:] != "00" else "11")
    with pytest.raises(InputError, match=f"nor is it the id of a finding.*{finding_id}"):
        resolve_note_subject(case, wrong)
    with pytest.raises(InputError, match=r"10\.0\.0\.55 does not occur in this case; the nearest"):
        resolve_note_subject(case, "10.0.0.55")
    with pytest.raises(InputError, match="is no address") as refused:
        resolve_note_subject(case, "\x1b[31mx")
    assert "\x1b" not in str(refused.value)


def test_a_case_without_evidence_has_no_subjects(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    for text in ("contact-0123456789", "10.0.0.5", "ada"):
        with pytest.raises(InputError):
            resolve_note_subject(case, text)
