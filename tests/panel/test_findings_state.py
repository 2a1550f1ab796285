"""What a triage lists, and the code that makes the same view."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowbench.detect import Findings
from flowbench.panel.findings_state import DECISIONS, FindingsState, decision_of
from tests.detect.examples import example_finding

OPEN = example_finding()
LOW = example_finding(["203.0.113.6"], severity="low", subject="10.0.0.6")
CONFIRMED = replace(example_finding(["203.0.113.7"]), decision="confirmed")
DISMISSED = replace(
    example_finding(["203.0.113.8"]), decision="dismissed", suppressed_by="dismissed by a"
)
LISTED = replace(example_finding(["203.0.113.9"]), suppressed_by="corp")
RETURNED = replace(example_finding(["203.0.113.10"]), decision="returned")
ALL = Findings.separate([OPEN, LOW, CONFIRMED, DISMISSED, LISTED, RETURNED])


def ids(state: FindingsState) -> set[str]:
    return {f.finding_id for group in state.select(ALL).values() for f in group}


@pytest.mark.parametrize(
    ("decision", "listed"),
    [
        ("open", [OPEN, LOW, RETURNED]),
        ("confirmed", [CONFIRMED]),
        ("dismissed", [DISMISSED]),
        ("suppressed", [LISTED]),
        ("any", [OPEN, LOW, CONFIRMED, DISMISSED, LISTED, RETURNED]),
    ],
)
def test_findings_by_decision(decision: str, listed: list) -> None:
    assert decision in DECISIONS
    assert ids(FindingsState(decision=decision)) == {f.finding_id for f in listed}
    assert {decision_of(f) for f in listed} <= ({decision} if decision != "any" else {*DECISIONS})


def test_severity_detector_and_group() -> None:
    assert ids(FindingsState("medium")) == {OPEN.finding_id, RETURNED.finding_id}
    assert ids(FindingsState(detector="beacon")) == set()
    state = FindingsState(group="10.0.0.6")
    assert {name: len(group) for name, group in state.select(ALL).items()} == {"10.0.0.6": 1}
    assert list(FindingsState().select(ALL)) == ["10.0.0.5", "10.0.0.6"]  # the most severe first


def test_code_has_what_is_not_the_default_and_quotes_it() -> None:
    assert FindingsState().to_code() == "fb.panel.findings(case)"
    state = FindingsState("high", group="it's", finding="contact-1", decision="any", page=3)
    assert state.to_code() == (
        "fb.panel.findings(case, severity='high', decision='any', group=\"it's\","
        " finding='contact-1')"
    )
    assert state.to_cell() == f"display({state.to_code()})\ncase.evidence_for('contact-1')"
    assert FindingsState().to_cell() == FindingsState().to_code()
