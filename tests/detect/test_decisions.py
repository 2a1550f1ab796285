"""Decisions: dismissed findings are suppressed until they grow; confirmed ones are marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings, history
from flowbench.detect.decisions import apply_decisions
from tests.detect.examples import example_finding
from tests.traffic import T0, connect, make_case

HOST, BAD = "10.0.0.5", "203.0.113.50"
LIST = f"indicator,kind,feed\n{BAD},c2,feed\n"
MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case")


def test_without_decisions_findings_stay_as_they_are(case: Case) -> None:
    findings = Findings([example_finding()])
    assert apply_decisions(case, findings) is findings


def test_a_dismissed_finding_is_suppressed_with_author_time_and_reason(case: Case) -> None:
    finding = example_finding()
    case.decide(finding, "dismissed", "the backup")
    findings = apply_decisions(case, Findings([finding, example_finding(["203.0.113.6"])]))
    assert [f.peer for f in findings] == ["203.0.113.6"]
    (dismissed,) = findings.suppressed
    entry = case.log.entries[-1]
    time = entry["time"][:16].replace("T", " ")
    assert dismissed.suppressed_by == f"dismissed by {entry['by']} at {time} UTC"
    assert dismissed.suppression_reason == "the backup"
    assert dismissed.decision_text == f"{dismissed.suppressed_by}: the backup"


def test_the_latest_decision_counts(case: Case) -> None:
    finding = example_finding()
    for decision in ("dismissed", "confirmed", "reopened"):
        case.decide(finding, decision, "because")
        found = apply_decisions(case, Findings([finding]))
        assert len(found) == (decision != "dismissed")
        assert [f.decision for f in found.all] == [decision]


@pytest.mark.parametrize(
    ("changes", "growth"),
    [
        ({"severity": "critical"}, "its severity is critical, it was high"),
        ({"last_seen": MINUTE}, "it was last seen"),
        ({"first_seen": -MINUTE}, "it was first seen"),
        ({"peers": ("203.0.113.5", "203.0.113.6")}, "it has 2 peers, then 1"),
    ],
)
def test_a_dismissed_finding_returns_when_it_grows(case: Case, changes: dict, growth: str) -> None:
    finding = example_finding()
    case.decide(finding, "dismissed", "the backup")
    grown = replace(
        finding,
        **{
            name: getattr(finding, name) + value if isinstance(value, pd.Timedelta) else value
            for name, value in changes.items()
        },
    )
    (returned,) = apply_decisions(case, Findings([grown]))
    assert (returned.decision, returned.suppressed_by) == ("returned", None)
    assert returned.decision_reason.startswith("dismissed with: the backup; returned as ")
    assert growth in returned.decision_reason


def test_less_evidence_and_other_words_do_not_bring_it_back(case: Case) -> None:
    finding = example_finding()
    case.decide(finding, "dismissed", "the backup")
    less = replace(finding, severity="low", summary="other words", connections=10**6)
    assert len(apply_decisions(case, Findings([less]))) == 0


def test_an_allow_list_stays_the_reason_of_suppression(case: Case) -> None:
    finding = replace(example_finding(), suppressed_by="corp", suppression_reason="scanner")
    case.decide(finding, "dismissed", "too")
    (one,) = apply_decisions(case, Findings.separate([finding])).suppressed
    assert (one.suppressed_by, one.decision) == ("corp", "dismissed")


@pytest.mark.usefixtures("few_detectors")
def test_a_run_respects_decisions_and_keeps_none(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, BAD, 443, T0), indicators=LIST)
    (finding,) = detect.run(case)
    case.decide(finding.finding_id, "dismissed", "a sandbox")
    again = detect.run(case)
    assert (len(again), again.kept) == (0, True)
    assert [f.finding_id for f in again.suppressed] == [finding.finding_id]
    assert len(history.kept_runs(case)) == 1  # the same findings: decisions are not kept with them
    assert [f.decision for f in history.last_run(case).findings] == [None]
    later = tmp_path / "later.log"
    records = connect(HOST, BAD, 443, T0 + 7200)
    fields = list(case.flows.drop("evidence_id", "line").columns)
    lines = [" ".join(name.replace("_", "-") for name in fields)]
    later.write_text("\n".join([*lines, *(record.text(fields) for record in records)]))
    case.ingest(later)
    (returned,) = detect.run(case)
    assert (returned.finding_id, returned.decision) == (finding.finding_id, "returned")
